from __future__ import annotations

import pytest

from hubaudit.pvm import text


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"0", 0),
        (b"12", 12),
        (b"-12", -12),
        (b"0x10", 16),
        (b"010", 8),
        (b" 7", 7),
        (b"12\0junk", 12),
        (b"\0", 0),
        (b"99999999999999999999", 99999999999999999999),
    ],
)
def test_int_takes_what_strtol_takes(line: bytes, value: int) -> None:
    assert text.parse_int(line) == value


def test_int_has_the_booleans_of_protocol_0() -> None:
    assert text.parse_int(b"01") is True
    assert text.parse_int(b"00") is False


@pytest.mark.parametrize("line", [b"", b"x", b"1x", b"019", b"--1"])
def test_int_refuses_what_c_refuses(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        text.parse_int(line)


@pytest.mark.parametrize(
    ("line", "value"), [(b"12L", 12), (b"12", 12), (b"-3L", -3), (b"0x1fL", 31), (b"1\0zz", 1)]
)
def test_long_goes_with_and_without_its_letter(line: bytes, value: int) -> None:
    assert text.parse_long(line) == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"'os'", "os"),
        (b'"os"', "os"),
        (rb"'\x6f\163'", "os"),
        (rb"'a\'b\n\\'", "a'b\n\\"),
        (rb"'\d'", r"\d"),
        (b"''", ""),
    ],
)
def test_string_has_the_escapes_of_a_bytes_literal(line: bytes, value: str) -> None:
    assert text.parse_string(line) == value


@pytest.mark.parametrize("line", [b"os", b"'os", b"'", rb"'\x6'", rb"'\'"])
def test_string_refuses_what_c_refuses(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        text.parse_string(line)


def test_text_of_any_encoding_is_read_without_loss() -> None:
    assert text.decode("é".encode()) == "é"
    assert text.decode(b"\xff\xfe") == "\xff\xfe"


def test_text_that_depends_on_the_encoding_is_marked() -> None:
    assert type(text.decode(b"os")) is str
    assert isinstance(text.decode(b"\xc3\xa9"), text.LegacyText)
    assert isinstance(text.decode(b"\xff"), text.LegacyText)


def test_a_memo_index_counts_without_its_leading_zeros_however_many() -> None:
    assert text.parse_index(b"0" * 5000 + b"7") == 7
    assert text.parse_index(b" +" + b"0" * 5000 + b"_10 ") == 10
    assert text.parse_index(b"0" * 5000) == 0
