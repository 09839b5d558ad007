from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.report.escape import encodable, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\r\tc\x7f", r"a\nb\r\tc\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("\U000e0041tag", r"\U000e0041tag"),
        ("line\u2028break", r"line\u2028break"),
        ("no\u00a0break", r"no\xa0break"),
        ("\u3164filler", r"\u3164filler"),
        ("\udc80", r"\udc80"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["os.system('a b')", "模型.bin", "modèle", r"b'\x00'", "[red]"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert visible(text) == text


def test_no_control_or_format_character_of_unicode_comes_through() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    left = {unicodedata.category(char) for char in visible(every)}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert {char for char in visible(every) if unicodedata.category(char) == "Zs"} == {" "}


@pytest.mark.parametrize("text", ["::error::x", "  ::add-mask::x", ":::x", "\u2003::x", "::"])
def test_no_line_begins_with_a_command_to_a_runner(text: str) -> None:
    assert not visible(text).lstrip().startswith("::")


def test_a_double_colon_within_a_text_stays() -> None:
    assert visible("at::Tensor") == "at::Tensor"


def test_a_tower_of_marks_is_written_out() -> None:
    assert visible("שּׁ֑ vị") == "שּׁ֑ vị"
    shown = visible("e" + "\u0301" * 300)
    assert shown == "e" + "\u0301" * 5 + r"\u0301" * 295


@given(st.text(st.characters()))
def test_visible_text_is_visible_to_itself(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(st.text(st.characters()))
def test_encodable_text_encodes_and_changes_lone_surrogates_only(text: str) -> None:
    encodable(text).encode("utf-8")
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert encodable(text) == text
