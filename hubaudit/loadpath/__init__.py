"""Which files a loader would open: loaded, fallback, code or never, and why."""

from hubaudit.loadpath.by_name import load_role

__all__ = ["load_role"]
