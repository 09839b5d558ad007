"""Markdown for a job's summary or a comment on a pull request.

All text of the repository stands in code spans. Nothing in them is a link, a mention, an image or HTML
(CommonMark 0.31, 6.1), for GitHub's and GitLab's own additions neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hubaudit.model import Comparison, Finding, Opinion, RepoReport, Unread, Verdict
from hubaudit.report import compared
from hubaudit.report.advice import advice_for
from hubaudit.report.escape import visible
from hubaudit.report.opinions import TITLE, heard
from hubaudit.report.order import heaps, in_order
from hubaudit.report.page import Page
from hubaudit.report.pin import pin
from hubaudit.report.tally import counts_text, place, standing, subject, tolerated

# Of each table, as many as fit: nobody reads more than fifty, and a report without rows says enough.
ROWS = (50, 20, 8, 3, 1)
CELL = 200  # characters
# What GitHub takes: a comment of so many characters, and a job's summary of 1 MiB.
COMMENT, SUMMARY = 65_536, 1 << 20
# cmark-gfm takes no longer run for the beginning of a code span (inlines.c, MAXBACKTICKS is 80); a span is
# fenced by one more than it has.
_MOST_BACKTICKS = 8
MOST_TARGETS = 1_000  # in the table above the reports: a row has 900 bytes at most
_VERDICTS = (Verdict.FAIL, Verdict.INCOMPLETE, Verdict.REVIEW, Verdict.PASS)


def render(report: RepoReport, _page: Page | None = None) -> str:
    """A section with a heading of the second level, which fits a comment."""
    return next(text for rows in ROWS if len(text := _report(report, rows)) <= COMMENT or rows == 1)


def render_many(reports: Sequence[RepoReport], _page: Page | None = None) -> str:
    """A table of all targets, then the section of each, as far as they fit a job's summary."""
    for rows in ROWS:
        text = "\n".join([_index(reports) + "\n", *(_report(report, rows) for report in reports)])
        if len(text.encode()) <= SUMMARY:
            return text
    return f"{_index(reports)}\n\nThe reports are too long for one page: see the JSON report\n"


def _index(reports: Sequence[RepoReport]) -> str:
    """Worst first, if not all of them fit."""
    shown = reports
    if len(reports) > MOST_TARGETS:
        ranked = sorted(reports, key=lambda one: _VERDICTS.index(one.verdict))
        shown = ranked[:MOST_TARGETS]
    rows = [[r.verdict.value.upper(), code(subject(r.repo)), counts_text(r)] for r in shown]
    return _table(["verdict", "repository", "findings"], rows, len(reports))


def _report(report: RepoReport, rows: int) -> str:
    parts = [
        f"## {report.verdict.value.upper()}: {code(subject(report.repo))}",
        f"{code(report.summary)}\n\n{counts_text(report)}.",
        _findings(standing(report), "Findings", rows),
        _findings(tolerated(report), "Waived", rows),
        _unread(report.unread, rows),
        _comparisons(report.comparisons, rows),
        _opinions(report.opinions, rows),
        _bases(report, rows),
        _pinned(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def code(text: str, limit: int = CELL) -> str:
    """`text`, made visible and shortened, as a code span that also keeps its place in a table."""
    shown = re.sub(_TOO_MANY_BACKTICKS, _spelled, visible(text[: limit + 1]))
    if len(shown) > limit:
        shown = f"{shown[:limit]}…"
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest or shown[:1] == " " == shown[-1:] else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", r"\|") if shown else "–"


_TOO_MANY_BACKTICKS = re.compile(f"`{{{_MOST_BACKTICKS + 1},}}")


def _spelled(backticks: re.Match[str]) -> str:
    return r"\x60" * len(backticks[0])


def _findings(findings: Sequence[Finding], title: str, most: int) -> str:
    heaped = heaps(findings)
    rows = []
    for heap in heaped[:most]:
        one = heap.first
        times = f" × {heap.count}" if heap.count > 1 else ""
        said = code(one.message)
        if one.evidence:
            at = "" if one.offset is None else f" (byte {one.offset})"
            said += f"<br>{code(one.evidence)}{at}"
        if one.waived is not None:
            said += f"<br>waived: {code(one.waived)}"
        rows.append(
            [one.severity.value, code(one.rule), code(place(one.path, one.member)) + times, said]
        )
    table = _section(title, ["severity", "rule", "where", "what"], rows, len(heaped))
    rules = dict.fromkeys(heap.first.rule for heap in heaped[:most] if heap.first.waived is None)
    advice = "\n".join(f"- {code(rule)}: {advice_for(rule)}" for rule in rules)
    return "\n\n".join(part for part in (table, advice) if part)


def _unread(unread: Iterable[Unread], most: int) -> str:
    entries = in_order(unread)
    rows = [[code(place(entry.path, entry.member)), code(entry.why)] for entry in entries[:most]]
    return _section("Not read to the end", ["where", "why"], rows, len(entries))


def _comparisons(comparisons: Sequence[Comparison], most: int) -> str:
    rows = [
        [*map(code, compared.files(one)), code(compared.outcome(one))]
        for one in compared.worst_first(comparisons)[:most]
    ]
    head = ["pickle", "safetensors", "result"]
    return _section("Compared", head, rows, len(comparisons))


def _opinions(opinions: Sequence[Opinion], most: int) -> str:
    told = heard(opinions)
    rows = [[code(one.engine), code(one.about), code(one.said)] for one in told[:most]]
    return _section(TITLE, ["scanner", "files", "says"], rows, len(told))


def _bases(report: RepoReport, most: int) -> str:
    bases = report.load.bases if report.load else ()
    shown = ", ".join(code(base) for base in bases[:most])
    more = f" and {len(bases) - most} more" if len(bases) > most else ""
    return f"A load would also open {shown}{more}: audit these, too." if bases else ""


def _pinned(report: RepoReport) -> str:
    line = pin(report.repo, report.load)
    if line is None or report.verdict.value not in {"pass", "review"}:
        return ""
    return f"To load exactly what was read:\n\n```python\n{line}\n```"


def _section(title: str, head: list[str], rows: list[list[str]], total: int) -> str:
    return f"### {title}\n\n{_table(head, rows, total)}" if rows else ""


def _table(head: list[str], rows: list[list[str]], total: int) -> str:
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    more = total - len(rows)
    return f"{text}\n\nand {more} more: see the JSON report" if more else text
