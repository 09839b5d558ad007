"""Formats that need the extra `archives`: zstd and lz4 streams, 7z archives.

Their libraries are imported when such a file is met. Without them it is a gap that names the extra.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from typing import IO, Any, cast

from hubaudit.formats.contents import Contents, Format, Gap, Oddity, OddityKind, together
from hubaudit.formats.paths import leads_out
from hubaudit.formats.place import MAX_HELD, Place, too_deep
from hubaudit.formats.sourcefile import SourceFile
from hubaudit.formats.unpacked import Decoder
from hubaudit.source import OutOfReach, Source
from hubaudit.source.memory import MemorySource

HINT = "needs the extra `archives`: pip install 'hubaudit[archives]'"

# log2 of the largest window that is accepted, 64 MiB; `zstd --ultra --long=31` asks for 2 GiB.
_ZSTD_WINDOW_LOG = 26


class MissingExtra(Exception):
    """The library for a format is not installed."""


class _Translated:
    """A decoder whose own errors are ValueErrors, as those of the standard library's nearly are."""

    def __init__(self, inner: Any, errors: tuple[type[Exception], ...]) -> None:
        self._inner = inner
        self._errors = errors

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        return bool(self._inner.needs_input)

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data or b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return bytes(self._inner.decompress(data, max_length))
        except self._errors as error:
            raise ValueError(str(error)) from error


def zstd_decoder() -> Decoder:
    """Raises MissingExtra."""
    try:
        from backports import zstd
    except ImportError:
        raise MissingExtra from None
    options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG}
    return _Translated(zstd.ZstdDecompressor(options=options), (zstd.ZstdError,))


def lz4_decoder() -> Decoder:
    """Raises MissingExtra."""
    try:
        import lz4.frame
    except ImportError:
        raise MissingExtra from None
    return _Translated(lz4.frame.LZ4FrameDecompressor(), (RuntimeError,))


def read_7z(source: Source, place: Place) -> Contents:
    """Every member, unpacked in memory as far as `MAX_HELD` goes."""
    if place.is_too_deep:
        return too_deep(Format.SEVEN_ZIP, place)
    try:
        members = _unpack_7z(source, place)
    except MissingExtra:
        return _gap(place.member, f"a 7z archive {HINT}")
    except OutOfReach as error:
        return _gap(place.member, str(error))
    except _BROKEN as error:
        return _gap(place.member, f"not a readable 7z archive: {type(error).__name__}")
    return together(Format.SEVEN_ZIP, [_read_member(place, *member) for member in members])


# What py7zr raises on broken and hostile archives, beside errors of its own: it believes its headers.
_BROKEN = (
    *(lzma.LZMAError, zlib.error, struct.error, OSError, EOFError, ValueError, LookupError),
    *(TypeError, AttributeError, ArithmeticError, RuntimeError, AssertionError, MemoryError),
)


def _unpack_7z(source: Source, place: Place) -> list[tuple[str, bytes]]:
    """Names and bytes of the files. Raises MissingExtra, OutOfReach, and what is in `_BROKEN`."""
    try:
        import py7zr
        from py7zr.io import Py7zBytesIO, WriterFactory
    except ImportError:
        raise MissingExtra from None

    class Collected(WriterFactory):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self.members: list[tuple[str, Any]] = []

        def create(self, filename: str) -> Any:
            written = Py7zBytesIO(filename, MAX_HELD + 1)
            self.members.append((filename, written))
            return written

    collected = Collected()
    try:
        file = cast(IO[bytes], SourceFile(source, MAX_HELD))
        with py7zr.SevenZipFile(file) as archive:
            if archive.needs_password():
                raise ValueError("encrypted")
            size = sum(entry.uncompressed for entry in archive.list())
            if size > MAX_HELD:
                raise OutOfReach(f"it would unpack to {size:,} bytes")
            place.budget.spend(size)
            archive.extractall(factory=collected)
    except py7zr.exceptions.ArchiveError as error:
        raise ValueError(str(error)) from error
    return [(name, written.read()) for name, written in collected.members if not written.seek(0)]


def _read_member(place: Place, name: str, data: bytes) -> Contents:
    inside = place.inside(name)
    found = place.read(MemorySource(data), inside)
    if not leads_out(name):
        return found
    said = "its name leads out of the folder that the archive is unpacked in"
    return found + Contents(
        Format.SEVEN_ZIP, oddities=(Oddity(OddityKind.LEADS_OUT, inside.member, None, said),)
    )


def _gap(member: str | None, why: str) -> Contents:
    return Contents(Format.SEVEN_ZIP, gaps=(Gap(member, why),))
