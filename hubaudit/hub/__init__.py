"""The Hub: pin, list, fetch. Only this package talks to it, over huggingface_hub's own session."""
