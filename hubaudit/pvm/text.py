"""The text arguments of protocol 0, parsed as `_pickle.c` parses them, which is not as Python does.

Each function takes a line without its newline. C reads it as a NUL-terminated string, so everything
after a NUL is ignored; it uses `strtol` with base 0, which takes `0x10` and `010`; and it is
content with an empty INT in front of a NUL. Where C raises, these raise ValueError.
"""

from __future__ import annotations

import re

# Python refuses to parse decimal integers above a length that can be set, and that only from this
# one on (`sys.int_info.str_digits_check_threshold`). Whoever loads may have set another than we.
MAX_DIGITS = 640

_LEADING_ZEROS = re.compile(rb"\A(?:0_?)+(?=[0-9])")
_STRTOL = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)")
_ESCAPE = re.compile(
    rb"""\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|(x)|([abfnrtv\\'"\n])|(.)|$)""", re.DOTALL
)
_SIMPLE_ESCAPES = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))


def parse_int(line: bytes) -> int | bool:
    """INT: `01` and `00` are booleans; else what `strtol(s, 0)` or `int(s, 0)` takes."""
    if not line:
        raise ValueError("an empty INT")
    if line in (b"00", b"01"):
        return line == b"01"
    text = _c_string(line)
    if not text:
        return 0
    if match := _STRTOL.fullmatch(text):
        sign, digits = match.groups()
        return _strtol(digits) * (-1 if sign == b"-" else 1)
    return int(text, 0)


def _strtol(digits: bytes) -> int:
    if digits[:2] in (b"0x", b"0X"):
        return int(digits, 16)
    if digits[:1] != b"0":
        return int(digits)
    octal = digits.lstrip(b"0")
    if octal.strip(b"01234567"):
        raise ValueError("INT is no number")
    return int(octal or b"0", 8)


def parse_long(line: bytes) -> int:
    """LONG: as `int(s, 0)`, with or without the `L` of Python 2."""
    if not line:
        raise ValueError("an empty LONG")
    return int(_c_string(line.removesuffix(b"L")), 0)


def parse_float(line: bytes) -> float:
    if not line:
        raise ValueError("an empty FLOAT")
    return float(_c_string(line))


def parse_index(line: bytes) -> int:
    """GET and PUT: a decimal number."""
    if not line:
        raise ValueError("an empty memo index")
    return int(_without_leading_zeros(_c_string(line).strip()), 10)


def _without_leading_zeros(number: bytes) -> bytes:
    """However many there are: an index of a thousand digits can still be 7."""
    if len(number) <= MAX_DIGITS:
        return number
    sign, digits = (b"", number) if number[:1].isdigit() else (number[:1], number[1:])
    return sign + _LEADING_ZEROS.sub(b"", digits)


def parse_string(line: bytes) -> str:
    """STRING: in quotes, with the escapes of a bytes literal (`PyBytes_DecodeEscape`)."""
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("STRING is not in quotes")
    return decode(_ESCAPE.sub(_unescape, line[1:-1]))


def _unescape(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, bad_hex, simple, other = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if simple:
        return b"" if simple == b"\n" else bytes([_SIMPLE_ESCAPES[simple[0]]])
    if bad_hex:
        raise ValueError(r"STRING has a broken \x escape")
    if other:
        return b"\\" + other
    raise ValueError("STRING ends in a backslash")


class LegacyText(str):
    """A Python 2 str that is not ASCII: it only looks like this in one of the encodings."""

    __slots__ = ()


def decode(payload: bytes) -> str:
    """Text of unknown encoding, without loss: loaders ask for ASCII, UTF-8, Latin-1 or bytes.

    `LegacyText` if it is not the same in all of them.
    """
    if payload.isascii():
        return payload.decode("ascii")
    try:
        return LegacyText(payload, "utf-8")
    except UnicodeDecodeError:
        return LegacyText(payload, "latin-1")


def _c_string(line: bytes) -> bytes:
    return line.split(b"\0", 1)[0]
