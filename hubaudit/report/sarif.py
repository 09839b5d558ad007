"""SARIF 2.1.0 (OASIS standard of 2020-03-27), as GitHub's code scanning reads it.

Code scanning shows a result at a line of a file of the scanned project: that is the line of the list that
names the repository, or a local file. The file on the Hub is the related location.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from hubaudit import rules
from hubaudit.model import Finding, RepoReport, Severity, Unread
from hubaudit.report.advice import advice_for
from hubaudit.report.escape import visible
from hubaudit.report.json import printable
from hubaudit.report.order import in_order
from hubaudit.report.page import Page
from hubaudit.report.pin import page_url
from hubaudit.report.tally import by_severity, place, standing, subject, tolerated, worst

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVEL = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
# docs.github.com, "SARIF support for code scanning", security-severity: over 9.0 is critical, from 7.0
# high, from 4.0 medium, from 0.1 low
_SCORE = {
    Severity.CRITICAL: "9.8",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
    Severity.INFO: "0.1",
}


# docs.github.com, "SARIF results exceed one or more limits": a file with more of either is refused.
MOST_RUNS, MOST_RESULTS = 20, 25_000
_SEMANTIC = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


def render(report: RepoReport, page: Page | None = None) -> str:
    """A log with one run."""
    return render_many([report], page)


def render_many(reports: Sequence[RepoReport], page: Page | None = None) -> str:
    """A log with a run for each report, in the order given; more than fit in a log are one run."""
    page = page or Page()
    if len(reports) > MOST_RUNS:
        runs = [_run(reports, page, "hubaudit/")]
    else:
        runs = [
            _run([report], page, category)
            for report, category in zip(reports, _categories(reports), strict=True)
        ]
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": runs}
    return printable(json.dumps(log, indent=2, allow_nan=False)) + "\n"


def _categories(reports: Sequence[RepoReport]) -> list[str]:
    """The id of each run. Code scanning refuses a log in which two runs have the same."""
    seen: Counter[str] = Counter()
    made = []
    for report in reports:
        folder = "" if report.repo.repo_type == "model" else f"{report.repo.repo_type}s/"
        name = visible(f"{folder}{report.repo.repo_id}")
        seen[name] += 1
        made.append(f"hubaudit/{name}{'' if seen[name] == 1 else f' ({seen[name]})'}/")
    return made


def _run(reports: Sequence[RepoReport], page: Page, category: str) -> dict[str, Any]:
    found = [
        (report, finding)
        for report in reports
        for finding in (*standing(report), *tolerated(report))
    ]
    if len(reports) > 1:  # what is cut off is to be the least of all of them
        found.sort(key=lambda one: (one[1].waived is not None, one[1].severity.rank))
    ids = sorted({finding.rule for _, finding in found})
    places = {rule_id: number for number, rule_id in enumerate(ids)}
    shown = found[:MOST_RESULTS]
    told = [
        _notification(report, page, entry)
        for report in reports
        for entry in in_order(report.unread)
    ]
    if len(found) > len(shown):
        said = f"{len(found) - len(shown):,} more results are in the JSON report"
        told.append({"level": "warning", "message": {"text": said}})
    return {
        "tool": {"driver": _driver(reports, [finding for _, finding in found])},
        "automationDetails": {"id": category},
        "invocations": [
            {
                "executionSuccessful": not any(report.unread for report in reports),
                "toolExecutionNotifications": told,
            }
        ],
        "results": [
            _result(report, page, finding, places[finding.rule]) for report, finding in shown
        ],
        "columnKind": "unicodeCodePoints",
        "properties": _about(reports[0])
        if len(reports) == 1
        else {"reports": [{"subject": subject(one.repo), **_about(one)} for one in reports]},
    }


def _about(report: RepoReport) -> dict[str, Any]:
    highest = worst(report)
    return {
        "verdict": report.verdict.value,
        "summary": visible(report.summary),
        "worst": highest.value if highest else "none",
        "counts": {severity.value: n for severity, n in by_severity(report).items()},
        "commit": report.repo.commit_hash or "",
    }


def _driver(reports: Sequence[RepoReport], found: Sequence[Finding]) -> dict[str, Any]:
    tool = reports[0].tool
    worst_of: dict[str, Severity] = {}
    for one in found:
        before = worst_of.setdefault(one.rule, one.severity)
        worst_of[one.rule] = min(before, one.severity, key=lambda severity: severity.rank)
    version = visible(tool.version)
    return {
        "name": "hubaudit",
        "version": version,
        **({"semanticVersion": version} if _SEMANTIC.fullmatch(version) else {}),
        "rules": [_rule(rule_id, worst_of[rule_id]) for rule_id in sorted(worst_of)],
        "properties": {"ruleset": tool.ruleset},
    }


def _rule(rule_id: str, found: Severity) -> dict[str, Any]:
    """What code scanning wants of a rule: both descriptions and a help. `found`: the worst that it found."""
    known = next((rule for rule in rules.RULES if rule.id == rule_id), None)
    # a stored report may be newer
    summary = known.summary if known else visible(rule_id).replace("-", " ").capitalize() + "."
    cwes = [one.lower() for one in known.references if one.startswith("CWE-")] if known else []
    level = known.worst if known else found
    advice = advice_for(rule_id)
    return {
        "id": visible(rule_id),
        "shortDescription": {"text": summary},
        "fullDescription": {"text": f"{summary} {advice}"},
        "help": {"text": f"{advice} See: hubaudit explain {rule_id}" if known else advice},
        "defaultConfiguration": {"level": _LEVEL[level]},
        "properties": {
            "security-severity": _SCORE[level],
            "tags": ["security", *(f"external/cwe/{cwe}" for cwe in cwes)],
        },
    }


def _result(report: RepoReport, page: Page, finding: Finding, index: int) -> dict[str, Any]:
    where = place(finding.path, finding.member)
    said = f"{subject(report.repo)}: {where}: {finding.message}"
    if finding.evidence:
        said += f": {finding.evidence}"
    result: dict[str, Any] = {
        "ruleId": visible(finding.rule),
        "ruleIndex": index,
        "level": _LEVEL[finding.severity],
        "message": {"text": _plain(said)},
        "locations": [_location(report, page, finding.path)],
        "partialFingerprints": {"hubaudit/v1": _fingerprint(report, finding)},
        "properties": {
            "severity": finding.severity.value,
            "confidence": finding.confidence.value,
            "security-severity": _SCORE[finding.severity],
            "member": visible(finding.member or ""),
            "references": list(finding.references),
        },
    }
    if related := _on_the_hub(report, finding):
        result["relatedLocations"] = [related]
    if finding.waived is not None:
        waiver = {"kind": "external", "justification": visible(finding.waived)}
        result["suppressions"] = [waiver]
    return result


def _notification(report: RepoReport, page: Page, entry: Unread) -> dict[str, Any]:
    said = f"{subject(report.repo)}: not read: {place(entry.path, entry.member)}: {entry.why}"
    return {
        "level": "error",
        "message": {"text": _plain(said)},
        "locations": [_location(report, page, entry.path)],
    }


def _location(report: RepoReport, page: Page, path: str) -> dict[str, Any]:
    origin = page.origin_of(report.repo)
    if origin is not None:
        uri, line = origin.path, origin.line
    elif report.repo.repo_type == "local":
        uri, line = f"{page.folders.get(report.repo.repo_id, '')}{path}" or report.repo.repo_id, 1
    else:
        uri, line = f"{report.repo.repo_id}/{path}".rstrip("/"), 1
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(uri.encode("utf-8", "backslashreplace"))},
            "region": {"startLine": line},
        }
    }


def _on_the_hub(report: RepoReport, finding: Finding) -> dict[str, Any] | None:
    path = finding.path.encode("utf-8", "backslashreplace").decode()
    url = page_url(report.repo, path)
    if url is None:
        return None
    physical: dict[str, Any] = {"artifactLocation": {"uri": url}}
    if finding.offset is not None and finding.member is None:
        physical["region"] = {"byteOffset": finding.offset, "byteLength": 0}
    return {
        "id": 0,
        "message": {"text": "the file at the audited commit"},
        "physicalLocation": physical,
    }


def _fingerprint(report: RepoReport, finding: Finding) -> str:
    """The same for the same finding of another commit, so that an alert is not opened twice."""
    parts = (
        report.repo.repo_id,
        finding.rule,
        finding.path,
        finding.member or "",
        finding.evidence,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _plain(text: str) -> str:
    """A message without embedded links and placeholders (3.11.5, 3.11.6)."""
    shown = visible(text).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return shown.replace("{", "{{").replace("}", "}}")
