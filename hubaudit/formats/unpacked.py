"""A compressed stream as a source: unpacked as far as it is read, with a window in memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from hubaudit.formats.place import Budget
from hubaudit.source import OutOfReach, Source

# Size of a stream whose end was not reached: more than any file has.
UNKNOWN = 1 << 62
PIECE = 16 * 1024  # packed bytes taken at a time, and the most that is gone through byte by byte
CHUNK = 64 * 1024  # unpacked bytes at most at a time, so that a bomb cannot go off in one step
KEPT = (
    4 << 20
)  # unpacked bytes that can be read again without starting over: 16 windows of the machine
MAX_STREAMS = 100_000  # one after the other in a file; bgzip makes one of each 64 KiB
# xz at its highest preset has a dictionary of 64 MiB, and needs 1 MiB more.
MAX_DICTIONARY = 65 << 20


class Decoder(Protocol):
    """One compressed stream. BZ2Decompressor and LZMADecompressor are such."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's object, with what it has not taken in kept for the next call."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        unpacked = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = len(unpacked) < max_length and not self._inner.unconsumed_tail
        return unpacked


def gzip_decoder() -> Decoder:
    return _Zlib(16 + zlib.MAX_WBITS)


def zlib_decoder() -> Decoder:
    return _Zlib(zlib.MAX_WBITS)


def deflate_decoder() -> Decoder:
    return _Zlib(-zlib.MAX_WBITS)


def bzip2_decoder() -> Decoder:
    return bz2.BZ2Decompressor()


def xz_decoder() -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_DICTIONARY)


def lzma_decoder() -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_DICTIONARY)


def length_of(source: Source) -> int:
    """The size of `source`, for which a compressed one has to be read to its end."""
    if isinstance(source, UnpackedSource):
        source.finish()
    return source.size


class UnpackedSource:
    """The unpacked bytes of `packed`, which is one stream after the other.

    `size` is UNKNOWN until a read reached the end. What cannot be unpacked ends the data, as it
    does for loaders; `problem` then says why. Reading raises OutOfReach when `budget` is used up.
    """

    def __init__(self, packed: Source, decoder: Callable[[], Decoder], budget: Budget) -> None:
        self.problem: str | None = None
        self._packed = packed
        self._new_decoder = decoder
        self._budget = budget
        self._damaged_after = UNKNOWN  # unpacked bytes: from there on, byte by byte
        self._start_over()

    def _start_over(self) -> None:
        self._decoder = self._new_decoder()
        self._streams = 1
        self._taken = 0  # of `packed`
        self._pending = b""  # taken, but not by the decoder
        self._kept = bytearray()
        self._start = 0  # of `kept` in the unpacked data
        self._done = False

    @property
    def size(self) -> int:
        return self._start + len(self._kept) if self._done else UNKNOWN

    def read(self, offset: int, length: int) -> bytes:
        if offset < self._start:
            self._start_over()
        end = offset + length
        while not self._done and self._start + len(self._kept) < end:
            self._kept += self._next_chunk()
            self._forget(offset)
        at = offset - self._start
        return bytes(self._kept[at : at + length]) if at >= 0 else b""

    def _forget(self, offset: int) -> None:
        """Of what lies before `offset`, keep no more than is likely to be read again."""
        surplus = min(offset, self._start + len(self._kept) - KEPT) - self._start
        if surplus > 0:
            del self._kept[:surplus]
            self._start += surplus

    def finish(self) -> None:
        """Read on to the end, so that `size` and `problem` are known."""
        while not self._done:
            self.read(self._start + len(self._kept), CHUNK)

    def _next_chunk(self) -> bytes:
        while True:
            if self._decoder.eof and not self._next_stream():
                return self._ended(None)
            data = b""
            if self._decoder.needs_input:
                data = self._take()
                if not data:
                    return self._ended("the compressed data is cut off")
            try:
                chunk = self._decoder.decompress(data, 1 if self._is_careful() else CHUNK)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
                return self._failed(error)
            if chunk:
                self._budget.spend(len(chunk))
                return chunk

    def _is_careful(self) -> bool:
        return self._start + len(self._kept) >= self._damaged_after

    def _failed(self, error: Exception) -> bytes:
        """A decoder that raises keeps back what it has just unpacked, which loaders may have read.

        So all is done again, and the last step byte by byte.
        """
        if isinstance(error, lzma.LZMAError) and "memory" in str(error).lower():
            raise OutOfReach(f"unpacking needs over {MAX_DICTIONARY:,} bytes")
        if self._is_careful():
            return self._ended(f"the compressed data is damaged: {error}")
        self._damaged_after = at = self._start + len(self._kept)
        self._start_over()
        while self._start + len(self._kept) < at and not self._done:
            self._kept += self._next_chunk()
            self._forget(at)
        return self._next_chunk()

    def _take(self) -> bytes:
        data, self._pending = self._pending, b""
        if not data:
            data = self._packed.read(self._taken, PIECE)
            self._taken += len(data)
        if self._is_careful():
            data, self._pending = data[:1], data[1:]
        return data

    def _next_stream(self) -> bool:
        """Loaders go on with a stream that follows; zeros between them are padding."""
        self._pending = self._decoder.unused_data
        while not (rest := self._pending.lstrip(b"\0")):
            self._pending = b""
            self._pending = self._take()
            if not self._pending:
                return False
        self._pending = rest
        self._streams += 1
        if self._streams > MAX_STREAMS:
            raise OutOfReach(f"over {MAX_STREAMS:,} compressed streams in a row")
        self._decoder = self._new_decoder()
        return True

    def _ended(self, problem: str | None) -> bytes:
        self.problem = problem
        self._done = True
        return b""


class HeldSource:
    """The first `most` bytes of another source, in memory. `is_cut` if that was not all."""

    def __init__(self, source: Source, most: int) -> None:
        self._chunks: list[bytes] = []  # one bytes object would be copied, and be there twice
        self.size = 0
        while self.size < most and (chunk := source.read(self.size, min(KEPT, most - self.size))):
            self._chunks.append(chunk)
            self.size += len(chunk)
        self.is_cut = bool(source.read(self.size, 1))

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        first, last = offset // KEPT, (end - 1) // KEPT
        data = b"".join(self._chunks[first : last + 1])
        return data[offset - first * KEPT : end - first * KEPT]
