"""Two checkpoints side by side by their tables alone: partners, what has none, and why that may be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hubaudit.model import TensorDifference
from hubaudit.tensors.blocks import views_of
from hubaudit.tensors.casts import is_cast
from hubaudit.tensors.names import Names, is_computed_buffer, match, may_be_tied
from hubaudit.tensors.table import NotComparable, Tensor
from hubaudit.tensors.twins import Part, Twins

_NAMED = 3  # names in a note; all of them would be a list that nobody reads
# Tensors without a partner that are looked for by value under another name. Models have one or two.
_TRIED = 8
_COPIES = 8  # of a tensor in the shards of one checkpoint; no library writes two
_CANDIDATES = 2  # for each: the input and the output embedding


@dataclass(frozen=True, slots=True)
class Tied:
    """A tensor without a partner, which belongs into the list `otherwise` if none of `tries` is equal."""

    name: str
    otherwise: list[str]
    tries: tuple[Twins, ...]


@dataclass(slots=True)
class Alignment:
    """`twins` and `tied` remain to be compared by their bytes; everything else is decided.

    `untold` are files of which no tensor is known, and why. Where a pickle is among them, `missing` means
    nothing, and where a safetensors file is, `extra` does not.
    """

    matched: int = 0  # names with a partner
    turns: int = 1
    twins: list[Twins] = field(default_factory=list)
    tied: list[Tied] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    differences: list[TensorDifference] = field(default_factory=list)
    not_comparable: dict[str, str] = field(default_factory=dict)
    untold: list[tuple[Part, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_Held = dict[str, list[tuple[Part, Tensor]]]
_Embeddings = dict[tuple[int, ...], list[tuple[str, tuple[Part, Tensor]]]]


def align(pickles: Sequence[Part], safetensors: Sequence[Part], turn: int = 0) -> Alignment:
    """Find every tensor's partner. `turn` as of `names.match`; `Alignment.turns` says how many there are."""
    here, there = _by_name(pickles), _by_name(safetensors)
    opaque = _opaque(pickles), _opaque(safetensors)
    names = match(
        list(dict.fromkeys([*here, *opaque[0]])), list(dict.fromkeys([*there, *opaque[1]])), turn
    )
    found = Alignment(matched=len(names.partner), turns=names.turns, notes=list(names.notes))
    found.untold = [
        (part, why) for part in (*pickles, *safetensors) if (why := _untold(part)) is not None
    ]
    _note(found, names.beside, "beside the state dict, only in the pickle")
    for name, partner in names.partner.items():
        why = opaque[0].get(name) or opaque[1].get(partner)
        if why is not None:
            found.not_comparable[partner] = why
        _pair_up(found, partner, here.get(name, []), there.get(partner, []))
    _without_partner_here(found, names, here, there)
    _without_partner_there(found, names, here, there)
    for held in (here, there):
        _note(
            found, [name for name, several in held.items() if len(several) > 1], "in several files"
        )
    return found


def _untold(part: Part) -> str | None:
    """Why nothing can be told of the file, if that is so: its table has one entry without a name."""
    match part.table.tensors, part.table.not_comparable:
        case (), (NotComparable(name="", why=why),):
            return why
        case _:
            return None


def _by_name(parts: Iterable[Part]) -> _Held:
    held: _Held = defaultdict(list)
    for part in parts:
        for tensor in part.table.tensors:
            held[tensor.name].append((part, tensor))
    return dict(held)


def _opaque(parts: Iterable[Part]) -> dict[str, str]:
    """The names of single tensors that are not comparable, and why."""
    return {
        entry.name: entry.why
        for part in parts
        if _untold(part) is None
        for entry in part.table.not_comparable
    }


def _pair_up(
    found: Alignment,
    partner: str,
    here: list[tuple[Part, Tensor]],
    there: list[tuple[Part, Tensor]],
) -> None:
    """All files' tensors of one name with all of the other: any of them may be the one that is loaded."""
    if max(len(here), len(there)) > _COPIES:
        found.not_comparable[partner] = f"it is in {max(len(here), len(there))} files"
        return
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
                if may_be_tied(name)
                for partner, other in embeddings.get(tensor.shape, [])
                if _unlike(tensor, other[1]) is None
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
            if may_be_tied(name)
            for partner, other in embeddings.get(tensor.shape, [])
            if _unlike(other[1], tensor) is None
        ]
        _try(found, name, found.missing, tries)
    _note(found, buffers, "only in the safetensors file, which models compute themselves")


def _are_buffers(name: str, tensors: list[tuple[Part, Tensor]]) -> bool:
    return bool(tensors) and all(is_computed_buffer(name, tensor.shape) for _, tensor in tensors)


def _elements(part: Part, tensor: Tensor) -> tuple[object, ...]:
    """The same for two tensors of the same elements in the same order."""
    return part.path, tensor.begin, tensor.dtype, tensor.shape, tensor.stride


def _embeddings(held: _Held, names: Iterable[str]) -> _Embeddings:
    """By shape the tensors that others may be tied to, a few of each."""
    found: _Embeddings = defaultdict(list)
    for name in sorted({name for name in names if may_be_tied(name)}):
        for part, tensor in held.get(name, []):
            if len(found[tensor.shape]) < _CANDIDATES:
                found[tensor.shape].append((name, (part, tensor)))
    return found


def _try(found: Alignment, name: str, otherwise: list[str], tries: list[Twins | None]) -> None:
    possible = tuple(twins for twins in tries if twins is not None)
    if possible and len(found.tied) < _TRIED:
        found.tied.append(Tied(name, otherwise, possible))
    else:
        otherwise.append(name)


def _note(found: Alignment, names: Sequence[str], what: str) -> None:
    if not names:
        return
    shown = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    found.notes.append(f"{len(names)} {what}: {shown}")
