"""Checkpoint files in memory, with their tables: tensors laid out as a test says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from hubaudit.formats.safetensors import BITS
from hubaudit.source.memory import MemorySource
from hubaudit.tensors.table import NotComparable, Table, Tensor
from hubaudit.tensors.twins import Part

HEADER = 64  # bytes before the first tensor, as both formats have some


@dataclass(frozen=True)
class Laid:
    """A tensor's elements in logical order, and the strides with which they are to lie in the file.

    `over` lays it over the bytes of an earlier tensor, which must hold the same elements.
    """

    name: str
    shape: tuple[int, ...]
    data: bytes
    dtype: str = "F32"
    stride: tuple[int, ...] | None = None
    over: str | None = None


def noise(size: int, seed: object = 0) -> bytes:
    """Bytes that are different for each seed, and as F32 no NaN."""
    chance = random.Random(str(seed))
    return b"".join(
        chance.randbytes(3) + bytes([chance.choice((0x3D, 0xBD))]) for _ in range(size // 4)
    )


def floats(name: str, *shape: int, seed: object = 0) -> Laid:
    return Laid(name, shape, noise(4 * prod(shape), (seed, name)))


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(prod(shape[n + 1 :]) for n in range(len(shape)))


def transposed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides with which `.permute(reversed)` of a contiguous tensor has this shape."""
    return contiguous(shape[::-1])[::-1]


def part(path: str, *tensors: Laid, opaque: Sequence[str] = ()) -> Part:
    """A file of these tensors, in this order."""
    data, rows = bytearray(HEADER), dict[str, Tensor]()
    for laid in tensors:
        if laid.over is not None:
            begin, storage = rows[laid.over].begin, rows[laid.over].storage
        else:
            data += bytes(-len(data) % 8)  # neither format lets tensors begin anywhere
            begin = len(data)
            data += _stored(laid)
            storage = (begin, len(data))
        stride = laid.stride or contiguous(laid.shape)
        rows[laid.name] = Tensor(laid.name, laid.dtype, laid.shape, stride, begin, storage)
    table = Table(tuple(rows.values()), tuple(NotComparable(name, "sparse") for name in opaque))
    return Part(path, MemorySource(bytes(data)), table)


def _stored(laid: Laid) -> bytes:
    if laid.stride is None:
        return laid.data
    item = BITS[laid.dtype] // 8
    last = sum((size - 1) * step for size, step in zip(laid.shape, laid.stride, strict=True))
    stored = bytearray(b"\xee" * item * (last + 1))
    for number in range(prod(laid.shape)):
        at, rest = 0, number
        for size, step in zip(reversed(laid.shape), reversed(laid.stride), strict=True):
            rest, place = divmod(rest, size)
            at += place * step
        stored[at * item : (at + 1) * item] = laid.data[number * item : (number + 1) * item]
    return bytes(stored)


def pickle(
    *tensors: Laid, path: str = "pytorch_model.bin", opaque: Sequence[str] = ()
) -> list[Part]:
    return [part(path, *tensors, opaque=opaque)]


def safetensors(*tensors: Laid, path: str = "model.safetensors") -> list[Part]:
    return [part(path, *tensors)]
