"""The figures that every form of a report has to agree on."""

from __future__ import annotations

from hubaudit.model import Finding, RepoRef, RepoReport, Severity
from hubaudit.report.escape import visible
from hubaudit.report.order import worst_first


def standing(report: RepoReport) -> list[Finding]:
    """The findings that nothing tolerates, worst first."""
    return sorted((f for f in report.findings if f.waived is None), key=worst_first)


def tolerated(report: RepoReport) -> list[Finding]:
    """The findings that a waiver or a baseline covers, worst first."""
    return sorted((f for f in report.findings if f.waived is not None), key=worst_first)


def by_severity(report: RepoReport) -> dict[Severity, int]:
    """How many findings stand, of each severity, worst first; zeros too."""
    found = [finding.severity for finding in standing(report)]
    return {severity: found.count(severity) for severity in Severity}


def worst(report: RepoReport) -> Severity | None:
    """The highest severity of what stands."""
    return next((severity for severity, number in by_severity(report).items() if number), None)


def figures(report: RepoReport) -> dict[str, str]:
    """What a document of names and values says of the whole: the verdict, and what it is about."""
    highest = worst(report)
    return {
        "verdict": report.verdict.value,
        "summary": report.summary,
        "worst": highest.value if highest else "none",
        "ruleset": report.tool.ruleset,
    }


def counts_text(report: RepoReport) -> str:
    """ "1 critical, 2 low, 3 waived, 1 not read": what there is, in words."""
    parts = [
        f"{number} {severity.value}" for severity, number in by_severity(report).items() if number
    ]
    if waived := len(tolerated(report)):
        parts.append(f"{waived} waived")
    if unread := len(report.unread):
        parts.append(f"{unread} not read")
    return ", ".join(parts) or "no findings"


def subject(repo: RepoRef) -> str:
    """ "dataset org/name at 0123456789ab", made visible."""
    kind = f"{repo.repo_type} " if repo.repo_type in {"dataset", "space"} else ""
    commit = f" at {repo.commit_hash[:12]}" if repo.commit_hash else ""
    return visible(f"{kind}{repo.repo_id}{commit}")


def place(path: str, member: str | None) -> str:
    """ "file › member", made visible."""
    if not path:
        return "the whole repository"
    return visible(path if member is None else f"{path} › {member}")
