"""A local file: the bytes that are hashed are the bytes that are interpreted."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType


class LocalSource:
    """Opens `path` once and keeps it open, so that replacing the file changes nothing.

    Read piece by piece and not mapped: mapped pages count as memory of the process, and checkpoints are
    larger than that. Raises OSError if it cannot be opened or read. For one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._size = self._file.seek(0, os.SEEK_END)

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        wanted = max(0, min(length, self._size - offset))
        self._file.seek(offset)
        data = self._file.read(wanted)
        while len(data) < wanted and (more := self._file.read(wanted - len(data))):
            data += more
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> LocalSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
