"""Pickles made from other pickles: byte flips, splices, edits of whole opcodes, cuts.

Everything is drawn from one `random.Random`, so that a seed and a number give the same case again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

from hubaudit.demo.assemble import assemble
from hubaudit.pvm.opcodes import OPCODES, Argument

_FIXED = {
    Argument.NONE: 0,
    Argument.UINT1: 1,
    Argument.UINT2: 2,
    Argument.UINT4: 4,
    Argument.INT4: 4,
    Argument.UINT8: 8,
    Argument.FLOAT8: 8,
}
_COUNTED = {
    Argument.COUNTED1: "<B",
    Argument.COUNTED4: "<I",
    Argument.SIGNED4: "<I",
    Argument.COUNTED8: "<Q",
}
_LINES = {Argument.LINE: 1, Argument.TWO_LINES: 2}
_ARGUMENTS = {opcode.code[0]: opcode.argument for opcode in OPCODES}
_BARE = [opcode.code for opcode in OPCODES if opcode.argument is Argument.NONE]


def split(data: bytes) -> list[bytes]:
    """The opcodes of `data` with their arguments. What cannot be split is the last piece."""
    pieces, at = [], 0
    while at < len(data):
        end = _end(data, at)
        if not at < end <= len(data):
            end = len(data)
        pieces.append(data[at:end])
        at = end
    return pieces


def _end(data: bytes, at: int) -> int:
    """The offset after the opcode at `at`; 0 if there is none, or it is cut off."""
    argument = _ARGUMENTS.get(data[at])
    if argument is None:
        return 0
    at += 1
    if argument in _FIXED:
        return at + _FIXED[argument]
    for _ in range(_LINES.get(argument, 0)):
        at = data.find(b"\n", at) + 1
        if not at:
            return 0
    if argument in _COUNTED:
        count = struct.Struct(_COUNTED[argument])
        if at + count.size > len(data):
            return 0
        return at + count.size + int(count.unpack_from(data, at)[0])
    return at


def marker(random: Random) -> bytes:
    """An opcode or two that import a name nobody else has, and leave the stack as it was."""
    name = f"n{random.randrange(10**6)}"
    match random.randrange(4):
        case 0:
            return assemble(("GLOBAL", "marker", name), "POP")
        case 1:
            return assemble("MARK", ("INST", "marker", name), "POP")
        case 2:
            texts = ("SHORT_BINUNICODE", "marker"), ("BINUNICODE", name)
            return assemble(*texts, "STACK_GLOBAL", "POP")
        case _:
            return assemble(("UNICODE", "marker"), ("STRING", name), "STACK_GLOBAL", "POP")


_INTERESTING = (
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\n",
    b"\\",
    b"'",
    b"_",
    b" ",
    b"L",
    b"0x",
)


def opcode(random: Random) -> bytes:
    """One opcode with a random argument that mostly fits it."""
    code = random.choice(OPCODES)
    small = random.choice((0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 257, 70_000))
    match code.argument:
        case kind if kind in _FIXED:
            width = _FIXED[kind]
            argument = (small % 256**width).to_bytes(width, "little") if width else b""
        case kind if kind in _COUNTED:
            size = struct.pack(_COUNTED[kind], min(small, 255))
            argument = size + _word(random).ljust(min(small, 255), b"a")[: min(small, 255)]
        case kind:
            argument = b"".join(_word(random) + b"\n" for _ in range(_LINES[kind]))
    return code.code + argument


def _word(random: Random) -> bytes:
    return random.choice(
        (
            b"os",
            b"a.b",
            b"0",
            b"1",
            b"01",
            b"00",
            b"0x1",
            b"010",
            b"1_0",
            b" 1",
            b"1 ",
            b"1\0x",
            b"\0",
            b"1L",
            b"-1",
            b"+1",
            b"1e3",
            b"nan",
            b"'os'",
            rb"'\x6f\163'",
            rb"'\u0061'",
            rb"\u0061",
            rb"\U0001f600",
            b'"a\\\'b"',
            b"\xc3\xa9",
            b"\xff",
            b"",
        )
    )


# Edits of bytes


def _flip(data: bytes, other: bytes, random: Random) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _overwrite(data: bytes, other: bytes, random: Random) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + random.randbytes(random.randint(1, 4)) + data[at + 1 :]


def _insert(data: bytes, other: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(_INTERESTING) + data[at:]


def _remove(data: bytes, other: bytes, random: Random) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + data[at + random.randint(1, 8) :]


def _cut(data: bytes, other: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def _splice(data: bytes, other: bytes, random: Random) -> bytes:
    at, there = random.randrange(len(data) + 1), random.randrange(len(other) + 1)
    return data[:at] + other[there:]


# Edits of opcodes


def _on_opcodes(edit: Callable[[list[bytes], int, Random], object]) -> Edit:
    def apply(data: bytes, other: bytes, random: Random) -> bytes:
        pieces = split(data)
        edit(pieces, random.randrange(len(pieces)), random)
        return b"".join(pieces)

    return apply


def _delete_opcode(pieces: list[bytes], at: int, random: Random) -> None:
    del pieces[at]


def _repeat_opcode(pieces: list[bytes], at: int, random: Random) -> None:
    pieces.insert(at, pieces[at] * random.choice((1, 1, 1, 2, 70)))


def _swap_opcodes(pieces: list[bytes], at: int, random: Random) -> None:
    there = random.choice((at - 1, random.randrange(len(pieces))))
    pieces[at], pieces[there] = pieces[there], pieces[at]


def _replace_opcode(pieces: list[bytes], at: int, random: Random) -> None:
    pieces[at] = opcode(random)


def _replace_code_only(pieces: list[bytes], at: int, random: Random) -> None:
    pieces[at] = random.choice(OPCODES).code + pieces[at][1:]


def _insert_opcode(pieces: list[bytes], at: int, random: Random) -> None:
    pieces.insert(at, opcode(random))


def _insert_bare_opcode(pieces: list[bytes], at: int, random: Random) -> None:
    pieces.insert(at, random.choice(_BARE))


def _insert_import(pieces: list[bytes], at: int, random: Random) -> None:
    pieces.insert(at, marker(random))


def _frame_some(pieces: list[bytes], at: int, random: Random) -> None:
    """A frame around some opcodes, of the right length or off by a little."""
    body = b"".join(pieces[at : at + random.randint(1, 40)])
    size = max(0, len(body) + random.choice((0, 0, 0, 0, -1, 1, -3, 5)))
    pieces.insert(at, assemble(("FRAME", size)))


def _splice_opcodes(data: bytes, other: bytes, random: Random) -> bytes:
    ours, theirs = split(data), split(other)
    at, there = random.randrange(len(ours) + 1), random.randrange(len(theirs) + 1)
    return b"".join(ours[:at] + theirs[there:])


def _graft_opcodes(data: bytes, other: bytes, random: Random) -> bytes:
    ours, theirs = split(data), split(other)
    at, there = random.randrange(len(ours) + 1), random.randrange(len(theirs) + 1)
    return b"".join(ours[:at] + theirs[there : there + random.randint(1, 30)] + ours[at:])


Edit = Callable[[bytes, bytes, Random], bytes]

_EDITS: tuple[Edit, ...] = (
    _flip,
    _overwrite,
    _insert,
    _remove,
    _cut,
    _splice,
    _splice_opcodes,
    _graft_opcodes,
    # Twice: on average these leave more of the pickle running than edits of bytes do.
    *(
        _on_opcodes(edit)
        for edit in (
            _delete_opcode,
            _repeat_opcode,
            _swap_opcodes,
            _replace_opcode,
            _replace_code_only,
            _insert_opcode,
            _insert_bare_opcode,
            _insert_import,
            _insert_import,
            _frame_some,
        )
    ),
)


def mutate(seeds: Sequence[bytes], random: Random) -> bytes:
    """One of `seeds` after one to six edits, or a program of random opcodes."""
    if not random.randrange(10):
        return b"".join(opcode(random) for _ in range(random.randint(1, 60))) + b"."
    data = random.choice(seeds)
    for _ in range(random.choice((1, 1, 2, 2, 3, 4, 6))):
        if data:
            data = random.choice(_EDITS)(data, random.choice(seeds), random)
    return data
