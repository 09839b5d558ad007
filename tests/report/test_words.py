from __future__ import annotations

import pytest

from hubaudit.report.words import count, size


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (12_300_000, "12.3 MB"),
        (16_060_000_000, "16.1 GB"),
        (2_000_000_000_000, "2.0 TB"),
        (5_000_000_000_000_000, "5000.0 TB"),
    ],
)
def test_bytes_have_decimal_units(number: int, said: str) -> None:
    assert size(number) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_one_is_singular(number: int, said: str) -> None:
    assert count(number, "file") == said
