"""How much of what can execute was read: the figures, and the sentence that says them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubaudit.formats.contents import Format
from hubaudit.model import FileReport, ReadHow, RepoReport
from hubaudit.report.escape import clipped
from hubaudit.report.words import count, size
from hubaudit.selection import can_execute
from hubaudit.verdict import is_code

_MOST_NAMED = 4  # published custom models have two to four modules
_PATH_CHARS = 80


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of `able` files that can execute, `whole` were read to their end: `size` bytes. `others` cannot.

    `code` are paths, sorted: Python that a load may run, which is among `able` and was not read.
    """

    able: int
    whole: int
    size: int
    others: int
    code: tuple[str, ...] = ()


def coverage(report: RepoReport) -> Coverage:
    """What stands in `unread` was not read, or not to its end."""
    unread = {entry.path for entry in report.unread}
    able = {file.path: file.size for file in report.files if executes(file)}
    whole = able.keys() - unread
    code = {file.path for file in report.files if is_code(file)} - able.keys()
    can_run = able.keys() | unread | code
    others = sum(file.path not in can_run for file in report.files)
    size_read = sum(able[path] for path in whole)
    return Coverage(len(can_run), len(whole), size_read, others, tuple(sorted(code)))


def coverage_text(report: RepoReport) -> str:
    """One sentence."""
    found = coverage(report)
    said = f"Read {found.whole} of {count(found.able, 'file')} that can execute"
    if found.whole:
        said += f", {size(found.size)}"
    if found.others == 1:
        said += "; 1 other by its first bytes"
    elif found.others:
        said += f"; {found.others} others by their first bytes"
    if found.code:
        said += f"; not the Python code in {_named(found.code)}"
    return f"{said}."


def _named(paths: Sequence[str]) -> str:
    """Few of them, harmlessly: the JSON report says of each why it may run."""
    named = [clipped(path, _PATH_CHARS) for path in paths[:_MOST_NAMED]]
    if len(paths) > _MOST_NAMED:
        named.append(f"{len(paths) - _MOST_NAMED:,} more")
    return ", ".join(named)


def executes(file: FileReport) -> bool:
    """Whether a pickle is or may be inside, or is promised by its name."""
    try:
        return can_execute(file.path, Format(file.format))
    except ValueError:  # a stored report may name a format of a newer version
        return file.read in {ReadHow.CACHE, ReadHow.RANGE, ReadHow.LOCAL}
