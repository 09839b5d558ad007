"""Boxes of a tensor's elements: where their bytes lie in the file, and how to read them in logical order.

A pair of tensors is walked in boxes that suit both: a box is a range in every dimension, small enough to
hold in memory, and long where either file has neighbouring elements.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, product
from math import prod

from hubaudit.formats.safetensors import BITS
from hubaudit.tensors.table import Tensor

Read = Callable[[int, int], bytes]
Box = tuple[tuple[int, int], ...]  # first and after last, for each dimension of a view

# Elements this near to one another are had in one read: what a range costs anyway.
_NEAR = 64 * 1024
_LONGEST = 8 * 1024 * 1024  # bytes of one read with holes in it, so that memory stays bounded
_WORDS = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True, slots=True)
class View:
    """Elements of `item` bytes; `dims` are their number and distance in bytes, the outermost first."""

    item: int
    begin: int
    dims: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(size for size, _ in self.dims)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One read, and what of it goes where: `dims` are number, distance in it and in the box, in elements."""

    offset: int
    length: int
    dims: tuple[tuple[int, int, int], ...]
    target: int


def views_of(one: Tensor, other: Tensor) -> tuple[View, View] | None:
    """Two tensors of one shape as views with the same dimensions, as few as both allow.

    None where elements are no whole bytes and the tensors are not plain runs of them, or where a dtype
    is unknown.
    """
    if one.dtype not in BITS or other.dtype not in BITS:
        return None
    bits = BITS[one.dtype], BITS[other.dtype]
    if any(width % 8 for width in bits):
        return _runs(one, other)
    items = bits[0] // 8, bits[1] // 8
    merged: list[list[int]] = []  # size, distance in one, distance in the other
    for size, *strides in zip(one.shape, one.stride, other.stride, strict=True):
        distances = [stride * item for stride, item in zip(strides, items, strict=True)]
        if size == 1:
            continue
        if merged and all(merged[-1][1 + n] == distances[n] * size for n in (0, 1)):
            merged[-1] = [merged[-1][0] * size, *distances]
        else:
            merged.append([size, *distances])
    merged = merged or [[1, *items]]
    return (
        View(items[0], one.begin, tuple((size, near) for size, near, _ in merged)),
        View(items[1], other.begin, tuple((size, near) for size, _, near in merged)),
    )


def _runs(one: Tensor, other: Tensor) -> tuple[View, View] | None:
    if one.dtype != other.dtype or not (is_contiguous(one) and is_contiguous(other)):
        return None
    size = prod(one.shape) * BITS[one.dtype] // 8
    return View(1, one.begin, ((size, 1),)), View(1, other.begin, ((size, 1),))


def is_contiguous(tensor: Tensor) -> bool:
    """Whether the elements lie one behind the other in logical order."""
    expected = 1
    for size, stride in zip(reversed(tensor.shape), reversed(tensor.stride), strict=True):
        if size != 1 and stride != expected:
            return prod(tensor.shape) == 0
        expected *= size
    return True


def box_shape(views: tuple[View, View], most: int, reads: int | None = None) -> tuple[int, ...]:
    """How large boxes are in each dimension, so that neither side has more than `most` bytes in one.

    The two dimensions in which the files run grow first and alike. With `reads`, neither side needs
    more reads than that for a box.
    """
    sizes = views[0].shape
    shape = [1] * len(sizes)
    item = max(view.item for view in views)
    fastest = list(dict.fromkeys(_fastest(view) for view in views))
    others = [dim for dim in reversed(range(len(sizes))) if dim not in fastest]

    def grow(dim: int) -> bool:
        larger = min(2 * shape[dim], sizes[dim])
        grown = [*shape[:dim], larger, *shape[dim + 1 :]]
        if larger == shape[dim] or prod(grown) * item > most:
            return False
        if reads is not None and any(_reads(view, grown, reads) > reads for view in views):
            return False
        shape[dim] = larger
        return True

    for dims in (fastest, *([dim] for dim in others)):
        while [dim for dim in dims if grow(dim)]:
            pass
    return tuple(shape)


def _fastest(view: View) -> int:
    """The dimension in which neighbours are nearest; of several the last."""
    moving = [(near, -dim) for dim, (size, near) in enumerate(view.dims) if near and size > 1]
    return -min(moving)[1] if moving else len(view.dims) - 1


def _reads(view: View, shape: list[int], most: int) -> int:
    box = tuple((0, size) for size in shape)
    return sum(1 for _ in islice(leaves(view, box), most + 1))


def boxes(sizes: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[Box]:
    """All boxes of that shape, those at the ends smaller, in logical order."""
    starts = (range(0, size, step) for size, step in zip(sizes, shape, strict=True))
    for corner in product(*starts):
        yield _box_at(corner, sizes, shape)


def box_count(sizes: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return prod(-(-size // step) for size, step in zip(sizes, shape, strict=True))


def box_number(sizes: tuple[int, ...], shape: tuple[int, ...], number: int) -> Box:
    """The box of that number in the order of `boxes`."""
    corner = []
    for size, step in zip(reversed(sizes), reversed(shape), strict=True):
        number, place = divmod(number, -(-size // step))
        corner.append(place * step)
    return _box_at(tuple(reversed(corner)), sizes, shape)


def _box_at(corner: tuple[int, ...], sizes: tuple[int, ...], shape: tuple[int, ...]) -> Box:
    return tuple(
        (first, min(first + step, size))
        for first, size, step in zip(corner, sizes, shape, strict=True)
    )


def element_count(box: Box) -> int:
    return prod(end - first for first, end in box)


def element_index(box: Box, number: int, sizes: tuple[int, ...]) -> int:
    """Which element of the tensor, in logical order, is the one of that number in the box."""
    inside = []
    for first, end in reversed(box):
        number, place = divmod(number, end - first)
        inside.append(first + place)
    whole = 0
    for size, place in zip(sizes, reversed(inside), strict=True):
        whole = whole * size + place
    return whole


def leaves(view: View, box: Box) -> Iterator[Leaf]:
    """The reads that have all of a box: near elements together, far ones each for itself."""
    begin, target = view.begin, 1
    dims = []
    for (first, end), (_, distance) in zip(reversed(box), reversed(view.dims), strict=True):
        begin += first * distance
        if end - first > 1:
            dims.append((end - first, distance, target))
        target *= end - first
    # by distance, the largest last: that is the dimension to cut where a read would be too long
    yield from _cut(view.item, begin, 0, sorted(dims, key=lambda dim: dim[1]))


def _cut(item: int, begin: int, target: int, dims: list[tuple[int, int, int]]) -> Iterator[Leaf]:
    length = item + sum((size - 1) * distance for size, distance, _ in dims)
    useful = item * prod(size for size, distance, _ in dims if distance)
    if length == useful or length <= _NEAR or length <= min(2 * useful, _LONGEST):
        steps = tuple((size, distance // item, step) for size, distance, step in dims)
        yield Leaf(begin, length, steps, target)
        return
    *rest, (size, distance, step) = dims
    inner = length - (size - 1) * distance
    together = max(1, (_NEAR - inner) // distance + 1)
    for place in range(0, size, together):
        count = min(together, size - place)
        part = [*rest, (count, distance, step)] if count > 1 else rest
        yield from _cut(item, begin + place * distance, target + place * step, part)


def read_box(read: Read, view: View, box: Box) -> bytes:
    """The elements of the box in logical order. `read` gives exactly what it is asked for."""
    out: array[int] | None = None
    for leaf in leaves(view, box):
        data = read(leaf.offset, leaf.length)
        if leaf.length == element_count(box) * view.item and _in_order(leaf):
            return data
        if out is None:
            out = _words(view.item, bytes(element_count(box) * view.item))
        _place(out, _words(view.item, data), leaf)
    return b"" if out is None else out.tobytes()


def _in_order(leaf: Leaf) -> bool:
    return all(near == step for _, near, step in leaf.dims)


def _words(item: int, data: bytes) -> array[int]:
    words = array(_WORDS[item])
    words.frombytes(data)
    return words


def _place(out: array[int], data: array[int], leaf: Leaf) -> None:
    """Copy line by line, along the longest dimension."""
    if not leaf.dims:
        out[leaf.target] = data[0]
        return
    longest = max(leaf.dims)
    size, near, step = longest
    rest = list(leaf.dims)
    rest.remove(longest)
    for places in product(*(range(count) for count, _, _ in rest)):
        at = sum(n * dim[1] for n, dim in zip(places, rest, strict=True))
        to = leaf.target + sum(n * dim[2] for n, dim in zip(places, rest, strict=True))
        line = data[at : at + (size - 1) * near + 1 : near] if near else data[at : at + 1] * size
        out[to : to + (size - 1) * step + 1 : step] = line
