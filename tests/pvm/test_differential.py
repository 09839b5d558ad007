"""Some thousands of cases of `python -m tests.differential`, and that it would notice a miss."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from hubaudit.demo.assemble import Instruction, assemble, frame
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.values import Trace
from hubaudit.source.memory import MemorySource
from tests.differential import Reference, broken_law, compare, smaller, traced
from tests.pvm import mutations, seeds
from tests.pvm.strategies import programs

CASES = 16_000
SEED = 3


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    with Reference() as reference:
        yield reference


def imported(reference: Reference, *program: Instruction) -> list[tuple[tuple[str, str], ...]]:
    readings = reference.read([assemble(*program)])[0]
    assert readings
    return [reading.names for reading in readings]


def test_the_machine_misses_nothing_that_the_c_unpickler_imports() -> None:
    tally = compare(SEED, range(CASES))
    assert not tally.misses
    assert tally.kinds["cases"] == CASES
    # What was compared was worth it.
    assert tally.kinds["that import, in the reference"] > CASES / 3
    assert tally.kinds["that reach STOP there"] > CASES / 10
    assert tally.kinds["not comparable: the reference died"] < CASES / 1000


@given(data=programs)
@settings(max_examples=200, deadline=None)
def test_a_well_formed_program_imports_the_same_names_in_the_c_unpickler(
    reference: Reference, data: bytes
) -> None:
    trace = interpret(MemorySource(data))
    assert trace.complete
    readings = reference.read([data])[0]
    assert readings
    assert not broken_law(trace, readings)


@pytest.mark.parametrize(
    "program",
    [
        (("GLOBAL", "os", "system"), "STOP"),
        ("MARK", ("INST", "os", "system"), "STOP"),
        (("UNICODE", "os"), ("BINUNICODE", "system"), "STACK_GLOBAL", b"\xff"),
    ],
)
def test_the_reference_records_an_import_and_returns_a_stand_in(
    reference: Reference, program: tuple[Instruction, ...]
) -> None:
    assert imported(reference, *program) == [(("os", "system"),)] * 5


def test_a_case_that_kills_the_reference_costs_only_itself(reference: Reference) -> None:
    deeply_hashed = assemble("EMPTY_DICT", "NONE", b"\x85" * 1_000_000, "NONE", "SETITEM", "STOP")
    ordinary = assemble(("GLOBAL", "a", "b"), "STOP")
    readings = reference.read([ordinary, deeply_hashed, ordinary])
    assert readings[0]
    assert readings[1] is None
    assert readings[2]
    assert isinstance(traced(deeply_hashed), Trace)


def test_a_crossed_frame_is_read_in_two_ways_by_c_itself(reference: Reference) -> None:
    text = assemble(("SHORT_BINUNICODE", "A" * 20))
    behind = assemble("STOP", b"A" * 9, ("GLOBAL", "os", "system"), "STOP")
    data = assemble(("FRAME", len(text) - 10), text, behind)
    by_file, by_loads, *_ = imported(reference, data)
    assert by_file == (("os", "system"),)
    assert by_loads == ()


def test_a_miss_is_noticed(reference: Reference) -> None:
    blind = Trace(0)
    data = assemble("NONE", "POP", ("GLOBAL", "os", "system"), "POP", "NONE", "STOP")
    readings = reference.read([data])[0]
    assert readings
    assert "('os', 'system')" in broken_law(blind, readings)
    assert not broken_law(interpret(MemorySource(data)), readings)


def test_a_reproducer_is_made_small_opcode_by_opcode_and_byte_by_byte() -> None:
    data = assemble("NONE", "POP", ("GLOBAL", "os", "system"), b"N0" * 100, "STOP")
    assert smaller(data, lambda candidate: b"system" in candidate) == b"system"


def test_opcodes_are_split_where_they_end() -> None:
    for seed in [*seeds.pickled(), *seeds.real()]:
        assert b"".join(mutations.split(seed)) == seed
    program = assemble(("GLOBAL", "a", "b"), ("BININT", 1), ("BINBYTES", b"abc"), "STOP")
    assert mutations.split(program) == [b"ca\nb\n", b"J\1\0\0\0", b"B\3\0\0\0abc", b"."]
    assert mutations.split(b"N\xffN") == [b"N", b"\xffN"]
    assert frame(b"N") in mutations.split(frame(b"N") + b".")[0] + b"N"


def test_where_a_pickle_begins_in_its_source_changes_only_offsets() -> None:
    for seed in seeds.small():
        alone, behind = (
            interpret(MemorySource(b"x" * start + seed), start) for start in (0, 100_000)
        )
        assert list(behind.imports) == list(alone.imports)
        assert len(behind.computed) == len(alone.computed)
        assert behind.stop.offset == alone.stop.offset + 100_000
        assert (behind.stop.kind, behind.end) == (alone.stop.kind, alone.end + 100_000)
