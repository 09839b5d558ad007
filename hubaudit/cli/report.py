"""`hubaudit report`: stored JSON reports again, in any format."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hubaudit.cli import errors, options
from hubaudit.cli.errors import Job
from hubaudit.errors import ReportUnusable, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubaudit.model import RepoReport
    from hubaudit.report import Origins
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
_List = Annotated[
    Path | None,
    typer.Option(
        "--list",
        metavar="FILE",
        show_default=False,
        help="A list, a lock file, a workflow or code that names the repositories: SARIF and annotations "
        "show the findings at its lines.",
    ),
]
_Scanned = Annotated[
    list[Path] | None,
    typer.Option(
        "--scanned",
        metavar="PATH",
        show_default=False,
        help="A path as scan was given it, from here: SARIF shows its files below it. May be given "
        "several times.",
    ),
]


def report(
    files: _Files,
    form: options.Form = "text",
    output: options.Output = None,
    by_verdict: _ByVerdict = False,
    naming: _List = None,
    scanned: _Scanned = None,
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
        origins = _origins(naming, reports) if naming is not None else {}
        entries = None if verbose else Page().entries
        for sink in open_sinks(form, outputs, layout, entries, origins, _folders(scanned or ())):
            for one in reports:
                sink.add(one)
            sink.close()
        codes = _codes(reports) if by_verdict else []
        return worst_exit_code([*codes, *(errors.UNDECIDED for _ in unusable)])

    return job


def _codes(reports: Sequence[RepoReport]) -> list[int]:
    from hubaudit.verdict import exit_code

    return [exit_code(one.verdict, strict=False) for one in reports]


def _folders(scanned: Sequence[Path]) -> dict[str, str]:
    """By the name that scan gives a path. Of one name twice, nobody can tell which it was."""
    names = Counter(path.resolve().name for path in scanned)
    found = {}
    for path in scanned:
        folder = path if path.is_dir() else path.parent
        plain = os.path.normpath(folder)
        is_below = not folder.is_absolute() and not plain.startswith("..")
        if names[path.resolve().name] == 1 and is_below:
            found[path.resolve().name] = "" if plain == "." else f"{Path(plain).as_posix()}/"
    return found


def _origins(naming: Path, reports: Sequence[RepoReport]) -> Origins:
    """Raises HubauditError. The path is as given: code scanning wants it from the root of the project."""
    from hubaudit.report.origins import origins_in

    try:
        text = naming.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"{naming} cannot be read: {error.strerror}", hint="give --list the name of a file"
        ) from None
    return origins_in(text, naming.as_posix(), [one.repo for one in reports])


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
