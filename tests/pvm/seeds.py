"""Pickles to begin with: of plain values, of library objects, and hostile ones written by hand."""

from __future__ import annotations

import array
import bz2
import collections
import datetime
import decimal
import enum
import fractions
import functools
import gzip
import io
import ipaddress
import lzma
import operator
import pathlib
import pickle
import random
import re
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

from hubaudit.demo.assemble import Instruction, assemble, frame
from hubaudit.pvm.state import MARGIN, WINDOW

REAL = Path(__file__).parent.parent / "fixtures" / "real"
LONGEST = 20_000  # bytes of a seed: beyond that, mutations repeat each other


class Colour(enum.Enum):
    RED = "red"


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self) -> None:
        self.left, self.right = 1, [2.5]


def _library_objects() -> list[object]:
    cycle: list[object] = []
    cycle.append({"me": cycle})
    return [
        None,
        [True, False, 0, -1, 255, 256, 65_536, 1 << 31, 1 << 80, -(1 << 2000), 1.5, float("inf")],
        ["", "a", "é\n\\", "x" * 300, b"", b"\0\xff'", bytearray(b"abc")],
        {"weights": {"layer.0": [1.0] * 80}, "epoch": 3, "steps": list(range(100))},
        (1, (2, (3, (4,))), frozenset({1, 2}), {3, 4}),
        cycle,
        collections.OrderedDict(a=1, b=[2]),
        collections.defaultdict(list, {"a": [1]}),
        collections.deque([1, 2], maxlen=5),
        collections.Counter("hello"),
        complex(1, 2),
        datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC),
        datetime.timedelta(days=1),
        decimal.Decimal("1.1"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=5),
        pathlib.PurePosixPath("a/b"),
        re.compile("a+"),
        ipaddress.ip_address("127.0.0.1"),
        functools.partial(operator.add, 1),
        operator.attrgetter("a.b"),
        array.array("d", [1.0, 2.0]),
        random.Random(1),
        range(3),
        slice(1, None),
        ValueError("x"),
        Colour.RED,
        Slotted(),
        len,
        [].append,
        collections.OrderedDict.fromkeys,
    ]


def pickled() -> Iterator[bytes]:
    """Library objects in every protocol that can write them."""
    for value in _library_objects():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            try:
                yield pickle.dumps(value, protocol)
            except (TypeError, pickle.PicklingError, AttributeError):
                continue  # slots without __getstate__, and others, need protocol 2


def real() -> Iterator[bytes]:
    """The fixtures that real libraries wrote, also those inside zips and compressed files."""
    for path in sorted(REAL.rglob("*")):
        if path.is_file() and path.suffix != ".json":
            yield from _unpacked(path)


def _unpacked(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                if member.endswith((".pkl", ".npy")):
                    yield archive.read(member)
        return
    opener = {b"\x1f\x8b": gzip, b"BZ": bz2, b"\xfd7": lzma}.get(data[:2])
    yield opener.decompress(data) if opener else data


_HOSTILE: list[tuple[Instruction, ...]] = [
    # the memo: far indices, overwritten entries, MEMOIZE after gaps
    (("SHORT_BINUNICODE", "os"), ("LONG_BINPUT", 70_000), "POP", ("LONG_BINGET", 70_000)),
    (
        ("UNICODE", "a"),
        ("PUT", "0"),
        ("UNICODE", "b"),
        ("PUT", " 0 "),
        ("GET", "0_0"),
        "STACK_GLOBAL",
    ),
    (("UNICODE", "a"), ("BINPUT", 200), ("UNICODE", "b"), "MEMOIZE", ("BINGET", 1), "STACK_GLOBAL"),
    (("UNICODE", "a"), "MEMOIZE", ("BINPUT", 0), "MEMOIZE", ("BINGET", 1), "STACK_GLOBAL"),
    (("UNICODE", "a"), ("PUT", "+1\0junk"), ("GET", b"1\0"), "STACK_GLOBAL"),
    (("UNICODE", "a"), ("PUT", "0" * 700 + "3"), ("BINGET", 3), "STACK_GLOBAL"),
    # marks: POP takes one, nothing reaches below one, they nest and are dropped
    ("NONE", "MARK", "POP", ("GLOBAL", "a", "b")),
    ("MARK", "MARK", "POP", "POP", ("GLOBAL", "a", "b")),
    ("MARK", ("UNICODE", "a"), "MARK", ("UNICODE", "x"), "POP_MARK", "DUP", "STACK_GLOBAL", "LIST"),
    (("UNICODE", "a"), "DUP", "MARK", "STACK_GLOBAL"),
    (("UNICODE", "a"), "DUP", "MARK", "POP", "STACK_GLOBAL"),
    ("EMPTY_LIST", "MARK", "APPENDS", "EMPTY_DICT", "MARK", "SETITEMS", ("GLOBAL", "a", "b")),
    (
        "NONE",
        "MARK",
        "APPENDS",
        "NONE",
        "MARK",
        "SETITEMS",
        "NONE",
        "MARK",
        "ADDITEMS",
        ("GLOBAL", "a", "b"),
    ),
    # text numbers as C reads them
    (("INT", "0x10"), ("INT", "010"), ("INT", " 7"), ("INT", "7 "), ("GLOBAL", "a", "b")),
    (("INT", "1_000"), ("INT", b"\0"), ("INT", b"01\0"), ("INT", "-0X1f"), ("GLOBAL", "a", "b")),
    (("INT", "0b11"), ("INT", "0o17"), ("INT", "9" * 30), ("INT", "0_0"), ("GLOBAL", "a", "b")),
    (b"L0x1fL\nL1\0zzL\nL-3\n", ("GLOBAL", "a", "b")),
    (b"L 5 L\nL1_0L\nLL\n", ("GLOBAL", "a", "b")),
    (b"F1e3\nFnan\nF-inf\nF.5\nF1.\nF1\0junk\n", ("GLOBAL", "a", "b")),
    (b"F1_0\n", ("GLOBAL", "a", "b")),
    (b"F 1\n", ("GLOBAL", "a", "b")),
    (("INT", "7" * 639), ("LONG", 10**638), ("GLOBAL", "a", "b")),
    (b"I" + b"7" * 4301 + b"\n", ("GLOBAL", "a", "b")),
    (b"I0x" + b"7" * 5000 + b"\nL0x" + b"f" * 5000 + b"L\n", ("GLOBAL", "a", "b")),
    # escapes
    (b"S'o\\x73'\nS'sys\\164em'\n\x93",),
    (b"S\"o\\163\"\nS'a\\'\\\"\\\\\\a\\d\\8'\n\x93",),
    (b"S'\\777'\nS''\nS'\\\n'\n",),
    (b"Vo\\u0073\nVsystem\\U0001f600\n\x93",),
    (b"V\\u00e9\\\nVa\\\\u0062\n\x93",),
    (b"V\nV\r\n\x93",),
    (("SHORT_BINUNICODE", "\ud800"), "DUP", "STACK_GLOBAL"),
    (("BINSTRING", "os"), ("SHORT_BINSTRING", "system"), "STACK_GLOBAL"),
    (("SHORT_BINSTRING", b"\xc3\xa9"), "DUP", "STACK_GLOBAL"),
    # names
    (b"cos\r\nsystem\r\n",),
    (b"c\nsystem\n",),
    (b"cos\n\n",),
    (b"c o s\n\xc3\xa9\n",),
    (b"cos\n\xff\n",),
    (("GLOBAL", "a.b", "c.d.e"), ("GLOBAL", "os", "x" * 5000)),
    (("BINUNICODE", "m" * 5000), ("UNICODE", "n"), "STACK_GLOBAL", ("GLOBAL", "a", "b")),
    # calls
    (("GLOBAL", "a", "b"), "DUP", "EMPTY_TUPLE", "REDUCE", "EMPTY_TUPLE", "REDUCE"),
    (("GLOBAL", "a", "b"), "EMPTY_TUPLE", "EMPTY_DICT", "NEWOBJ_EX", "NONE", "BUILD"),
    (
        ("GLOBAL", "a", "b"),
        "EMPTY_TUPLE",
        "NEWOBJ",
        "EMPTY_DICT",
        ("GLOBAL", "c", "d"),
        "DUP",
        "TUPLE2",
        "BUILD",
        "NONE",
        "APPEND",
        "NONE",
        "NONE",
        "SETITEM",
    ),
    (
        "MARK",
        ("INST", "a", "b"),
        "MARK",
        ("GLOBAL", "c", "d"),
        ("INT", 1),
        "OBJ",
        "EMPTY_LIST",
        "BUILD",
    ),
    ("MARK", "OBJ"),
    (("GLOBAL", "a", "b"), "NONE", "REDUCE"),
    (
        ("GLOBAL", "a", "c"),
        "EMPTY_TUPLE",
        "REDUCE",
        ("UNICODE", "x"),
        "STACK_GLOBAL",
        ("GLOBAL", "e", "f"),
    ),
    *[
        (
            ("GLOBAL", "g", f"n{n}"),
            "EMPTY_TUPLE",
            "REDUCE",
            "DUP",
            "STACK_GLOBAL",
            ("GLOBAL", "e", "f"),
        )
        for n in range(16)
    ],
    *[(("GLOBAL", "g", f"n{n}"), "DUP", "STACK_GLOBAL", ("GLOBAL", "e", "f")) for n in range(16)],
    # what the loader supplies
    (("PERSID", "12"), ("UNICODE", "x"), "BINPERSID", ("PERSID", "123"), "DUP", "STACK_GLOBAL"),
    (("UNICODE", "x"), "BINPERSID", "DUP", "STACK_GLOBAL", ("GLOBAL", "a", "b")),
    (("EXT1", 1), ("GLOBAL", "a", "b")),
    (("EXT1", 0), ("GLOBAL", "a", "b")),
    (("EXT2", 1000), ("EXT4", -1)),
    (
        "NEXT_BUFFER",
        "READONLY_BUFFER",
        ("BYTEARRAY8", b"abc"),
        "READONLY_BUFFER",
        ("GLOBAL", "a", "b"),
    ),
    ("NONE", "READONLY_BUFFER"),
    # odd targets
    *[
        (target, "MARK", ("INT", 1), ("INT", 2), end, ("GLOBAL", "a", "b"))
        for target in (
            "NONE",
            "EMPTY_LIST",
            "EMPTY_DICT",
            "EMPTY_SET",
            "EMPTY_TUPLE",
            ("GLOBAL", "a", "c"),
        )
        for end in ("APPENDS", "SETITEMS", "ADDITEMS", "POP_MARK", "TUPLE", "FROZENSET", "DICT")
    ],
    # several STOPs, protocols in the middle and beyond
    (("GLOBAL", "a", "b"), "STOP", ("GLOBAL", "c", "d")),
    (("PROTO", 0), ("SHORT_BINUNICODE", "a"), ("PROTO", 5), "DUP", ("PROTO", 2), "STACK_GLOBAL"),
    (("GLOBAL", "a", "b"), ("PROTO", 6), ("GLOBAL", "c", "d")),
    # lengths that lie
    (("GLOBAL", "a", "b"), b"X\xff\xff\xff\xff"),
    (("GLOBAL", "a", "b"), b"T\xff\xff\xff\xff"),
    (("GLOBAL", "a", "b"), b"\x8b\xff\xff\xff\xff"),
    (("GLOBAL", "a", "b"), b"\x8e" + b"\xff" * 8),
]


def _frames() -> Iterator[bytes]:
    importing = assemble(("GLOBAL", "a", "b"), "POP", ("SHORT_BINUNICODE", "x" * 20), "POP")
    rest = assemble(("GLOBAL", "c", "d"), ("SHORT_BINBYTES", b"y" * 9), "STOP")
    for change in (0, -1, -3, -12, 1, 2, 5, 1 << 20, 1 << 62):
        size = max(0, len(importing) + change)
        yield assemble(("PROTO", 4), ("FRAME", size), importing, rest)
        # beyond what a buffered file shows beforehand
        padding = b"N0" * 5000
        yield assemble(("PROTO", 4), ("FRAME", size + len(padding)), padding, importing, rest)
        yield assemble(frame(assemble(("FRAME", size)) + importing), rest)
        yield assemble(("FRAME", size), frame(importing), rest)
    # An inner frame that is not in the outer one: from a file, what would swallow the import is dropped.
    hidden = assemble(("GLOBAL", "a", "b"), "POP")
    swallow = assemble("NONE", "POP", b"C" + bytes([len(hidden)]))
    for size in (1, len(hidden), 30):
        outer = frame(assemble(("FRAME", size)) + swallow)
        yield assemble(outer, hidden, "POP", b"N0" * 30, "NONE", "STOP")
    yield assemble(("FRAME", 0), ("FRAME", 0), frame(importing), frame(b""), frame(rest))
    yield b"\x95" + b"\xff" * 8 + importing + rest


def _runs() -> Iterator[bytes]:
    """A MARK, numbers and an end: what is stepped over in one go, and what must not be."""
    numbers = (b"K.", b"M..", b"J....", b"G........", b"K(M(e", b"Ke", b"G(eeeeeee", b"Kc")
    ends: tuple[Instruction, ...] = ("APPENDS", "LIST", "TUPLE", "POP_MARK", "SETITEMS", "STOP")
    for number in numbers:
        for count in (63, 64, 65, 1000):
            for end in ends:
                before: Instruction = "EMPTY_LIST" if count % 2 else ("GLOBAL", "a", "c")
                yield assemble(before, "MARK", number * count, end, ("GLOBAL", "a", "b"), "STOP")
    yield assemble("MARK", b"K." * 100, "APPENDS", ("GLOBAL", "a", "b"), "STOP")
    yield assemble("EMPTY_LIST", "MARK", b"K." * 100, b"G........e", ("GLOBAL", "a", "b"), "STOP")


def hostile() -> Iterator[bytes]:
    """Hand-written: what differs between C, Python and what one would think."""
    for program in _HOSTILE:
        yield assemble(*program, "STOP")
    yield from _frames()
    yield from _runs()


def small() -> list[bytes]:
    """Every seed that is short enough to be mutated by the thousand."""
    every = [*pickled(), *real(), *hostile()]
    return [seed for seed in dict.fromkeys(every) if 0 < len(seed) <= LONGEST]


def long(chosen: random.Random) -> bytes:
    """An import about where a window of the machine ends, after opcodes of some kind."""
    length = WINDOW + chosen.choice((0, -MARGIN)) + chosen.randint(-400, 400)
    length += chosen.choice((0, 0, WINDOW))
    filler = chosen.choice(
        (
            b"N0",
            b"(1",
            b"I1\n0",
            b"]0",
            b"(" + b"K." * 70 + b"10",
            b"](" + b"K." * 70 + b"e0",
            b"](" + b"G........" * 1000 + b"e0",
            assemble(("SHORT_BINUNICODE", "c" * 200), "MEMOIZE", "POP"),
            assemble(("BINUNICODE", "c" * 5000), "POP"),
            assemble(("UNICODE", "c" * 3000), "POP"),
            assemble(("BINBYTES", b"c" * 50_000), "POP"),
        )
    )
    if filler.startswith(b"(") and filler.endswith(b"10"):
        filler = filler[:-1]  # POP_MARK leaves nothing to pop
    before = filler * (length // len(filler))
    before += b"N0" * ((length - len(before)) // 2)
    if not chosen.randrange(4):
        before = assemble(("BINBYTES", b"c" * max(0, length - 6)), "POP")
    elif not chosen.randrange(4):
        before = assemble(("UNICODE", "c" * max(0, length - 3)), "POP")
    if not chosen.randrange(3):
        before = frame(before)
    after = (
        assemble(("GLOBAL", "edge", "one"), "POP"),
        assemble("MARK", ("INST", "edge", "one"), "POP"),
        assemble(("UNICODE", "edge"), ("BINUNICODE", "one"), "STACK_GLOBAL", "POP"),
        assemble("EMPTY_LIST", "MARK", b"K." * 300, "APPENDS", "POP"),
    )
    tail = b"".join(chosen.choices(after, k=chosen.randint(1, 60)))
    return before + tail + assemble(("GLOBAL", "edge", "last"), "STOP")
