"""What came of one target, and how it compares with what was approved and with the sweep before."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

from hubaudit.errors import StoreUnusable
from hubaudit.store import AuditKey, StoredAudit
from hubaudit.verdict import DRIFTED

_GONE = ("RepositoryMissing", "RevisionMissing")
_MOVED = "RepositoryRenamed"

Change = Literal["new", "fixed", "unchanged", "gone", "moved", "unapproved", "unreachable"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a target could not be decided."""

    kind: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Findings:
    """How many findings that nothing tolerates are new, are gone, and stayed, since the sweep before."""

    new: int = 0
    fixed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """`key` is that of its audit, None if there is none. `code` is the exit code for it alone.

    `counts` are the findings that nothing tolerates, by severity. `changes` may be several: a target
    that has moved to another commit may have new findings as well. `approved` is the commit that somebody
    approved. `known` is the key of the last audit before, of a target that could not be decided.
    """

    target: str
    code: int
    key: AuditKey | None = None
    verdict: str | None = None
    summary: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    report: str | None = None
    trouble: Trouble | None = None
    changes: tuple[Change, ...] = ()
    was_at: str | None = None
    approved: str | None = None
    findings: Findings = Findings()
    judged_by: str = ""
    owner: str | None = None
    known: AuditKey | None = None

    @property
    def last(self) -> AuditKey | None:
        """The audit that the sweep after this one compares with."""
        return self.key or self.known

    @property
    def is_drift(self) -> bool:
        """Whether it stands elsewhere than was approved; if nothing was, than in the sweep before."""
        return "unapproved" in self.changes or (self.approved is None and self.was_at is not None)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def result_from(text: str) -> Result:
    """Raises StoreUnusable for what `to_json` did not write."""
    with _ours():
        return _result_from(json.loads(text))


def _result_from(row: dict[str, Any]) -> Result:
    # most of a key is the same in every row: kept once
    for name in ("key", "known"):
        if key := row.get(name):
            row[name] = AuditKey(**{k: sys.intern(v) for k, v in key.items()})
    row["judged_by"] = sys.intern(row["judged_by"])
    row["trouble"] = row["trouble"] and Trouble(**row["trouble"])
    row["findings"] = Findings(**row["findings"])
    row["changes"] = tuple(row["changes"])
    return Result(**row)


def of_audit(target: str, audit: StoredAudit) -> Result:
    """The result of an audit, not compared with anything yet."""
    summary, standing = _read(audit)
    counts = Counter(finding.severity for finding in standing)
    return Result(
        target=target,
        code=audit.code,
        key=audit.key,
        verdict=audit.verdict,
        summary=summary,
        counts=dict(sorted(counts.items())),
    )


def compared(
    result: Result, before: Result | None, now: StoredAudit | None, then: StoredAudit | None
) -> Result:
    """The result with what changed. `before` is that of the sweep before, `now` and `then` their audits.

    It says already what was approved.
    """
    last = before.last if before is not None else None
    if result.trouble is not None:
        return replace(result, changes=_of_trouble(result.trouble, last), known=last)
    moved = last is not None and _has_moved(result, last)
    findings = _findings(now, then)
    changes: list[Change] = []
    if result.key is not None and result.approved not in (None, result.key.commit_hash):
        changes.append("unapproved")
    if moved:
        changes.append("moved")
    if last is None or findings.new:
        changes.append("new")
    if findings.fixed:
        changes.append("fixed")
    result = replace(
        result,
        changes=tuple(changes) or ("unchanged",),
        was_at=last.commit_hash if moved and last is not None else None,
        findings=findings,
    )
    return replace(result, code=DRIFTED) if result.is_drift and result.code == 0 else result


def dropped(before: Result) -> Result:
    """The result for a target of the sweep before that the list no longer has."""
    return Result(
        before.target, 0, verdict=None, changes=("gone",), summary="It is no longer in the list."
    )


def _has_moved(result: Result, last: AuditKey) -> bool:
    if result.key is None:
        return False
    there = (result.key.repo_id, result.key.commit_hash)
    return there != (last.repo_id, last.commit_hash)


def _of_trouble(trouble: Trouble, last: AuditKey | None) -> tuple[Change, ...]:
    if trouble.kind == _MOVED:
        return ("moved",)
    return ("gone",) if trouble.kind in _GONE and last is not None else ("unreachable",)


def _findings(now: StoredAudit | None, then: StoredAudit | None) -> Findings:
    if now is None:
        return Findings()
    found = Counter(_read(now)[1])
    if then is not None and now.report == then.report:
        return Findings(unchanged=found.total())
    known = Counter(_read(then)[1]) if then is not None else Counter[_Finding]()
    return Findings((found - known).total(), (known - found).total(), (found & known).total())


class _Finding(NamedTuple):
    """As a baseline has it, but for the content: what a new commit left as it was is not new."""

    rule: str
    severity: str
    path: str
    member: str | None
    evidence: str


def _read(audit: StoredAudit) -> tuple[str, list[_Finding]]:
    """The summary of a stored report, and the findings that nothing tolerates."""
    with _ours():
        report = json.loads(audit.report)
        standing = [one for one in report["findings"] if one["waived"] is None]
        return report["summary"], [
            _Finding(*(one[name] for name in _Finding._fields)) for one in standing
        ]


@contextmanager
def _ours() -> Iterator[None]:
    """Raises StoreUnusable for what this program did not write."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise StoreUnusable(
            f"the store holds what it did not write: {type(error).__name__}: {error}",
            hint="move it away, or name another one with --store",
        ) from error
