"""JUnit XML: a suite for each repository, a case for each file and each finding about the whole of it.

There is no standard; this keeps to the schema of Jenkins' xUnit plugin (junit-10.xsd), which GitLab, Azure
and GitHub's viewers read too. No times: the same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar
from xml.etree import ElementTree as ET

from hubaudit.model import Finding, RepoReport, Severity, Unread, Verdict
from hubaudit.report.escape import visible
from hubaudit.report.page import Page
from hubaudit.report.tally import (
    by_severity,
    counts_text,
    figures,
    place,
    standing,
    subject,
    tolerated,
    worst,
)


def render(report: RepoReport, page: Page | None = None) -> str:
    """A document with one suite."""
    return render_many([report], page)


def render_many(reports: Sequence[RepoReport], _page: Page | None = None) -> str:
    """A document with a suite for each report, in the order given."""
    root = ET.Element("testsuites", {"name": "hubaudit"})
    suites = [_suite(report) for report in reports]
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(report: RepoReport) -> ET.Element:
    suite = ET.Element("testsuite", {"name": subject(report.repo)})
    properties = ET.SubElement(suite, "properties")
    facts = {
        **figures(report),
        "commit": report.repo.commit_hash or "",
        **{severity.value: str(number) for severity, number in by_severity(report).items()},
    }
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": name, "value": visible(value)})
    cases = list(_cases(report))
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    return suite


def _cases(report: RepoReport) -> list[ET.Element]:
    """The verdict's case comes first: it fails with the audit, whatever the files' cases do."""
    found, unread = _by_path(standing(report) + tolerated(report)), _by_path(report.unread)
    about = subject(report.repo)
    verdict = ET.Element("testcase", {"classname": about, "name": "verdict"})
    said = f"{counts_text(report)}. {report.summary}"
    if report.verdict is Verdict.FAIL:
        _put(verdict, "failure", "fail", said, "")
    elif report.verdict is Verdict.INCOMPLETE:
        _put(verdict, "error", "incomplete", said, "")
    cases = [verdict]
    failing = _failing(report)
    for path in sorted({file.path for file in report.files} | found.keys() | unread.keys()):
        case = ET.Element("testcase", {"classname": about, "name": place(path, None)})
        _judge(case, failing, found.get(path, []), unread.get(path, []))
        cases.append(case)
    return cases


_T = TypeVar("_T", Finding, Unread)


def _by_path(items: Iterable[_T]) -> dict[str, list[_T]]:
    found: dict[str, list[_T]] = {}
    for item in items:
        found.setdefault(item.path, []).append(item)
    return found


def _judge(
    case: ET.Element,
    failing: frozenset[Severity],
    findings: Sequence[Finding],
    unread: Sequence[Unread],
) -> None:
    """A case fails for what the audit fails for; what is for review is skipped, as pipelines go on then."""
    bad = [one for one in findings if one.waived is None and one.severity in failing]
    serious = _SERIOUS - failing
    review = [one for one in findings if one.waived is None and one.severity in serious]
    told = failing
    if bad:
        _put(case, "failure", bad[0].severity.value, bad[0].message, _lines(bad))
    elif unread:
        _put(case, "error", "not-read", "not read to its end", _gaps(unread))
    elif review:
        _put(case, "skipped", "review", review[0].message, _lines(review))
        told = serious
    rest = [one for one in findings if one.waived is not None or one.severity not in told]
    said = [_lines(rest), _gaps(unread) if bad else ""]
    if any(said):
        ET.SubElement(case, "system-out").text = "\n".join(filter(None, said))


_SERIOUS = frozenset({Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM})


def _failing(report: RepoReport) -> frozenset[Severity]:
    """The severities for which the audit failed. The policy is not in the report; its default is high."""
    highest = worst(report)
    if report.verdict is not Verdict.FAIL or highest is None:
        return frozenset()
    return frozenset({highest} | ({Severity.HIGH} if highest is Severity.CRITICAL else set()))


def _lines(findings: Sequence[Finding]) -> str:
    return "\n".join(_line(finding) for finding in findings)


def _gaps(unread: Sequence[Unread]) -> str:
    return "\n".join(
        visible(f"not read: {place(one.path, one.member)}: {one.why}") for one in unread
    )


def _line(finding: Finding) -> str:
    said = f"{finding.severity.value} {finding.rule} {place(finding.path, finding.member)}: {finding.message}"
    if finding.evidence:
        said += f": {finding.evidence}"
    if finding.waived is not None:
        said += f" (waived: {finding.waived})"
    return visible(said)


def _put(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, {"type": kind, "message": visible(message)})
    element.text = text or None
