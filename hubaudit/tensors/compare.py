"""A pickle checkpoint against its safetensors sibling: names, dtypes and shapes, then the bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

from hubaudit.model import Comparison, TensorDifference, Unread
from hubaudit.tensors.align import Alignment, Tied, align
from hubaudit.tensors.blocks import Box, boxes, leaves
from hubaudit.tensors.fetched import Run, Unreadable, Wanted, fetch, reader
from hubaudit.tensors.sample import Depth, Full, MetadataOnly, Place, Sampling, choose
from hubaudit.tensors.twins import Part, Twins, box_of, difference

_CHUNK = 4 * 1024 * 1024  # bytes of each file in memory at a time
_CAST_CHUNK = 256 * 1024  # numbers of Python take thirty times their bytes
_BATCH = 8  # shards whose samples are read, by several threads, before they are compared


def compare(
    pickles: Sequence[Part],
    safetensors: Sequence[Part],
    depth: Depth,
    *,
    run: Run = map,
) -> Comparison:
    """Compare the files of a pair, as deep as `depth` says.

    `run` maps a function over jobs that each read another file; a pool's `map` has them read at the
    same time. Never raises for a file that cannot be read or has changed: that is *not-compared*, or
    what was found until then. Both sequences need at least one part.
    """
    aligned = align(pickles, safetensors)
    first = _compare(aligned, pickles, safetensors, depth, run)
    for turn in range(1, aligned.turns if first.differing else 1):
        other = _compare(align(pickles, safetensors, turn), pickles, safetensors, depth, run)
        if not other.differing and not other.broken_off:
            return other
    return first


def gap(comparison: Comparison) -> Unread | None:
    """What the report has to say of a comparison that a file kept from its end."""
    if not comparison.broken_off:
        return None
    return Unread(
        comparison.pickle, None, f"not compared with {comparison.safetensors}: {comparison.why}"
    )


def _compare(
    aligned: Alignment,
    pickles: Sequence[Part],
    safetensors: Sequence[Part],
    depth: Depth,
    run: Run,
) -> Comparison:
    work = _Work()
    try:
        match depth:
            case MetadataOnly():
                _leave_untouched(aligned, work)
            case Sampling():
                _sampled(aligned, pickles, safetensors, depth, run, work)
            case Full():
                _whole(aligned, work)
            case _:
                assert_never(depth)
        _look_for(aligned, work)
    except Unreadable as error:
        work.break_off(str(error))
    _decide_tied(aligned, depth, work)
    return _told(aligned, work, pickles, safetensors, depth)


@dataclass(slots=True)
class _Work:
    """What has been compared so far. `read` counts bytes, `differing` says how."""

    read: Counter[Twins] = field(default_factory=Counter)
    differing: dict[Twins, str] = field(default_factory=dict)
    why: str = ""
    broken_off: bool = False

    def add(self, twins: Twins, box: Box, how: str | None) -> None:
        self.read[twins] += twins.bytes_in(box)
        if how is not None:
            self.differing.setdefault(twins, how)

    def break_off(self, why: str) -> None:
        self.why = self.why or why
        self.broken_off = True


def _all(aligned: Alignment) -> list[Twins]:
    return [*aligned.twins, *(twins for tied in aligned.tied for twins in tied.tries)]


def _leave_untouched(aligned: Alignment, work: _Work) -> None:
    if any(twins.is_cast for twins in aligned.twins):
        work.why = "the dtypes differ, perhaps by a cast: only the bytes can tell"


def _look_for(aligned: Alignment, work: _Work) -> None:
    """A file without a table is one that cannot be read, or one that is no such checkpoint."""
    for part, why in aligned.untold:
        work.why = work.why or f"{part.path}: {why}"
        reader(part)(0, 1)


def _whole(aligned: Alignment, work: _Work) -> None:
    """Each tensor to its end or its first difference, in the order of the safetensors files."""
    filled = [twins for twins in _all(aligned) if twins.size]
    for twins in sorted(filled, key=lambda one: (one.safetensors.path, one.other.begin)):
        shape, _ = box_of(twins, _CAST_CHUNK if twins.is_cast else _CHUNK)
        read_one, read_other = reader(twins.pickle), reader(twins.safetensors)
        for box in boxes(twins.sizes, shape):
            how = difference(twins, box, read_one, read_other)
            work.add(twins, box, how)
            if how is not None:
                break


def _sampled(
    aligned: Alignment,
    pickles: Sequence[Part],
    safetensors: Sequence[Part],
    depth: Sampling,
    run: Run,
    work: _Work,
) -> None:
    """Places for each file of the side that has fewer, so that neither side is asked for much more."""
    by_file: dict[str, list[Twins]] = defaultdict(list)
    by_pickle = len(pickles) < len(safetensors)
    for twins in aligned.twins:
        by_file[(twins.pickle if by_pickle else twins.safetensors).path].append(twins)
    for tied in aligned.tied:  # few, and each has to be decided
        _compare_places(_some_of_each(tied, depth), run, work)
    files = [by_file[path] for path in sorted(by_file)]
    each = depth.of_one(len(files)) if files else depth
    for at in range(0, len(files), _BATCH):
        places = [place for part in files[at : at + _BATCH] for place in choose(part, each)]
        _compare_places(places, run, work)


def _some_of_each(tied: Tied, depth: Sampling) -> list[Place]:
    few = Sampling(max(1, depth.ranges // 8), depth.seed)
    return [place for twins in tied.tries for place in choose([twins], few)]


def _compare_places(places: Sequence[Place], run: Run, work: _Work) -> None:
    """Read all places of all files first, at once as far as `run` does that, and then compare."""
    got = {one.part: one for one in run(fetch, _wanted(places))}
    for place in places:
        one, other = got[place.twins.pickle], got[place.twins.safetensors]
        if one.why or other.why:
            work.break_off(one.why or other.why or "")
            continue
        work.add(place.twins, place.box, difference(place.twins, place.box, one.read, other.read))


def _wanted(places: Iterable[Place]) -> list[Wanted]:
    spans: dict[Part, list[tuple[int, int]]] = defaultdict(list)
    for place in places:
        for part, view in zip(_parts(place.twins), place.twins.views, strict=True):
            spans[part] += [(leaf.offset, leaf.length) for leaf in leaves(view, place.box)]
    return [Wanted(part, tuple(found)) for part, found in spans.items()]


def _parts(twins: Twins) -> tuple[Part, Part]:
    return twins.pickle, twins.safetensors


def _decide_tied(aligned: Alignment, depth: Depth, work: _Work) -> None:
    """A tensor without a partner is explained where it equals another tensor by what was compared."""
    for tied in aligned.tied:
        equal = [twins for twins in tied.tries if work.read[twins] and twins not in work.differing]
        if equal and not work.broken_off:
            how_far = "" if work.read[equal[0]] >= equal[0].size else " where sampled"
            aligned.notes.append(f"{tied.name} equals {equal[0].tied_to}{how_far} (tied)")
        elif not isinstance(depth, MetadataOnly) or work.broken_off:
            _tell_apart(tied, work)
        else:
            untouched = (
                f"{tied.name} may be {tied.tries[0].tied_to} (tied): their bytes were not compared"
            )
            aligned.notes.append(untouched)


def _tell_apart(tied: Tied, work: _Work) -> None:
    if not work.broken_off or all(twins in work.differing for twins in tied.tries):
        tied.otherwise.append(tied.name)


def _told(
    aligned: Alignment,
    work: _Work,
    pickles: Sequence[Part],
    safetensors: Sequence[Part],
    depth: Depth,
) -> Comparison:
    differences = {one.name: one for one in aligned.differences}
    for twins in aligned.twins:
        if twins in work.differing:
            one = TensorDifference(twins.name, work.differing[twins])
            differences.setdefault(twins.name, one)
    untold = {part for part, _ in aligned.untold}
    missing = () if untold.intersection(pickles) else tuple(sorted(aligned.missing))
    extra = () if untold.intersection(safetensors) else tuple(sorted(aligned.extra))
    why = work.why or _why_not(aligned, pickles)
    differs = bool(differences or missing or extra)
    return Comparison(
        pickle=pickles[0].path,
        safetensors=safetensors[0].path,
        result="differs" if differs else "not-compared" if why else "equal",
        depth=_DEPTHS[type(depth)],
        tensors=aligned.matched,
        missing=missing,
        extra=extra,
        differing=tuple(sorted(differences)),
        pickle_files=tuple(part.path for part in pickles),
        safetensors_files=tuple(part.path for part in safetensors),
        tensors_read=len({twins.name for twins in aligned.twins if work.read[twins]}),
        bytes_read=sum(work.read[twins] for twins in aligned.twins),
        bytes_total=sum(twins.size for twins in aligned.twins),
        differences=tuple(differences[name] for name in sorted(differences)),
        not_comparable=tuple(sorted(aligned.not_comparable)),
        doubtful=_doubtful(aligned, pickles),
        notes=(*aligned.notes, *_casts(aligned, work)),
        why=why,
        broken_off=work.broken_off,
    )


def _doubtful(aligned: Alignment, pickles: Sequence[Part]) -> tuple[str, ...]:
    paths = {part.path for part, _ in aligned.untold if part in pickles}
    return *sorted(paths), *sorted(aligned.doubtful)


_DEPTHS: dict[type[Depth], Literal["metadata", "sampled", "full"]] = {
    MetadataOnly: "metadata",
    Sampling: "sampled",
    Full: "full",
}


def _why_not(aligned: Alignment, pickles: Sequence[Part]) -> str:
    """Why tensors that do not differ are not all equal."""
    if aligned.not_comparable:
        name, why = min(aligned.not_comparable.items())
        return f"of {_tensors(len(aligned.not_comparable))} nobody can tell: {name}: {why}"
    if not any(part.table.tensors for part in pickles):
        return "no tensors were found in the pickle"
    return ""


def _casts(aligned: Alignment, work: _Work) -> Iterator[str]:
    """How many tensors are those of the other file in another dtype, by what was compared."""
    found: Counter[tuple[str, str]] = Counter()
    compared: Counter[tuple[str, str]] = Counter()
    for twins in aligned.twins:
        if twins.is_cast and twins not in work.differing:
            dtypes = twins.one.dtype, twins.other.dtype
            found[dtypes] += 1
            compared[dtypes] += bool(work.read[twins] or not twins.size)
    for dtypes, count in sorted(found.items()):
        said = f"cast {'→'.join(dtypes)}: {_tensors(count)}"
        yield said if compared[dtypes] == count else f"{said}, {compared[dtypes]} of them compared"


def _tensors(number: int) -> str:
    return "1 tensor" if number == 1 else f"{number} tensors"
