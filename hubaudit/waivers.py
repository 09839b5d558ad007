"""Which findings the policy tolerates, and which waivers no longer do what they were made for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hubaudit.baseline import mark_known
from hubaudit.config import Policy, Waiver, repo_name
from hubaudit.model import Confidence, FileReport, Finding, RepoRef, Severity
from hubaudit.rules.policy import WAIVER


def tolerate(
    findings: Sequence[Finding], files: Sequence[FileReport], repo: RepoRef, policy: Policy
) -> tuple[Finding, ...]:
    """`findings` with the reason in `waived` where a waiver or the baseline hides one.

    After them come findings about waivers for this repository that are expired or match nothing.
    What was not read is none of this module's business: nothing here hides it.
    """
    mine = [waiver for waiver in policy.waivers if waiver.repo == repo_name(repo)]
    in_force = [waiver for waiver in mine if not _expired(waiver, policy)]
    # bytes that are not the listed ones have no hash that a waiver could be for
    hashes = {file.path: None if file.verified is False else file.sha256 for file in files}
    waived = tuple(_waived(finding, in_force, hashes) for finding in findings)
    marked = mark_known(waived, files, repo, policy.baseline)
    return (*marked, *_about_waivers(mine, findings, hashes, policy))


def _waived(finding: Finding, waivers: Sequence[Waiver], hashes: dict[str, str | None]) -> Finding:
    for waiver in waivers:
        if _is_about(waiver, finding) and hashes.get(finding.path) == waiver.sha256:
            return replace(finding, waived=waiver.reason)
    return finding


def _is_about(waiver: Waiver, finding: Finding) -> bool:
    return (waiver.rule, waiver.file) == (finding.rule, finding.path)


def _expired(waiver: Waiver, policy: Policy) -> bool:
    return policy.today is None or waiver.expires < policy.today


def _about_waivers(
    waivers: Sequence[Waiver],
    findings: Sequence[Finding],
    hashes: dict[str, str | None],
    policy: Policy,
) -> Iterator[Finding]:
    for waiver in waivers:
        severity, said = Severity.LOW, None
        if _expired(waiver, policy):
            said = f"expired after {waiver.expires.isoformat()}"
        elif waiver.file not in hashes:
            severity, said = Severity.INFO, "matches nothing: no such file was audited"
        elif hashes[waiver.file] != waiver.sha256:
            said = f"is for other bytes than the file has, sha256 {waiver.sha256[:12]}…"
        elif not any(_is_about(waiver, finding) for finding in findings):
            severity, said = Severity.INFO, "matches nothing: the rule finds nothing in the file"
        if said is not None:
            yield _finding(waiver, severity, said)


def _finding(waiver: Waiver, severity: Severity, said: str) -> Finding:
    return Finding(
        WAIVER.id,
        severity,
        Confidence.HIGH,
        waiver.file,
        None,
        None,
        f"the waiver of {waiver.owner} for {waiver.rule} {said}",
        waiver.reason,
        WAIVER.references,
    )
