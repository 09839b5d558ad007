"""The limit of opcodes reaches every pickle that a file holds, wherever it lies."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable

import pytest

from hubaudit.demo.checkpoints import floats, state_dict, torch_legacy, torch_zip
from hubaudit.formats.read import read_file
from hubaudit.pvm.state import DEFAULT_LIMITS, limits_of
from hubaudit.source.memory import MemorySource
from tests.formats.containers import zipped

MANY = {f"key {number}": number for number in range(500)}
TENSORS = state_dict({f"layer {number}": floats((2,), number) for number in range(50)})


def in_a_zip() -> bytes:
    return zipped({"a.pkl": pickle.dumps(MANY)})


@pytest.mark.parametrize(
    "make",
    [
        lambda: pickle.dumps(MANY),
        lambda: pickle.dumps(MANY, 0),
        lambda: gzip.compress(pickle.dumps(MANY)),
        in_a_zip,
        lambda: torch_zip(TENSORS),
        lambda: torch_legacy(TENSORS),
    ],
    ids=["protocol 4", "protocol 0", "gzip", "zip", "torch", "legacy torch"],
)
def test_a_pickle_over_the_limit_is_a_gap_and_below_it_none(make: Callable[[], bytes]) -> None:
    source = MemorySource(make())
    limited = read_file(source, limits=limits_of(100))
    assert [gap.why for gap in limited.gaps if "over 100 opcodes" in gap.why]
    assert not read_file(source).gaps


def test_a_higher_limit_reads_what_the_default_does_not() -> None:
    data = io.BytesIO()
    data.write(b"\x80\x02")
    data.write(b"N0" * (DEFAULT_LIMITS.opcodes // 2 + 10) + b"N.")
    source = MemorySource(data.getvalue())
    assert read_file(source).gaps
    assert not read_file(source, limits=limits_of(3 * DEFAULT_LIMITS.opcodes)).gaps
