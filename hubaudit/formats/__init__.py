"""The containers that pickles come in, read as their loaders read them."""
