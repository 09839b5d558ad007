"""`python -m hubaudit`, and what the console scripts call."""

from __future__ import annotations

from hubaudit.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
