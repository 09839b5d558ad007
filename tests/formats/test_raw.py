from __future__ import annotations

import pytest

from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.raw import read_pickles, read_uncertain
from hubaudit.source.memory import MemorySource

SYSTEM = ("GLOBAL", "os", "system")
CALL: tuple[Instruction, ...] = (SYSTEM, ("BINUNICODE", "true"), "TUPLE1", "REDUCE")


def read(*program: Instruction) -> Contents:
    return read_pickles(MemorySource(assemble(*program)))


def imports(contents: Contents) -> list[tuple[str, str]]:
    return [name for pickle in contents.pickles for name in pickle.trace.imports]


def test_a_second_pickle_behind_stop_is_read_too() -> None:
    contents = read("NONE", "STOP", *CALL, "STOP")
    assert imports(contents) == [("os", "system")]
    assert [pickle.trace.start for pickle in contents.pickles] == [0, 2]
    assert not contents.trailing
    assert not contents.gaps


def test_bytes_behind_stop_that_are_no_pickle_are_trailing() -> None:
    contents = read("NONE", "STOP", b"\xff\xff\xff")
    assert [(t.offset, t.size) for t in contents.trailing] == [(2, 3)]
    assert not contents.gaps


def test_a_payload_behind_stop_that_then_breaks_is_no_trailing_data() -> None:
    contents = read("NONE", "STOP", *CALL, b"\xff")
    assert imports(contents) == [("os", "system")]
    assert len(contents.gaps) == 1


@pytest.mark.parametrize("end", [b"\xff", b""])
def test_a_first_pickle_that_does_not_reach_stop_is_a_gap(end: bytes) -> None:
    contents = read(*CALL, end)
    assert imports(contents) == [("os", "system")]
    assert len(contents.gaps) == 1


def test_what_proves_to_be_no_pickle_leaves_nothing() -> None:
    contents = read_uncertain(MemorySource(b"V" + b"a" * 20_000))
    assert contents == Contents(Format.DATA)


def test_what_proves_to_be_a_pickle_is_read_as_one() -> None:
    data = b"V" + b"a" * 20_000 + b"\n0" + assemble(*CALL) + b"\xff"
    contents = read_uncertain(MemorySource(data))
    assert imports(contents) == [("os", "system")]
    assert contents.gaps
