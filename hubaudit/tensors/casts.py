"""Numbers of different dtypes side by side: is one the other, cast as torch casts it?

Wide to narrow is rounded to nearest, ties to even (`round_to_nearest_even` of c10/util/BFloat16.h and
`fp16_ieee_from_fp32_value` of c10/util/Half.h, torch 2.13; doubles go through float there).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import inf, isnan

from hubaudit.formats.safetensors import BITS

_FLOATS = {"F64": "d", "F32": "f", "F16": "e", "BF16": ""}
_WIDTH = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_INTEGERS = {
    "BOOL": "B",
    "U8": "B",
    "I8": "b",
    "U16": "H",
    "I16": "h",
    "U32": "I",
    "I32": "i",
    "U64": "Q",
    "I64": "q",
}


def is_cast(one: str, other: str) -> bool:
    """Whether values of these two dtypes can be compared: both floats, or both whole numbers."""
    return one != other and any({one, other} <= kind.keys() for kind in (_FLOATS, _INTEGERS))


def first_difference(one: bytes, one_dtype: str, other: bytes, other_dtype: str) -> int | None:
    """The first element at which the two differ, None if nowhere.

    Of one dtype, bytes are compared, so that every bit counts and a NaN equals only itself. Of two, it
    must be `is_cast`, and one must be the other's cast; any NaN is the cast of any NaN.
    """
    if one_dtype == other_dtype:
        return None if one == other else _first_byte(one, other) // _item(one_dtype)
    if one_dtype in _INTEGERS:
        return _first_unequal(_integers(one, one_dtype), _integers(other, other_dtype))
    if _WIDTH[one_dtype] < _WIDTH[other_dtype]:
        return _first_unrounded(other, other_dtype, one, one_dtype)
    found = _first_unrounded(one, one_dtype, other, other_dtype)
    if found is None or _WIDTH[one_dtype] > _WIDTH[other_dtype]:
        return found
    # neither F16 nor BF16 holds the other: the pair is a cast if it is one in either direction
    back = _first_unrounded(other, other_dtype, one, one_dtype)
    return None if back is None else found


def value_text(data: bytes, dtype: str, number: int) -> str:
    """The element of that number as people write it; its bytes in hexadecimal where that is no number."""
    width = _item(dtype)
    item = data[number * width : (number + 1) * width]
    if dtype in _FLOATS:
        return f"{_floats(item, dtype)[0]:.9g}"
    return str(_integers(item, dtype)[0]) if dtype in _INTEGERS else f"0x{item.hex()}"


def _item(dtype: str) -> int:
    """Bytes an element; 1 where it is no whole number of bytes, as such tensors are read byte by byte."""
    return max(1, BITS[dtype] // 8)


def _first_byte(one: bytes, other: bytes) -> int:
    """The first byte that differs, of two runs of one length that are not equal."""
    low, high = 0, len(one)
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _first_unequal(one: Sequence[object], other: Sequence[object]) -> int | None:
    if one == other:
        return None
    return next(n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)


def _integers(data: bytes, dtype: str) -> tuple[int, ...]:
    code = _INTEGERS[dtype]
    return struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data)


def _floats(data: bytes, dtype: str) -> tuple[float, ...]:
    if dtype == "BF16":
        data, dtype = _widened(data), "F32"
    return struct.unpack(f"<{len(data) // _WIDTH[dtype]}{_FLOATS[dtype]}", data)


def _widened(data: bytes) -> bytes:
    """BF16 as F32: the upper halves."""
    out = bytearray(2 * len(data))
    out[2::4], out[3::4] = data[0::2], data[1::2]
    return bytes(out)


def _first_unrounded(wide: bytes, wide_dtype: str, narrow: bytes, dtype: str) -> int | None:
    """The first element of `narrow` that is not the one of `wide`, rounded."""
    if wide_dtype == "F32" and dtype == "BF16" and _upper_halves(wide) == narrow:
        return None
    values, rounded = _floats(wide, wide_dtype), _floats(narrow, dtype)
    width = _WIDTH[dtype]
    if dtype != "BF16" and _packed(values, dtype) == narrow:
        return None
    for number, (value, got) in enumerate(zip(values, rounded, strict=True)):
        if isnan(value) and isnan(got):
            continue
        if isnan(value) or narrow[number * width : (number + 1) * width] not in _rounded(
            value, dtype
        ):
            return number
    return None


def _packed(values: tuple[float, ...], dtype: str) -> bytes | None:
    try:
        return struct.pack(f"<{len(values)}{_FLOATS[dtype]}", *values)
    except OverflowError:
        return None  # a finite number becomes infinite: element by element, then


def _rounded(value: float, dtype: str) -> tuple[bytes, ...]:
    """What a number becomes, directly and by way of F32."""
    single = _one(value, "f")
    if dtype == "BF16":
        return (_bf16(single),)
    if dtype == "F32":
        return (single,)
    return _one(value, _FLOATS[dtype]), _one(struct.unpack("<f", single)[0], _FLOATS[dtype])


def _one(value: float, code: str) -> bytes:
    try:
        return struct.pack(f"<{code}", value)
    except OverflowError:
        return struct.pack(f"<{code}", inf if value > 0 else -inf)


def _bf16(single: bytes) -> bytes:
    bits = int.from_bytes(single, "little")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).to_bytes(2, "little")


_EACH = 16 * 1024  # elements: whole numbers of this size still fit a processor's second cache


def _upper_halves(data: bytes) -> bytes | None:
    """F32 as BF16; None if there is an infinity or a NaN, which round otherwise.

    Many elements at once, as lanes of 32 bits in one large whole number.
    """
    parts = []
    for at in range(0, len(data), 4 * _EACH):
        part = data[at : at + 4 * _EACH]
        lanes = len(part) // 4
        word = int.from_bytes(part, "little")
        high = (word >> 16) & _lanes(0xFFFF, lanes)
        if ((high & _lanes(0x7F80, lanes)) + _lanes(0x80, lanes)) & _lanes(0x8000, lanes):
            return None
        low = (word & _lanes(0xFFFF, lanes)) + _lanes(0x7FFF, lanes) + (high & _lanes(1, lanes))
        rounded = high + ((low >> 16) & _lanes(1, lanes))
        halves = rounded.to_bytes(len(part), "little")
        out = bytearray(2 * lanes)
        out[0::2], out[1::2] = halves[0::4], halves[1::4]
        parts.append(bytes(out))
    return b"".join(parts)


def _lanes(value: int, count: int) -> int:
    if count == _EACH and value in _FULL:
        return _FULL[value]
    return int.from_bytes(value.to_bytes(4, "little") * count, "little")


_FULL = {
    value: int.from_bytes(value.to_bytes(4, "little") * _EACH, "little")
    for value in (1, 0x80, 0x7F80, 0x7FFF, 0x8000, 0xFFFF)
}
