"""The summary as JUnit XML and as a page that links the page of each repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote
from xml.etree import ElementTree as ET

from hubaudit.errors import ReportUnusable
from hubaudit.lists import place
from hubaudit.model import RepoReport
from hubaudit.report import REPORTS, Page
from hubaudit.report.escape import visible
from hubaudit.report.stored import read_reports
from hubaudit.report.words import count
from hubaudit.store import AuditKey, Store
from hubaudit.sweeping.results import Result
from hubaudit.sweeping.summary import Summary, figures, what_of, word_of

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .6em;"
    "border-bottom:1px solid #ccc;vertical-align:top}code{font-size:90%}"
    ".fail,.undecided{color:#a00}.incomplete,.review{color:#850}.pass{color:#060}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}td,th{border-color:#444}"
    "a{color:#8bf}.fail,.undecided{color:#f77}.incomplete,.review{color:#fb5}.pass{color:#7d7}}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def reports_of(store: Store, summary: Summary) -> Iterator[tuple[Result, RepoReport | None]]:
    """Each result with its report, read from the store one by one."""
    for result in sorted(summary.results, key=lambda one: one.target):
        yield result, None if result.key is None else stored_report(store, result.key)


def stored_report(store: Store, key: AuditKey) -> RepoReport:
    """Raises ReportUnusable where the store does not hold what it should."""
    audit = store.find_audit(key)
    found = read_reports(audit.report.encode(), key.repo_id) if audit is not None else None
    if found is None or not found.reports:
        raise ReportUnusable(
            f"the store has no report on {key.repo_id}", hint="sweep again without --resume"
        )
    return found.reports[0]


def as_junit(store: Store, summary: Summary) -> str:
    """A suite for each repository, then one for what belongs to none: whatever counts for the exit code."""
    root = ET.Element("testsuites", {"name": "hubaudit"})
    troubled = []
    for result, report in reports_of(store, summary):
        if report is not None:
            root.append(_suite(result, report))
        elif result.trouble is not None:
            troubled.append(_failed_suite(result))
    root.extend(troubled)
    if said := _of_no_repository(summary):
        root.append(_errors("the list", said))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(result: Result, report: RepoReport) -> ET.Element:
    """That of an audit, and a failure where the repository stands elsewhere than it should."""
    suite = ET.fromstring(REPORTS["junit"].one(report, Page()))[0]  # noqa: S314 - our own output
    if result.is_drift:
        kind, said = "moved", f"it stood at {visible(result.was_at or '')} in the sweep before"
        if result.approved is not None:
            kind, said = "unapproved", f"approved is {visible(result.approved)}"
        case = ET.SubElement(suite, "testcase", {"classname": suite.get("name", ""), "name": kind})
        ET.SubElement(case, "failure", {"type": kind, "message": said})
        for key in ("tests", "failures"):
            suite.set(key, str(int(suite.get(key, "0")) + 1))
    return suite


def _failed_suite(result: Result) -> ET.Element:
    assert result.trouble is not None
    trouble = result.trouble
    return _errors(result.target, [("verdict", trouble.kind, trouble.message, trouble.hint)])


def _of_no_repository(summary: Summary) -> list[tuple[str, str, str, str]]:
    said = [
        (place(one.source, one.line), "mistake", one.why, "correct the list")
        for one in summary.problems
    ]
    if summary.left:
        why = f"{count(summary.left, 'target')} not reached"
        said.append(("whole", "left", why, "go on with --resume"))
    return said + [("whole", "missing", why, "merge all parts") for why in summary.missing]


def _errors(name: str, said: Sequence[tuple[str, str, str, str]]) -> ET.Element:
    """A suite of errors, each with name, kind, message and hint."""
    name, number = visible(name), str(len(said))
    figures_ = {"name": name, "tests": number, "failures": "0", "errors": number, "skipped": "0"}
    suite = ET.Element("testsuite", figures_)
    for what, kind, message, hint in said:
        case = ET.SubElement(suite, "testcase", {"classname": name, "name": visible(what)})
        error = ET.SubElement(case, "error", {"type": kind, "message": visible(message)})
        error.text = visible(hint)
    return suite


def page_path(key: AuditKey) -> PurePosixPath:
    """Where the page of a repository lies below the folder of pages."""
    kind = {"dataset": "datasets", "space": "spaces"}.get(key.repo_type)
    folder = PurePosixPath(*([kind] if kind else []), *key.repo_id.split("/"))
    return folder / f"{key.commit_hash}.html"


def as_index(summary: Summary, folder: str) -> str:
    """The index. Pages of repositories are in `folder`, relative to it."""
    rows = "\n".join(
        _index_row(one, folder) for one in sorted(summary.results, key=lambda one: one.target)
    )
    said = "".join(f"<p>{escape(line)}</p>" for line in figures(summary))
    problems = "".join(f"<li>{escape(visible(str(one)))}</li>" for one in summary.problems)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>hubaudit: sweep</title><style>{_STYLE}</style></head>\n<body><h1>Sweep</h1>{said}"
        f"{f'<ul>{problems}</ul>' if problems else ''}\n<table><thead><tr><th>Verdict</th>"
        "<th>Target</th><th>Commit</th><th>Changes</th><th>What</th></tr></thead><tbody>\n"
        f"{rows}\n</tbody></table></body></html>\n"
    )


def _index_row(result: Result, folder: str) -> str:
    name = escape(visible(result.target))
    commit = "–"
    if result.key is not None:
        name = f'<a href="{quote(f"{folder}/{page_path(result.key)}")}">{name}</a>'
        commit = f"<code>{escape(result.key.commit_hash[:12])}</code>"
    word = word_of(result)
    return (
        f'<tr><td class="{word}">{word.upper()}</td><td>{name}</td><td>{commit}</td>'
        f"<td>{escape(', '.join(result.changes))}</td><td>{escape(visible(what_of(result)))}</td></tr>"
    )
