"""`hubaudit report`: stored JSON reports again, in any format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hubaudit.cli import errors, options
from hubaudit.cli.errors import Job
from hubaudit.errors import ReportUnusable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubaudit.model import RepoReport
    from hubaudit.report.stored import Stored

_STDIN = "-"

_Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        show_default=False,
        help="JSON reports, arrays of them, or JSON Lines, as audit and scan write them; - for stdin.",
    ),
]
_ByVerdict = Annotated[
    bool,
    typer.Option(
        "--exit-code",
        help="Exit as the audits did: 1 for FAIL, 3 for INCOMPLETE. Without it 0 if all could be read.",
    ),
]


def report(
    files: _Files,
    form: options.Form = "text",
    output: options.Output = None,
    by_verdict: _ByVerdict = False,
    verbose: options.Verbose = False,
) -> Job:
    """Write stored reports again, in another format. Needs no network, and judges nothing anew."""

    def job() -> int:
        from hubaudit.cli.sinks import Layout, checked, open_sinks
        from hubaudit.report import Page
        from hubaudit.verdict import worst_exit_code

        outputs = checked(output)
        found = [_read(name) for name in files]
        unusable = [error for stored in found for error in stored.errors]
        for error in unusable:
            errors.show(error, verbose=verbose)
        layout: Layout = "one" if len(found) == 1 and found[0].single else "many"
        reports = [one for stored in found for one in stored.reports]
        for sink in open_sinks(form, outputs, layout, None if verbose else Page().entries):
            for one in reports:
                sink.add(one)
            sink.close()
        codes = _codes(reports) if by_verdict else []
        return worst_exit_code([*codes, *(errors.UNDECIDED for _ in unusable)])

    return job


def _codes(reports: Sequence[RepoReport]) -> list[int]:
    from hubaudit.verdict import exit_code

    return [exit_code(one.verdict, strict=False) for one in reports]


def _read(name: str) -> Stored:
    """What the file holds; that it cannot be read is an error like those in it."""
    from hubaudit.report.stored import MOST_BYTES, Stored, read_reports

    source = "stdin" if name == _STDIN else name
    try:
        if name == _STDIN:
            data = sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin else b""
        else:
            with Path(name).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        why = error.strerror if isinstance(error, OSError) else str(error)
        unusable = ReportUnusable(f"{source} cannot be read: {why}", hint="check the path")
        return Stored((), (unusable,), single=True)
    return read_reports(data, source)
