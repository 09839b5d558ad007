"""In which order findings are read, and which of them are one to a reader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hubaudit.model import Finding, Severity, Unread
from hubaudit.report.escape import encodable


@dataclass(frozen=True, slots=True)
class Heap:
    """Findings that say the same of the shards of one checkpoint, or of several places in one file.

    Notes (severity info) that say the same are one heap wherever they are.
    """

    first: Finding
    count: int


def worst_first(finding: Finding) -> tuple[object, ...]:
    """Sort key: severity, then where it is; a whole file before its members, no offset before 0."""
    return (
        finding.severity.rank,
        finding.path,
        finding.member or "",
        -1 if finding.offset is None else finding.offset,
        finding.rule,
        finding.message,
        finding.evidence,
    )


def in_order(unread: Iterable[Unread]) -> list[Unread]:
    """By where it is, a file before its members."""
    return sorted(
        unread,
        key=lambda one: tuple(map(encodable, (one.path, one.member or "", one.why))),
    )


def heaps(findings: Iterable[Finding]) -> list[Heap]:
    """`findings` worst first, those that differ only in offset, member or shard number as one."""
    heaped: dict[tuple[object, ...], Heap] = {}
    for finding in sorted(findings, key=worst_first):
        key = _same_to_a_reader(finding)
        heap = heaped.get(key)
        heaped[key] = Heap(heap.first, heap.count + 1) if heap else Heap(finding, 1)
    return list(heaped.values())


def _same_to_a_reader(finding: Finding) -> tuple[object, ...]:
    is_note = finding.severity is Severity.INFO
    return (
        finding.rule,
        finding.severity,
        "" if is_note else _without_numbers(finding.path),
        _without_numbers(finding.message),
        finding.evidence,
        finding.waived,
    )


def _without_numbers(text: str) -> str:
    # model-00001-of-00003.bin, consolidated.00.pth, layer_7.pt: shards differ in digits only
    return re.sub(r"\d+", "0", text)
