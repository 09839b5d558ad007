"""A local file, mapped: the bytes that are hashed are the bytes that are interpreted."""

from __future__ import annotations

import mmap
from pathlib import Path
from types import TracebackType


class LocalSource:
    """Opens `path` once and keeps it open, so that replacing the file changes nothing.

    Raises OSError if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._size = file.seek(0, 2)
            # An empty file cannot be mapped.
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self._size else None

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        return self._map[offset : offset + length] if self._map else b""

    def close(self) -> None:
        if self._map:
            self._map.close()

    def __enter__(self) -> LocalSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
