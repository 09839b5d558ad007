"""`hubaudit convert`: safetensors files of torch checkpoints, without unpickling them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hubaudit.cli import console, options
from hubaudit.cli.errors import Job

if TYPE_CHECKING:
    from hubaudit.conversion import Converted, Outcome, Refused
    from hubaudit.model import Finding

REFUSED = 1

_Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        show_default=False,
        help="A repository on the Hub, as for audit, or a local file or folder.",
    ),
]
_Folder = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="DIR", show_default=False, help="Where the files are written."
    ),
]
_Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        metavar="PATH",
        show_default=False,
        help="Convert this file of TARGET, or this index with its shards. Can be given again.",
    ),
]
_Only = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        show_default=False,
        help="Convert what lies under NAME, as state_dict, and leave it out of the tensors' names.",
    ),
]
_Force = Annotated[bool, typer.Option("--force", help="Replace files that are there already.")]


def convert(
    target: _Target,
    folder: _Folder,
    file: _Files = None,
    only: _Only = "",
    force: _Force = False,
    revision: options.Revision = None,
    repo_type: options.RepoType = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> Job:
    """Write safetensors files of torch checkpoints. Nothing is unpickled, no torch is needed.

    What cannot be converted exactly is refused. Every tensor that was written is read again and compared
    with its source, byte for byte.

    Exit codes: 0 all converted, 1 something refused, 2 error and nothing decided, 130 interrupted.
    """

    def job() -> int:
        from hubaudit.cli import progress
        from hubaudit.conversion import Order, Refused, convert_local
        from hubaudit.conversion import convert as convert_repository
        from hubaudit.explain import is_local

        order = Order(folder, tuple(file or ()), only, force)
        if is_local(target):
            outcomes = convert_local(target, order)
        else:
            with progress.shown(quiet=quiet, verbose=verbose) as listener:
                outcomes = convert_repository(
                    target, order, revision=revision, repo_type=repo_type, listener=listener
                )
        for outcome in outcomes:
            console.write(_told(outcome, entries=None if verbose else _ENTRIES))
        return REFUSED if any(isinstance(one, Refused) for one in outcomes) else 0

    return job


_ENTRIES = 10  # names of a kind that are shown without -v


def _told(outcome: Outcome, entries: int | None) -> str:
    from hubaudit.conversion import Refused

    lines = _refused(outcome) if isinstance(outcome, Refused) else _converted(outcome, entries)
    for finding in outcome.findings:
        lines.append(f"  {_warning(finding)}")
    return "\n".join((*lines, ""))


def _refused(outcome: Refused) -> list[str]:
    said = console.harmless(", ".join(outcome.sources))
    return [f"REFUSED  {said}", *(f"  {console.harmless(why)}" for why in outcome.reasons)]


def _converted(outcome: Converted, entries: int | None) -> list[str]:
    from hubaudit.report.words import count, size

    lines = [f"CONVERTED  {console.harmless(', '.join(outcome.sources))}"]
    lines += (f"  written: {console.harmless(path)}" for path in outcome.written)
    compared = f"{count(outcome.tensors, 'tensor')}, {size(outcome.size)}"
    lines.append(f"  {compared}, read again and equal to the source, byte for byte")
    tied = [f"{name} (the same as {kept})" for name, kept in outcome.tied]
    lines += _list("left out, tied", tied, entries)
    lines += _list("skipped, no tensor to write", list(outcome.skipped), entries)
    if outcome.wrapper:
        said = f"begin with {outcome.wrapper}., which --only {outcome.wrapper} leaves out"
        lines.append(f"  names of tensors {said}")
    return lines


def _list(what: str, names: list[str], entries: int | None) -> list[str]:
    shown = names if entries is None else names[:entries]
    lines = [f"  {what}: {console.harmless(name)}" for name in shown]
    if len(shown) < len(names):
        lines.append(f"  {what}: {len(names) - len(shown):,} more, which -v shows")
    return lines


def _warning(finding: Finding) -> str:
    said = console.harmless(f"{finding.path}: {finding.message}")
    return f"{finding.severity.upper()} in the source, which nothing of was run: {said}"
