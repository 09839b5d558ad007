"""One tensor in two files: is a box of its elements the same in both?"""

from __future__ import annotations

from dataclasses import dataclass

from hubaudit.formats.safetensors import BITS
from hubaudit.source import Source
from hubaudit.tensors.blocks import (
    Box,
    Read,
    View,
    box_count,
    box_shape,
    element_count,
    element_index,
    read_box,
)
from hubaudit.tensors.casts import first_difference, value_text
from hubaudit.tensors.table import Table, Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One file of a checkpoint: a shard, or all of it."""

    path: str
    source: Source
    table: Table


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """A tensor of the pickle and its partner of the safetensors file: shapes are alike, dtypes need not be.

    `tied_to` is the safetensors tensor that `one` may be tied to, if it is by that and not by name that
    they are partners.
    """

    name: str
    pickle: Part
    one: Tensor
    safetensors: Part
    other: Tensor
    views: tuple[View, View]
    tied_to: str | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.views[0].shape

    @property
    def is_cast(self) -> bool:
        return self.one.dtype != self.other.dtype

    def bytes_in(self, box: Box) -> int:
        """Of the safetensors file."""
        return element_count(box) * self.views[1].item

    @property
    def size(self) -> int:
        """Bytes in the safetensors file."""
        return self.other.storage[1] - self.other.storage[0]


def box_of(twins: Twins, most: int, reads: int | None = None) -> tuple[tuple[int, ...], int]:
    """The shape of boxes to walk the twins in, and how many there are. Arguments as of `box_shape`."""
    shape = box_shape(twins.views, most, reads)
    return shape, box_count(twins.sizes, shape)


def difference(twins: Twins, box: Box, read_one: Read, read_other: Read) -> str | None:
    """The first element of the box that differs, in words; None if none does."""
    one = read_box(read_one, twins.views[0], box)
    other = read_box(read_other, twins.views[1], box)
    number = first_difference(one, twins.one.dtype, other, twins.other.dtype)
    if number is None:
        return None
    if BITS[twins.one.dtype] % 8:
        return f"byte {element_index(box, number, twins.sizes)} differs"
    place = _place(element_index(box, number, twins.sizes), twins.one.shape)
    left = value_text(one, twins.one.dtype, number)
    right = value_text(other, twins.other.dtype, number)
    if left == right:  # two kinds of NaN, or two numbers that look alike
        return f"element {place} is {left} in both, but not in every bit"
    return f"element {place} is {left} in the pickle, {right} in the safetensors file"


def _place(index: int, shape: tuple[int, ...]) -> list[int]:
    place = []
    for size in reversed(shape):
        index, at = divmod(index, size)
        place.append(at)
    return place[::-1]
