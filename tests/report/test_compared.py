"""A comparison in words: equal is never said without how much of it was compared."""

from __future__ import annotations

from dataclasses import replace

from hubaudit.model import Comparison, TensorDifference
from hubaudit.report import compared
from hubaudit.report.json import as_dict
from hubaudit.report.page import Page
from hubaudit.report.terminal import render
from tests.report import samples

EQUAL = Comparison(
    *("pytorch_model.bin", "model.safetensors", "equal", "sampled", 199),
    tensors_read=12,
    bytes_read=262_144,
    bytes_total=4_000_000,
)


def test_equal_is_said_with_its_depth_and_how_much_was_compared() -> None:
    assert compared.outcome(EQUAL) == ("equal where sampled: 12 of 199 tensors, 262.1 kB of 4.0 MB")
    assert compared.outcome(replace(EQUAL, depth="full")) == "equal in full: 199 tensors, 4.0 MB"
    assert compared.outcome(replace(EQUAL, depth="metadata")) == (
        "the same names, dtypes and shapes of 199 tensors; their bytes were not compared"
    )


def test_what_differs_is_counted_and_named_with_how() -> None:
    one = replace(
        EQUAL,
        result="differs",
        missing=("m",),
        extra=("x", "y"),
        differing=("d",),
        differences=(TensorDifference("d", "element [0] is 1 in the pickle, 2 in …"),),
        notes=("cast F32→BF16: 3 tensors",),
        agreed_at="0123456789abcdef",
    )
    assert compared.outcome(one) == (
        "they differ: 1 different, 1 only in the safetensors file, 2 only in the pickle "
        "(sampled: 12 of 199 tensors, 262.1 kB of 4.0 MB); last alike at commit 0123456789ab"
    )
    assert compared.details(one) == [
        "d: element [0] is 1 in the pickle, 2 in …",
        "m: only in the safetensors file",
        "x: only in the pickle",
        "y: only in the pickle",
        "cast F32→BF16: 3 tensors",
    ]


def test_what_was_not_compared_says_why() -> None:
    one = replace(EQUAL, result="not-compared", why="model.safetensors: it changed")
    assert compared.outcome(one) == "not compared: model.safetensors: it changed"


def test_of_shards_the_first_is_named_and_the_others_are_counted() -> None:
    shards = tuple(f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3))
    one = replace(EQUAL, safetensors=shards[0], safetensors_files=shards)
    assert compared.files(one) == ("pytorch_model.bin", f"{shards[0]} and 2 more")
    said = as_dict(replace(samples.ordinary(), comparisons=(one,)))["comparisons"][0]
    assert said["safetensors_files"] == list(shards)
    assert said["pickle_files"] == ["pytorch_model.bin"]


def test_the_terminal_shows_what_differs_first_and_little_of_each() -> None:
    bad = replace(EQUAL, result="differs", pickle="z.bin", extra=tuple(f"w{n}" for n in range(100)))
    report = replace(samples.ordinary(), comparisons=(EQUAL, bad))
    text = render(report, Page())
    assert text.index("z.bin") < text.index("pytorch_model.bin")
    assert "w2: only in the pickle\n    and 97 more\n" in text
    assert "w99: only" in render(report, Page(entries=None))


def test_comparisons_that_are_not_shown_are_counted() -> None:
    many = tuple(replace(EQUAL, pickle=f"{n:02}.bin") for n in range(20))
    text = render(replace(samples.ordinary(), comparisons=many), Page())
    assert "Compared (20):" in text
    assert "and 12 more: see the JSON report" in text
