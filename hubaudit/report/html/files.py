"""The files of a report as rows: what a load would do with each, how it was read, what the Hub says."""

from __future__ import annotations

from dataclasses import dataclass

from hubaudit.model import FileReport, HubScan, LoadRole, ReadHow, RepoReport, Severity
from hubaudit.report.coverage import executes
from hubaudit.report.html.rows import Rows, clip, cut, first, link, order
from hubaudit.report.tally import standing

_ROLES = (LoadRole.LOADED, LoadRole.CODE, LoadRole.FALLBACK, LoadRole.NEVER)
_READ = {
    ReadHow.CACHE: "whole, in the cache",
    ReadHow.RANGE: "parts, by range",
    ReadHow.HEADER: "its beginning",
    ReadHow.LOCAL: "from disk",
    ReadHow.NONE: "not read",
}
_VERIFIED = {True: "hash matches", False: "hash differs", None: ""}
_UNREADABLE = "not read to its end"
# The Hub's words for files that it objects to
_OBJECTIONS = frozenset({"unsafe", "suspicious", "caution"})
_SCANNERS = 12  # the Hub has five


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one of the Hub's scanners says."""

    scanner: str
    status: str
    message: str
    objects: bool


@dataclass(frozen=True, slots=True)
class FileRow:
    """`worst`: the severity of the worst of its `findings` that stand, None without any."""

    path: str
    url: str | None
    role: LoadRole
    role_rank: int
    reason: str
    format: str
    executes: bool
    read: str
    verified: str
    mismatch: bool
    size: int
    sha256: str
    hub: str
    hub_objects: bool
    opinions: tuple[Opinion, ...]
    worst: Severity | None
    findings: int


def file_rows(report: RepoReport, limit: int) -> Rows[FileRow]:
    """The files that matter first: by their worst finding, then by what a load does with them."""
    found: dict[str, list[Severity]] = {}
    for finding in standing(report):
        found.setdefault(finding.path, []).append(finding.severity)
    unread = {entry.path for entry in report.unread}

    def importance(file: FileReport) -> tuple[object, ...]:
        severities = found.get(file.path)
        rank = severities[0].rank if severities else len(Severity)
        return (
            rank,
            file.path not in unread,
            _ROLES.index(file.load_role),
            not executes(file),
            order(file.path),
        )

    ranked = sorted(report.files, key=importance)
    return first(ranked, limit, lambda file: _row(report, file, found.get(file.path, []), unread))


def _row(
    report: RepoReport, file: FileReport, severities: list[Severity], unread: set[str]
) -> FileRow:
    status, opinions = _hub(file.hub_scan)
    return FileRow(
        path=cut(file.path),
        url=link(report.repo, file.path),
        role=file.load_role,
        role_rank=_ROLES.index(file.load_role),
        reason=clip(file.load_reason),
        format=cut(file.format),
        executes=executes(file),
        read=_UNREADABLE if file.path in unread else _READ[file.read],
        verified=_VERIFIED[file.verified],
        mismatch=file.verified is False,
        size=file.size,
        sha256=cut(file.sha256 or ""),
        hub=status,
        hub_objects=status in _OBJECTIONS or any(one.objects for one in opinions),
        opinions=opinions,
        worst=severities[0] if severities else None,
        findings=len(severities),
    )


def _hub(scan: HubScan | None) -> tuple[str, tuple[Opinion, ...]]:
    """Its status, and of its scanners those that looked, objections first."""
    if scan is None:
        return "no verdict", ()
    opinions = [
        Opinion(
            cut(one.scanner),
            cut(one.status),
            clip(one.message or ""),
            one.status in _OBJECTIONS,
        )
        for one in scan.scanners
    ]
    ranked = sorted(opinions, key=lambda one: (not one.objects, one.scanner, one.status))
    return cut(scan.status), tuple(ranked[:_SCANNERS])
