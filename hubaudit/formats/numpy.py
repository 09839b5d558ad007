"""numpy's `.npy`: a header that is a Python literal, then the items, or a pickle if they are objects.

Source: `read_array` and `_read_array_header` of numpy/lib/_format_impl.py (2.4). `.npz` is a zip of them.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from math import prod
from typing import Any

from hubaudit.formats.contents import Contents, Format, Gap, Trailing
from hubaudit.formats.dtypes import Dtype, of_descr
from hubaudit.formats.raw import read_pickles
from hubaudit.formats.unpacked import UNKNOWN
from hubaudit.pvm.state import DEFAULT_LIMITS, Limits
from hubaudit.source import Source

MAGIC = b"\x93NUMPY"
# Bytes of a header. numpy itself takes 10,000 unless told to trust the file; a literal of this size is
# parsed in 60 ms and 30 MB, while one of megabytes could exhaust the memory.
MAX_HEADER = 64 * 1024
MAX_ARRAYS = 10_000  # one after the other, as repeated numpy.save writes them

# Version → bytes of the header's length, encoding of the header.
_VERSIONS = {b"\x01\x00": (2, "latin-1"), b"\x02\x00": (4, "latin-1"), b"\x03\x00": (4, "utf-8")}
_KEYS = {"descr", "fortran_order", "shape"}
_PYTHON_2_LONG = re.compile(r"(?<=\d)L\b")


class _BadHeader(ValueError):
    """numpy would refuse the header; the message says why."""


@dataclass(frozen=True, slots=True)
class _Header:
    dtype: Dtype | None
    count: int
    end: int  # offset of the first byte behind the header


def read_numpy(
    source: Source, member: str | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> Contents:
    """The arrays of a file, mostly one. Only those of objects hold a pickle; the others are passed over."""
    found = Contents(Format.NUMPY)
    at = 0
    for _ in range(MAX_ARRAYS):
        try:
            one, end = _read_array(source, at, member, limits)
        except _BadHeader as error:
            return found + _gap(member, f"not a numpy array: {error}")
        one = Contents(Format.NUMPY, one.pickles, one.trailing, one.gaps)
        if source.size == UNKNOWN or source.read(end, len(MAGIC)) != MAGIC:
            return found + one
        found += Contents(Format.NUMPY, one.pickles, (), one.gaps)
        at = end
    return found + _gap(member, f"over {MAX_ARRAYS:,} arrays in a row")


def _gap(member: str | None, why: str) -> Contents:
    return Contents(Format.NUMPY, gaps=(Gap(member, why),))


def _read_array(
    source: Source, at: int, member: str | None, limits: Limits
) -> tuple[Contents, int]:
    """The array at `at` and where it ends, if that is followed by anything. Raises _BadHeader."""
    header = _read_header(source, at)
    if header.dtype is None or header.dtype.objects:
        found = read_pickles(source, member, start=header.end, limits=limits)
        if not found.pickles:
            found += _gap(member, "the array is cut off: its objects are missing")
        if header.dtype is None:
            found += _gap(member, "a numpy array of a type that is not known")
        return found, found.trailing[0].offset if found.trailing else source.size
    if header.count < 0:
        raise _BadHeader("its shape is negative")
    end = header.end + header.count * header.dtype.item_size
    if end > source.size:
        return _gap(member, "the array is cut off"), source.size
    if end == source.size or source.size == UNKNOWN:
        return Contents(Format.NUMPY), end
    return Contents(Format.NUMPY, trailing=(Trailing(member, end, source.size - end),)), end


def _read_header(source: Source, at: int) -> _Header:
    """The header at `at`. Raises _BadHeader for what numpy would refuse, or is too long for us."""
    start = at + len(MAGIC) + 2
    version = source.read(at + len(MAGIC), 2)
    if version not in _VERSIONS:
        raise _BadHeader("its version is not known")
    width, encoding = _VERSIONS[version]
    length = int.from_bytes(source.read(start, width), "little")
    if length > MAX_HEADER:
        raise _BadHeader(f"its header has {length:,} bytes")
    text = source.read(start + width, length)
    if len(text) < length:
        raise _BadHeader("its header is cut off")
    try:
        fields = _parse(text.decode(encoding))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise _BadHeader(f"its header cannot be parsed: {type(error).__name__}") from None
    match fields:
        case {"descr": descr, "fortran_order": bool(), "shape": tuple(shape)} if (
            fields.keys() == _KEYS and all(isinstance(size, int) for size in shape)
        ):
            return _Header(of_descr(descr), prod(shape), start + width + length)
        case _:
            raise _BadHeader("its header does not describe an array")


def _parse(text: str) -> Any:
    with warnings.catch_warnings():  # of escapes that are none, and the like
        warnings.simplefilter("ignore")
        try:
            return ast.literal_eval(text)
        except SyntaxError:
            return ast.literal_eval(_PYTHON_2_LONG.sub("", text))
