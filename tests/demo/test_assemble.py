"""The assembler against pickletools and the pickler, which know what an opcode looks like."""

from __future__ import annotations

import pickle
import pickletools
from collections import OrderedDict
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest

from hubaudit.demo.assemble import OPCODES, assemble, frame, twos_complement
from hubaudit.demo.objects import Call, Global, mapping, pickle_of

ARGUMENTS: dict[str | None, tuple[Any, ...]] = {
    None: (),
    "decimalnl_short": (7,),
    "decimalnl_long": (7,),
    "stringnl": ("text",),
    "unicodestringnl": ("töxt\\",),
    "stringnl_noescape": ("pid",),
    "stringnl_noescape_pair": ("os", "getcwd"),
    "floatnl": (1.5,),
    "float8": (1.5,),
    "string1": (b"text",),
    "string4": (b"text",),
    "bytes1": (b"text",),
    "bytes4": (b"text",),
    "bytes8": (b"text",),
    "bytearray8": (b"text",),
    "unicodestring1": ("töxt",),
    "unicodestring4": ("töxt",),
    "unicodestring8": ("töxt",),
    "uint1": (7,),
    "uint2": (700,),
    "uint4": (70_000,),
    "uint8": (0,),
    "int4": (-7,),
    "long1": (-(2**70),),
    "long4": (2**70,),
}
READ_BACK = {"stringnl_noescape_pair": "os getcwd", "bytearray8": bytearray(b"text")}


def test_it_knows_the_68_opcodes_of_protocols_0_to_5() -> None:
    known = {op.name: op.code.encode("latin-1") for op in pickletools.opcodes}
    assert {name: code for name, (code, _) in OPCODES.items()} == known
    assert len(OPCODES) == 68


@pytest.mark.parametrize("opcode", pickletools.opcodes, ids=lambda opcode: str(opcode.name))
def test_pickletools_reads_each_opcode_back(opcode: pickletools.OpcodeInfo) -> None:
    kind = opcode.arg.name if opcode.arg else None
    arguments = ARGUMENTS[kind]
    program = assemble((opcode.name, *arguments), "STOP")
    (read, argument, _), *stop = pickletools.genops(program)
    assert read.name == opcode.name
    wanted = arguments[0] if arguments else None
    if isinstance(wanted, bytes) and kind in ("string1", "string4"):
        wanted = wanted.decode()
    assert argument == READ_BACK.get(str(kind), wanted)
    assert [op.name for op, _, _ in stop] == ([] if opcode.name == "STOP" else ["STOP"])


@pytest.mark.parametrize(
    "value", [0, 1, -1, 127, 128, -128, -129, 255, 256, -(2**15), 2**64, -(2**64)]
)
def test_long_integers_are_as_short_as_the_picklers(value: int) -> None:
    assert twos_complement(value) == pickle.encode_long(value)


def test_a_frame_has_the_length_of_its_body() -> None:
    body = assemble("NONE", "STOP")
    assert frame(body) == b"\x95" + len(body).to_bytes(8, "little") + body


def test_an_unknown_opcode_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        assemble("REDUCES")


@pytest.mark.parametrize("argument", [256, -1])
def test_an_argument_that_does_not_fit_is_an_error(argument: int) -> None:
    with pytest.raises(Exception, match="format"):
        assemble(("BININT1", argument))


SHARED = ["shared"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        255,
        256,
        65536,
        -1,
        2**31,
        -(2**40),
        1.5,
        "töxt",
        b"",
        b"bytes\xff",
        (),
        (1,),
        (1, 2),
        (1, 2, 3),
        (1, 2, 3, 4),
        [],
        [1],
        [1, 2],
        {},
        {"one": 1},
        {"one": 1, "two": [2, (3, {"deep": None})]},
        [SHARED, SHARED],
        list(range(2000)),
        [f"text {number}" for number in range(300)],
    ],
    ids=lambda value: repr(value)[:40],
)
def test_plain_values_pickle_as_the_pickler_does(value: object) -> None:
    assert pickle_of(value) == pickle.dumps(value, 2)


def test_an_ordered_dict_pickles_as_the_pickler_does() -> None:
    items = [("one", 1), ("two", [2])]
    assert pickle_of(mapping("OrderedDict", items)) == pickle.dumps(OrderedDict(items), 2)


def test_a_call_pickles_as_the_pickler_does() -> None:
    value = Call(Global("decimal", "Decimal"), ("1.5",))
    assert pickle_of([value, value]) == pickle.dumps([Decimal("1.5")] * 2, 2)


def test_what_has_no_pickle_is_an_error() -> None:
    with pytest.raises(TypeError, match="no pickle for PurePosixPath"):
        pickle_of([PurePosixPath("a")])
