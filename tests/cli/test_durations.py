"""Durations as they are typed."""

from __future__ import annotations

import pytest

from hubaudit.cli.durations import parse_duration
from hubaudit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("1h", 3600),
        ("2d", 172_800),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (" 5M ", 300),
        ("0.2s", 0.2),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "15", "m", "0s", "-1h", "1h-2m", "1 h", "1w", "9999d", "1e9s", "nan", "inf", "٣h", "1hh"],
)
def test_anything_else_is_an_error_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="is no duration") as caught:
        parse_duration(text, "--every")
    assert str(caught.value).startswith("--every ")
    assert "15m" in caught.value.hint
