"""GitHub's workflow commands: an annotation for each finding, in the log of a job.

Syntax and escapes: docs.github.com, "Workflow commands for GitHub Actions", and `escapeData` and
`escapeProperty` of actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hubaudit.model import Finding, RepoReport, Severity, Verdict
from hubaudit.report.escape import clipped, clipped_middle, visible
from hubaudit.report.order import heaps, in_order
from hubaudit.report.page import Origin, Page
from hubaudit.report.tally import counts_text, place, standing, subject

# Characters: the log of a job cuts a line at 64 KiB, and an annotation shows a few lines.
TITLE, MESSAGE = 200, 2000

_LEVEL = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.INFO: "notice",
}
_VERDICT = {
    Verdict.PASS: "notice",
    Verdict.REVIEW: "warning",
    Verdict.FAIL: "error",
    Verdict.INCOMPLETE: "error",
}


def render(report: RepoReport, page: Page | None = None) -> str:
    """One line a finding, one a part that was not read, and one for the verdict, which comes first."""
    where = subject(report.repo)
    origin = page.origin_of(report.repo) if page is not None else None
    said = f"{counts_text(report)}. {report.summary}"
    title = f"{report.verdict.value.upper()} {where}"
    lines = [_command(_VERDICT[report.verdict], title, said, origin)]
    lines += [_finding(heap.first, heap.count, where, origin) for heap in heaps(standing(report))]
    for entry in in_order(report.unread):
        at = f"{where}: {place(entry.path, entry.member)}"
        lines.append(_command("error", f"not read: {at}", entry.why, origin))
    return "".join(lines)


def render_many(reports: Sequence[RepoReport], page: Page | None = None) -> str:
    return "".join(render(report, page) for report in reports)


def _finding(finding: Finding, count: int, where: str, origin: Origin | None) -> str:
    times = f" × {count}" if count > 1 else ""
    title = f"{finding.rule} ({finding.severity.value}): {where}{times}"
    said = f"{place(finding.path, finding.member)}: {finding.message}"
    if finding.evidence:
        said += f": {finding.evidence}"
    return _command(_LEVEL[finding.severity], title, said, origin)


def _command(level: str, title: str, message: str, origin: Origin | None) -> str:
    properties = {"title": clipped_middle(title, TITLE)}
    if origin is not None:
        properties = {"file": origin.path, "line": str(origin.line), **properties}
    return command(level, properties, message)


def command(level: str, properties: Mapping[str, str], message: str) -> str:
    """A line that makes an annotation. `level`: error, warning or notice."""
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {listed}::{_data(clipped(message, MESSAGE))}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
