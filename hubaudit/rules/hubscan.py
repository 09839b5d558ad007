"""What the Hub's own scanners say: `hub-scan`. Information, never a reason to pass."""

from __future__ import annotations

from collections.abc import Iterator

from hubaudit.model import Confidence, Finding, HubScan, Severity
from hubaudit.rules.base import Evidence, Rule

# The Hub's words. `safe` is no finding; and no reassurance either, since it may mean "not scanned".
_SEVERITIES = {
    "unsafe": Severity.HIGH,
    "suspicious": Severity.LOW,
    "caution": Severity.LOW,
}
_NO_VERDICT = ("queued", "unscanned", "error")


def _check(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    scan = evidence.file.hub_scan
    if scan is None or scan.status == "safe":
        return
    if scan.status in _SEVERITIES:
        yield rule.finding(
            evidence,
            _SEVERITIES[scan.status],
            f"the Hub marks this file as {scan.status}{_by_whom(scan)}",
            confidence=Confidence.MEDIUM,
        )
    elif evidence.contents.pickles:
        what = "has no verdict" if scan.status in _NO_VERDICT else "has an unknown verdict"
        yield rule.finding(
            evidence, Severity.INFO, f"the Hub {what} on this file yet: {scan.status}"
        )


def _by_whom(scan: HubScan) -> str:
    said = [
        f"{scanner.scanner}: {scanner.message or scanner.status}"
        for scanner in scan.scanners
        if scanner.status == scan.status
    ]
    return f" ({'; '.join(said)})" if said else ""


HUB_SCAN = Rule(
    id="hub-scan",
    summary="The Hub's own scanners object to a file, or have not looked at it yet.",
    advice="Read the scanners' report on the file's page on the Hub before you load it.",
    worst=Severity.HIGH,
    references=("AML.T0010.003", "LLM03:2025"),
    check=_check,
)
