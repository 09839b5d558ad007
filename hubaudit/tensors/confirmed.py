"""A torch archive over the network: its local headers are read with the first bytes behind each.

Where a member's data begins stands in its local header, so to know it of all members costs a request for
each. torch's writer puts the data at a place that can be computed. For names, dtypes and shapes that is
enough; bytes are given only of members whose own header agrees.
"""

from __future__ import annotations

from bisect import bisect_right

from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.safetensors import BITS
from hubaudit.formats.zip_index import read_index
from hubaudit.formats.zip_records import Entry
from hubaudit.source import OutOfReach, Source
from hubaudit.source.remote import RemoteSource
from hubaudit.tensors.storages import DataStart, by_local_header, by_torch_layout
from hubaudit.tensors.table import Table

_NEAR = 64 * 1024  # bytes between a header and what is read: up to here they come in one request


def data_start(source: Source, contents: Contents) -> DataStart:
    """How to find where members begin: by their headers, but for a far archive that torch wrote.

    Whether it did is told by its first storage, which lies behind the pickle that was read before.
    """
    if not isinstance(source, RemoteSource) or contents.format is not Format.TORCH_ZIP:
        return by_local_header
    first = next((e for e in read_index(source).entries if "/data/" in e.path), None)
    if first is None or by_local_header(source, first) != by_torch_layout(source, first):
        return by_local_header
    return by_torch_layout


class ConfirmedCounts:
    """A legacy checkpoint: a storage's bytes are read once the count before them was.

    The pickle says how many elements each storage has, so that its place can be computed; torch goes by
    the count that stands before the elements.
    """

    def __init__(self, inner: Source, table: Table) -> None:
        self._inner = inner
        items = {tensor.storage: BITS[tensor.dtype] // 8 for tensor in table.tensors}
        self._storages = sorted((begin, end, item) for (begin, end), item in items.items())
        self._begins = [begin for begin, _, _ in self._storages]
        self._confirmed: set[int] = set()

    @property
    def size(self) -> int:
        return self._inner.size

    def read(self, offset: int, length: int) -> bytes:
        """Raises OutOfReach if a count contradicts the pickle."""
        number = bisect_right(self._begins, offset) - 1
        if number >= 0 and number not in self._confirmed:
            begin, end, item = self._storages[number]
            near = min(offset + length, end) - begin <= _NEAR
            data = self._inner.read(begin - 8, offset + length - begin + 8 if near else 8)
            if int.from_bytes(data[:8], "little") * item != end - begin:
                raise OutOfReach(
                    "a storage is not as long as the pickle says: --fetch cache compares it nevertheless"
                )
            self._confirmed.add(number)
        return self._inner.read(offset, length)


class ConfirmedSource:
    """The archive `inner`, of which a member's bytes are read once its local header was."""

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self._entries = read_index(inner).entries
        self._headers = [entry.header for entry in self._entries]
        self._confirmed: set[int] = set()

    @property
    def size(self) -> int:
        return self._inner.size

    def read(self, offset: int, length: int) -> bytes:
        """Raises OutOfReach if a local header contradicts the layout by which `offset` was computed."""
        first = bisect_right(self._headers, offset) - 1
        last = bisect_right(self._headers, offset + length - 1) - 1
        for number in range(max(first, 0), last + 1):
            if number not in self._confirmed:
                self._confirm(self._entries[number], offset + length)
                self._confirmed.add(number)
        return self._inner.read(offset, length)

    def _confirm(self, entry: Entry, end: int) -> None:
        if end - entry.header <= _NEAR:
            self._inner.read(entry.header, end - entry.header)  # one request for both, kept
        if by_local_header(self._inner, entry) != by_torch_layout(self._inner, entry):
            raise OutOfReach(
                f"{entry.path} does not lie where torch puts it: --fetch cache compares it nevertheless"
            )
