"""Zip archives: torch checkpoints, TorchScript, and any other archive with pickles in it."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator

from hubaudit.formats.contents import Contents, Format, Gap, PickleRead, Trailing
from hubaudit.formats.raw import read_pickles, read_uncertain
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.source import Source
from hubaudit.source.memory import MemorySource
from hubaudit.source.window import WindowSource

# Compressed members are unpacked in memory; torch stores its members uncompressed.
MAX_UNPACKED = 64 << 20
# Members that a torch loader reads as raw numbers: `<name>/data/<key>`. Some begin like archives.
_TENSOR_FOLDER = "/data/"
# Formats of members in which a pickle could hide from us.
_NESTED = frozenset(
    {
        Format.ZIP,
        Format.TAR,
        Format.GZIP,
        Format.BZIP2,
        Format.XZ,
        Format.ZSTD,
        Format.LZ4,
        Format.SEVEN_ZIP,
    }
)
_LOCAL_HEADER = 30  # bytes, before name and extra field (APPNOTE.TXT 6.3.10, 4.3.7)


def read_zip(source: Source) -> Contents:
    """Every member that is a pickle by name or by its bytes."""
    try:
        archive = zipfile.ZipFile(_AsFile(source))
        members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        return Contents(Format.ZIP, gaps=(Gap(None, f"not a readable zip archive: {error}"),))
    pickles: list[PickleRead] = []
    trailing: list[Trailing] = []
    gaps: list[Gap] = list(_duplicates(members))
    for info in members:
        found = _read_member(source, archive, info)
        pickles += found.pickles
        trailing += found.trailing
        gaps += found.gaps
    format_ = _format_of([info.filename for info in members])
    return Contents(format_, tuple(pickles), tuple(trailing), tuple(gaps))


def _format_of(names: list[str]) -> Format:
    bases = {name.rpartition("/")[2] for name in names}
    if "data.pkl" not in bases:
        return Format.ZIP
    return Format.TORCHSCRIPT if "constants.pkl" in bases else Format.TORCH_ZIP


def _duplicates(members: list[zipfile.ZipInfo]) -> Iterator[Gap]:
    """Two readers of one name could take different members."""
    seen: set[str] = set()
    for info in members:
        if info.filename.lower() in seen:
            yield Gap(info.filename, "the archive has two members of this name")
        seen.add(info.filename.lower())


def _read_member(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Contents:
    if info.is_dir() and info.file_size == 0:
        return Contents(Format.EMPTY)
    if info.flag_bits & 0x1:
        return _unread(info, "it is encrypted")
    try:
        member = _open_member(source, archive, info)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        zlib.error,
        EOFError,
        ValueError,
        OSError,
    ) as error:
        return _unread(info, f"it cannot be unpacked: {error}")
    if member is None:
        return _unread(info, f"it would unpack to {info.file_size:,} bytes")
    return _read_opened(member, info.filename)


def _read_opened(member: Source, name: str) -> Contents:
    """Members named as pickles are pickles; so are others that look like one."""
    found = sniff(member.read(0, HEAD_SIZE), member.size)
    if name.endswith((".pkl", ".pickle")) or found in (Format.PICKLE, Format.TORCH_LEGACY):
        return read_pickles(member, name)
    if found is Format.UNCERTAIN:
        return read_uncertain(member, name)
    if found in _NESTED and _TENSOR_FOLDER not in f"/{name}":
        return Contents(found, gaps=(Gap(name, f"an archive in an archive ({found.value})"),))
    return Contents(found)


def _unread(info: zipfile.ZipInfo, why: str) -> Contents:
    return Contents(Format.DATA, gaps=(Gap(info.filename, why),))


def _open_member(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Source | None:
    """The member's bytes; None if unpacking it would take too much memory."""
    if info.compress_type == zipfile.ZIP_STORED:
        header = source.read(info.header_offset, _LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no local header where the directory says")
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        return WindowSource(source, info.header_offset + _LOCAL_HEADER + names, info.file_size)
    if info.file_size > MAX_UNPACKED:
        return None
    with archive.open(info) as file:
        data = file.read(MAX_UNPACKED + 1)
    return MemorySource(data) if len(data) <= MAX_UNPACKED else None


class _AsFile(io.RawIOBase):
    """A source as the read-only, seekable file that zipfile wants."""

    def __init__(self, source: Source) -> None:
        self._source = source
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
        data = self._source.read(self._at, length)
        self._at += len(data)
        return data
