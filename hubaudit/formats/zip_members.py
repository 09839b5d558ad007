"""A member of a zip archive as a source of its unpacked bytes."""

from __future__ import annotations

import lzma
import zipfile
from collections.abc import Callable

from hubaudit.formats.place import Budget
from hubaudit.formats.unpacked import (
    MAX_DICTIONARY,
    Decoder,
    UnpackedSource,
    bzip2_decoder,
    deflate_decoder,
)
from hubaudit.formats.zip_records import Entry
from hubaudit.source import Source
from hubaudit.source.window import WindowSource


class BadMember(ValueError):
    """The member cannot be unpacked; the message says why."""


_DECODERS: dict[int, Callable[[], Decoder]] = {
    zipfile.ZIP_DEFLATED: deflate_decoder,
    zipfile.ZIP_BZIP2: bzip2_decoder,
}


def open_member(archive: Source, entry: Entry, budget: Budget) -> Source:
    """The bytes of `entry`, as many as there are. Raises BadMember."""
    assert entry.data is not None
    packed = WindowSource(archive, entry.data, min(entry.packed, archive.size - entry.data))
    if entry.method == zipfile.ZIP_STORED:
        return packed
    if entry.method == zipfile.ZIP_LZMA:
        return _open_lzma(packed, budget)
    decoder = _DECODERS.get(entry.method)
    if decoder is None:
        raise BadMember(f"its compression, method {entry.method}, is not known")
    return UnpackedSource(packed, decoder, budget)


def _open_lzma(packed: Source, budget: Budget) -> Source:
    """Method 14: version (2 bytes), size of the properties (2), properties (5), stream (5.8.8)."""
    properties = packed.read(4, 5)
    if packed.read(2, 2) != b"\x05\x00" or len(properties) < 5:
        raise BadMember("its compressed data is damaged")
    dictionary = int.from_bytes(properties[1:], "little")
    if dictionary > MAX_DICTIONARY:
        raise BadMember(f"unpacking it needs {dictionary:,} bytes of memory")
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    if lc + lp > 4 or pb > 4:  # liblzma refuses to begin (`is_lclppb_valid` in lzma_common.h, 5.4)
        raise BadMember("its compressed data is damaged")
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}]

    def decoder() -> Decoder:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)

    return UnpackedSource(WindowSource(packed, 9, packed.size - 9), decoder, budget)
