from __future__ import annotations

import pytest

from hubaudit.pvm.render import render
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
