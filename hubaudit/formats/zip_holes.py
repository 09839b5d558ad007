"""The bytes of a zip archive that its directory does not account for, and members hidden in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hubaudit.formats.zip_records import LOCAL_MAGIC, SIZES_FOLLOW, Entry, read_local
from hubaudit.source import Source

# Bytes that are gone through in search of hidden members, in all holes: 0.1 s. What writers leave is
# padding of some bytes.
MAX_SEARCHED = 64 << 20
MAX_HIDDEN = 1000
_STEP = 1 << 20
_SPLIT_MARKS = (
    b"PK00",
    b"PK\x07\x08",
)  # before the first member of an archive once split (8.5.3-8.5.5)


@dataclass(frozen=True, slots=True)
class Hole:
    """`end` is not included. `hidden`: the members whose local headers stand in it."""

    start: int
    end: int
    is_blank: bool
    hidden: tuple[Entry, ...]


def holes_between(
    spans: Iterable[tuple[int, int]], size: int, archive_end: int
) -> list[tuple[int, int]]:
    """What `spans` leave of `size` bytes. No hole reaches beyond `archive_end` from before it."""
    holes = []
    at = 0
    for start, end in sorted([*spans, (archive_end, archive_end), (size, size)]):
        if at < min(start, size):
            holes.append((at, min(start, size)))
        at = max(at, start, end)
    return holes


def search(archive: Source, holes: Iterable[tuple[int, int]]) -> tuple[list[Hole], bool]:
    """The holes with what is in them, and whether all of them were gone through."""
    found: list[Hole] = []
    left = MAX_SEARCHED
    hidden = 0
    for start, end in holes:
        stop = min(end, start + left)
        left -= stop - start
        places, is_blank = _headers(archive, start, stop, end, MAX_HIDDEN - hidden)
        hidden += len(places)
        found.append(Hole(start, end, is_blank and stop == end, tuple(places)))
        if stop < end or hidden >= MAX_HIDDEN:
            return found, False
    return found, True


def _headers(
    archive: Source, start: int, stop: int, end: int, most: int
) -> tuple[list[Entry], bool]:
    found: list[Entry] = []
    is_blank = True
    for piece in range(start, stop, _STEP):
        data = archive.read(piece, min(_STEP + len(LOCAL_MAGIC) - 1, stop - piece))
        is_blank = is_blank and (not data.strip(b"\0") or data in _SPLIT_MARKS)
        for at in _places_of(data):
            entry = read_local(archive, piece + at)
            if entry is not None:
                found.append(_bounded(entry, end))
            if len(found) == most:
                return found, is_blank
    return found, is_blank


def _places_of(data: bytes) -> Iterator[int]:
    at = data.find(LOCAL_MAGIC)
    while at >= 0:
        yield at
        at = data.find(LOCAL_MAGIC, at + 1)


def _bounded(entry: Entry, end: int) -> Entry:
    """With a size to read by, if the header leaves it to what follows the data."""
    if not entry.flags & SIZES_FOLLOW or entry.packed:
        return entry
    assert entry.data is not None
    return replace(entry, packed=max(0, end - entry.data))
