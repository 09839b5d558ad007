"""Torch checkpoints around pickles that are spelled opcode by opcode, also such as torch never writes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.demo.checkpoints import LEGACY_MAGIC, torch_zip_of
from hubaudit.demo.objects import pickle_of

Program = tuple[Instruction, ...]

SIX = struct.pack("<6f", 0, 1, 2, 3, 4, 5)
NONE: Program = ("NONE",)
DICT: Program = ("EMPTY_TUPLE",)


def text(value: str) -> Program:
    return (("BINUNICODE", value),)


def number(value: int) -> Program:
    return (("BININT", value),) if abs(value) < 1 << 31 else (("LONG1", value),)


def sizes(*values: int) -> Program:
    return ("MARK", *(one for value in values for one in number(value)), "TUPLE")


def glob(module: str, name: str) -> Program:
    return (("GLOBAL", module, name),)


def call(module: str, name: str, *args: Program) -> Program:
    return (*glob(module, name), "MARK", *joined(*args), "TUPLE", "REDUCE")


def joined(*programs: Program) -> Program:
    return tuple(one for program in programs for one in program)


def mapping(*pairs: tuple[Program, Program]) -> Program:
    """A dict to which the pairs are set in this order, equal keys too."""
    return ("EMPTY_DICT", "MARK", *joined(*(one for pair in pairs for one in pair)), "SETITEMS")


def named(**values: Program) -> Program:
    return mapping(*((text(name), value) for name, value in values.items()))


ORDERED: Program = (*glob("collections", "OrderedDict"), "EMPTY_TUPLE", "REDUCE")


def storage(
    key: str = "0", count: int = 6, kind: str = "FloatStorage", more: Program = ()
) -> Program:
    """`more` is the view metadata of a legacy file."""
    fields = joined(text("storage"), glob("torch", kind), text(key), text("cpu"), number(count))
    return ("MARK", *fields, *more, "TUPLE", "BINPERSID")


def tensor(
    shape: Sequence[int] = (2, 3),
    stride: Sequence[int] = (3, 1),
    offset: int = 0,
    of: Program | None = None,
    metadata: Program = (),
) -> Program:
    parts = joined(of or storage(), number(offset), sizes(*shape), sizes(*stride))
    rest = ("NEWFALSE", *ORDERED, *metadata)
    return call("torch._utils", "_rebuild_tensor_v2", parts, rest)


def new_tensor(dtype: str, shape: Sequence[int], stride: Sequence[int], of: Program) -> Program:
    parts = joined(of, number(0), sizes(*shape), sizes(*stride))
    rest = ("NEWFALSE", *ORDERED, *glob("torch", dtype))
    return call("torch._utils", "_rebuild_tensor_v3", parts, rest)


def zipped(program: Program, *storages: bytes) -> bytes:
    return torch_zip_of(assemble(("PROTO", 2), *program, "STOP"), storages or (SIX,))


def legacy(program: Program, storages: dict[str, tuple[int, bytes]]) -> bytes:
    """`storages`: by key, how many elements the file says they have, and their bytes."""
    head = pickle_of(LEGACY_MAGIC) + pickle_of(1001) + pickle_of({"little_endian": True})
    body = assemble(("PROTO", 2), *program, "STOP") + pickle_of(list(storages))
    data = b"".join(struct.pack("<q", count) + raw for count, raw in storages.values())
    return head + body + data


# What torch's restricted unpickler takes, and the names that it gives then.
CASES: dict[str, Program] = {
    "the last of equal keys": mapping(
        (text("a"), tensor()), (text("b"), tensor((6,), (1,))), (text("a"), tensor((3,), (1,), 3))
    ),
    "a key set again to no tensor": mapping((text("a"), tensor()), (text("a"), number(1))),
    "numbers as keys": mapping((number(0), tensor()), (number(-1), tensor()), (text("x"), NONE)),
    "equal numbers as keys": mapping(
        (number(1), tensor()), (("NEWTRUE",), tensor((3,), (1,))), (text("x"), tensor())
    ),
    "an OrderedDict, item by item": (
        *ORDERED,
        *(*text("a"), *tensor(), "SETITEM"),
        *("MARK", *text("b"), *tensor((6,), (1,)), "SETITEMS"),
    ),
    "an OrderedDict with _metadata": (
        *(*ORDERED, "MARK", *text("a"), *tensor(), "SETITEMS"),
        *(*named(_metadata=(*ORDERED, *text("a"), *tensor(), "SETITEM")), "BUILD"),
    ),
    "lists and tuples": named(
        a=("EMPTY_LIST", "MARK", *tensor(), *number(1), *tensor(), "APPENDS"),
        b=(*tensor(), *named(c=tensor()), "TUPLE2"),
    ),
    "one dict in two places": (
        *("EMPTY_DICT", "MARK", *text("a"), *named(w=tensor()), ("BINPUT", 7)),
        *(*text("b"), ("BINGET", 7), "SETITEMS"),
    ),
    "a dict filled after it was placed": (
        *("EMPTY_DICT", "MARK", *text("a"), "EMPTY_DICT", ("BINPUT", 7), "SETITEMS"),
        *(*text("b"), ("BINGET", 7), *text("w"), *tensor(), "SETITEM", "SETITEM"),
    ),
    "a parameter": named(
        p=call("torch._utils", "_rebuild_parameter", tensor(), ("NEWTRUE", *ORDERED))
    ),
    "no elements": named(a=tensor((0, 3), (3, 1)), b=tensor((2, 0), (1, 1), 4)),
    "a repeated view": named(
        a=tensor((2, 3), (0, 1)), b=tensor((6, 1), (1, 99)), c=tensor((), (), 5)
    ),
    "a tensor by itself": tensor(),
}
