"""Some cases of `python -m tests.zip_differential`, and that it would notice a miss."""

from __future__ import annotations

import pytest

from hubaudit.formats.contents import Contents, Format
from tests import zip_differential
from tests.formats.containers import PAYLOAD, zipped
from tests.zip_differential import case, compare, readers, seeds, with_zipfile


@pytest.mark.parametrize("reader", ["zipfile", "torch"])
def test_nothing_is_missed_that_another_reader_finds_in_an_archive(reader: str) -> None:
    asked = readers()
    if reader not in asked:
        pytest.skip(f"{reader} is not installed; it is large, and nothing else here needs it")
    tally = compare(1, range(1000), {reader: asked[reader]})
    assert not tally.misses
    assert tally.kinds[f"with imports, by {reader}"] > 50


def test_a_miss_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_differential, "read_promised", lambda _: Contents(Format.ZIP))
    tally = compare(1, range(len(seeds())), {"zipfile": with_zipfile})
    assert ("os", "system") in {miss.name for miss in tally.misses}


def test_a_case_is_a_function_of_seed_and_number() -> None:
    start = seeds()
    assert [case(3, n, start) for n in range(99)] == [case(3, n, start) for n in range(99)]
    assert case(3, 98, start) != case(4, 98, start)


def test_what_zipfile_reads_before_it_refuses_counts() -> None:
    data = bytearray(zipped({"a": PAYLOAD + bytes(10_000)}))
    data[data.rindex(b"PK\x01\x02") + 16] ^= 1  # its checksum, which is compared at the end
    assert [read[: len(PAYLOAD)] for read in with_zipfile(bytes(data))] == [PAYLOAD]
