"""`hubaudit pins`: references to the Hub, in code and configurations, that no commit hash holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hubaudit.cli import console, errors, options
from hubaudit.cli.errors import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubaudit.pins.files import FileFound
    from hubaudit.pins.resolve import Answers

UNPINNED, INCOMPLETE = 1, 3

_Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
        show_default=False,
        help="Python, notebooks, YAML, JSON and TOML, or folders with such files.",
    ),
]
_Resolve = Annotated[
    bool, typer.Option("--resolve", help="Ask the Hub for the commit hash to paste.")
]
_Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with 1 for a reference that only the running program knows, too.",
    ),
]
_FormName = Literal["text", "json", "github"]
_Form = Annotated[_FormName, typer.Option("--format", "-f", help="How the list is written.")]


def pins(
    paths: _Paths,
    resolve: _Resolve = False,
    strict: _Strict = False,
    form: _Form = "text",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> Job:
    r"""Find what code and configurations load from the Hub without a whole commit hash.

    The code is read and never run. A comment `hubaudit: ignore\[pin] REASON` on the line of a reference lets
    it pass. Exit codes: 0 all pinned, 1 something is not, 2 error, 3 a file could not be read.
    """

    def job() -> int:
        from hubaudit.pins import State
        from hubaudit.pins.files import search
        from hubaudit.pins.report import as_github, as_json, as_text

        files = list(search(paths))
        if not files:
            console.warn("there is no Python, notebook, YAML, JSON or TOML to read")
        failing = frozenset({State.UNPINNED, *([State.UNKNOWN] if strict else [])})
        answers = _answers(files, quiet=quiet, verbose=verbose) if resolve else None
        commits = answers.commits if answers else {}
        shown = frozenset(State) if verbose else failing
        match form:
            case "json":
                console.write(as_json(files, commits))
            case "github":
                console.write(as_github(files, commits, failing))
            case _:
                console.write(as_text(files, commits, shown))
        if answers is not None and answers.errors:
            return errors.UNDECIDED
        return _exit_code(files, failing)

    return job


def _answers(files: Sequence[FileFound], *, quiet: bool, verbose: bool) -> Answers:
    """What the Hub says of what is not pinned. Its errors are shown."""
    from hubaudit.cli import progress
    from hubaudit.pins import State
    from hubaudit.pins.resolve import resolve

    references = [one for file in files for one in file.found.references]
    with progress.shown(quiet=quiet, verbose=verbose) as listener:
        answers = resolve(
            (one for one in references if one.state is State.UNPINNED), listener=listener
        )
    for (repo_id, _, _), error in answers.errors:
        errors.show(error, verbose=verbose, about=repo_id)
    return answers


def _exit_code(files: Sequence[FileFound], failing: frozenset[object]) -> int:
    states = {one.state for file in files for one in file.found.references}
    if states & failing:
        return UNPINNED
    return INCOMPLETE if any(file.found.unparsed for file in files) else 0
