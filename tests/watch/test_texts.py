"""Changes of texts are shown where they are, and shortly."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from hubaudit.watch.texts import (
    LINES,
    WIDTH,
    key_changes,
    key_lines,
    line_diff,
    plain_value,
    read_card,
)


def test_a_diff_counts_the_lines_that_it_left_out() -> None:
    old = "\n".join(f"line {n}" for n in range(1, 101))
    new = old.replace("line 50", "line fifty")
    assert line_diff(old, new, "m.py")[2] == "@@ -47,7 +47,7 @@"


def test_a_change_at_the_end_of_a_long_line_is_shown() -> None:
    old = "x" * 1000 + "a"
    found = line_diff(old, "x" * 1000 + "b", "m.jinja")
    assert any(line.startswith("+") and line.endswith("b") for line in found)
    assert all(len(line) <= WIDTH + 1 for line in found)


def test_a_line_end_that_changed_is_a_change() -> None:
    assert line_diff("a\r\n", "a\n", "m.py")


def test_a_diff_has_a_bound_and_says_so() -> None:
    old = "\n".join(f"{n}" for n in range(1000))
    new = "\n".join(f"{n}x" for n in range(1000))
    found = line_diff(old, new, "m.py")
    assert len(found) == LINES + 1
    assert found[-1] == "…"
    (one,) = line_diff("", "\n" * 50_000, "m.py")
    assert "too many" in one


def test_no_pair_of_texts_takes_long() -> None:
    dice = random.Random(5)
    for letters in ("ab", "abcdefgh", "".join(map(chr, range(33, 120)))):
        one, other = ("\n".join(dice.choice(letters) for _ in range(1990)) for _ in range(2))
        begun = time.perf_counter()
        line_diff("1\n" + one, "2\n" + other, "m.py")
        assert time.perf_counter() - begun < 5


@given(st.text(max_size=300), st.text(max_size=300))
def test_texts_that_differ_have_a_diff_and_others_none(one: str, other: str) -> None:
    same = one.removesuffix("\n") == other.removesuffix("\n")
    assert bool(line_diff(one, other, "a")) != same


def test_keys_are_compared_wherever_they_stand() -> None:
    found = key_changes('{"a": {"b": 1, "c": [1]}, "d": 2}', '{"d": 2, "a": {"c": [2], "b": 1}}')
    assert found is not None
    assert [one.line for one in found] == ["a.c: [1] → [2]"]


def test_of_long_values_the_place_where_they_differ_is_shown() -> None:
    old = '{"chat_template": "%s"}' % ("x" * 5000 + "SECRET" + "y" * 5000)
    found = key_changes(old, old.replace("SECRET", "OTHER"))
    assert found is not None
    assert "SECRET" in found[0].line
    assert "OTHER" in found[0].line
    assert len(found[0].line) < 400


def test_what_is_no_object_has_no_keys() -> None:
    for text in ("", "[]", "{", "[" * 100_000, '{"a":' * 100_000):
        assert key_changes(text, "{}") is None


def test_very_deep_objects_are_compared_all_the_same() -> None:
    deep = '{"a":' * 200 + "1" + "}" * 200
    found = key_changes(deep, deep.replace("1", "2"))
    assert found is not None
    assert len(found) == 1


def test_many_keys_are_cut_off_and_counted() -> None:
    many = ",".join(f'"{n}": {n}' for n in range(100))
    found = key_changes("{}", f"{{{many}}}")
    assert found is not None
    assert key_lines(found)[-1] == "and 50 more"


def test_a_card_is_metadata_and_a_body() -> None:
    card = read_card('---\nlicense: "mit"\ntags:\n- a\n- b\nx_y: >\n  z\n---\n# Hi\n')
    assert card.metadata == {"license": '"mit"', "tags": "- a\n- b", "x_y": ">\n  z"}
    assert card.body == "\n# Hi\n"
    assert plain_value(card.metadata["license"]) == "mit"
    assert plain_value(card.metadata["tags"]) == "a, b"


@given(st.text())
def test_any_text_is_a_card(text: str) -> None:
    assert read_card(text).body in text
