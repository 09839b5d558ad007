"""A slice of another source, without copying it: a stored member of a container."""

from __future__ import annotations

from hubaudit.source import Source


class WindowSource:
    """The `size` bytes of `source` from `start`. They must lie inside it."""

    def __init__(self, source: Source, start: int, size: int) -> None:
        if start < 0 or size < 0 or start + size > source.size:
            raise ValueError(f"bytes {start} to {start + size} of {source.size}")
        self._source = source
        self._start = start
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self._size - offset))
        return self._source.read(self._start + offset, length)
