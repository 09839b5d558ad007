"""SARIF 2.1.0 (OASIS standard of 2020-03-27), as GitHub's code scanning reads it.

Code scanning shows a result at a line of a file of the scanned project: that is the line of the list that
names the repository, or a local file. The file on the Hub is the related location.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from hubaudit import rules
from hubaudit.model import Finding, RepoReport, Severity, Unread
from hubaudit.report.escape import visible
from hubaudit.report.json import printable
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


def render(report: RepoReport, page: Page | None = None) -> str:
    """A log with one run."""
    return render_many([report], page)


def render_many(reports: Sequence[RepoReport], page: Page | None = None) -> str:
    """A log with a run for each report, in the order given."""
    runs = [_run(report, page or Page()) for report in reports]
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": runs}
    return printable(json.dumps(log, indent=2, allow_nan=False)) + "\n"


def _run(report: RepoReport, page: Page) -> dict[str, Any]:
    found = standing(report) + tolerated(report)
    ids = sorted({finding.rule for finding in found})
    highest = worst(report)
    driver = {
        "name": "hubaudit",
        "semanticVersion": report.tool.version,
        "rules": [_rule(rule_id) for rule_id in ids],
        "properties": {"ruleset": report.tool.ruleset},
    }
    unread = sorted(report.unread, key=lambda entry: (entry.path, entry.member or "", entry.why))
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"hubaudit/{visible(report.repo.repo_id)}/"},
        "invocations": [
            {
                "executionSuccessful": not unread,
                "toolExecutionNotifications": [_notification(report, page, one) for one in unread],
            }
        ],
        "results": [_result(report, page, one, ids.index(one.rule)) for one in found],
        "columnKind": "unicodeCodePoints",
        "properties": {
            "verdict": report.verdict.value,
            "summary": visible(report.summary),
            "worst": highest.value if highest else "none",
            "counts": {severity.value: n for severity, n in by_severity(report).items()},
            "commit": report.repo.commit_hash or "",
        },
    }


def _rule(rule_id: str) -> dict[str, Any]:
    known = next((rule for rule in rules.RULES if rule.id == rule_id), None)
    if known is None:  # a stored report may be newer
        return {"id": visible(rule_id)}
    cwes = [one.lower() for one in known.references if one.startswith("CWE-")]
    return {
        "id": known.id,
        "shortDescription": {"text": known.summary},
        "help": {"text": f"{known.advice} See: hubaudit explain {known.id}"},
        "defaultConfiguration": {"level": _LEVEL[known.worst]},
        "properties": {
            "security-severity": _SCORE[known.worst],
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
    if page.origin is not None:
        uri, line = page.origin.path, page.origin.line
    elif report.repo.repo_type == "local":
        uri, line = path or report.repo.repo_id, 1
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
