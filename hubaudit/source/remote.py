"""Bytes that are fetched when they are asked for: aligned blocks of a file that lies elsewhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

BLOCK = 8 * 1024  # a zip's central directory or a safetensors header mostly fits one or two
READ_AHEAD = 4 * 1024 * 1024  # at most: a pickle is read front to back, in doubling steps
# Of either end of a weight file: the headers of most, the pickles of many, and wherever the directory of an
# archive may begin to be looked for, 64 KiB and 22 bytes before its end.
EDGE = 72 * 1024
PIECE = 8 * 1024 * 1024  # at most, in one fetch: what a broken connection can cost
KEPT = 32 * 1024 * 1024  # in memory: several members' worth, with many sources open at a time

Fetch = Callable[[int, int], bytes]


class BlockStore(Protocol):
    """Blocks of one file that were fetched earlier, by index."""

    def get(self, index: int) -> bytes | None: ...

    def put(self, first: int, data: bytes) -> None:
        """`data`: whole blocks from block `first` on; the file's last one may be shorter."""
        ...


class NoStore:
    """The store that keeps nothing."""

    def get(self, index: int) -> bytes | None:  # noqa: ARG002
        return None

    def put(self, first: int, data: bytes) -> None:
        pass


class RemoteSource:
    """A `Source` over `fetch(start, end)`, which gives exactly the bytes from start up to before end.

    `fetch` is asked for whole blocks only, adjacent ones together. What it raises goes through. The first
    fetch at either end takes at least `edge` bytes at once.
    """

    def __init__(
        self,
        size: int,
        fetch: Fetch,
        *,
        store: BlockStore | None = None,
        kept: int = KEPT,
        edge: int = BLOCK,
    ) -> None:
        self._size = size
        self._edge = edge // BLOCK
        self._fetch = fetch
        self._store = store or NoStore()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._kept = max(1, kept // BLOCK)
        self._ahead = (
            0  # blocks to read beyond the next miss, if that is where the last fetch ended
        )
        self._next = -1

    @property
    def size(self) -> int:
        return self._size

    def keep(self, most: int) -> None:
        """Keep at most about `most` bytes in memory from now on, for where many sources are open."""
        self._kept = max(1, most // BLOCK)
        self._evict()

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self._size)
        if offset < 0 or offset >= end:
            return b""
        first, last = offset // BLOCK, (end - 1) // BLOCK
        got = self._load(first, last)
        data = b"".join(got[i] for i in range(first, last + 1))
        return data[offset - first * BLOCK : end - first * BLOCK]

    def _load(self, first: int, last: int) -> dict[int, bytes]:
        got: dict[int, bytes] = {}
        missing: list[int] = []
        for index in range(first, last + 1):
            block = self._known(index)
            if block is None:
                missing.append(index)
            else:
                got[index] = block
        for start, stop in _runs(missing):
            got |= self._fetch_blocks(start, stop)
        return got

    def _known(self, index: int) -> bytes | None:
        block = self._blocks.get(index)
        if block is not None:
            self._blocks.move_to_end(index)
            return block
        block = self._store.get(index)
        if block is not None:
            self._keep(index, block)
        return block

    def _is_missing(self, index: int) -> bool:
        return index >= 0 and self._known(index) is None

    def _fetch_blocks(self, start: int, stop: int) -> dict[int, bytes]:
        """Blocks from `start` up to before `stop`, and some more where reading seems to go on."""
        self._ahead = min(2 * self._ahead + 1, READ_AHEAD // BLOCK) if start == self._next else 0
        last = -(-self._size // BLOCK)
        beyond = min(max(stop + self._ahead, self._edge if start == 0 else 0), last)
        while stop == last and start > last - self._edge and self._is_missing(start - 1):
            start -= 1
        while stop < beyond and self._is_missing(stop):
            stop += 1
        self._next = stop
        got: dict[int, bytes] = {}
        step = PIECE // BLOCK
        for at in range(start, stop, step):
            data = self._fetch(at * BLOCK, min(min(at + step, stop) * BLOCK, self._size))
            self._store.put(at, data)
            for i in range(0, len(data), BLOCK):
                got[at + i // BLOCK] = data[i : i + BLOCK]
        for index, block in got.items():
            self._keep(index, block)
        return got

    def _keep(self, index: int, block: bytes) -> None:
        self._blocks[index] = block
        self._blocks.move_to_end(index)
        self._evict()

    def _evict(self) -> None:
        while len(self._blocks) > self._kept:
            self._blocks.popitem(last=False)


def _runs(indices: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending indices as (first, after last) of each run without a gap."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
