from __future__ import annotations

import pytest

from hubaudit.pvm.render import Bounds, render
from hubaudit.pvm.values import (
    Call,
    Global,
    Mapping,
    PersistentId,
    Run,
    SetOf,
    Skipped,
    Unknown,
    Value,
)

SYSTEM = Global("os", "system")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (SYSTEM, "os.system"),
        (Global("posix", "system"), "os.system"),
        (Global("nt", "system"), "os.system"),
        (Call("REDUCE", SYSTEM, ("true",), 0), "os.system('true')"),
        (Call("REDUCE", SYSTEM, (SYSTEM, [1, (2,)]), 0), "os.system(os.system, [1, (2,)])"),
        (Call("REDUCE", SYSTEM, Unknown("why"), 0), "os.system(*<why>)"),
        (Mapping(["a", 1, "b", None]), "{'a': 1, 'b': None}"),
        (SetOf([1, 2], frozen=False), "{1, 2}"),
        (SetOf([1], frozen=True), "frozenset({1})"),
        (PersistentId(("storage", "0")), "persistent_load(('storage', '0'))"),
        (Skipped("bytes", 5000, 0, b"abc"), "<bytes of 5,000 bytes: b'abc'…>"),
        (Run(900, 0), "<900 bytes of numbers>"),
        ("a\nb\x1b[0m", r"'a\nb\x1b[0m'"),
    ],
)
def test_values_are_shown_as_python_would_write_them(value: Value, shown: str) -> None:
    assert render(value) == shown


def test_an_integer_too_long_to_print_is_shown_by_its_length() -> None:
    assert render(10**5000) == "<int of 16,610 bits>"


def test_long_texts_and_long_lists_are_cut() -> None:
    assert len(render("x" * 10_000)) == 200
    assert render(list(range(100))) == "[0, 1, 2, 3, 4, 5, 6, 7, …]"
    assert render(Mapping(list(range(100)))).endswith("…}")


def test_a_list_that_holds_itself_is_shown_to_a_depth() -> None:
    endless: list[Value] = []
    endless.append(endless)
    assert "…" in render(endless)


@pytest.mark.parametrize("depth", [8, 64])
def test_a_billion_laughs_are_shown_in_a_few_thousand_characters(depth: int) -> None:
    laughs: Value = "ha"
    for _ in range(64):
        laughs = (laughs,) * 8
    assert len(render(laughs, Bounds(depth=depth))) < 8000
    assert len(render(Call("REDUCE", SYSTEM, (laughs, laughs), 0), Bounds(depth=depth))) < 8000


def test_a_name_that_is_none_cannot_look_like_code() -> None:
    posing = Global("print('fine')  #", "x")
    assert render(posing) == """find_class("print('fine')  #", 'x')"""
    assert render(Global("a", "")) == "find_class('a', '')"
    assert len(render(Global("a" * (1 << 20), "b" * (1 << 20)))) < 500


def test_calls_inside_are_shown_by_their_names_and_the_outer_one_is_not() -> None:
    inner = Call("REDUCE", Global("own", "f"), (), 0)
    outer = Call("REDUCE", Global("own", "g"), (inner, [inner]), 9)
    assert render(outer, named=lambda call: f"_{call.offset}") == "own.g(_0, [_0])"


def test_bounds_are_those_that_are_asked_for() -> None:
    assert render([["x" * 50]] * 3, Bounds(items=2, text=10)) == "[['xxxxxxxx…], ['xxxxxxxx…], …]"
