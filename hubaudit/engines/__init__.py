"""Second opinions: what other scanners, where they are installed, say of the same files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hubaudit.engines.child import Limits, run
from hubaudit.engines.installed import Installed, find
from hubaudit.engines.known import ENGINES, Engine
from hubaudit.formats.contents import Format
from hubaudit.model import FileReport, Opinion, OpinionStatus, ReadHow, RepoReport
from hubaudit.selection import can_execute

__all__ = ["ENGINES", "Limits", "consult"]

# The slowest takes a second to start; two minutes are enough to read 10 GB from a disk that gives 100 MB/s.
# With numpy loaded they have 1 GB of addresses, and some read a file as a whole.
_LIMITS = Limits(seconds=120, address_space=4 << 30)
# Of each engine, one process a file: at a second each that is a coffee.
_MOST_FILES = 200


def consult(
    report: RepoReport,
    engines: Sequence[str],
    locate: Callable[[FileReport], Path | None],
    limits: Limits = _LIMITS,
) -> RepoReport:
    """`report` with the opinions of `engines`, names in `ENGINES`, beside what it says already.

    They are about the files that can execute and lie on this disk, where `locate` says. An engine runs as a
    process of its own, without network, tokens or settings, and what does not answer as its own
    format says is an error, never a pass. Nothing else of the report changes.
    """
    files = [file for file in sorted(report.files, key=lambda file: file.path) if _matters(file)]
    opinions = [
        opinion
        for name in dict.fromkeys(engines)
        for opinion in _of_one(ENGINES[name], files, locate, limits)
    ]
    return replace(report, opinions=tuple(opinions))


def _matters(file: FileReport) -> bool:
    try:
        return can_execute(file.path, Format(file.format))
    except ValueError:  # the word of another version, in a stored report
        return True


def _of_one(
    engine: Engine,
    files: Sequence[FileReport],
    locate: Callable[[FileReport], Path | None],
    limits: Limits,
) -> list[Opinion]:
    found = find(engine)
    if found is None:
        return [Opinion(engine.name, None, "", "absent", "it is not installed")]
    opinions = [_of_file(engine, found, file, locate, limits) for file in files[:_MOST_FILES]]
    if more := len(files) - len(opinions):
        why = f"it was asked about the first {_MOST_FILES} files only, and not about {more} more"
        opinions.append(Opinion(engine.name, found.version, "", "skipped", why))
    return opinions


def _of_file(
    engine: Engine,
    found: Installed,
    file: FileReport,
    locate: Callable[[FileReport], Path | None],
    limits: Limits,
) -> Opinion:
    def opinion(status: OpinionStatus, detail: str) -> Opinion:
        return Opinion(engine.name, found.version, file.path, status, detail)

    if engine.formats is not None and file.format not in engine.formats:
        return opinion("skipped", f"it does not read {file.format}")
    if file.read not in {ReadHow.CACHE, ReadHow.LOCAL}:
        return opinion("skipped", "the file was read in place and is not on this disk")
    path = locate(file)
    if path is None:
        return opinion("skipped", "the file is not on this disk")
    # what it started in a session of its own may still write there
    with tempfile.TemporaryDirectory(
        prefix="hubaudit-engine-", ignore_cleanup_errors=True
    ) as folder:
        place = Path(folder).resolve()
        given = _under_a_plain_name(path, place)
        if given is None:
            return opinion("error", "the file cannot be handed over")
        result = place / "result.json"
        ended = run(found.command + engine.arguments(given, result), place, result, limits)
        status, detail = engine.judge(ended)
    return opinion(status, detail)


def _under_a_plain_name(path: Path, folder: Path) -> Path | None:
    """A link to the file, by a name that can write nothing into an engine's output but keeps the suffix."""
    suffix = path.suffix if path.suffix[1:].isascii() and path.suffix[1:].isalnum() else ""
    link = folder / "in" / f"file{suffix}"
    link.parent.mkdir()
    source = path.resolve()
    try:
        os.link(source, link)
    except OSError:  # another file system, or not our file: engines follow symbolic links, too
        try:
            link.symlink_to(source)
        except OSError:
            return None
    return link
