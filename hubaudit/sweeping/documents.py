"""The summary as JUnit XML and as a page that links the page of each repository."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote
from xml.etree import ElementTree as ET

from hubaudit.errors import ReportUnusable
from hubaudit.model import RepoReport
from hubaudit.report import REPORTS, Page
from hubaudit.report.escape import visible
from hubaudit.report.stored import read_reports
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
    """A suite for each repository; of one that could not be decided, with an error in it."""
    pairs = list(reports_of(store, summary))
    root = ET.fromstring(  # noqa: S314 - our own output
        REPORTS["junit"].many([report for _, report in pairs if report is not None], Page())
    )
    troubled = [result for result, _ in pairs if result.trouble is not None]
    root.extend(map(_failed_suite, troubled))
    for key in ("tests", "errors"):
        root.set(key, str(int(root.get(key, "0")) + len(troubled)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _failed_suite(result: Result) -> ET.Element:
    assert result.trouble is not None
    name = visible(result.target)
    figures_ = {"name": name, "tests": "1", "failures": "0", "errors": "1", "skipped": "0"}
    suite = ET.Element("testsuite", figures_)
    case = ET.SubElement(suite, "testcase", {"classname": name, "name": "verdict"})
    said = {"type": result.trouble.kind, "message": visible(result.trouble.message)}
    ET.SubElement(case, "error", said).text = visible(result.trouble.hint)
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
