"""A report as its JSON has it, before any format lays it out: so all formats say the same in one order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from hubaudit.model import Comparison, FileReport, GlobalUse, HubScan, LoadAdvice, RepoReport
from hubaudit.report.escape import encodable
from hubaudit.report.order import in_order, worst_first

_T = TypeVar("_T")


def settled(report: RepoReport) -> RepoReport:
    """`report` with every list sorted and lone surrogates written out: what its JSON is read back as.

    Sorted after they are written out: a lone surrogate sorts elsewhere than its text.
    """
    clean: RepoReport = _encodable(report)
    return replace(
        clean,
        load=None if clean.load is None else _load(clean.load),
        files=_sorted(map(_file, clean.files), lambda file: file.path),
        findings=_sorted(clean.findings, worst_first),
        globals=_sorted(clean.globals, _global_order),
        comparisons=_sorted(map(_comparison, clean.comparisons), _comparison_order),
        unread=tuple(in_order(clean.unread)),
        opinions=_sorted(
            clean.opinions, lambda one: (one.engine, one.path, one.status, one.detail)
        ),
    )


def _encodable(value: Any) -> Any:
    """The same value, if nothing in it has to be written out: reports have 100,000 findings."""
    match value:
        case str():
            return value if value.isascii() else encodable(value)
        case tuple():
            cleaned = tuple(map(_encodable, value))
            return value if all(map(_is, cleaned, value)) else cleaned
        case Mapping():
            return {_encodable(key): _encodable(entry) for key, entry in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in fields(value)]
            before = [getattr(value, name) for name in names]
            after = [_encodable(entry) for entry in before]
            if all(map(_is, after, before)):
                return value
            return replace(value, **dict(zip(names, after, strict=True)))
        case _:
            return value


def _is(one: object, other: object) -> bool:
    return one is other


def _sorted(items: Iterable[_T], order: Callable[[_T], Any]) -> tuple[_T, ...]:
    return tuple(sorted(items, key=order))


def _load(advice: LoadAdvice) -> LoadAdvice:
    arguments = dict(sorted(advice.arguments.items()))
    return replace(advice, arguments=arguments, bases=tuple(sorted(advice.bases)))


def _file(file: FileReport) -> FileReport:
    scan = file.hub_scan
    if scan is None or not scan.scanners:
        return file
    scanners = _sorted(scan.scanners, lambda one: one.scanner)
    return replace(file, hub_scan=HubScan(scan.status, scanners))


def _global_order(use: GlobalUse) -> tuple[object, ...]:
    return use.path, use.member or "", use.module, use.name, use.name_class.value, use.count


def _comparison(one: Comparison) -> Comparison:
    return replace(
        one,
        missing=tuple(sorted(one.missing)),
        extra=tuple(sorted(one.extra)),
        differing=tuple(sorted(one.differing)),
        differences=_sorted(one.differences, lambda entry: (entry.name, entry.how)),
        not_comparable=tuple(sorted(one.not_comparable)),
        pickle_files=tuple(sorted(one.pickle_files or (one.pickle,))),
        safetensors_files=tuple(sorted(one.safetensors_files or (one.safetensors,))),
        notes=tuple(sorted(one.notes)),
    )


def _comparison_order(comparison: Comparison) -> tuple[str, str]:
    return comparison.pickle, comparison.safetensors
