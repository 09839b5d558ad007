"""Two checkpoints side by side by their tables alone: partners, what has none, and why that may be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hubaudit.model import TensorDifference
from hubaudit.tensors.blocks import views_of
from hubaudit.tensors.casts import is_cast
from hubaudit.tensors.names import Names, is_computed_buffer, match, may_be_tied
from hubaudit.tensors.table import Tensor
from hubaudit.tensors.twins import Part, Twins

_NAMED = 3  # names in a note; all of them would be a list that nobody reads
# Tensors without a partner that are looked for by value under another name. Models have one or two.
_TRIED = 8
_CANDIDATES = 2  # for each: the input and the output embedding


@dataclass(frozen=True, slots=True)
class Tied:
    """A tensor without a partner, which belongs into the list `otherwise` if none of `tries` is equal."""

    name: str
    otherwise: list[str]
    tries: tuple[Twins, ...]


@dataclass(slots=True)
class Alignment:
    """`twins` and `tied` remain to be compared by their bytes; everything else is decided."""

    matched: int = 0  # names with a partner
    twins: list[Twins] = field(default_factory=list)
    tied: list[Tied] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    differences: list[TensorDifference] = field(default_factory=list)
    not_comparable: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


_Held = dict[str, list[tuple[Part, Tensor]]]


def align(pickles: Sequence[Part], safetensors: Sequence[Part]) -> Alignment:
    """Find every tensor's partner."""
    here, there = _by_name(pickles), _by_name(safetensors)
    opaque = {
        entry.name: entry.why
        for part in (*pickles, *safetensors)
        for entry in part.table.not_comparable
    }
    names = match(
        list(dict.fromkeys([*here, *_opaque_names(pickles)])),
        list(dict.fromkeys([*there, *_opaque_names(safetensors)])),
    )
    found = Alignment(matched=len(names.partner), notes=list(names.notes))
    _note(found, names.beside, "beside the state dict, only in the pickle")
    for name, partner in names.partner.items():
        _pair_up(found, opaque, partner, here.get(name, []), there.get(partner, []), name)
    _without_partner_here(found, names, here, there)
    _without_partner_there(found, names, here, there)
    for held in (here, there):
        _note(
            found, [name for name, several in held.items() if len(several) > 1], "in several files"
        )
    return found


def _by_name(parts: Iterable[Part]) -> _Held:
    held: _Held = defaultdict(list)
    for part in parts:
        for tensor in part.table.tensors:
            held[tensor.name].append((part, tensor))
    return dict(held)


def _opaque_names(parts: Iterable[Part]) -> list[str]:
    return [entry.name for part in parts for entry in part.table.not_comparable]


def _pair_up(
    found: Alignment,
    opaque: dict[str, str],
    partner: str,
    here: list[tuple[Part, Tensor]],
    there: list[tuple[Part, Tensor]],
    name: str,
) -> None:
    """All files' tensors of one name with all of the other: any of them may be the one that is loaded."""
    why = opaque.get(name) or opaque.get(partner)
    if why is not None:
        found.not_comparable[partner] = why
    for pickle, one in here:
        for safetensors, other in there:
            how = _unlike(one, other)
            if how is not None:
                found.differences.append(TensorDifference(partner, how))
                continue
            twins = _twins(partner, pickle, one, safetensors, other)
            if twins is None:
                found.not_comparable[partner] = f"of {one.dtype} there are no single elements"
            else:
                found.twins.append(twins)


def _unlike(one: Tensor, other: Tensor) -> str | None:
    if one.shape != other.shape:
        return f"shape {list(one.shape)} in the pickle, {list(other.shape)} in the safetensors file"
    if one.dtype != other.dtype and not is_cast(one.dtype, other.dtype):
        return f"{one.dtype} in the pickle, {other.dtype} in the safetensors file"
    return None


def _twins(
    name: str,
    pickle: Part,
    one: Tensor,
    safetensors: Part,
    other: Tensor,
    tied_to: str | None = None,
) -> Twins | None:
    views = views_of(one, other)
    if views is None:
        return None
    return Twins(name, pickle, one, safetensors, other, views, tied_to)


def _without_partner_here(found: Alignment, names: Names, here: _Held, there: _Held) -> None:
    """Tensors of the pickle alone: buffers, tied ones, and those that are extra."""
    shared = {_elements(*entry) for name in names.partner for entry in here.get(name, [])}
    embeddings = _embeddings(there, names.partner.values())
    buffers, aliases = [], []
    for name in names.extra:
        tensors = here.get(name, [])
        if _are_buffers(name, tensors):
            buffers.append(name)
        elif tensors and all(_elements(*entry) in shared for entry in tensors):
            aliases.append(name)
        else:
            tries = [
                _twins(name, part, tensor, *other, partner)
                for part, tensor in tensors
                for partner, other in embeddings
                if may_be_tied(name) and _unlike(tensor, other[1]) is None
            ]
            _try(found, name, found.extra, tries)
    _note(found, buffers, "only in the pickle, which models compute themselves")
    _note(found, aliases, "only in the pickle, over the bytes of tensors in both (tied)")


def _without_partner_there(found: Alignment, names: Names, here: _Held, there: _Held) -> None:
    """The same for tensors of the safetensors file, where each has its own bytes."""
    embeddings = _embeddings(here, names.partner)
    buffers = []
    for name in names.missing:
        tensors = there.get(name, [])
        if _are_buffers(name, tensors):
            buffers.append(name)
            continue
        tries = [
            _twins(name, *other, part, tensor, partner)
            for part, tensor in tensors
            for partner, other in embeddings
            if may_be_tied(name) and _unlike(other[1], tensor) is None
        ]
        _try(found, name, found.missing, tries)
    _note(found, buffers, "only in the safetensors file, which models compute themselves")


def _are_buffers(name: str, tensors: list[tuple[Part, Tensor]]) -> bool:
    return bool(tensors) and all(is_computed_buffer(name, tensor.shape) for _, tensor in tensors)


def _elements(part: Part, tensor: Tensor) -> tuple[object, ...]:
    """The same for two tensors of the same elements in the same order."""
    return part.path, tensor.begin, tensor.dtype, tensor.shape, tensor.stride


def _embeddings(held: _Held, names: Iterable[str]) -> list[tuple[str, tuple[Part, Tensor]]]:
    found = sorted({name for name in names if may_be_tied(name)})
    return [(name, entry) for name in found for entry in held.get(name, [])]


def _try(found: Alignment, name: str, otherwise: list[str], tries: list[Twins | None]) -> None:
    possible = tuple(twins for twins in tries if twins is not None)[:_CANDIDATES]
    if possible and len(found.tied) < _TRIED:
        found.tied.append(Tied(name, otherwise, possible))
    else:
        otherwise.append(name)


def _note(found: Alignment, names: Sequence[str], what: str) -> None:
    if not names:
        return
    shown = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    found.notes.append(f"{len(names)} {what}: {shown}")
