"""The tensor table of a safetensors file."""

from __future__ import annotations

from hubaudit.demo.checkpoints import floats, safetensors, tensor
from hubaudit.formats.safetensors import read_header
from hubaudit.source.memory import MemorySource
from hubaudit.tensors.safetensors import safetensors_table
from hubaudit.tensors.table import Table


def table(data: bytes) -> Table:
    source = MemorySource(data)
    return safetensors_table(source, read_header(source))


def test_every_tensor_has_its_own_bytes_in_row_major_order() -> None:
    weights = {"a": floats((2, 3, 4), 1), "b": tensor("U8", (3,), b"xyz"), "c": floats((), 2)}
    data = safetensors(weights, {"format": "pt"})
    found = {one.name: one for one in table(data).tensors}
    assert found.keys() == weights.keys()
    for name, one in found.items():
        assert data[one.begin : one.storage[1]] == weights[name].data
        assert one.storage[0] == one.begin
    assert (found["a"].dtype, found["a"].stride) == ("F32", (12, 4, 1))
    assert (found["c"].shape, found["c"].stride) == ((), ())


def test_an_empty_tensor_has_the_strides_that_torch_gives_it() -> None:
    (one,) = table(safetensors({"a": floats((3, 0, 2), 1)})).tensors
    assert (one.shape, one.stride, one.begin) == ((3, 0, 2), (2, 2, 1), one.storage[1])
