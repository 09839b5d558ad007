"""The header of a safetensors file: which tensors, of what dtype and shape, at which bytes.

Source: safetensors 0.5, README, section "Format", and `safetensors/src/tensor.rs` (`Metadata::validate`):
8 bytes of header length, little-endian; that many bytes of JSON; then the tensors, without holes, to
the end of the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import Any

from hubaudit.formats.contents import Contents, Format, Gap, Trailing
from hubaudit.formats.unpacked import UNKNOWN
from hubaudit.source import Source

MAX_HEADER = 100_000_000  # bytes; MAX_HEADER_SIZE of safetensors/src/tensor.rs

BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """`begin` and `end` count bytes from the first byte after the header; `end` is not included."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    tensors: tuple[TensorEntry, ...]
    size: int  # bytes, with the 8 of its length


class BadHeader(ValueError):
    """The bytes are no safetensors header; the message says why."""


def read_safetensors(source: Source, member: str | None = None) -> Contents:
    """Check the header. Tensor bytes are not read: nothing in this format is executed."""
    try:
        header = read_header(source)
    except BadHeader as error:
        return Contents(Format.SAFETENSORS, gaps=(Gap(member, f"not a safetensors file: {error}"),))
    end = header.size + max((tensor.end for tensor in header.tensors), default=0)
    if end > source.size:
        return Contents(Format.SAFETENSORS, gaps=(Gap(member, "the tensors are cut off"),))
    if end < source.size != UNKNOWN:
        return Contents(Format.SAFETENSORS, trailing=(Trailing(member, end, source.size - end),))
    return Contents(Format.SAFETENSORS)


def read_header(source: Source) -> Header:
    """The validated header. Raises BadHeader."""
    length = int.from_bytes(source.read(0, 8), "little")
    if length > MAX_HEADER:
        raise BadHeader(f"a header of {length:,} bytes")
    text = source.read(8, length)
    if len(text) < length:
        raise BadHeader("the header is cut off")
    try:
        fields = json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise BadHeader("the header is nested too deeply") from None
    except ValueError as error:
        raise BadHeader(f"the header is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadHeader("the header is no JSON object")
    fields.pop("__metadata__", None)
    tensors = sorted((_entry(*item) for item in fields.items()), key=lambda t: (t.begin, t.end))
    _check_no_holes(tensors)
    return Header(tuple(tensors), 8 + length)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of one name could take different tensors."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise BadHeader("a name stands twice in the header")
    return fields


def _entry(name: str, fields: Any) -> TensorEntry:
    match fields:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise BadHeader(f"the entry of {name!r} is no tensor")
    if dtype not in BITS:
        raise BadHeader(f"{name!r} has the unknown dtype {dtype!r}")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise BadHeader(f"{name!r} has no valid shape")
    bits = prod(shape) * BITS[dtype]
    if begin < 0 or bits % 8 or end - begin != bits // 8:
        raise BadHeader(f"{name!r} has offsets that do not fit its dtype and shape")
    return TensorEntry(name, dtype, tuple(shape), begin, end)


def _check_no_holes(tensors: list[TensorEntry]) -> None:
    at = 0
    for tensor in tensors:
        if tensor.begin != at:
            raise BadHeader(f"there is a hole or an overlap before {tensor.name!r}")
        at = tensor.end
