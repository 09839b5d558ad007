"""A comparison of two formats in words: never *equal* without how much of it was compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from hubaudit.model import Comparison
from hubaudit.report.words import count, size

_SHORT_COMMIT = 12
_RESULTS = ("differs", "not-compared", "equal")


def worst_first(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Those that differ, then those that nobody could compare; by their files."""

    def order(one: Comparison) -> tuple[int, str, str]:
        return _RESULTS.index(one.result), one.pickle, one.safetensors

    return sorted(comparisons, key=order)


def files(comparison: Comparison) -> tuple[str, str]:
    """Both sides, of a sharded checkpoint the first file and how many more there are. Not yet visible."""
    return (
        _side(comparison.pickle, comparison.pickle_files),
        _side(comparison.safetensors, comparison.safetensors_files),
    )


def outcome(comparison: Comparison) -> str:
    """What came out, and by how deep a look. Has text of the repository in it where it says why not."""
    match comparison.result:
        case "equal":
            return _equal(comparison)
        case "differs":
            return f"{_differing(comparison)} {_extent(comparison)}{_agreed(comparison)}"
        case "not-compared":
            return f"not compared{': ' if comparison.why else ''}{comparison.why}"
        case _:
            assert_never(comparison.result)


def details(comparison: Comparison) -> list[str]:
    """Which tensors differ and how, which only one side has, what was explained. The repository's text."""
    lines = [f"{one.name}: {one.how}" for one in comparison.differences]
    shown = {one.name for one in comparison.differences}
    lines += [f"{name}: different" for name in comparison.differing if name not in shown]
    lines += [f"{name}: only in the safetensors file" for name in comparison.missing]
    lines += [f"{name}: only in the pickle" for name in comparison.extra]
    return [*lines, *comparison.notes]


def _side(path: str, paths: tuple[str, ...]) -> str:
    return f"{path} and {len(paths) - 1} more" if len(paths) > 1 else path


def _equal(comparison: Comparison) -> str:
    tensors = count(comparison.tensors, "tensor")
    match comparison.depth:
        case "metadata":
            return f"the same names, dtypes and shapes of {tensors}; their bytes were not compared"
        case "sampled":
            return f"equal where sampled: {_sample(comparison)}"
        case "full":
            return f"equal in full: {tensors}, {size(comparison.bytes_total)}"
        case _:
            assert_never(comparison.depth)


def _differing(comparison: Comparison) -> str:
    counts = {
        "different": len(comparison.differing),
        "only in the safetensors file": len(comparison.missing),
        "only in the pickle": len(comparison.extra),
    }
    said = ", ".join(f"{number} {words}" for words, number in counts.items() if number)
    return f"they differ: {said or 'see the JSON report'}"


def _extent(comparison: Comparison) -> str:
    match comparison.depth:
        case "metadata":
            return "(bytes not compared)"
        case "sampled":
            return f"(sampled: {_sample(comparison)})"
        case "full":
            return f"(of {count(comparison.tensors, 'tensor')} in both, compared in full)"
        case _:
            assert_never(comparison.depth)


def _sample(comparison: Comparison) -> str:
    return (
        f"{comparison.tensors_read} of {count(comparison.tensors, 'tensor')}, "
        f"{size(comparison.bytes_read)} of {size(comparison.bytes_total)}"
    )


def _agreed(comparison: Comparison) -> str:
    if comparison.agreed_at is None:
        return ""
    return f"; last alike at commit {comparison.agreed_at[:_SHORT_COMMIT]}"
