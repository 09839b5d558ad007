"""A source as the read-only, seekable file that zipfile and tarfile want."""

from __future__ import annotations

import io

from hubaudit.source import OutOfReach, Source


class SourceFile(io.RawIOBase):
    """Reads of over `most` bytes raise OutOfReach: headers that say they are huge are not believed."""

    def __init__(self, source: Source, most: int) -> None:
        self._source = source
        self._most = most
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if start + offset < 0:
            raise ValueError("a seek before the start")
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._source.size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        if length > self._most:
            raise OutOfReach(f"a header of {length:,} bytes")
        data = self._source.read(self._at, length)
        self._at += len(data)
        return data
