"""gzip, bzip2, xz, lzma, zlib, zstd, lz4 and joblib's own z-file: unpacked as a stream, and read again."""

from __future__ import annotations

from collections.abc import Callable

from hubaudit.formats.contents import Contents, Format, Gap
from hubaudit.formats.extras import HINT, MissingExtra, lz4_decoder, zstd_decoder
from hubaudit.formats.place import Place, too_deep
from hubaudit.formats.unpacked import (
    Decoder,
    UnpackedSource,
    bzip2_decoder,
    gzip_decoder,
    lzma_decoder,
    xz_decoder,
    zlib_decoder,
)
from hubaudit.source import OutOfReach, Source
from hubaudit.source.window import WindowSource

INSIDE = "unpacked"  # the name of what a compressed file holds, in `member`

_DECODERS: dict[Format, Callable[[], Decoder]] = {
    Format.GZIP: gzip_decoder,
    Format.BZIP2: bzip2_decoder,
    Format.XZ: xz_decoder,
    Format.LZMA: lzma_decoder,
    Format.ZLIB: zlib_decoder,
    Format.ZFILE: zlib_decoder,
    Format.ZSTD: zstd_decoder,
    Format.LZ4: lz4_decoder,
}
# Formats that are told by so little that other data may begin so by chance.
_GUESSED = frozenset({Format.ZLIB, Format.LZMA, Format.ZFILE})
# `ZF` and the unpacked length in hexadecimal, padded (`read_zfile` of joblib/numpy_pickle_compat.py,
# 1.6), and of Python 2 one space more.
ZFILE_HEADER = 21


def compressed(format_: Format) -> Callable[[Source, Place], Contents]:
    """The reader of the compressed `format_`."""

    def read(source: Source, place: Place) -> Contents:
        try:
            return _unpack(source, place, format_)
        except MissingExtra:
            gap = Gap(place.member, f"a file compressed with {format_.value} {HINT}")
            return Contents(format_, gaps=(gap,))

    return read


def _unpack(source: Source, place: Place, format_: Format) -> Contents:
    """Raises MissingExtra."""
    packed = _behind_header(source) if format_ is Format.ZFILE else source
    unpacked = UnpackedSource(packed, _DECODERS[format_], place.budget)
    if format_ in _GUESSED and not unpacked.read(0, 1):
        return Contents(Format.DATA)
    if place.is_too_deep:
        return too_deep(format_, place)
    return _read(unpacked, place, format_)


def _read(unpacked: UnpackedSource, place: Place, format_: Format) -> Contents:
    inside = place.inside(INSIDE)
    found = place.read(unpacked, inside)
    gaps = list(found.gaps)
    try:
        if found.pickles:
            unpacked.finish()
    except OutOfReach as error:
        gaps.append(Gap(inside.member, str(error)))
    if unpacked.problem is not None:
        if format_ in _GUESSED and found == Contents(found.format):
            return Contents(Format.DATA)  # numbers, of which some could be unpacked
        gaps.append(Gap(place.member, unpacked.problem))
    return Contents(format_, found.pickles, found.trailing, tuple(gaps), found.oddities)


def _behind_header(source: Source) -> Source:
    start = ZFILE_HEADER + (source.read(ZFILE_HEADER, 1) == b" ")
    return WindowSource(source, start, source.size - start)
