"""Files of real libraries and hostile archives, changed at random: no reader raises, or takes long."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from time import process_time

import pytest

from hubaudit.formats.read import read_file, read_promised
from hubaudit.source.memory import MemorySource
from tests.formats.containers import CALL, CONTAINERS, PAYLOAD, joblib_with, padded
from tests.zip_differential import seeds as zips

REAL = Path(__file__).parents[1] / "fixtures" / "real"
LARGEST = 20_000  # bytes of a sample: larger ones are the same with more numbers
CASES = 400  # of each of five shares. A quarter of a million of them, once, found nothing either
PATIENCE = 5.0  # seconds of one case, on a busy machine; they take 2 ms
MEMORY = 100 << 20  # bytes; archives in compressed data are held up to 64 MiB
NUMBERS = (b"\xff" * 8, bytes(8), (1 << 40).to_bytes(8, "little"), (1 << 31).to_bytes(8, "little"))


@cache
def samples() -> list[bytes]:
    real = sorted(path for path in REAL.rglob("*") if path.is_file())
    small = [path.read_bytes() for path in real if path.stat().st_size < LARGEST]
    made = [container(PAYLOAD) for container in CONTAINERS.values()]
    return [*small, *made, *zips(), joblib_with(padded(bytes(24)), CALL)]


def changed(start: Sequence[bytes], random: Random) -> bytes:
    data = bytearray(random.choice(start))
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        at = random.randrange(len(data) + 1)
        match random.randrange(6):
            case 0:
                data[at : at + 1] = random.randbytes(1)
            case 1:
                data[at : at + 1] = random.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"."))
            case 2:
                del data[at : at + random.choice((1, 2, 8, 100))]
            case 3:
                data[at : at + 8] = random.choice(NUMBERS)
            case 4:
                data[at:at] = random.choice((b"\n", bytes(5000), random.randbytes(30)))
            case _:
                other = random.choice(start)
                begin = random.randrange(len(other))
                data[at:at] = other[begin : begin + random.choice((1, 4, 30, 300))]
    return bytes(data)


@pytest.mark.parametrize("share", range(5))
def test_whatever_is_changed_in_a_file_no_reader_raises_or_takes_long(share: int) -> None:
    random, start = Random(share), samples()
    for _ in range(CASES):
        data = changed(start, random)
        before = process_time()
        read_file(MemorySource(data))
        read_promised(MemorySource(data))
        assert process_time() - before < PATIENCE, data.hex()


def test_whatever_is_changed_in_a_file_memory_stays_small() -> None:
    random, start = Random(5), samples()
    tracemalloc.start()
    try:
        for _ in range(CASES // 4):
            read_promised(MemorySource(changed(start, random)))
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
