"""The tensor table of a safetensors file: its header says all of it."""

from __future__ import annotations

from math import prod

from hubaudit.formats.safetensors import Header, TensorEntry
from hubaudit.source import Source
from hubaudit.tensors.table import Table, Tensor


def safetensors_table(_source: Source, header: Header) -> Table:
    """Every tensor of the file whose `header` `read_header` gave, in the order of their bytes."""
    return Table(tuple(_tensor(entry, header.size) for entry in header.tensors))


def _tensor(entry: TensorEntry, data: int) -> Tensor:
    begin, end = data + entry.begin, data + entry.end
    return Tensor(entry.name, entry.dtype, entry.shape, row_major(entry.shape), begin, (begin, end))


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in row-major order, as torch has them: of an empty tensor as if a length of 0 were 1."""
    return tuple(prod(max(size, 1) for size in shape[axis + 1 :]) for axis in range(len(shape)))
