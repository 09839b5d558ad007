"""What goes to which stream: the report to stdout, everything else to stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from io import TextIOWrapper, UnsupportedOperation
from pathlib import Path
from typing import TextIO

from hubaudit.errors import HubauditError

WIDEST = 100  # columns; sentences on longer lines are hard to read


def prepare() -> None:
    """Let the streams take everything: a closed one nothing is read from, and what ASCII lacks."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def columns() -> int:
    """Columns of the terminal, $COLUMNS or 80, at most `WIDEST`."""
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST)


def wants_color(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` shows colour: a terminal that is not dumb, unless NO_COLOR (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def write(text: str) -> bool:
    """`text` to stdout; False if the reader has gone away (`| head`), which is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget(sys.stdout)
        return False
    except OSError as error:
        _forget(sys.stdout)
        raise HubauditError(
            f"the report could not be written to stdout: {error.strerror}",
            hint="write it to a file with --output FILE",
        ) from None
    return True


def harmless(text: str) -> str:
    """`text` as the reports show it. Imported late: `--help` has no use for the reports."""
    from hubaudit.report.escape import visible

    return visible(text)


def note(line: str) -> None:
    """One line of our own to stderr. Text from elsewhere in it must be `harmless` already."""
    try:
        # in one piece: lines of several threads would run into each other
        print(f"{line}\n", end="", file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        _forget(sys.stderr)


def warn(message: str) -> None:
    note(f"{_label('warning', '33')} {harmless(message)}")


def error(message: str, hint: str) -> None:
    """What happened and what to do, a line each."""
    note(f"{_label('error', '1;31')} {harmless(message)}")
    note(f"{_label('hint', '36')} {harmless(hint)}")


def _label(word: str, style: str) -> str:
    return f"\x1b[{style}m{word}:\x1b[0m" if wants_color(sys.stderr) else f"{word}:"


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _forget(stream: TextIO) -> None:
    """Send what is still buffered nowhere: the interpreter flushes at exit and would complain."""
    try:
        number = stream.fileno()
    except (UnsupportedOperation, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
