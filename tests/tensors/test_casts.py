"""Casts: which numbers of two dtypes are one another, rounded."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.tensors.casts import first_difference, is_cast, value_text

singles = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40)
INF, NAN = 0x7F800000, 0x7FC00000


def f32(*bits: int) -> bytes:
    return struct.pack(f"<{len(bits)}I", *bits)


def rounded_to_bf16(bits: int) -> int:
    """By definition: the nearer of the two neighbours, of equal distances the even one; a NaN a NaN."""
    if bits & 0x7FFFFFFF > INF:
        return 0x7FC0
    below = bits >> 16
    rest = bits & 0xFFFF
    up = rest > 0x8000 or (rest == 0x8000 and below & 1)
    return below + 1 if up else below


@given(singles)
def test_f32_rounded_to_bf16_is_a_cast_and_the_next_number_is_none(bits: list[int]) -> None:
    rounded = [rounded_to_bf16(one) for one in bits]
    wide, narrow = f32(*bits), struct.pack(f"<{len(bits)}H", *rounded)
    assert first_difference(wide, "F32", narrow, "BF16") is None
    assert first_difference(narrow, "BF16", wide, "F32") is None
    last = rounded[-1]
    if last & 0x7FFF < 0x7F7F:  # finite, and so is the next one
        other = narrow[:-2] + struct.pack("<H", last + 1)
        assert first_difference(wide, "F32", other, "BF16") == len(bits) - 1


@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_f32_rounded_to_f16_is_a_cast(values: list[float]) -> None:
    narrow = b""
    for value in values:
        try:
            narrow += struct.pack("<e", value)
        except OverflowError:
            narrow += struct.pack("<e", float("inf") if value > 0 else float("-inf"))
    wide = struct.pack(f"<{len(values)}f", *values)
    assert first_difference(wide, "F32", narrow, "F16") is None
    if values[0] == values[0]:
        other = bytes([narrow[0] ^ 1]) + narrow[1:]
        assert first_difference(wide, "F32", other, "F16") == 0


@given(st.lists(st.floats(width=16), min_size=1, max_size=40))
def test_widening_is_a_cast_whichever_side_is_wider(values: list[float]) -> None:
    narrow = struct.pack(f"<{len(values)}e", *values)
    for code, dtype in (("f", "F32"), ("d", "F64")):
        wide = struct.pack(f"<{len(values)}{code}", *values)
        assert first_difference(narrow, "F16", wide, dtype) is None
        assert first_difference(wide, dtype, narrow, "F16") is None


def test_f16_and_bf16_are_a_cast_in_one_direction_or_the_other() -> None:
    third = struct.pack("<e", 1 / 3)
    bf16 = struct.pack("<H", rounded_to_bf16(struct.unpack("<I", struct.pack("<f", 0.33325195))[0]))
    assert first_difference(third, "F16", bf16, "BF16") is None
    assert first_difference(bf16, "BF16", third, "F16") is None
    assert first_difference(third, "F16", struct.pack("<H", 0x3EAF), "BF16") == 0


@pytest.mark.parametrize(
    "bits", [0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0xFF800001, 0xFFFF8000, 0x7FFF8000]
)
def test_a_nan_is_never_the_cast_of_a_number(bits: int) -> None:
    for narrow in (0, 0x8000, 0x7F80, 0xFF80, 0x3F80):
        assert first_difference(f32(bits), "F32", struct.pack("<H", narrow), "BF16") == 0
    assert first_difference(f32(bits), "F32", b"\xc0\x7f", "BF16") is None


def test_of_one_dtype_every_bit_counts() -> None:
    assert first_difference(f32(0), "F32", f32(0x80000000), "F32") == 0
    assert first_difference(f32(1, NAN), "F32", f32(1, NAN), "F32") is None
    assert first_difference(f32(1, NAN), "F32", f32(1, NAN + 1), "F32") == 1


@given(st.binary(min_size=1, max_size=200), st.data())
def test_the_first_byte_that_differs_is_found(data: bytes, draw: st.DataObject) -> None:
    place = draw.draw(st.integers(0, len(data) - 1))
    rest = draw.draw(st.binary(min_size=len(data), max_size=len(data)))
    other = data[:place] + bytes([data[place] ^ 0x10]) + rest[place + 1 :]
    assert first_difference(data, "U8", other, "U8") == place


def test_whole_numbers_of_other_widths_are_a_cast() -> None:
    wide, narrow = struct.pack("<3q", 1, -2, 3), struct.pack("<3i", 1, -2, 3)
    assert first_difference(wide, "I64", narrow, "I32") is None
    assert first_difference(wide, "I64", struct.pack("<3i", 1, -2, 4), "I32") == 2
    assert first_difference(b"\0\1", "BOOL", b"\0\1", "U8") is None


def test_floats_and_whole_numbers_and_eight_bit_floats_are_no_casts() -> None:
    assert is_cast("F32", "BF16")
    assert is_cast("I64", "U8")
    assert not is_cast("F32", "I32")
    assert not is_cast("F32", "F8_E4M3")
    assert not is_cast("F32", "F32")


def test_values_are_shown_as_people_write_them() -> None:
    assert value_text(struct.pack("<2f", 1, 0.5), "F32", 1) == "0.5"
    assert value_text(b"\x80\x3f", "BF16", 0) == "1"
    assert value_text(struct.pack("<2q", 1, -7), "I64", 1) == "-7"
    assert value_text(b"\x01\x7f", "F8_E4M3", 1) == "0x7f"
