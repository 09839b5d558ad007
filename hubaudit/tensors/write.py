"""The bytes of a safetensors file of a torch checkpoint, piece by piece, and whether they came out right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod

from hubaudit.formats.safetensors import BadHeader, read_header
from hubaudit.source import Source
from hubaudit.tensors.blocks import View, box_shape, boxes, is_contiguous, read_box, views_of
from hubaudit.tensors.convert import Plan, size_of
from hubaudit.tensors.safetensors import row_major, safetensors_table
from hubaudit.tensors.table import Tensor

PIECE = 4 << 20  # bytes that are held at a time, of a source and of what is written each


class ShortRead(Exception):
    """The source has fewer bytes than its table says: it changed meanwhile."""


def pieces(source: Source, plan: Plan) -> Iterator[bytes]:
    """The whole file: the header, and every tensor's elements in row-major order. Raises ShortRead."""
    yield plan.header
    read = _exactly(source)
    for tensor in plan.tensors:
        if is_contiguous(tensor):
            yield from _run(read, tensor.begin, size_of(tensor))
        else:
            view = _view(tensor)
            for box in boxes(view.shape, _rows(view)):
                yield read_box(read, view, box)


def differing(source: Source, plan: Plan, written: Source) -> tuple[str, ...]:
    """The names of tensors that are not byte for byte the source's, in a file written by `plan`.

    Every byte of both is read again, in another order than `pieces` reads them. A file with another header
    differs in every name. Raises ShortRead.
    """
    try:
        header = read_header(written)
    except BadHeader:
        return plan.names
    table = safetensors_table(written, header)
    found = {tensor.name: tensor for tensor in table.tensors}
    if header.end != written.size or written.read(0, len(plan.header)) != plan.header:
        return plan.names
    if found.keys() != set(plan.names):
        return plan.names
    return tuple(
        one.name
        for one in plan.tensors
        if not _is_equal(_exactly(source), one, _exactly(written), found[one.name])
    )


Read = Callable[[int, int], bytes]


def _is_equal(read: Read, one: Tensor, read_other: Read, other: Tensor) -> bool:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    if 0 in one.shape:
        return True
    views = views_of(one, other)
    if views is None:
        return False
    return all(
        read_box(read, views[0], box) == read_box(read_other, views[1], box)
        for box in boxes(views[0].shape, box_shape(views, PIECE))
    )


def _exactly(source: Source) -> Read:
    def read(offset: int, length: int) -> bytes:
        data = source.read(offset, length)
        if len(data) < length:
            raise ShortRead(f"only {len(data):,} of {length:,} bytes at {offset:,}")
        return data

    return read


def _run(read: Read, begin: int, size: int) -> Iterator[bytes]:
    for offset in range(0, size, PIECE):
        yield read(begin + offset, min(PIECE, size - offset))


def _view(tensor: Tensor) -> View:
    """With as few dimensions as row-major order allows."""
    plain = replace(tensor, stride=row_major(tensor.shape), begin=0)
    views = views_of(tensor, plain)
    assert views is not None  # dtypes of whole bytes, and the same in both
    return views[0]


def _rows(view: View) -> tuple[int, ...]:
    """The shape of boxes that follow one another in row-major order, of `PIECE` bytes at most."""
    shape = [1] * len(view.shape)
    for dim in reversed(range(len(shape))):
        room = PIECE // (view.item * prod(shape))
        shape[dim] = max(1, min(view.shape[dim], room))
        if shape[dim] < view.shape[dim]:
            break
    return tuple(shape)
