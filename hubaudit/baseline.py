"""Baselines: which findings were there before, in the very same content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from hubaudit.config import Known, repo_name
from hubaudit.model import FileReport, Finding, RepoRef, RepoReport, Severity
from hubaudit.rules.policy import WAIVER

IN_BASELINE = "in the baseline"

_Key = tuple[object, ...]


def mark_known(
    findings: Iterable[Finding],
    files: Iterable[FileReport],
    repo: RepoRef,
    baseline: frozenset[Known],
) -> tuple[Finding, ...]:
    """`findings`, those of the baseline waived; not those that have become worse since."""
    worst = _worst_known(baseline)
    contents = _contents(files)
    return tuple(
        replace(finding, waived=IN_BASELINE)
        if finding.waived is None
        and (row := _known(finding, repo, contents)) is not None
        and worst.get(_key(row), len(Severity)) <= finding.severity.rank
        else finding
        for finding in findings
    )


def known_in(report: RepoReport) -> frozenset[Known]:
    """What a baseline keeps of `report`: every finding that no waiver of its own hides, but notes.

    Notes decide nothing, and what is said of waivers is no property of the repository.
    """
    contents = _contents(report.files)
    rows = (
        _known(finding, report.repo, contents)
        for finding in report.findings
        if finding.waived in (None, IN_BASELINE)
    )
    return frozenset(row for row in rows if row is not None)


def gone_from(report: RepoReport, baseline: Iterable[Known]) -> frozenset[Known]:
    """The rows of this repository that the audit no longer found. Of unread files nobody can tell."""
    unread = {_plain(entry.path) for entry in report.unread}
    mine = {row for row in baseline if row.repo == name_of(report.repo) and row.path not in unread}
    found = {_key(row) for row in known_in(report)}
    return frozenset(row for row in mine if _key(row) not in found)


def name_of(repo: RepoRef) -> str:
    """How a baseline spells a repository."""
    return _plain(repo_name(repo))


@lru_cache(maxsize=8)  # a sweep asks once for each repository
def _worst_known(baseline: frozenset[Known]) -> Mapping[_Key, int]:
    """The rank of the worst severity by what a row is about."""
    ranks: dict[_Key, int] = {}
    for row in baseline:
        key = _key(row)
        ranks[key] = min(ranks.get(key, row.severity.rank), row.severity.rank)
    return ranks


def _known(finding: Finding, repo: RepoRef, contents: Mapping[str, str]) -> Known | None:
    """The row for `finding`; None if it is none for a baseline, or nothing says in which bytes it is."""
    if finding.severity is Severity.INFO or finding.rule == WAIVER.id:
        return None
    content = contents.get(finding.path)
    if finding.path and content is None:
        return None
    shown = _plain(finding.evidence or finding.message)
    return Known(
        finding.rule,
        name_of(repo),
        _plain(finding.path),
        None if finding.member is None else _plain(finding.member),
        content,
        hashlib.sha256(shown.encode()).hexdigest(),
        finding.severity,
    )


def _plain(text: str) -> str:
    """Names that are no Unicode, as reports spell them: a file of JSON has to hold them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _key(row: Known) -> _Key:
    return row.rule, row.repo, row.path, row.member, row.content, row.evidence


def _contents(files: Iterable[FileReport]) -> Mapping[str, str]:
    return dict(_identified(tuple(files)))


def _identified(files: Sequence[FileReport]) -> Iterator[tuple[str, str]]:
    """Each file with what names its bytes. Bytes that are not the listed ones have no name."""
    for file in files:
        if file.verified is False:
            continue
        if file.sha256 is not None:
            yield file.path, f"sha256:{file.sha256}"
        elif file.blob_id is not None:
            yield file.path, f"git:{file.blob_id}"
