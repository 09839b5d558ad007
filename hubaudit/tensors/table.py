"""Which tensors a weight file holds and where their bytes lie. Nothing here reads any of them."""

from __future__ import annotations

from dataclasses import dataclass

# Why a name is not one tensor's: the table has each of the entries as well.
SEVERAL = "several entries come out under this name"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of one file.

    `dtype` is safetensors' word for it (`F32`, `BF16`, …). `shape` and `stride` count elements. `begin`
    is the byte, from the start of the file, at which the element with index 0 in every dimension lies.
    `storage` are the first byte and the one after the last of the bytes that it is a view of: tensors of
    a pickle may share them, those of a safetensors file have their own.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    begin: int
    storage: tuple[int, int]


@dataclass(frozen=True, slots=True)
class NotComparable:
    """A tensor whose bytes cannot be told from the pickle alone, and why.

    `is_known_kind`: it is of a kind that torch itself saves otherwise (sparse, quantised, …), and not
    something that only a pickle made for it has.
    """

    name: str
    why: str
    is_known_kind: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """All tensors of one file. `others` are the names of entries that are no tensors."""

    tensors: tuple[Tensor, ...]
    not_comparable: tuple[NotComparable, ...] = ()
    others: tuple[str, ...] = ()
