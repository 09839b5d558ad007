"""Reports: one module a format, each a function of a `RepoReport`."""
