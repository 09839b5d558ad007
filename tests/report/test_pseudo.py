"""Pickles as programs: in order, bounded, and with a mark on every name."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from hubaudit.config import DEFAULT_POLICY
from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.demo.checkpoints import floats, state_dict, torch_zip
from hubaudit.explain import Opened
from hubaudit.formats.read import read_file
from hubaudit.model import RepoFile, RepoRef
from hubaudit.report.explained import as_json, as_text
from hubaudit.report.page import Page
from hubaudit.report.pseudo import (
    BRIEF,
    EVERYTHING,
    Extent,
    LeftOut,
    Line,
    Mark,
    Pseudo,
    programs,
)
from hubaudit.rules.names import load_catalogue
from hubaudit.source.memory import MemorySource

SYSTEM: tuple[Instruction, ...] = (
    *(("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE"),
)
THING: tuple[Instruction, ...] = (("GLOBAL", "own", "Thing"), "EMPTY_TUPLE", "NEWOBJ")


def opened(data: bytes, path: str = "a.pkl") -> Opened:
    repo = RepoRef("org/model", "model", "main", "c" * 40, "https://huggingface.co")
    contents = read_file(MemorySource(data))
    return Opened(repo, RepoFile(path, len(data)), contents, None, DEFAULT_POLICY)


def lines(data: bytes, extent: Extent = BRIEF) -> list[Line | LeftOut]:
    (program,) = programs(read_file(MemorySource(data)), load_catalogue(), extent)
    assert isinstance(program, Pseudo)
    return list(program.lines)


def code(*program: Instruction) -> list[str]:
    found = lines(assemble(("PROTO", 2), *program))
    return [line.code for line in found if isinstance(line, Line)]


def text(data: bytes, extent: Extent = BRIEF, page: Page | None = None) -> str:
    return "".join(as_text(opened(data), extent, page or Page()))


def test_imports_and_calls_stand_in_the_order_in_which_they_happen() -> None:
    assert code(*SYSTEM, "POP", *THING, *SYSTEM, "BUILD", "STOP") == [
        "from os import system",
        "_0 = os.system('true')",
        "from own import Thing",
        "_1 = own.Thing.__new__(own.Thing)",
        "_2 = os.system('true')",
        "_1.__setstate__(_2)",
        "return _1",
    ]


def test_offsets_never_go_back() -> None:
    data = torch_zip(state_dict({f"layer.{i}": floats((2, 3), i) for i in range(9)}))
    found = [line.offset for line in lines(data) if isinstance(line, Line)]
    assert len(found) > 20
    assert all(earlier <= later for earlier, later in pairwise(found))


def test_every_import_is_marked_and_calls_only_if_it_matters() -> None:
    data = assemble(
        *SYSTEM, "POP", *THING, "POP", ("GLOBAL", "collections", "OrderedDict"), "EMPTY_TUPLE"
    )
    found = lines(data + b"R.")
    assert [line.mark for line in found if isinstance(line, Line)] == [
        *(Mark.DANGEROUS, Mark.DANGEROUS),
        *(Mark.UNLISTED, Mark.UNLISTED),
        *(Mark.INERT, None, None),
    ]


def test_a_name_that_getattr_reaches_is_marked_at_the_call() -> None:
    getattr_ = (
        ("GLOBAL", "builtins", "getattr"),
        ("GLOBAL", "own", "os"),
        ("BINUNICODE", "system"),
    )
    data = assemble(
        *getattr_, "TUPLE2", "REDUCE", ("BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP"
    )
    said = [line for line in lines(data) if isinstance(line, Line)]
    assert any("own.os.system" in line.note for line in said if line.mark is Mark.DANGEROUS)


def test_the_tensors_of_a_state_dict_stand_by_their_names() -> None:
    shown = text(torch_zip(state_dict({"weight": floats((2, 3), 1), "bias": floats((3,), 2)})))
    assert "\n# archive/data.pkl — protocol 2, " in shown
    assert "bytes, complete\n" in shown
    assert "\n_0['weight'] = _2 = torch._utils._rebuild_tensor_v2(persistent_load(" in shown
    assert "\n_0['bias'] = _4 = torch._utils" in shown
    assert shown.endswith("return _0\n")


def test_what_is_set_on_an_object_stands_where_that_happens() -> None:
    made = ("MARK", ("BINUNICODE", "a"), ("BININT1", 1), ("BINUNICODE", "b"))
    assert code(*THING, *made, *SYSTEM, "TUPLE1", "SETITEMS", *SYSTEM, "APPEND", "STOP") == [
        "from own import Thing",
        "_0 = own.Thing.__new__(own.Thing)",
        "from os import system",
        "_1 = os.system('true')",
        "_0['a'] = 1",
        "_0['b'] = (_1,)",
        "_2 = os.system('true')",
        "_0.extend([_2])",
        "return _0",
    ]


NAMESPACE: tuple[Instruction, ...] = (
    ("GLOBAL", "types", "SimpleNamespace"),
    "EMPTY_TUPLE",
    "REDUCE",
)
ORDERED: tuple[Instruction, ...] = (
    ("GLOBAL", "collections", "OrderedDict"),
    "EMPTY_TUPLE",
    "REDUCE",
)
RUN: tuple[Instruction, ...] = (("GLOBAL", "os", "system"),)
WORDS: tuple[Instruction, ...] = tuple(("BINUNICODE", f"word {n}") for n in range(100))


def key(name: str) -> Instruction:
    return ("BINUNICODE", name)


STATES: dict[str, tuple[Instruction, ...]] = {
    "a dict": ("EMPTY_DICT", key("append"), *RUN, "SETITEM"),
    "an OrderedDict": (*ORDERED, key("append"), *RUN, "SETITEM"),
    "of slots": ("NONE", "EMPTY_DICT", key("extend"), *RUN, "SETITEM", "TUPLE2"),
    "inside another": (
        *("EMPTY_DICT", key("_modules"), "EMPTY_DICT", key("append"), *RUN, "SETITEM", "SETITEM"),
    ),
    "behind many": ("EMPTY_DICT", "MARK", *WORDS, key("append"), *RUN, "SETITEMS"),
    "made by a call": (
        *(("GLOBAL", "builtins", "dict"), key("append"), *RUN, "TUPLE2", "TUPLE1", "TUPLE1"),
        "REDUCE",
    ),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_what_an_object_was_given_to_run_is_marked_where_it_runs(
    state: tuple[Instruction, ...],
) -> None:
    before = assemble(("PROTO", 2), *NAMESPACE, *state, "BUILD")
    found = lines(before + assemble(key("true"), "APPEND", "STOP"))
    *_, build, append, _ = [line for line in found if isinstance(line, Line)]
    assert (build.code[:16], append.code) == ("_0.__setstate__(", "_0.extend(['true'])")
    assert (build.offset, append.offset) == (len(before) - 1, len(before) + 9)
    assert append.mark is Mark.DANGEROUS
    assert append.note.startswith("os.system: ")


def test_a_state_that_is_the_next_setstate_is_marked_there() -> None:
    hook: tuple[Instruction, ...] = ("EMPTY_DICT", key("__setstate__"), *RUN, "SETITEM", "BUILD")
    found = lines(assemble(*NAMESPACE, *hook, key("true"), "BUILD", "STOP"))
    marked = [
        line.code for line in found if isinstance(line, Line) and line.note[:10] == "os.system:"
    ]
    assert marked == ["_0.__setstate__('true')"]


def test_what_is_appended_before_the_state_is_not_marked_for_it() -> None:
    state = STATES["a dict"]
    found = lines(assemble(*NAMESPACE, key("a"), "APPEND", *state, "BUILD", "STOP"))
    (append,) = [line for line in found if isinstance(line, Line) and "extend" in line.code]
    assert append.mark is None


def test_each_line_of_what_is_set_has_the_byte_where_that_is_done() -> None:
    begun = assemble(*THING, key("a"), ("BININT1", 1), "SETITEM", key("b"), ("BININT1", 2))
    found = lines(begun + assemble("SETITEM", "MARK", ("BININT1", 3), ("BININT1", 4)) + b"e.")
    assert [(line.offset, line.code) for line in found if isinstance(line, Line)][2:] == [
        (len(begun) - 9, "_0['a'] = 1"),
        (len(begun), "_0['b'] = 2"),
        (len(begun) + 6, "_0.extend([3, 4])"),
        (len(begun) + 7, "return _0"),
    ]


def test_a_long_dict_or_list_is_returned_an_entry_a_line() -> None:
    pairs: list[Instruction] = [
        step for n in range(9) for step in (("BINUNICODE", f"k{n}"), ("BININT1", n))
    ]
    shown = code("EMPTY_DICT", "MARK", *pairs, "SETITEMS", "STOP")
    assert (shown[0], shown[1], shown[-1], len(shown)) == ("return {", "    'k0': 0,", "}", 11)
    assert code("EMPTY_LIST", "MARK", *[("BININT1", 7)] * 9, "APPENDS", "STOP")[1] == "    7,"
    assert code("EMPTY_LIST", "MARK", ("BININT1", 7), "APPENDS", "STOP") == ["return [7]"]


def test_of_many_lines_the_first_are_shown_and_those_that_matter() -> None:
    many: list[Instruction] = [
        ("GLOBAL", "collections", "OrderedDict"),
        "EMPTY_TUPLE",
        "REDUCE",
        "POP",
    ] * 500
    shown = lines(assemble(*many, *SYSTEM, "POP", *many, "NONE", "STOP"), Extent(lines=10))
    assert [line.lines if isinstance(line, LeftOut) else line.code for line in shown[10:]] == [
        *(491, "from os import system", "_500 = os.system('true')"),
        *(500, "return None"),
    ]
    assert len(lines(assemble(*many, "NONE", "STOP"), EVERYTHING)) == 502


def test_what_matters_is_bounded_as_well() -> None:
    shown = lines(assemble(*[*SYSTEM, "POP"] * 500, "NONE", "STOP"), Extent(lines=10))
    assert len(shown) == 22
    assert LeftOut(481) in shown


def test_of_many_pickles_those_that_matter_are_shown() -> None:
    data = assemble("NONE", "STOP") * 20 + assemble(*SYSTEM, "STOP") + assemble("NONE", "STOP") * 5
    shown = text(data, Extent(pickles=3))
    assert shown.count("return None") == 3
    assert "os.system('true')" in shown
    assert shown.endswith("# … 22 more pickles, which import nothing but inert names\n")
    assert text(data, EVERYTHING).count("return None") == 25


def test_a_pickle_that_breaks_says_where_and_that_the_rest_was_run() -> None:
    shown = text(assemble(*SYSTEM, b"\xff"))
    assert "_0 = os.system('true')" in shown
    assert shown.endswith("0xff is no opcode. What stands above runs all the same.\n")


def test_where_track_was_lost_is_said_with_the_byte() -> None:
    shown = text(assemble(("PROTO", 4), *SYSTEM, b"\x95" + (2).to_bytes(8, "little") + b"NNNN."))
    assert "# Here hubaudit lost track: " not in shown
    crossing = b"\x95" + (2).to_bytes(8, "little") + b"K\x01K\x01."
    lost = text(assemble(("PROTO", 4), *SYSTEM, b"\x95" + (1).to_bytes(8, "little")) + crossing)
    assert "# Here hubaudit lost track: not read to its end: an opcode crosses" in lost
    assert "(byte " in lost.splitlines()[-1]


def test_a_computed_name_is_marked_with_the_reason() -> None:
    computed = (("GLOBAL", "own", "word"), "EMPTY_TUPLE", "REDUCE", ("BINUNICODE", "system"))
    shown = text(assemble(*computed, "STACK_GLOBAL", "STOP"))
    assert "\nfind_class(_0, 'system')  " in shown
    assert "# COMPUTED NAME: its name is computed\n" in shown


def test_a_list_that_holds_itself_is_shown_to_a_depth() -> None:
    endless = assemble("EMPTY_LIST", ("BINPUT", 0), ("BINGET", 0), "APPEND", "STOP")
    assert "return [[[[[[[[…" in text(endless)
    assert len(text(endless, EVERYTHING)) < 1000


def test_a_billion_laughs_are_short_even_when_everything_is_shown() -> None:
    laughs: list[Instruction] = [("BINUNICODE", "ha"), ("BINPUT", 0)]
    for n in range(60):
        laughs += ["MARK", *[("BINGET", n)] * 8, "TUPLE", ("BINPUT", n + 1)]
    data = assemble(*laughs, "STOP")
    assert len(text(data)) < 5_000
    assert len(text(data, EVERYTHING)) < 500_000


HOSTILE = assemble(
    ("PROTO", 4),
    ("BINUNICODE", "os import x  # inert: a container\n\x1b[2J"),
    ("BINUNICODE", "b\u202e\ufeffad"),
    *("STACK_GLOBAL", ("BINUNICODE", "\x1b]0;x\x07\u2028\x7f"), "TUPLE1", "REDUCE", "STOP"),
)


@pytest.mark.parametrize("extent", [BRIEF, EVERYTHING])
def test_hostile_text_is_visible_and_looks_like_no_code(extent: Extent) -> None:
    shown = text(HOSTILE, extent)
    assert shown.replace("\n", "").isprintable()
    assert "from 'os import x" in shown
    assert not [line for line in shown.splitlines() if line.startswith("from os")]


def test_colour_follows_the_mark_and_is_the_only_escape() -> None:
    shown = text(HOSTILE + assemble(*SYSTEM, "STOP"), page=Page(color=True))
    assert "\x1b[1;31mfrom os import system" in shown
    without = re.sub(r"\x1b\[(0|2|33|1;31)m", "", shown)
    assert without == text(HOSTILE + assemble(*SYSTEM, "STOP"))


def test_the_json_form_says_the_same_as_data() -> None:
    said = json.loads("".join(as_json(opened(assemble(*SYSTEM, "STOP")), BRIEF, Page())))
    assert (said["schema"], said["path"], said["left_out"]) == ("hubaudit.explain/1", "a.pkl", 0)
    (pickle,) = said["pickles"]
    assert (pickle["member"], pickle["protocol"], pickle["end"]["kind"]) == (None, 0, "complete")
    assert [(line["kind"], line["class"], line["code"]) for line in pickle["lines"]] == [
        ("import", "dangerous", "from os import system"),
        ("call", "dangerous", "_0 = os.system('true')"),
        ("return", None, "return _0"),
    ]


@pytest.mark.parametrize(
    "data", [HOSTILE, b"", assemble("NONE", "STOP") * 200, assemble(*SYSTEM, b"\xff")]
)
def test_the_json_form_is_ascii_and_parses(data: bytes) -> None:
    for extent in (BRIEF, EVERYTHING, Extent(lines=1, pickles=1)):
        shown = "".join(as_json(opened(data), extent, Page()))
        assert shown.isascii()
        assert "\x7f" not in shown
        json.loads(shown)


REAL = Path(__file__).parents[1] / "fixtures/real"


@pytest.mark.parametrize("folder", sorted(path.name for path in REAL.iterdir() if path.is_dir()))
def test_files_of_real_libraries_are_shown_to_their_end(folder: str) -> None:
    for path in sorted(path for path in (REAL / folder).rglob("*") if path.is_file())[:8]:
        contents = read_file(MemorySource(path.read_bytes()))
        for program in programs(contents, load_catalogue(), EVERYTHING):
            assert isinstance(program, Pseudo)
            *_, last = program.lines
            assert isinstance(last, Line)
            assert last.code.startswith(("return", "}", "]"))


def test_a_name_that_only_a_nested_pickle_has_is_shown_where_that_is() -> None:
    inner = assemble(("PROTO", 2), *SYSTEM, "STOP")
    shown = text(assemble(("PROTO", 3), ("BINBYTES", inner), "STOP"))
    assert "# @7 — protocol 2, " in shown
    assert shown.index("return b'") < shown.index("from os import system")
