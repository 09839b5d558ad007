"""What a safetensors file of a torch checkpoint has in it: which tensors, in which order, which header."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import PurePosixPath

from hubaudit.formats.safetensors import BITS, MAX_HEADER, MAX_MARKS, MAX_PARSED
from hubaudit.tensors.pairs import safetensors_stem
from hubaudit.tensors.table import Table, Tensor

# `_TYPES` of safetensors/torch.py (0.8). The format has more, which that module cannot load.
LOADABLE = frozenset(
    "F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL F8_E4M3 F8_E4M3FNUZ F8_E5M2 F8_E5M2FNUZ C64 U64 U32 U16".split()
)
# A view can repeat the numbers of its storage without end. Expanded masks and tables are a few times
# their storages; what is more than this many times the file was made for it.
MOST_TIMES = 16
SLACK = 1 << 20  # bytes, of small files with an expanded scalar in them
_ALIGNMENT = 8  # of the first tensor, as the library pads the header
_METADATA = "__metadata__"
_MOST_NAMED = 5


class CannotConvert(ValueError):
    """The checkpoint cannot be converted exactly; each of `reasons` is a sentence without its end."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True)
class Plan:
    """`tensors` are those of the source in the order in which they are written, under `names`.

    `tied` are names that are left out, each with the one that stands for it; `skipped` are the entries
    that are no tensors. `header` is the beginning of the file, up to the first tensor.
    """

    tensors: tuple[Tensor, ...]
    names: tuple[str, ...]
    tied: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]
    header: bytes

    @property
    def data_size(self) -> int:
        """Bytes of all tensors."""
        return sum(map(size_of, self.tensors))


def size_of(tensor: Tensor) -> int:
    """Bytes of its elements, each written once."""
    return prod(tensor.shape) * BITS[tensor.dtype] // 8


def plan(table: Table, metadata: Mapping[str, str], source_size: int, only: str = "") -> Plan:
    """How to write the tensors of `table`, of a file of `source_size` bytes. Raises CannotConvert.

    With `only`, those whose names begin with it and a dot, and without these in their names. Of tensors
    that are the same view of the same storage the first is written; `__metadata__` maps the others'
    names to its name, as `save_model` of safetensors has it. Every other view is written in full.
    """
    table = _chosen(table, only)
    refused = [f"{_named(one.name)}: {one.why}" for one in table.not_comparable]
    refused += [
        f"{_named(one.name)}: safetensors.torch cannot load {one.dtype}"
        for one in table.tensors
        if one.dtype not in LOADABLE
    ]
    refused += [why for one in table.tensors if (why := _why_no_name(one.name)) is not None]
    if not refused and not table.tensors:
        refused.append("there are no tensors in it")
    _refuse(refused)
    kept, tied = _untied(table.tensors, metadata.keys())
    # the widest first, so that every tensor begins at a multiple of its elements' size
    kept.sort(key=lambda one: (-BITS[one.dtype], one.dtype, one.name))
    if sum(map(size_of, kept)) > MOST_TIMES * source_size + SLACK:
        _refuse([f"its tensors are views that repeat their numbers over {MOST_TIMES} times"])
    names = tuple(one.name for one in kept)
    return Plan(
        tuple(kept), names, tuple(tied), table.others, _header(kept, {**metadata, **dict(tied)})
    )


def _chosen(table: Table, only: str) -> Table:
    """Their names are then what comes behind; everything else is skipped, whatever it is."""
    if not only:
        return table
    prefix = f"{only}."
    cut = len(prefix)
    rest = [t.name for t in table.tensors] + [one.name for one in table.not_comparable]
    return Table(
        tuple(replace(t, name=t.name[cut:]) for t in table.tensors if t.name.startswith(prefix)),
        tuple(
            replace(one, name=one.name[cut:])
            for one in table.not_comparable
            if one.name.startswith(prefix) or not one.name
        ),
        (*table.others, *(name for name in rest if name and not name.startswith(prefix))),
    )


def _named(name: str) -> str:
    return name or "the whole"


def _why_no_name(name: str) -> str | None:
    if not name:
        return "a tensor that was saved by itself has no name"
    if name == _METADATA:
        return f"a tensor cannot be called {_METADATA}"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return f"{name!r} is no name that UTF-8 can write"
    return None


def _refuse(reasons: Sequence[str]) -> None:
    if not reasons:
        return
    named = list(reasons[:_MOST_NAMED])
    if len(reasons) > _MOST_NAMED:
        named.append(f"and {len(reasons) - _MOST_NAMED:,} more")
    raise CannotConvert(named)


def _untied(
    tensors: Iterable[Tensor], reserved: Iterable[str]
) -> tuple[list[Tensor], list[tuple[str, str]]]:
    """The tensors to write, and (name, name of the same tensor that is written). Empty ones are not tied."""
    first: dict[tuple[object, ...], str] = {}
    kept: list[Tensor] = []
    tied: list[tuple[str, str]] = []
    own = set(reserved)
    for one in tensors:
        name = first.setdefault(_view(one), one.name)
        if name == one.name or 0 in one.shape or one.name in own:
            kept.append(one)
        else:
            tied.append((one.name, name))
    return kept, tied


def _view(tensor: Tensor) -> tuple[object, ...]:
    """Equal for the same elements at the same places. Along a length of 1 the stride does not matter."""
    strides = tuple(
        stride for size, stride in zip(tensor.shape, tensor.stride, strict=True) if size > 1
    )
    return tensor.dtype, tensor.shape, strides, tensor.begin


def _header(tensors: Iterable[Tensor], metadata: Mapping[str, str]) -> bytes:
    fields: dict[str, object] = {_METADATA: dict(sorted(metadata.items()))}
    at = 0
    for one in tensors:
        end = at + size_of(one)
        fields[one.name] = {
            "dtype": one.dtype,
            "shape": list(one.shape),
            "data_offsets": [at, end],
        }
        at = end
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > min(MAX_HEADER, MAX_PARSED) or 20 * len(fields) > MAX_MARKS:
        raise CannotConvert([f"it has {len(fields):,} tensors, too many for one header"])
    return len(text).to_bytes(8, "little") + text


_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
_INDEX = re.compile(r"(?P<stem>.+)\.bin\.index(?P<variant>\.[^./]+)?\.json")


def target_of(path: str) -> str:
    """Where the safetensors file of the checkpoint or index `path` goes, as save_pretrained names it.

    (`WEIGHTS_NAME`, `SAFE_WEIGHTS_NAME` and those of their indexes: transformers 5.23, utils/__init__.py.)
    """
    name = PurePosixPath(path)
    index = _INDEX.fullmatch(name.name)
    if index is not None:
        variant = index["variant"] or ""
        return str(
            name.with_name(f"{safetensors_stem(index['stem'])}.safetensors.index{variant}.json")
        )
    stem = name.name.removesuffix(name.suffix) if name.suffix in _SUFFIXES else name.name
    return str(name.with_name(f"{safetensors_stem(stem)}.safetensors"))


def is_index(path: str) -> bool:
    """Whether `path` is named like the list of the shards of a torch checkpoint."""
    return _INDEX.fullmatch(PurePosixPath(path).name) is not None


def shards_of(index: bytes) -> dict[str, str]:
    """Tensor name → file name, as the index has them. Raises CannotConvert."""
    try:
        fields = json.loads(index.decode("utf-8"), object_pairs_hook=_once)
        weights = fields["weight_map"]
    except RecursionError:
        raise CannotConvert(["the index is nested too deeply"]) from None
    except (ValueError, TypeError, KeyError) as error:
        raise CannotConvert([f"the index is none: {error}"]) from None
    if not isinstance(weights, dict) or not weights:
        raise CannotConvert(["the index has no weight_map"])
    if not all(isinstance(shard, str) and _is_name(shard) for shard in weights.values()):
        raise CannotConvert(["the index names shards that are no files beside it"])
    return weights


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name stands in it twice")
    return fields


def _is_name(text: str) -> bool:
    return bool(text) and text not in (".", "..") and not set(text) & set("/\\\0")


def index_of(weights: Mapping[str, str], total_size: int) -> bytes:
    """The index of the shards that were written: tensor name → file name, and bytes of all tensors."""
    fields = {"metadata": {"total_size": total_size}, "weight_map": dict(sorted(weights.items()))}
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()
