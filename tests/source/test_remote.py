from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from hubaudit.source.remote import BLOCK, PIECE, READ_AHEAD, RemoteSource


class Far:
    """Bytes that lie elsewhere, and a log of what was fetched."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.fetched: list[tuple[int, int]] = []

    def fetch(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.data)
        self.fetched.append((start, end))
        return self.data[start:end]


def random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@given(
    size=st.integers(0, 5 * BLOCK + 7),
    reads=st.lists(st.tuples(st.integers(0, 6 * BLOCK), st.integers(0, 6 * BLOCK)), max_size=8),
    kept=st.sampled_from([BLOCK, 3 * BLOCK, 100 * BLOCK]),
)
def test_every_read_gives_what_the_file_has(
    size: int, reads: list[tuple[int, int]], kept: int
) -> None:
    data = random_bytes(size)
    far = Far(data)
    source = RemoteSource(size, far.fetch, kept=kept)
    for offset, length in reads:
        assert source.read(offset, length) == data[offset : offset + length]


def test_a_small_read_fetches_its_block_once() -> None:
    far = Far(random_bytes(10 * BLOCK))
    source = RemoteSource(len(far.data), far.fetch)
    source.read(2 * BLOCK + 5, 10)
    source.read(2 * BLOCK + 500, 10)
    assert far.fetched == [(2 * BLOCK, 3 * BLOCK)]


def test_adjacent_missing_blocks_come_in_one_fetch_and_known_ones_not_at_all() -> None:
    far = Far(random_bytes(20 * BLOCK))
    source = RemoteSource(len(far.data), far.fetch)
    source.read(10 * BLOCK, 1)
    far.fetched.clear()
    source.read(7 * BLOCK, 6 * BLOCK)
    assert far.fetched == [(7 * BLOCK, 10 * BLOCK), (11 * BLOCK, 13 * BLOCK)]


def test_reading_on_fetches_ahead_but_never_more_than_was_read_and_the_limit() -> None:
    far = Far(random_bytes(300 * BLOCK))
    source = RemoteSource(len(far.data), far.fetch)
    for at in range(0, len(far.data), 100):
        source.read(at, 100)
    sizes = [end - start for start, end in far.fetched]
    assert sum(sizes) == len(far.data)
    assert len(sizes) < 20
    assert max(sizes) <= READ_AHEAD + BLOCK


def test_an_empty_file_and_a_read_past_the_end_ask_nobody() -> None:
    far = Far(b"")
    assert RemoteSource(0, far.fetch).read(0, 100) == b""
    far = Far(b"abc")
    assert RemoteSource(3, far.fetch).read(3, 100) == b""
    assert far.fetched == []


def test_a_long_read_comes_in_pieces() -> None:
    far = Far(random_bytes(PIECE + BLOCK + 1))
    source = RemoteSource(len(far.data), far.fetch)
    assert source.read(0, len(far.data)) == far.data
    assert far.fetched == [(0, PIECE), (PIECE, len(far.data))]


def test_only_so_many_blocks_stay_in_memory() -> None:
    far = Far(random_bytes(8 * BLOCK))
    source = RemoteSource(len(far.data), far.fetch, kept=2 * BLOCK)
    source.read(0, 1)
    source.read(4 * BLOCK, 1)
    source.read(7 * BLOCK, 1)
    far.fetched.clear()
    source.read(4 * BLOCK, 1)
    assert far.fetched == []
    source.read(0, 1)
    assert far.fetched != []


def test_a_source_that_is_told_to_keep_less_forgets_the_rest_at_once() -> None:
    far = Far(random_bytes(8 * BLOCK))
    source = RemoteSource(len(far.data), far.fetch)
    source.read(0, 8 * BLOCK)
    source.keep(2 * BLOCK)
    far.fetched.clear()
    assert source.read(6 * BLOCK, 2 * BLOCK) == far.data[6 * BLOCK :]
    assert far.fetched == []
    assert source.read(0, 1) == far.data[:1]
    assert far.fetched != []


def test_the_beginning_comes_in_one_fetch_when_it_is_read_first() -> None:
    far = Far(random_bytes(40 * BLOCK))
    source = RemoteSource(len(far.data), far.fetch, edge=8 * BLOCK)
    source.read(0, 10)
    source.read(7 * BLOCK, 10)
    assert far.fetched == [(0, 8 * BLOCK)]


def test_the_end_comes_in_one_fetch_too_as_far_as_it_is_not_known() -> None:
    far = Far(random_bytes(40 * BLOCK + 5))
    source = RemoteSource(len(far.data), far.fetch, edge=8 * BLOCK)
    source.read(35 * BLOCK, 10)
    far.fetched.clear()
    assert source.read(40 * BLOCK, 10) == far.data[40 * BLOCK :]
    assert far.fetched == [(36 * BLOCK, len(far.data))]
    source = RemoteSource(5, Far(far.data[:5]).fetch, edge=8 * BLOCK)
    assert source.read(3, 10) == far.data[3:5]
