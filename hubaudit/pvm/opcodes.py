"""The 68 opcodes of pickle protocols 0 to 5: their bytes, names and arguments.

Source: the `enum opcode` of CPython 3.13 `Modules/_pickle.c`; names as in `Lib/pickletools.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Argument(Enum):
    """What follows the opcode byte in the stream. Multi-byte integers are little-endian."""

    NONE = "nothing"
    LINE = "text up to and including a newline"
    TWO_LINES = "two texts, each up to and including a newline"
    UINT1 = "1 byte, unsigned"
    UINT2 = "2 bytes, unsigned"
    UINT4 = "4 bytes, unsigned"
    INT4 = "4 bytes, signed"
    UINT8 = "8 bytes, unsigned"
    FLOAT8 = "8 bytes, IEEE 754, big-endian"
    COUNTED1 = "a 1-byte unsigned length and as many bytes"
    COUNTED4 = "a 4-byte unsigned length and as many bytes"
    SIGNED4 = "a 4-byte signed length and as many bytes; negative is an error"
    COUNTED8 = "an 8-byte unsigned length and as many bytes"


@dataclass(frozen=True, slots=True)
class Opcode:
    name: str
    code: bytes
    argument: Argument
    protocol: int


def _op(name: str, code: bytes, argument: Argument, protocol: int) -> Opcode:
    return Opcode(name, code, argument, protocol)


OPCODES = (
    # protocol 0
    _op("MARK", b"(", Argument.NONE, 0),
    _op("STOP", b".", Argument.NONE, 0),
    _op("POP", b"0", Argument.NONE, 0),
    _op("DUP", b"2", Argument.NONE, 0),
    _op("FLOAT", b"F", Argument.LINE, 0),
    _op("INT", b"I", Argument.LINE, 0),
    _op("LONG", b"L", Argument.LINE, 0),
    _op("NONE", b"N", Argument.NONE, 0),
    _op("PERSID", b"P", Argument.LINE, 0),
    _op("REDUCE", b"R", Argument.NONE, 0),
    _op("STRING", b"S", Argument.LINE, 0),
    _op("UNICODE", b"V", Argument.LINE, 0),
    _op("APPEND", b"a", Argument.NONE, 0),
    _op("BUILD", b"b", Argument.NONE, 0),
    _op("GLOBAL", b"c", Argument.TWO_LINES, 0),
    _op("DICT", b"d", Argument.NONE, 0),
    _op("GET", b"g", Argument.LINE, 0),
    _op("INST", b"i", Argument.TWO_LINES, 0),
    _op("LIST", b"l", Argument.NONE, 0),
    _op("PUT", b"p", Argument.LINE, 0),
    _op("SETITEM", b"s", Argument.NONE, 0),
    _op("TUPLE", b"t", Argument.NONE, 0),
    # protocol 1
    _op("POP_MARK", b"1", Argument.NONE, 1),
    _op("BINFLOAT", b"G", Argument.FLOAT8, 1),
    _op("BININT", b"J", Argument.INT4, 1),
    _op("BININT1", b"K", Argument.UINT1, 1),
    _op("BININT2", b"M", Argument.UINT2, 1),
    _op("BINPERSID", b"Q", Argument.NONE, 1),
    _op("BINSTRING", b"T", Argument.SIGNED4, 1),
    _op("SHORT_BINSTRING", b"U", Argument.COUNTED1, 1),
    _op("BINUNICODE", b"X", Argument.COUNTED4, 1),
    _op("EMPTY_LIST", b"]", Argument.NONE, 1),
    _op("APPENDS", b"e", Argument.NONE, 1),
    _op("BINGET", b"h", Argument.UINT1, 1),
    _op("LONG_BINGET", b"j", Argument.UINT4, 1),
    _op("OBJ", b"o", Argument.NONE, 1),
    _op("BINPUT", b"q", Argument.UINT1, 1),
    _op("LONG_BINPUT", b"r", Argument.UINT4, 1),
    _op("EMPTY_TUPLE", b")", Argument.NONE, 1),
    _op("SETITEMS", b"u", Argument.NONE, 1),
    _op("EMPTY_DICT", b"}", Argument.NONE, 1),
    # protocol 2
    _op("PROTO", b"\x80", Argument.UINT1, 2),
    _op("NEWOBJ", b"\x81", Argument.NONE, 2),
    _op("EXT1", b"\x82", Argument.UINT1, 2),
    _op("EXT2", b"\x83", Argument.UINT2, 2),
    _op("EXT4", b"\x84", Argument.INT4, 2),
    _op("TUPLE1", b"\x85", Argument.NONE, 2),
    _op("TUPLE2", b"\x86", Argument.NONE, 2),
    _op("TUPLE3", b"\x87", Argument.NONE, 2),
    _op("NEWTRUE", b"\x88", Argument.NONE, 2),
    _op("NEWFALSE", b"\x89", Argument.NONE, 2),
    _op("LONG1", b"\x8a", Argument.COUNTED1, 2),
    _op("LONG4", b"\x8b", Argument.SIGNED4, 2),
    # protocol 3
    _op("BINBYTES", b"B", Argument.COUNTED4, 3),
    _op("SHORT_BINBYTES", b"C", Argument.COUNTED1, 3),
    # protocol 4
    _op("SHORT_BINUNICODE", b"\x8c", Argument.COUNTED1, 4),
    _op("BINUNICODE8", b"\x8d", Argument.COUNTED8, 4),
    _op("BINBYTES8", b"\x8e", Argument.COUNTED8, 4),
    _op("EMPTY_SET", b"\x8f", Argument.NONE, 4),
    _op("ADDITEMS", b"\x90", Argument.NONE, 4),
    _op("FROZENSET", b"\x91", Argument.NONE, 4),
    _op("NEWOBJ_EX", b"\x92", Argument.NONE, 4),
    _op("STACK_GLOBAL", b"\x93", Argument.NONE, 4),
    _op("MEMOIZE", b"\x94", Argument.NONE, 4),
    _op("FRAME", b"\x95", Argument.UINT8, 4),
    # protocol 5
    _op("BYTEARRAY8", b"\x96", Argument.COUNTED8, 5),
    _op("NEXT_BUFFER", b"\x97", Argument.NONE, 5),
    _op("READONLY_BUFFER", b"\x98", Argument.NONE, 5),
)

HIGHEST_PROTOCOL = 5
