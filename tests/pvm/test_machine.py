from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubaudit.demo.assemble import OPCODES as ASSEMBLED
from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.opcodes import OPCODES
from hubaudit.pvm.render import render
from hubaudit.pvm.state import KEEP, WINDOW, Limits
from hubaudit.pvm.values import (
    Call,
    Global,
    Mapping,
    PersistentId,
    Run,
    SetOf,
    Skipped,
    StopKind,
    Trace,
    Unknown,
)
from hubaudit.source.memory import MemorySource


def run(*program: Instruction, **how: Any) -> Trace:
    return interpret(MemorySource(assemble(*program)), **how)


def imports(trace: Trace) -> list[tuple[str, str]]:
    return list(trace.imports)


def test_the_table_has_the_68_opcodes_that_pickletools_knows() -> None:
    import pickletools

    assert {(op.name, op.code) for op in OPCODES} == {
        (op.name, op.code.encode("latin-1")) for op in pickletools.opcodes
    }
    assert {op.name: op.code for op in OPCODES} == {
        name: code for name, (code, _encode) in ASSEMBLED.items()
    }


def plain(value: Any) -> Any:
    """The Python value that a traced one stands for, for values without globals."""
    match value:
        case Mapping():
            return {plain(key): plain(item) for key, item in value.pairs()}
        case list():
            return [plain(item) for item in value]
        case tuple():
            return tuple(plain(item) for item in value)
        case SetOf():
            items = {plain(item) for item in value.items}
            return frozenset(items) if value.frozen else items
        case _:
            return value


atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=300),
    st.binary(max_size=300),
)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=5), inner, max_size=5),
        st.frozensets(st.integers(), max_size=5),
    ),
    max_leaves=20,
)


@given(values, st.sampled_from([4, 5]))
@settings(max_examples=200, deadline=None)
def test_what_the_pickler_wrote_is_read_back(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    trace = interpret(MemorySource(data))
    assert trace.complete
    assert trace.end == len(data)
    assert plain(trace.result) == value
    assert not trace.calls


@given(values, st.sampled_from(range(6)))
@settings(max_examples=200, deadline=None)
def test_a_pickle_cut_anywhere_is_truncated_and_never_complete(
    value: object, protocol: int
) -> None:
    data = pickle.dumps(value, protocol)
    for end in range(0, len(data) - 1, max(1, len(data) // 20)):
        trace = interpret(MemorySource(data[:end]))
        assert trace.stop.kind is StopKind.TRUNCATED, (end, trace.stop)


@given(st.binary(max_size=400))
@settings(max_examples=500, deadline=None)
def test_any_bytes_end_in_a_stop_inside_them(data: bytes) -> None:
    trace = interpret(MemorySource(data))
    assert 0 <= trace.stop.offset <= len(data)
    assert 0 <= trace.end <= len(data)
    render(trace.result)


def test_a_pickle_in_the_middle_is_read_from_its_start_with_offsets_of_the_whole() -> None:
    before = b"x" * 1000
    trace = interpret(
        MemorySource(before + assemble(("GLOBAL", "os", "system"), "STOP")), start=1000
    )
    assert trace.imports["os", "system"].offset == 1000
    assert trace.end == 1000 + len(assemble(("GLOBAL", "os", "system"), "STOP"))


CALLS: list[tuple[str, tuple[Instruction, ...], str]] = [
    (
        "REDUCE",
        (("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE"),
        "os.system('true')",
    ),
    (
        "OBJ",
        ("MARK", ("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "OBJ"),
        "os.system('true')",
    ),
    ("INST", ("MARK", ("BINUNICODE", "true"), ("INST", "os", "system")), "os.system('true')"),
    ("NEWOBJ", (("GLOBAL", "a", "B"), "EMPTY_TUPLE", "NEWOBJ"), "a.B.__new__(a.B)"),
    (
        "NEWOBJ_EX",
        (("GLOBAL", "a", "B"), ("BININT1", 7), "TUPLE1", "EMPTY_DICT", "NEWOBJ_EX"),
        "a.B.__new__(a.B, 7, **{})",
    ),
    ("BUILD", (("GLOBAL", "a", "b"), "NONE", "BUILD"), "a.b.__setstate__(None)"),
]


@pytest.mark.parametrize(("how", "program", "shown"), CALLS, ids=[case[0] for case in CALLS])
def test_every_opcode_that_calls_leaves_a_call(
    how: str, program: tuple[Instruction, ...], shown: str
) -> None:
    trace = run(*program, "STOP")
    assert [call.how for call in trace.calls] == [how]
    assert render(trace.calls[0]) == shown
    assert trace.complete


def test_inst_without_a_mark_imports_before_it_breaks() -> None:
    trace = run(("INST", "os", "system"), "STOP")
    assert imports(trace) == [("os", "system")]
    assert trace.stop.kind is StopKind.BROKEN


def test_what_runs_before_a_broken_opcode_is_in_the_trace() -> None:
    trace = run(("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE", b"\xff")
    assert imports(trace) == [("os", "system")]
    assert trace.stop.kind is StopKind.BROKEN
    assert "0xff" in trace.stop.detail


def test_stack_global_takes_its_names_from_wherever_they_lie() -> None:
    trace = run(
        ("SHORT_BINUNICODE", "system"),
        ("LONG_BINPUT", 4_000_000_000),
        "POP",
        ("SHORT_BINUNICODE", "os"),
        "MEMOIZE",
        "DUP",
        "POP",
        ("LONG_BINGET", 4_000_000_000),
        "STACK_GLOBAL",
        "STOP",
    )
    assert imports(trace) == [("os", "system")]


def test_memoize_counts_entries_and_not_the_highest_index() -> None:
    trace = run(
        ("SHORT_BINUNICODE", "os"),
        ("BINPUT", 200),
        ("SHORT_BINUNICODE", "system"),
        "MEMOIZE",
        "POP",
        "POP",
        ("BINGET", 200),
        ("BINGET", 1),
        "STACK_GLOBAL",
        "STOP",
    )
    assert imports(trace) == [("os", "system")]


def test_pop_takes_a_mark_when_nothing_lies_above_it() -> None:
    trace = run("NONE", "MARK", "POP", "STOP")
    assert trace.complete
    assert trace.result is None


def test_nothing_below_a_mark_can_be_reached_from_above_it() -> None:
    trace = run("NONE", "MARK", "DUP", "STOP")
    assert trace.stop.kind is StopKind.BROKEN


def test_a_name_that_a_call_computes_is_a_computed_import() -> None:
    trace = run(
        ("GLOBAL", "base64", "b64decode"),
        ("BINUNICODE", "b3M="),
        "TUPLE1",
        "REDUCE",
        ("BINUNICODE", "system"),
        "STACK_GLOBAL",
        "STOP",
    )
    assert len(trace.computed) == 1
    assert isinstance(trace.result, Unknown)
    assert imports(trace) == [("base64", "b64decode")]


def test_a_global_can_be_the_name_of_another_import() -> None:
    trace = run(("GLOBAL", "os", "name"), ("BINUNICODE", "system"), "STACK_GLOBAL", "STOP")
    assert len(trace.computed) == 1


@pytest.mark.parametrize(
    "operand", ["NONE", "EMPTY_LIST", ("BININT1", 1), ("SHORT_BINBYTES", b"os")]
)
def test_stack_global_of_what_is_no_text_breaks(operand: Instruction) -> None:
    trace = run(operand, ("BINUNICODE", "system"), "STACK_GLOBAL", "STOP")
    assert trace.stop.kind is StopKind.BROKEN
    assert not trace.imports
    assert not trace.computed


@pytest.mark.parametrize("opcode", [("EXT1", 7), ("EXT2", 700), ("EXT4", 70000)])
def test_an_extension_code_is_an_import_that_only_the_process_knows(opcode: Instruction) -> None:
    trace = run(opcode, "STOP")
    assert len(trace.computed) == 1


def test_a_name_whose_encoding_the_loader_chooses_is_a_computed_import() -> None:
    trace = run(("SHORT_BINSTRING", b"sys\xfftem"), "DUP", "STACK_GLOBAL", "STOP")
    assert len(trace.computed) == 1
    assert "encoding" in trace.computed[0].why
    assert not trace.imports


def test_persistent_ids_are_kept_for_who_knows_what_they_mean() -> None:
    trace = run(("BINUNICODE", "0"), "BINPERSID", ("PERSID", "1"), "TUPLE2", "STOP")
    assert [persistent.pid for persistent in trace.persistent_ids] == ["0", "1"]
    assert isinstance(trace.result, tuple)
    assert all(isinstance(item, PersistentId) for item in trace.result)


def test_a_protocol_that_does_not_exist_breaks_and_one_that_lies_does_not() -> None:
    assert run(("PROTO", 6), "NONE", "STOP").stop.kind is StopKind.BROKEN
    assert run(("PROTO", 0), ("SHORT_BINUNICODE", "x"), "STOP").complete


def test_a_frame_that_lies_is_read_over() -> None:
    trace = run(("PROTO", 4), ("FRAME", 1 << 60), ("GLOBAL", "os", "system"), "STOP")
    assert imports(trace) == [("os", "system")]
    assert trace.notes


def frame_crossed_by(*crossing: Instruction, behind: bytes = b"") -> bytes:
    """A frame that ends 4 bytes before `crossing` does, and what the C unpickler reads behind it."""
    body = assemble(*crossing)
    return assemble(("PROTO", 4), ("FRAME", len(body) - 4), body, behind, "NONE", "STOP")


@pytest.mark.parametrize(
    "crossing",
    [
        ("BININT", 1),
        ("SHORT_BINUNICODE", "abcdef"),
        ("SHORT_BINUNICODE", b"abcdef\xff"),
        ("BINUNICODE", "abcdef"),
        ("UNICODE", "abcdef"),
        ("GLOBAL", "os", "system"),
        ("BINBYTES", b"A" * 2 * WINDOW),
        ("LONG_BINGET", 7),
        ("FRAME", 0),
    ],
    ids=lambda crossing: f"{crossing[0]} {crossing[1]!r:.10}",
)
def test_an_opcode_across_the_end_of_a_frame_is_where_track_is_lost(crossing: Instruction) -> None:
    data = frame_crossed_by("NONE", "POP", "NONE", "POP", crossing)
    trace = interpret(MemorySource(data))
    assert trace.stop.kind is StopKind.LIMIT
    assert "frame" in trace.stop.detail


def test_behind_a_frame_that_is_crossed_imports_are_still_looked_for() -> None:
    behind = assemble("POP", ("GLOBAL", "os", "system"), "POP")
    trace = interpret(MemorySource(frame_crossed_by(("BINUNICODE", "abc"), behind=behind)))
    assert imports(trace) == [("os", "system")]
    assert trace.stop.kind is StopKind.LIMIT


def test_a_frame_in_a_frame_may_end_with_it_but_not_behind_it() -> None:
    inner = assemble("NONE", "POP", "NONE", "POP")
    inside = assemble(("FRAME", 9 + len(inner)), ("FRAME", len(inner)), inner, "NONE", "STOP")
    assert interpret(MemorySource(inside)).complete
    beyond = assemble(("FRAME", 9 + 2), ("FRAME", len(inner)), inner, "NONE", "STOP")
    assert interpret(MemorySource(beyond)).stop.kind is StopKind.LIMIT


def test_frames_end_to_end_are_read_at_once_however_many() -> None:
    frames = assemble(("FRAME", 0), ("FRAME", 2), "NONE", "POP") * 50_000
    data = frames + assemble("NONE", "STOP")
    source = MemorySource(data)
    reads = []
    read = source.read
    source.read = lambda offset, length: reads.append(offset) or read(offset, length)  # type: ignore[method-assign, func-returns-value]
    assert interpret(source).complete
    assert len(reads) < 10


@pytest.mark.parametrize(
    "number", [b"I" + b"7" * 5000, b"L" + b"7" * 5000 + b"L", b"F" + b"7" * 900]
)
def test_a_number_too_long_to_parse_everywhere_is_stepped_over(number: bytes) -> None:
    trace = run(number, b"\n", ("GLOBAL", "os", "system"), "TUPLE2", "STOP")
    assert trace.complete
    assert imports(trace) == [("os", "system")]


def test_a_long_payload_is_stepped_over_and_not_kept() -> None:
    size = 3 * WINDOW
    trace = run(("BINBYTES", b"A" * size), ("GLOBAL", "os", "system"), "TUPLE2", "STOP")
    assert isinstance(trace.result, tuple)
    skipped, found = trace.result
    assert isinstance(skipped, Skipped)
    assert (skipped.kind, skipped.size, skipped.offset) == ("bytes", size, 5)
    assert isinstance(found, Global)


def test_a_payload_longer_than_the_data_is_truncation() -> None:
    for program in (
        b"\x8e" + (1 << 62).to_bytes(8, "little"),
        b"B" + (1 << 31).to_bytes(4, "little"),
        b"\x8b" + (2_000_000_000).to_bytes(4, "little"),
        b"X" + (KEEP - 1).to_bytes(4, "little"),
    ):
        assert run(program, b"abc").stop.kind is StopKind.TRUNCATED


def test_a_negative_length_breaks() -> None:
    assert run(b"\x8b\xff\xff\xff\xff").stop.kind is StopKind.BROKEN


def test_the_length_of_a_binstring_is_unsigned() -> None:
    assert run(b"T\xff\xff\xff\xff").stop.kind is StopKind.TRUNCATED


@pytest.mark.parametrize("numbers", [[float(n) for n in range(5000)], list(range(5000))])
def test_long_runs_of_numbers_are_stepped_over_without_losing_what_follows(
    numbers: list[float],
) -> None:
    data = pickle.dumps([numbers, numbers[:3]], 4)[:-1] + assemble(
        "POP", ("GLOBAL", "os", "system"), "STOP"
    )
    trace = interpret(MemorySource(data))
    assert imports(trace) == [("os", "system")]
    whole = interpret(MemorySource(pickle.dumps([numbers, numbers[:3]], 4))).result
    assert isinstance(whole, list)
    assert all(isinstance(item, Run) for item in whole[0])
    assert whole[1] == numbers[:3]


def test_a_run_of_numbers_needs_something_to_be_appended_to() -> None:
    numbers = [("BINFLOAT", 1.0)] * 100
    assert run("MARK", *numbers, "APPENDS", "STOP").stop.kind is StopKind.BROKEN


def test_operands_across_the_edge_of_a_window_are_read_whole() -> None:
    program = assemble(("GLOBAL", "os", "system"), "POP")
    for padding in range(WINDOW - 20, WINDOW + 5):
        before = assemble(("BINBYTES", b"A" * (padding % 7)), "POP") + b"N0" * (padding // 2)
        trace = interpret(MemorySource(before + program + assemble("NONE", "STOP")))
        assert imports(trace) == [("os", "system")]
        assert trace.complete


def test_a_line_longer_than_the_window_is_read() -> None:
    name = "a" * (WINDOW + 10)
    trace = run(("GLOBAL", "os", name), "STOP")
    assert imports(trace) == [("os", name)]


def test_a_line_longer_than_the_window_counts_as_a_whole_towards_the_limit() -> None:
    line = b"V" + b"a" * 4 * WINDOW + b"\n0"
    limits = Limits(opcode_bytes=10 * len(line))
    assert run(line * 8, "NONE", "STOP", limits=limits).complete
    assert run(line * 12, "NONE", "STOP", limits=limits).stop.kind is StopKind.LIMIT


def test_state_items_and_keys_go_to_the_object_that_was_made() -> None:
    trace = run(
        ("GLOBAL", "collections", "OrderedDict"),
        "EMPTY_TUPLE",
        "REDUCE",
        "MARK",
        ("BINUNICODE", "k"),
        ("BININT1", 1),
        "SETITEMS",
        ("BININT1", 2),
        "APPEND",
        ("BINUNICODE", "state"),
        "BUILD",
        "STOP",
    )
    made = trace.result
    assert isinstance(made, Call)
    assert (list(made.flat), list(made.items), list(made.state)) == (["k", 1], [2], ["state"])


def test_deep_nesting_is_read_and_shown_without_recursion() -> None:
    depth = 100_000
    trace = run(b"N" + b"\x85" * depth, "STOP")
    assert trace.complete
    assert len(render(trace.result)) < 200


def test_references_to_references_stay_small() -> None:
    # each step doubles what a printer would have to print
    step: tuple[Instruction, ...] = ("DUP", "TUPLE2")
    trace = run("NONE", *(step * 1000), "STOP")
    assert trace.complete
    assert len(render(trace.result)) < 10_000


def test_too_many_opcodes_are_a_limit_and_not_a_pass() -> None:
    data = b"N0" * WINDOW
    trace = interpret(MemorySource(data + b"N."), limits=Limits(opcode_bytes=WINDOW // 2))
    assert trace.stop.kind is StopKind.LIMIT


def test_too_many_opcodes_are_a_limit_whatever_they_are() -> None:
    trace = interpret(MemorySource(b"(" * 3 * WINDOW), limits=Limits(opcodes=1000))
    assert trace.stop.kind is StopKind.LIMIT


def test_opcodes_of_later_protocols_are_noted_where_they_are_first() -> None:
    trace = run("NONE", ("SHORT_BINUNICODE", "a"), "MEMOIZE", ("SHORT_BINUNICODE", "b"), "TUPLE3")
    assert trace.opcodes[0x8C] == 1
    padded = interpret(MemorySource(b"N0" * WINDOW + b"\x95\0\0\0\0\0\0\0\0N."))
    assert padded.opcodes == {0x4E: 0, 0x30: 1, 0x95: 2 * WINDOW, 0x2E: 2 * WINDOW + 10}


@pytest.mark.parametrize(
    "method", [("NONE", "APPEND"), ("MARK", "NONE", "APPENDS"), ("NONE", "NONE", "SETITEM")]
)
def test_a_method_of_a_global_is_a_call_at_its_own_byte(method: tuple[Instruction, ...]) -> None:
    trace = run(("GLOBAL", "own", "registry"), *method, "STOP")
    before = assemble(("GLOBAL", "own", "registry"), *method)
    assert [call.offset for call in trace.calls] == [len(before) - 1]


@pytest.mark.parametrize(
    ("method", "filled"),
    [
        (("NONE", "APPEND"), ("APPENDS", 0, 1)),
        (("NONE", "APPEND", "MARK", "NONE", "NONE", "APPENDS"), ("APPENDS", 1, 2)),
        (("MARK", "NONE", "NONE", "NONE", "ADDITEMS"), ("APPENDS", 0, 3)),
        (("NONE", "NONE", "SETITEM"), ("SETITEMS", 0, 2)),
        (("NONE", "NONE", "SETITEM", "MARK", "NONE", "NONE", "SETITEMS"), ("SETITEMS", 2, 2)),
    ],
)
def test_where_an_object_was_filled_is_told(
    method: tuple[Instruction, ...], filled: tuple[str, int, int]
) -> None:
    made: tuple[Instruction, ...] = (("GLOBAL", "own", "Thing"), "EMPTY_TUPLE", "REDUCE")
    trace = run(*made, *method, "STOP")
    last = trace.filled[-1]
    assert (last.how, last.start, last.count) == filled
    assert (last.offset, last.call) == (trace.end - 2, trace.calls[0])


def test_plain_containers_and_no_values_fill_no_object() -> None:
    trace = run("EMPTY_LIST", "NONE", "APPEND", "EMPTY_DICT", "NONE", "NONE", "SETITEM", "TUPLE2")
    assert not trace.filled
    made: tuple[Instruction, ...] = (("GLOBAL", "own", "Thing"), "EMPTY_TUPLE", "REDUCE")
    assert not run(*made, "MARK", "APPENDS", "MARK", "SETITEMS", "STOP").filled


@pytest.mark.parametrize("numbers", [1, 100])
def test_a_call_by_appends_is_where_the_appends_is_however_many_numbers(numbers: int) -> None:
    items = [("BININT1", 7)] * numbers
    trace = run(("GLOBAL", "collections", "deque"), "MARK", *items, "APPENDS", "STOP")
    assert [call.how for call in trace.calls] == ["APPENDS"]
    assert trace.calls[0].offset == trace.end - 2
