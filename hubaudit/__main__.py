"""`python -m hubaudit`, and what the console scripts call."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from hubaudit.cli import app
from hubaudit.cli.errors import INTERRUPTED

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code. After Ctrl-C the process ends here and now."""
    code = app.main(argv)
    if code == INTERRUPTED:
        # threads that wait for a stalled Hub would be waited for at the normal exit
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
