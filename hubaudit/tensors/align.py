"""Two checkpoints side by side by their tables alone: partners, what has none, and why that may be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hubaudit.model import TensorDifference
from hubaudit.tensors.blocks import views_of
from hubaudit.tensors.casts import is_cast
from hubaudit.tensors.names import Names, Rival, is_computed_buffer, match, may_be_tied, without
from hubaudit.tensors.table import SEVERAL, NotComparable, Tensor
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

    `doubtful` are those of `not_comparable` that no known kind of tensor explains: the pickle may have
    been made so that nobody can tell. `untold` are files of which no tensor is known, and why. Where a
    pickle is among them, `missing` means nothing, and where a safetensors file is, `extra` does not.
    """

    matched: int = 0  # names with a partner
    turns: int = 1
    twins: list[Twins] = field(default_factory=list)
    tied: list[Tied] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    differences: list[TensorDifference] = field(default_factory=list)
    not_comparable: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    untold: list[tuple[Part, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_Held = dict[str, list[tuple[Part, Tensor]]]
_Opaque = dict[str, NotComparable]
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
        _pair_up(found, (name, partner), (here, there), opaque)
    for rival in names.rivals:
        names = _beside_a_rival(found, names, rival, (here, there), opaque)
    _without_partner_here(found, names, here, there)
    _without_partner_there(found, names, here, there)
    for held in (here, there):
        _note(
            found,
            [name for name, several in held.items() if _is_in_files(several)],
            "in several files",
        )
        twice = [name for name, several in held.items() if _is_twice(several)]
        _note(found, twice, "in one file more than once")
    return found


def _is_in_files(several: list[tuple[Part, Tensor]]) -> bool:
    return len({part.path for part, _ in several}) > 1


def _is_twice(several: list[tuple[Part, Tensor]]) -> bool:
    return len(several) > len({part.path for part, _ in several})


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


def _opaque(parts: Iterable[Part]) -> _Opaque:
    """The names of single tensors that are not comparable, and why.

    Of several entries under one name each is looked at for itself.
    """
    return {
        entry.name: entry
        for part in parts
        if _untold(part) is None
        for entry in part.table.not_comparable
        if entry.why != SEVERAL
    }


def _pair_up(
    found: Alignment,
    names: tuple[str, str],
    held: tuple[_Held, _Held],
    opaque: tuple[_Opaque, _Opaque],
) -> None:
    """All tensors of one name with all of the other: any of them may be the one that is loaded."""
    name, partner = names
    here, there = held[0].get(name, []), held[1].get(partner, [])
    entry = opaque[0].get(name) or opaque[1].get(partner)
    if entry is not None:
        _leave_open(found, partner, entry.why, is_known_kind=entry.is_known_kind)
    if max(len(here), len(there)) > _COPIES:
        why = f"{max(len(here), len(there))} files or entries have it"
        _leave_open(found, partner, why, is_known_kind=False)
        return
    for pickle, one in here:
        for safetensors, other in there:
            how = _unlike(one, other)
            if how is not None:
                found.differences.append(TensorDifference(partner, how))
                continue
            twins = _twins(partner, pickle, one, safetensors, other)
            if twins is None:
                why = f"of {one.dtype} there are no single elements"
                _leave_open(found, partner, why, is_known_kind=True)
            else:
                found.twins.append(twins)


def _leave_open(found: Alignment, partner: str, why: str, *, is_known_kind: bool) -> None:
    found.not_comparable.setdefault(partner, why)
    if not is_known_kind:
        found.doubtful.add(partner)


def _beside_a_rival(
    found: Alignment,
    names: Names,
    rival: Rival,
    held: tuple[_Held, _Held],
    opaque: tuple[_Opaque, _Opaque],
) -> Names:
    """Compare what has the names of the other file by another prefix, too; `names` without it.

    Which prefix is taken off is for the class of the model to say (`base_model_prefix` of transformers),
    and a copy that agrees must not hide the one that is loaded. What has other names by chance has other
    shapes, so at least half of the model has to be there in its shapes. But one word before what nothing
    else stands for is enough.
    """
    alike = [pair for pair in rival.pairs if _shapes(held[0], pair[0]) & _shapes(held[1], pair[1])]
    if 2 * len(alike) < min(len(held[0]), len(held[1])):
        unmet = {*names.missing, *names.extra}
        alike = [pair for pair in alike if rival.is_one_word and unmet.issuperset(pair)]
    elif rival.prefix:
        alike = list(rival.pairs)
    for pair in alike:
        _pair_up(found, pair, held, opaque)
    if rival.prefix and alike:
        _note(found, [name for name, _ in alike], f"by the prefix {rival.prefix!r} too")
    return without(names, alike)


def _shapes(held: _Held, name: str) -> set[tuple[int, ...]]:
    return {tensor.shape for _, tensor in held.get(name, [])}


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
