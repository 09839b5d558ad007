"""Zip archives: torch checkpoints, TorchScript, `.npz`, and any other archive with pickles in it."""

from __future__ import annotations

import lzma
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator

from hubaudit.formats.contents import Contents, Format, Gap, together
from hubaudit.formats.place import MAX_HELD, Place, too_deep
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.formats.sourcefile import SourceFile
from hubaudit.formats.unpacked import (
    MAX_DICTIONARY,
    Decoder,
    HeldSource,
    UnpackedSource,
    bzip2_decoder,
    deflate_decoder,
)
from hubaudit.source import OutOfReach, Source
from hubaudit.source.window import WindowSource

# Bytes of the central directory, enough for some 100,000 members. zipfile makes objects of it that take
# about eight times as much: measured, 55 MB for a directory of 7 MB.
MAX_DIRECTORY = 8 << 20
# Members that a torch loader reads as raw numbers: `<name>/data/<key>`. Some begin like archives.
_TENSOR_FOLDER = "/data/"
_PICKLED = frozenset({Format.PICKLE, Format.UNCERTAIN, Format.TORCH_LEGACY})
_LOCAL_HEADER = 30  # bytes, before name and extra field (APPNOTE.TXT 6.3.10, 4.3.7)
_ENCRYPTED = 0x1 | 0x40  # flag bits, also that of strong encryption (4.4.4)


class _BadMember(ValueError):
    """The member cannot be unpacked; the message says why."""


def read_zip(source: Source, place: Place) -> Contents:
    """Every member, as what its bytes are."""
    if place.is_too_deep:
        return too_deep(Format.ZIP, place)
    try:
        archive = _at_random(source)
        with zipfile.ZipFile(SourceFile(archive, MAX_DIRECTORY)) as directory:
            members = directory.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        gap = Gap(place.member, f"not a readable zip archive: {error}")
        return Contents(Format.ZIP, gaps=(gap,))
    overlapping = _overlapping(members)
    parts = [
        _read_member(archive, info, place)
        for index, info in enumerate(members)
        if index not in overlapping
    ]
    if overlapping:
        said = f"{len(overlapping):,} of its members overlap others and are not read"
        parts.append(Contents(Format.ZIP, gaps=(Gap(place.member, said),)))
    names = [info.filename for info in members]
    parts.append(Contents(Format.ZIP, gaps=tuple(_duplicates(names, place))))
    return together(_format_of(names), parts)


def _at_random(source: Source) -> Source:
    """A compressed archive has to be held in memory: its directory is at its end."""
    if not isinstance(source, UnpackedSource):
        return source
    held = HeldSource(source, MAX_HELD)
    if held.is_cut:
        raise OutOfReach(f"an archive in compressed data, of over {MAX_HELD:,} bytes")
    return held


def _format_of(names: list[str]) -> Format:
    bases = {name.rpartition("/")[2] for name in names}
    if "data.pkl" not in bases:
        return Format.ZIP
    return Format.TORCHSCRIPT if "constants.pkl" in bases else Format.TORCH_ZIP


def _duplicates(names: list[str], place: Place) -> Iterator[Gap]:
    """Two readers of one name could take different members."""
    seen = Counter(name.lower() for name in names)
    for name in dict.fromkeys(names):
        if (count := seen.pop(name.lower(), 0)) > 1:
            yield Gap(place.path_of(name), f"the archive has {count} members of this name")


def _overlapping(members: list[zipfile.ZipInfo]) -> set[int]:
    """Which members begin inside another: a way to make much of little, and to hide."""
    found: set[int] = set()
    end = 0
    for index, info in sorted(enumerate(members), key=lambda item: item[1].header_offset):
        if info.header_offset < end:
            found.add(index)
        # the local header's name and extra field may be longer, but not shorter, than none
        end = max(end, info.header_offset + _LOCAL_HEADER + info.compress_size)
    return found


def _unread(place: Place, info: zipfile.ZipInfo, why: str) -> Contents:
    return Contents(Format.ZIP, gaps=(Gap(place.path_of(info.filename), why),))


def _read_member(archive: Source, info: zipfile.ZipInfo, place: Place) -> Contents:
    if info.filename.endswith("/") and info.file_size == 0:
        return Contents(Format.EMPTY)
    try:
        member = _open_member(archive, info, place)
        found = _read_opened(member, info.filename, place)
    except (_BadMember, OutOfReach) as error:
        return _unread(place, info, str(error))
    if isinstance(member, UnpackedSource):
        found += _unpacking_gaps(member, found, info, place)
    if info.flag_bits & _ENCRYPTED:
        found += _unread(place, info, "it is encrypted")
    return found


def _read_opened(member: Source, name: str, place: Place) -> Contents:
    if _TENSOR_FOLDER in f"/{name}":
        found = sniff(member.read(0, HEAD_SIZE), member.size)
        if found not in _PICKLED:
            return Contents(found)
    return place.read(member, place.inside(name))


def _unpacking_gaps(
    member: UnpackedSource, found: Contents, info: zipfile.ZipInfo, place: Place
) -> Contents:
    """What unpacking a member to its end shows, where its end matters."""
    try:
        if found.pickles:
            member.finish()
    except OutOfReach as error:
        return _unread(place, info, str(error))
    if member.problem is not None:
        return _unread(place, info, member.problem)
    if found.pickles and member.size != info.file_size:
        said = f"{member.size:,} bytes, not the {info.file_size:,} that the directory says"
        return _unread(place, info, f"it unpacks to {said}")
    return Contents(Format.ZIP)


def _open_member(archive: Source, info: zipfile.ZipInfo, place: Place) -> Source:
    """The member's bytes. Raises _BadMember."""
    header = archive.read(info.header_offset, _LOCAL_HEADER)
    if header[:4] != b"PK\x03\x04" or len(header) < _LOCAL_HEADER:
        raise _BadMember("there is no header where the directory says")
    name_size, extra_size = struct.unpack_from("<HH", header, 26)
    start = info.header_offset + _LOCAL_HEADER + name_size + extra_size
    try:
        packed = WindowSource(archive, start, info.compress_size)
    except ValueError:
        raise _BadMember("it is cut off") from None
    if info.compress_type == zipfile.ZIP_STORED:
        return packed
    if info.compress_type == zipfile.ZIP_LZMA:
        return _open_lzma(packed, place)
    decoders: dict[int, Callable[[], Decoder]] = {
        zipfile.ZIP_DEFLATED: deflate_decoder,
        zipfile.ZIP_BZIP2: bzip2_decoder,
    }
    decoder = decoders.get(info.compress_type)
    if decoder is None:
        raise _BadMember(f"its compression, method {info.compress_type}, is not known")
    return UnpackedSource(packed, decoder, place.budget)


def _open_lzma(packed: Source, place: Place) -> Source:
    """Method 14: version (2 bytes), size of the properties (2), properties (5), stream (5.8.8)."""
    properties = packed.read(4, 5)
    if packed.read(2, 2) != b"\x05\x00" or len(properties) < 5:
        raise _BadMember("its compressed data is damaged")
    dictionary = int.from_bytes(properties[1:], "little")
    if dictionary > MAX_DICTIONARY:
        raise _BadMember(f"unpacking it needs {dictionary:,} bytes of memory")
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    if lc + lp > 4 or pb > 4:  # liblzma refuses to begin (`is_lclppb_valid` in lzma_common.h, 5.4)
        raise _BadMember("its compressed data is damaged")
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}]

    def decoder() -> Decoder:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)

    return UnpackedSource(WindowSource(packed, 9, packed.size - 9), decoder, place.budget)
