"""How much of what can execute was read: the figures, and the sentence that says them."""

from __future__ import annotations

from dataclasses import dataclass

from hubaudit.formats.contents import Format
from hubaudit.model import FileReport, ReadHow, RepoReport
from hubaudit.report.words import count, size
from hubaudit.selection import can_execute


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of `able` files that can execute, `whole` were read to their end: `size` bytes. `others` cannot."""

    able: int
    whole: int
    size: int
    others: int


def coverage(report: RepoReport) -> Coverage:
    """What stands in `unread` was not read, or not to its end."""
    unread = {entry.path for entry in report.unread}
    able = {file.path: file.size for file in report.files if executes(file)}
    whole = able.keys() - unread
    others = sum(file.path not in able.keys() | unread for file in report.files)
    return Coverage(
        len(able.keys() | unread), len(whole), sum(able[path] for path in whole), others
    )


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
    return f"{said}."


def executes(file: FileReport) -> bool:
    """Whether a pickle is or may be inside, or is promised by its name."""
    try:
        return can_execute(file.path, Format(file.format))
    except ValueError:  # a stored report may name a format of a newer version
        return file.read in {ReadHow.CACHE, ReadHow.RANGE, ReadHow.LOCAL}
