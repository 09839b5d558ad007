"""Checkpoints over a network: places that were computed are confirmed where bytes are read."""

from __future__ import annotations

import pytest

from hubaudit.demo.checkpoints import floats, state_dict, torch_legacy, torch_zip
from hubaudit.formats.read import read_file
from hubaudit.source import OutOfReach
from hubaudit.source.memory import MemorySource
from hubaudit.source.remote import RemoteSource
from hubaudit.tensors.confirmed import ConfirmedCounts, ConfirmedSource, data_start
from hubaudit.tensors.torch import torch_table

TENSORS = {f"layer.{number}.weight": floats((60, 70), number) for number in range(40)}
ZIP, LEGACY = torch_zip(state_dict(TENSORS)), torch_legacy(state_dict(TENSORS))


class Far:
    """The bytes of a file, and how often they were asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked = 0
        self.source = RemoteSource(len(data), self._fetch)

    def _fetch(self, start: int, end: int) -> bytes:
        self.asked += 1
        return self.data[start:end]


@pytest.mark.parametrize("data", [ZIP, LEGACY], ids=["zip", "legacy"])
def test_the_table_of_a_far_checkpoint_is_that_of_a_near_one(data: bytes) -> None:
    far, near = Far(data), MemorySource(data)
    contents = read_file(far.source)
    table = torch_table(far.source, contents, data_start(far.source, contents))
    assert table == torch_table(near, read_file(near))
    assert far.asked < 12
    is_zip = data is ZIP
    confirmed = ConfirmedSource(far.source) if is_zip else ConfirmedCounts(far.source, table)
    for tensor in table.tensors:
        begin, end = tensor.storage
        assert confirmed.read(begin, end - begin) == data[begin:end]


def test_a_far_legacy_storage_of_another_length_is_not_read() -> None:
    near = MemorySource(LEGACY)
    begin, _ = torch_table(near, read_file(near)).tensors[7].storage
    changed = LEGACY[: begin - 8] + (4199).to_bytes(8, "little") + LEGACY[begin:]
    far = Far(changed)
    contents = read_file(far.source)
    table = torch_table(far.source, contents)
    confirmed = ConfirmedCounts(far.source, table)
    with pytest.raises(OutOfReach, match="not as long"):
        confirmed.read(begin, 100)


def test_a_far_member_that_does_not_lie_where_torch_puts_it_is_not_read() -> None:
    near = MemorySource(ZIP)
    begin, _ = torch_table(near, read_file(near)).tensors[7].storage
    header = ZIP.rfind(b"PK\x03\x04", 0, begin)
    extra = int.from_bytes(ZIP[header + 28 : header + 30], "little")
    changed = bytearray(ZIP)
    changed[header + 28 : header + 30] = (extra - 4).to_bytes(2, "little")
    confirmed = ConfirmedSource(Far(bytes(changed)).source)
    with pytest.raises(OutOfReach, match="does not lie where torch puts it"):
        confirmed.read(begin, 100)
