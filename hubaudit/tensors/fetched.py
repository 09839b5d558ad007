"""The reads that a comparison needs, file by file, and failures to read as values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hubaudit.errors import FileUnavailable
from hubaudit.source import OutOfReach
from hubaudit.tensors.twins import Part

Span = tuple[int, int]  # offset and length, in bytes
_GAP = 8 * 1024  # between two spans that are had in one read: a block of a remote file
_TOGETHER = 64 * 1024


class Unreadable(Exception):
    """A file of the comparison cannot be read; the message names it and says why. Internal to `tensors`."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What is to be read of one file."""

    part: Part
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Got:
    """What was read of it: pieces at `offsets`; or why not."""

    part: Part
    offsets: tuple[int, ...]
    pieces: tuple[bytes, ...]
    why: str | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of a span that was wanted."""
        at = bisect_right(self.offsets, offset) - 1
        start = offset - self.offsets[at]
        return self.pieces[at][start : start + length]


class Run(Protocol):
    """How jobs are run: `map`, or that of a pool. Each job reads another file."""

    def __call__(
        self, work: Callable[[Wanted], Got], jobs: Sequence[Wanted], /
    ) -> Iterable[Got]: ...


def reader(part: Part) -> Callable[[int, int], bytes]:
    """A `Read` of this file that raises Unreadable, also for a file that is shorter than its table says."""

    def read(offset: int, length: int) -> bytes:
        try:
            data = part.source.read(offset, length)
        except (FileUnavailable, OutOfReach) as error:
            raise Unreadable(f"{part.path}: {error}") from error
        if len(data) != length:
            raise Unreadable(f"{part.path}: it ends before its last tensor does")
        return data

    return read


def fetch(wanted: Wanted) -> Got:
    """Read all of it, near spans together. What cannot be read is said in `why`."""
    read = reader(wanted.part)
    merged = _merged(wanted.spans)
    try:
        pieces = tuple(read(offset, length) for offset, length in merged)
    except Unreadable as error:
        return Got(wanted.part, (), (), str(error))
    return Got(wanted.part, tuple(offset for offset, _ in merged), pieces)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for offset, length in sorted(set(spans)):
        if merged:
            first, before = merged[-1]
            end = max(first + before, offset + length)
            if offset <= first + before + _GAP and end - first <= max(before, _TOGETHER):
                merged[-1] = (first, end - first)
                continue
        merged.append((offset, length))
    return merged
