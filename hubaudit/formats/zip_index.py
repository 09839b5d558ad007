"""Which members a zip archive has, by every directory that some loader might take for its directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hubaudit.formats.zip_records import (
    END_MAGIC,
    END_SIZE,
    ENTRY_MAGIC,
    TAIL,
    End,
    Entry,
    comment_size,
    entries_in,
    read_ends,
    read_local,
    size_of_entries,
)
from hubaudit.source import Source

# Bytes of all directories of an archive, enough for some 100,000 members: as objects they take 40 MB.
MAX_DIRECTORY = 8 << 20
MAX_ENDS = 8  # end records that are followed; archives that were not made for it have one


@dataclass(frozen=True, slots=True)
class Index:
    """`entries` by the place of their headers, each once. `first`: the name of the directory's first.

    `end` is the first byte behind the archive, None if there is no end record; `spans` are the bytes of
    directories and end records without their comments, which can hold anything; `disagreements` and
    `problems` are sentences without their end.
    """

    entries: tuple[Entry, ...] = ()
    first: str = ""
    end: int | None = None
    spans: tuple[tuple[int, int], ...] = ()
    disagreements: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """Entries that an end record leads to: `size` bytes from `start`."""

    start: int
    size: int
    base: int  # what its offsets count from: bytes may have been put before the archive
    count: int


def read_index(archive: Source) -> Index:
    """What the directories say. Never raises for what the bytes say."""
    found = places_of_ends(archive)
    if not found:
        return Index(problems=("it has no end record",))
    at = found[-1]
    end = at + END_SIZE + comment_size(archive, at)
    directories = list(directories_of(archive, at))
    spans = [(_start_of_records(archive, at), at + END_SIZE)]
    if not directories:
        return Index((), "", end, tuple(spans), (), ("its directory is not where it should be",))
    reading = _Reading(archive)
    reading.take(directories[0])
    first = reading.entries[0].path if reading.entries else ""
    own = dict.fromkeys(reading.entries)
    others = directories[1:]
    if len(found) > MAX_ENDS:
        reading.problems.append(f"{len(found):,} end records, of which {MAX_ENDS} are followed")
    for other in found[-MAX_ENDS:-1]:
        if not _is_inside(archive, other, own) or _is_exact(archive, other) > _is_exact(
            archive, at
        ):
            others += directories_of(archive, other)
    for directory in dict.fromkeys(others):
        reading.take(directory)
    if dict.fromkeys(reading.entries).keys() != own.keys():
        reading.disagreements.append("its end records lead to directories that differ")
    entries = sorted(dict.fromkeys(reading.entries), key=lambda entry: entry.header)
    return Index(
        tuple(entries),
        first,
        end,
        (*spans, *reading.spans),
        tuple(dict.fromkeys(reading.disagreements)),
        tuple(dict.fromkeys(reading.problems)),
    )


class _Reading:
    """What was found in one directory after the other."""

    def __init__(self, archive: Source) -> None:
        self.entries: list[Entry] = []
        self.spans: list[tuple[int, int]] = []
        self.disagreements: list[str] = []
        self.problems: list[str] = []
        self._archive = archive
        self._left = MAX_DIRECTORY

    def take(self, directory: Directory) -> None:
        self._left -= directory.size
        if self._left < 0:
            self.problems.append(f"its directory has over {MAX_DIRECTORY:,} bytes")
            return
        data = self._archive.read(directory.start, directory.size)
        entries = list(entries_in(data, directory.base))
        self.entries += entries
        size, count = size_of_entries(data)
        self.spans.append((directory.start, directory.start + size))
        if size < len(data):
            self.problems.append(f"its directory is damaged at byte {directory.start + size:,}")
        elif count % 0x10000 != directory.count % 0x10000:
            said = f"its end record counts {directory.count:,} members, its directory {count:,}"
            self.disagreements.append(said)
        if len(entries) > count:
            self.disagreements.append("zip64 fields in its directory say other sizes than entries")


def places_of_ends(archive: Source) -> list[int]:
    """Of all end records in the last bytes. Loaders take the last that is whole."""
    start = max(0, archive.size - TAIL)
    tail = archive.read(start, TAIL)
    found = []
    at = tail.find(END_MAGIC)
    while 0 <= at <= len(tail) - END_SIZE:
        found.append(start + at)
        at = tail.find(END_MAGIC, at + 1)
    return found


def directories_of(archive: Source, at: int) -> Iterator[Directory]:
    """What the end record at byte `at` may lead to, first what zipfile and miniz (3.0) take.

    They look right before the record and take what is missing for bytes put before the archive; others
    look where the record says.
    """
    for end in dict.fromkeys(read_ends(archive, at) or ()):
        before = end.at - end.size
        for start in dict.fromkeys((before, end.offset)):
            directory = Directory(start, end.size, start - end.offset, end.count)
            if _is_there(archive, directory, end):
                yield directory


def _is_there(archive: Source, directory: Directory, end: End) -> bool:
    if directory.start < 0 or directory.start + directory.size > archive.size:
        return False
    if directory.size == 0:
        return end.count == 0 and directory.start == end.at
    return archive.read(directory.start, len(ENTRY_MAGIC)) == ENTRY_MAGIC


def _start_of_records(archive: Source, at: int) -> int:
    """Of the end record at byte `at` and the zip64 records right before it."""
    return min((end.at for end in read_ends(archive, at) or () if end.at >= at - 76), default=at)


def _is_inside(archive: Source, at: int, entries: Iterable[Entry]) -> bool:
    """Whether byte `at` is a member's: an archive in the archive has an end record too."""
    before = [entry for entry in entries if entry.header < at]
    if not before:
        return False
    nearest = max(before, key=lambda entry: entry.header)
    local = read_local(archive, nearest.header)
    return local is not None and local.data is not None and at < local.data + nearest.packed


def _is_exact(archive: Source, at: int) -> bool:
    """Whether the archive ends where the end record at byte `at` says: some loaders want that."""
    return at + END_SIZE + comment_size(archive, at) == archive.size
