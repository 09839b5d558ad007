"""The comparisons of a report as tables of tensors, those that differ first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from hubaudit.model import Comparison, RepoReport
from hubaudit.report import compared
from hubaudit.report.html.rows import Limits, Rows, clip, cut, first, order
from hubaudit.report.words import count, size

_RESULTS = ("differs", "not-compared", "equal")
# Never "equal" without how much of it was compared
_EQUAL = {
    "metadata": "same names and shapes",
    "sampled": "equal where sampled",
    "full": "equal in full",
}
_DEPTHS = {
    "metadata": "names, dtypes and shapes; no bytes",
    "sampled": "names, dtypes, shapes and a sample of the bytes",
    "full": "every byte",
}


@dataclass(frozen=True, slots=True)
class TensorRow:
    """`state` in a word or two, `how` in a sentence where more is known."""

    name: str
    state: str
    how: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One pickle checkpoint and its safetensors sibling."""

    pickle: str
    safetensors: str
    pickle_files: tuple[str, ...]
    safetensors_files: tuple[str, ...]
    result: str
    word: str
    outcome: str
    facts: tuple[tuple[str, str], ...]
    tensors: Rows[TensorRow]
    alike: int
    alike_words: str
    notes: Rows[str]


def pairs(report: RepoReport, limits: Limits) -> Rows[Pair]:
    """Worst first."""
    ranked = sorted(
        report.comparisons,
        key=lambda one: (_RESULTS.index(one.result), order(one.pickle), order(one.safetensors)),
    )
    return first(ranked, limits.pairs, lambda one: _pair(one, limits))


def _pair(one: Comparison, limits: Limits) -> Pair:
    pickle, safetensors = (cut(side) for side in compared.files(one))
    notes = sorted(map(order, one.notes))
    return Pair(
        pickle=pickle,
        safetensors=safetensors,
        pickle_files=_shards(one.pickle_files, limits),
        safetensors_files=_shards(one.safetensors_files, limits),
        result=one.result,
        word=_EQUAL[one.depth] if one.result == "equal" else one.result.replace("-", " "),
        outcome=clip(compared.outcome(one)),
        facts=tuple(_facts(one)),
        tensors=_tensors(one, limits.tensors),
        alike=_alike(one),
        alike_words=f"no difference found ({_DEPTHS[one.depth]})",
        notes=first(notes, limits.tensors, clip),
    )


def _shards(paths: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """The files of a sharded checkpoint; none of one that is a single file."""
    if len(paths) < 2:
        return ()
    return first(sorted(paths, key=order), limits.tensors, cut).shown


def _facts(one: Comparison) -> Iterator[tuple[str, str]]:
    yield "compared", _DEPTHS[one.depth]
    yield "tensors in both", f"{one.tensors:,}"
    if one.depth != "metadata":
        bytes_ = f"{size(one.bytes_read)} of {size(one.bytes_total)}"
        yield (
            "bytes compared",
            f"{bytes_}, in {one.tensors_read:,} of {count(one.tensors, 'tensor')}",
        )
    if one.agreed_at:
        yield "last alike at", cut(one.agreed_at)
    if one.why:
        yield "not complete", clip(one.why)


def _tensors(one: Comparison, limit: int) -> Rows[TensorRow]:
    explained = {difference.name for difference in one.differences}
    rest = [name for name in one.differing if name not in explained]
    total = sum(map(len, (one.differences, rest, one.missing, one.extra, one.not_comparable)))
    return Rows(tuple(islice(_tensor_rows(one, rest), limit)), total)


def _tensor_rows(one: Comparison, rest: list[str]) -> Iterator[TensorRow]:
    for difference in sorted(one.differences, key=lambda one: (order(one.name), order(one.how))):
        yield TensorRow(cut(difference.name), "differs", clip(difference.how))
    for state, how, names in (
        ("differs", "", rest),
        ("missing", "only in the safetensors file", one.missing),
        ("extra", "only in the pickle", one.extra),
        ("not comparable", "nobody can tell from the files", one.not_comparable),
    ):
        for name in sorted(names, key=order):
            yield TensorRow(cut(name), state, how)


def _alike(one: Comparison) -> int:
    if one.result == "not-compared":
        return 0
    return max(one.tensors - len(set(one.differing)) - len(set(one.not_comparable)), 0)
