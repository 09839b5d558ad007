"""The records of a zip archive as they stand there: end records, directory entries, local headers.

Source: APPNOTE.TXT 6.3.10. Which of them count is what loaders differ in: `zip_index` says.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hubaudit.source import Source

LOCAL_MAGIC = b"PK\x03\x04"
ENTRY_MAGIC = b"PK\x01\x02"
END_MAGIC = b"PK\x05\x06"
_END64_MAGIC = b"PK\x06\x06"
_LOCATOR_MAGIC = b"PK\x06\x07"
_DESCRIPTOR_MAGIC = b"PK\x07\x08"

_LOCAL = struct.Struct("<4sHHHHHIIIHH")  # 4.3.7
_ENTRY = struct.Struct("<4sHHHHHHIIIHHHHHII")  # 4.3.12
_END = struct.Struct("<4sHHHHIIH")  # 4.3.16
_END64 = struct.Struct("<4sQHHIIQQQQ")  # 4.3.14
_LOCATOR = struct.Struct("<4sIQI")  # 4.3.15
END_SIZE = _END.size
# Bytes in which loaders look for the end record: it may have a comment of 64 KiB.
TAIL = END_SIZE + 0xFFFF

_IN_ZIP64 = 0xFFFFFFFF  # in place of a number: it is in the extra field `1` (4.5.3)
_UTF8 = 0x800  # flag bit (4.4.4): the name is UTF-8, otherwise code page 437
SIZES_FOLLOW = 0x8  # flag bit: sizes and checksum are behind the data


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as one header describes it. Sizes in bytes, `header` and `data` from the archive's start.

    `data` is None in the directory, which does not say where the data begins.
    """

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int
    header: int
    data: int | None = None
    attributes: int = 0
    unicode_name: bytes = b""  # of the extra field 0x7075, which some readers take for the name

    @property
    def path(self) -> str:
        return self.name.decode("utf-8" if self.flags & _UTF8 else "cp437", "replace")


@dataclass(frozen=True, slots=True)
class End:
    """What an end record says, or the zip64 record before it, which stands at byte `at`."""

    at: int
    count: int
    size: int
    offset: int


def read_ends(archive: Source, at: int) -> list[End] | None:
    """The readings of the end record at byte `at`, first that of zipfile; None if there is none.

    zipfile and miniz take the zip64 record's numbers whenever there is one, others only where the
    end record refers to it; and zipfile (up to 3.12) looks for it right before its locator, miniz where
    the locator says (`_EndRecData64` of Lib/zipfile; `mz_zip_reader_read_central_dir`, 3.0).
    """
    data = archive.read(at, END_SIZE)
    if len(data) < END_SIZE or not data.startswith(END_MAGIC):
        return None
    _, _, _, _, count, size, offset, _ = _END.unpack(data)
    short = End(at, count, size, offset)
    long = [end for place in _places_of_end64(archive, at) if (end := _end64(archive, place))]
    agrees = all(
        _agree(small, large, most)
        for end in long[:1]
        for small, large, most in (
            (count, end.count, 0xFFFF),
            (size, end.size, _IN_ZIP64),
            (offset, end.offset, _IN_ZIP64),
        )
    )
    return long if long and agrees else [*long, short]


def _agree(small: int, large: int, most: int) -> bool:
    return small in (large, most)


def _places_of_end64(archive: Source, end: int) -> list[int]:
    at = end - _LOCATOR.size
    data = archive.read(at, _LOCATOR.size) if at >= 0 else b""
    if len(data) < _LOCATOR.size or not data.startswith(_LOCATOR_MAGIC):
        return []
    return list(dict.fromkeys((at - _END64.size, _LOCATOR.unpack(data)[2])))


def _end64(archive: Source, at: int) -> End | None:
    data = archive.read(at, _END64.size) if 0 <= at < archive.size else b""
    if len(data) < _END64.size or not data.startswith(_END64_MAGIC):
        return None
    _, _, _, _, _, _, _, count, size, offset = _END64.unpack(data)
    return End(at, count, size, offset)


def comment_size(archive: Source, at: int) -> int:
    """Bytes of the comment that the end record at byte `at` says it has."""
    return int.from_bytes(archive.read(at + 20, 2), "little")


def entries_in(directory: bytes, base: int) -> Iterator[Entry]:
    """The entries of a directory, as far as they are whole. Offsets in it count from byte `base`.

    Two with the same header if the zip64 field says other sizes than the entry that does not refer to it.
    """
    at = 0
    while directory.startswith(ENTRY_MAGIC, at) and len(directory) - at >= _ENTRY.size:
        fields = _ENTRY.unpack_from(directory, at)
        _, _, _, flags, method, _, _, crc, packed, unpacked = fields[:10]
        name_size, extra_size, comment, _, _, attributes, header = fields[10:]
        at += _ENTRY.size
        name = directory[at : at + name_size]
        extra = directory[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment
        (unpacked, packed, header), rest = _zip64((unpacked, packed, header), extra)
        entry = Entry(
            *(name, flags, method, crc, packed, unpacked, base + header),
            attributes=attributes,
            unicode_name=_unicode_name(name, extra),
        )
        yield entry
        if len(rest) >= 16:
            other = replace(
                entry,
                unpacked=int.from_bytes(rest[:8], "little"),
                packed=int.from_bytes(rest[8:16], "little"),
            )
            if other != entry:
                yield other


def size_of_entries(directory: bytes) -> tuple[int, int]:
    """Bytes up to the first that belongs to no entry, and the number of entries."""
    at = count = 0
    while directory.startswith(ENTRY_MAGIC, at) and len(directory) - at >= _ENTRY.size:
        at += _ENTRY.size + sum(struct.unpack_from("<HHH", directory, at + 28))
        count += 1
    return at, count


def _zip64(values: tuple[int, ...], extra: bytes) -> tuple[tuple[int, ...], bytes]:
    """The values, with those that refer to the zip64 field taken from it; and the field if none does."""
    field = _extra_field(extra, 1)
    if _IN_ZIP64 not in values:
        return values, field
    found = []
    for value in values:
        if value == _IN_ZIP64 and len(field) >= 8:
            value, field = int.from_bytes(field[:8], "little"), field[8:]
        found.append(value)
    return tuple(found), b""


def _unicode_name(name: bytes, extra: bytes) -> bytes:
    """The name in the extra field for it (4.6.9), if it was made for `name`: else readers ignore it."""
    field = _extra_field(extra, 0x7075)
    is_for_it = field[:1] == b"\x01" and int.from_bytes(field[1:5], "little") == zlib.crc32(name)
    return field[5:] if is_for_it else b""


def _extra_field(extra: bytes, wanted: int) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""


def read_local(archive: Source, at: int) -> Entry | None:
    """The local header at byte `at`, if there is one and it is whole."""
    if not 0 <= at <= archive.size - _LOCAL.size:
        return None
    data = archive.read(at, _LOCAL.size)
    if not data.startswith(LOCAL_MAGIC):
        return None
    _, _, flags, method, _, _, crc, packed, unpacked, name_size, extra_size = _LOCAL.unpack(data)
    start = at + _LOCAL.size + name_size + extra_size
    if start > archive.size:
        return None
    rest = archive.read(at + _LOCAL.size, name_size + extra_size)
    name, extra = rest[:name_size], rest[name_size:]
    (unpacked, packed), _ = _zip64((unpacked, packed), extra)
    other = _unicode_name(name, extra)
    return Entry(name, flags, method, crc, packed, unpacked, at, start, unicode_name=other)


def read_descriptor(archive: Source, at: int, entry: Entry) -> tuple[int, bool]:
    """Bytes of the record behind a member's data (4.3.9), and whether it contradicts `entry`."""
    data = archive.read(at, 24)
    signed = data.startswith(_DESCRIPTOR_MAGIC)
    for layout in ("<III", "<IQQ"):
        said = struct.pack(layout, *_fitting(entry, layout))
        for magic in (_DESCRIPTOR_MAGIC, b""):
            if data.startswith(magic + said):
                return len(magic + said), False
    return (16, True) if signed else (0, False)


def _fitting(entry: Entry, layout: str) -> tuple[int, int, int]:
    most = 0xFFFFFFFF if layout == "<III" else 0xFFFFFFFFFFFFFFFF
    return entry.crc, min(entry.packed, most), min(entry.unpacked, most)


# `getPadding` of caffe2/serialize/inline_container.cc (2.13) with kFieldAlignment
_ALIGNMENT = 64
_LOCAL_HEADER = 30 + 4  # and the head of the field that pads it
_LARGE = 0xFFFFFFFF


def torch_data_start(entry: Entry) -> int:
    """Where torch's own writer puts the data of a member, by the directory's entry alone."""
    start = entry.header + _LOCAL_HEADER + len(entry.name)
    if entry.unpacked >= _LARGE or entry.header >= _LARGE:
        start += 4 + 16 * (entry.unpacked >= _LARGE) + 8 * (entry.header >= _LARGE)
    return -(-start // _ALIGNMENT) * _ALIGNMENT
