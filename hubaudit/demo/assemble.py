"""A tiny pickle assembler: opcode names and arguments to bytes, and nothing that could load them.

Opcode names, codes and argument formats are those of CPython 3.13's `Lib/pickletools.py`, all 68
of protocols 0 to 5. The table is written apart from that of the pickle machine on purpose: what one
of them gets wrong, a test with the other finds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

Argument = int | float | str | bytes
Instruction = str | bytes | tuple[str | Argument, ...]


def assemble(*program: Instruction) -> bytes:
    """The bytes of `program`, one instruction after the other.

    An instruction is an opcode name (`"STOP"`), a tuple of a name and its arguments
    (`("GLOBAL", "os", "system")`), or bytes that are taken as they are, for what no opcode says.
    Nothing is added: neither PROTO nor FRAME nor STOP. A length is that of the argument's bytes.

    Raises KeyError for an unknown name, and ValueError, TypeError, OverflowError or struct.error
    for an argument that the opcode cannot carry.
    """
    return b"".join(_instruction(step) for step in program)


def frame(body: bytes) -> bytes:
    """`body` behind a FRAME opcode of its length, as protocol 4 and 5 write it."""
    return assemble(("FRAME", len(body)), body)


def _instruction(step: Instruction) -> bytes:
    if isinstance(step, bytes):
        return step
    name, *arguments = (step,) if isinstance(step, str) else step
    if not isinstance(name, str):
        raise TypeError(f"an instruction starts with an opcode name, not {name!r}")
    code, encode = OPCODES[name]
    return code + encode(*arguments)


def _nothing() -> bytes:
    return b""


def _packed(layout: str) -> Callable[..., bytes]:
    return struct.Struct(layout).pack


def _raw(value: str | bytes) -> bytes:
    # surrogatepass is what CPython's pickler uses: a lone surrogate is legal in a pickled str
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def _line(value: str | bytes | float) -> bytes:
    text = _raw(value) if isinstance(value, str | bytes) else str(value).encode("ascii")
    return text + b"\n"


def _two_lines(module: str | bytes, name: str | bytes) -> bytes:
    return _line(module) + _line(name)


def _int_line(value: int) -> bytes:
    # protocol 0 has no opcode for a bool: I01 is True, I1 is one
    return {True: b"01\n", False: b"00\n"}[value] if isinstance(value, bool) else _line(value)


def _long_line(value: int) -> bytes:
    return b"%dL\n" % value


def _float_line(value: float) -> bytes:
    return repr(float(value)).encode("ascii") + b"\n"


def _string_line(value: str | bytes) -> bytes:
    # Python 2 wrote repr(str); a caller who wants other quoting passes the line's bytes
    return value + b"\n" if isinstance(value, bytes) else repr(value).encode("ascii") + b"\n"


def _unicode_line(value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value + b"\n"
    for special in ("\\", "\0", "\n", "\r", "\x1a"):
        value = value.replace(special, f"\\u{ord(special):04x}")
    return value.encode("raw-unicode-escape") + b"\n"


def _counted(layout: str) -> Callable[[str | bytes], bytes]:
    def encode(value: str | bytes) -> bytes:
        data = _raw(value)
        return struct.pack(layout, len(data)) + data

    return encode


def _counted_int(layout: str) -> Callable[[int], bytes]:
    def encode(value: int) -> bytes:
        data = twos_complement(value)
        return struct.pack(layout, len(data)) + data

    return encode


def twos_complement(value: int) -> bytes:
    """Little-endian two's complement, as short as CPython's `encode_long` makes it; 0 is empty."""
    if value == 0:
        return b""
    length = (value.bit_length() >> 3) + 1
    data = value.to_bytes(length, "little", signed=True)
    redundant = value < 0 and length > 1 and data[-1] == 0xFF and data[-2] & 0x80
    return data[:-1] if redundant else data


# name → (code, encoder of the arguments); grouped and ordered as in pickletools.opcodes
OPCODES: dict[str, tuple[bytes, Callable[..., bytes]]] = {
    "INT": (b"I", _int_line),
    "BININT": (b"J", _packed("<i")),
    "BININT1": (b"K", _packed("<B")),
    "BININT2": (b"M", _packed("<H")),
    "LONG": (b"L", _long_line),
    "LONG1": (b"\x8a", _counted_int("<B")),
    "LONG4": (b"\x8b", _counted_int("<i")),
    "STRING": (b"S", _string_line),
    "BINSTRING": (b"T", _counted("<i")),
    "SHORT_BINSTRING": (b"U", _counted("<B")),
    "BINBYTES": (b"B", _counted("<I")),
    "SHORT_BINBYTES": (b"C", _counted("<B")),
    "BINBYTES8": (b"\x8e", _counted("<Q")),
    "BYTEARRAY8": (b"\x96", _counted("<Q")),
    "NEXT_BUFFER": (b"\x97", _nothing),
    "READONLY_BUFFER": (b"\x98", _nothing),
    "NONE": (b"N", _nothing),
    "NEWTRUE": (b"\x88", _nothing),
    "NEWFALSE": (b"\x89", _nothing),
    "UNICODE": (b"V", _unicode_line),
    "SHORT_BINUNICODE": (b"\x8c", _counted("<B")),
    "BINUNICODE": (b"X", _counted("<I")),
    "BINUNICODE8": (b"\x8d", _counted("<Q")),
    "FLOAT": (b"F", _float_line),
    "BINFLOAT": (b"G", _packed(">d")),
    "EMPTY_LIST": (b"]", _nothing),
    "APPEND": (b"a", _nothing),
    "APPENDS": (b"e", _nothing),
    "LIST": (b"l", _nothing),
    "EMPTY_TUPLE": (b")", _nothing),
    "TUPLE": (b"t", _nothing),
    "TUPLE1": (b"\x85", _nothing),
    "TUPLE2": (b"\x86", _nothing),
    "TUPLE3": (b"\x87", _nothing),
    "EMPTY_DICT": (b"}", _nothing),
    "DICT": (b"d", _nothing),
    "SETITEM": (b"s", _nothing),
    "SETITEMS": (b"u", _nothing),
    "EMPTY_SET": (b"\x8f", _nothing),
    "ADDITEMS": (b"\x90", _nothing),
    "FROZENSET": (b"\x91", _nothing),
    "POP": (b"0", _nothing),
    "DUP": (b"2", _nothing),
    "MARK": (b"(", _nothing),
    "POP_MARK": (b"1", _nothing),
    "GET": (b"g", _line),
    "BINGET": (b"h", _packed("<B")),
    "LONG_BINGET": (b"j", _packed("<I")),
    "PUT": (b"p", _line),
    "BINPUT": (b"q", _packed("<B")),
    "LONG_BINPUT": (b"r", _packed("<I")),
    "MEMOIZE": (b"\x94", _nothing),
    "EXT1": (b"\x82", _packed("<B")),
    "EXT2": (b"\x83", _packed("<H")),
    "EXT4": (b"\x84", _packed("<i")),
    "GLOBAL": (b"c", _two_lines),
    "STACK_GLOBAL": (b"\x93", _nothing),
    "REDUCE": (b"R", _nothing),
    "BUILD": (b"b", _nothing),
    "INST": (b"i", _two_lines),
    "OBJ": (b"o", _nothing),
    "NEWOBJ": (b"\x81", _nothing),
    "NEWOBJ_EX": (b"\x92", _nothing),
    "PROTO": (b"\x80", _packed("<B")),
    "STOP": (b".", _nothing),
    "FRAME": (b"\x95", _packed("<Q")),
    "PERSID": (b"P", _line),
    "BINPERSID": (b"Q", _nothing),
}
