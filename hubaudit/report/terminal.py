"""The terminal report: one screen that says what would run, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from itertools import groupby
from typing import assert_never

from rich.console import Console
from rich.text import Text

from hubaudit.model import (
    Comparison,
    Finding,
    Opinion,
    RepoRef,
    RepoReport,
    Severity,
    Unread,
    Verdict,
)
from hubaudit.report import compared
from hubaudit.report.advice import advice_for
from hubaudit.report.coverage import coverage_text
from hubaudit.report.escape import clipped, clipped_middle, no_command, visible
from hubaudit.report.opinions import TITLE, heard
from hubaudit.report.order import Heap, heaps, in_order
from hubaudit.report.page import Page
from hubaudit.report.pin import pin
from hubaudit.report.tally import counts_text
from hubaudit.report.words import count, size
from hubaudit.verdict import IF_LOADED

SHORT_COMMIT = 12  # what git itself abbreviates to in large repositories; the pin has all 40
EVIDENCE_CHARS = 220  # three lines of 80 columns; the JSON has all of it
PLACE_CHARS = 140  # two lines of 80 columns, so that a hostile name cannot push the verdict away
INDENT = 2
_DETAILS = 3  # tensors and notes of one comparison: which, and how, without pushing the pin away

_VERDICT_STYLE = {
    Verdict.PASS: "bold green",
    Verdict.REVIEW: "bold yellow",
    Verdict.FAIL: "bold white on red",
    Verdict.INCOMPLETE: "bold magenta",
}
_SEVERITY_STYLE = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}
_ACCEPTED = "If you accept what is found above, load exactly what was read:"


def render(report: RepoReport, page: Page) -> str:
    """The report as text of at most `page.width` columns, but for the pin, which is one line to copy.

    With `page.color` it has ANSI styles. Everything that came from a repository is written out
    harmlessly, so the only escapes in it are these.
    """
    paper = _Paper(page)
    paper.put(_headline(report))
    paper.put(Text(clipped(report.summary.removesuffix(IF_LOADED), EVIDENCE_CHARS)))
    paper.put(Text(f"{counts_text(report)}.", "dim"))
    _put_findings(paper, report, page)
    _put_unread(paper, report.unread, page)
    _put_compared(paper, report.comparisons, page)
    _put_opinions(paper, report.opinions, page)
    paper.gap()
    if report.files or report.unread:
        paper.put(Text(coverage_text(report)))
    if report.load is not None and report.load.bases:
        paper.put(Text(_bases(report.load.bases, page)))
    if report.cost is not None:
        cost = report.cost
        paper.put(Text(f"Took {count(cost.requests, 'request')}, {size(cost.received)} received."))
    _put_what_now(paper, report)
    return paper.text()


def render_many(reports: Sequence[RepoReport], page: Page) -> str:
    return "\n".join(render(report, page) for report in reports)


class _Paper:
    """Lines of styled text, wrapped to the page."""

    def __init__(self, page: Page) -> None:
        self._out = StringIO()
        # Everything that rich would ask the environment for is given: a report is a function
        self._console = Console(
            file=self._out,
            width=page.width,
            height=25,
            force_terminal=page.color,
            force_jupyter=False,
            color_system="standard" if page.color else None,
            no_color=not page.color,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
        )
        self._width = page.width
        self._blank = True

    def put(self, text: Text, indent: int = 0, hanging: int = 0) -> None:
        """`text` from column `indent`, its further lines by `hanging` more."""
        room = max(self._width - indent - hanging, 10)
        for number, line in enumerate(text.wrap(self._console, room, overflow="fold")):
            line.rstrip()
            if (plain := no_command(line.plain)) != line.plain:  # `visible` saw another beginning
                line = Text(plain)
            pad = " " * (indent + (hanging if number else 0))
            self._console.print(Text(pad).append_text(line), soft_wrap=True)
        self._blank = False

    def put_whole(self, text: Text) -> None:
        """`text` on one line, however long: the terminal folds it and a copy of it is one line."""
        self._console.print(text, soft_wrap=True)
        self._blank = False

    def gap(self) -> None:
        if not self._blank:
            self._console.print()
        self._blank = True

    def text(self) -> str:
        return self._out.getvalue()


def _headline(report: RepoReport) -> Text:
    text = Text().append(report.verdict.value.upper(), _VERDICT_STYLE[report.verdict])
    text.append("  ")
    return text.append(_subject(report.repo), "bold")


def _subject(repo: RepoRef) -> str:
    kind = f"{repo.repo_type} " if repo.repo_type in {"dataset", "space"} else ""
    name = kind + clipped_middle(repo.repo_id, PLACE_CHARS)
    if repo.commit_hash is None:
        return name
    commit = visible(repo.commit_hash[:SHORT_COMMIT])
    if repo.revision is None or repo.revision == repo.commit_hash:
        return f"{name} at {commit}"
    return f"{name} at {commit} ({clipped_middle(repo.revision, PLACE_CHARS)})"


def _put_findings(paper: _Paper, report: RepoReport, page: Page) -> None:
    # what is tolerated comes last: it decides nothing
    everything = sorted(heaps(report.findings), key=_is_tolerated)
    shown = everything[: page.entries]
    if shown:
        paper.gap()
    for (rule, severity, tolerated), neighbours in groupby(shown, key=_kind):
        if severity is Severity.INFO:
            _put_notes(paper, neighbours)
            continue
        for heap in neighbours:
            _put_finding(paper, heap)
        if not tolerated:
            # once for all of them: eight findings of a rule are eight times the same advice
            paper.put(Text(f"→ {visible(advice_for(rule))}"), INDENT, hanging=INDENT)
    more = sum(heap.count for heap in everything[len(shown) :])
    if more:
        paper.put(Text(f"and {more} more: see the JSON report", "dim"))


def _kind(heap: Heap) -> tuple[str, Severity, bool]:
    return heap.first.rule, heap.first.severity, _is_tolerated(heap)


def _is_tolerated(heap: Heap) -> bool:
    return heap.first.waived is not None


def _put_notes(paper: _Paper, notes: Iterable[Heap]) -> None:
    """What decides nothing, on one line: where, if it is one place, and what."""
    for note in notes:
        finding = note.first
        where = _where(finding) if note.count == 1 else f"× {note.count}"
        text = Text().append("INFO", _SEVERITY_STYLE[Severity.INFO])
        text.append(f"  {visible(finding.rule)}  {where}: ")
        text.append(clipped(finding.message, EVIDENCE_CHARS))
        paper.put(text, hanging=INDENT)


def _put_finding(paper: _Paper, heap: Heap) -> None:
    finding = heap.first
    head = Text().append(finding.severity.value.upper(), _SEVERITY_STYLE[finding.severity])
    head.append(f"  {visible(finding.rule)}  ")
    head.append(_where(finding), "bold")
    if heap.count > 1:
        head.append(f"  × {heap.count}")
    paper.put(head, hanging=INDENT)
    if finding.waived is not None:
        paper.put(Text(f"waived: {clipped(finding.waived, EVIDENCE_CHARS)}", "dim"), INDENT)
    paper.put(Text(clipped(finding.message, EVIDENCE_CHARS)), INDENT)
    if finding.evidence:
        evidence = Text().append(clipped(finding.evidence, EVIDENCE_CHARS), "bold cyan")
        paper.put(evidence.append(_at(finding), "dim"), INDENT * 2)


def _at(finding: Finding) -> str:
    return "" if finding.offset is None else f"  (byte {finding.offset})"


def _where(finding: Finding) -> str:
    return _place(finding.path, finding.member) if finding.path else "the whole repository"


def _place(path: str, member: str | None) -> str:
    place = clipped_middle(path, PLACE_CHARS)
    return place if member is None else f"{place} › {clipped_middle(member, PLACE_CHARS)}"


def _put_unread(paper: _Paper, unread: Iterable[Unread], page: Page) -> None:
    entries = in_order(unread)
    if not entries:
        return
    paper.gap()
    paper.put(Text(f"Not read to the end ({len(entries)}):", "bold"))
    for entry in entries[: page.entries]:
        why = clipped(entry.why, EVIDENCE_CHARS)
        place = Text().append(_place(entry.path, entry.member), "bold")
        paper.put(place.append(f": {why}"), INDENT, hanging=INDENT)
    more = len(entries) - len(entries[: page.entries])
    if more:
        paper.put(Text(f"and {more} more: see the JSON report", "dim"), INDENT)


def _put_compared(paper: _Paper, comparisons: Sequence[Comparison], page: Page) -> None:
    if not comparisons:
        return
    worst = compared.worst_first(comparisons)
    shown = worst[: page.entries]
    paper.gap()
    paper.put(Text(f"Compared ({len(comparisons)}):", "bold"))
    for one in shown:
        pickle, safetensors = (clipped_middle(side, PLACE_CHARS) for side in compared.files(one))
        text = Text().append(f"{pickle} and {safetensors}", "bold")
        said = clipped(compared.outcome(one), EVIDENCE_CHARS)
        paper.put(text.append(f": {said}"), INDENT, hanging=INDENT)
        _put_details(paper, compared.details(one), page)
    if len(worst) > len(shown):
        paper.put(Text(f"and {len(worst) - len(shown)} more: see the JSON report", "dim"), INDENT)


def _put_opinions(paper: _Paper, opinions: Sequence[Opinion], page: Page) -> None:
    told = heard(opinions)
    if not told:
        return
    paper.gap()
    paper.put(Text(f"{TITLE}:", "bold"))
    for one in told[: page.entries]:
        text = Text().append(clipped_middle(one.engine, PLACE_CHARS), "bold")
        about = f"{clipped_middle(one.about, PLACE_CHARS)}: " if one.about else ""
        text.append(f"  {about}{clipped(one.said, EVIDENCE_CHARS)}")
        paper.put(text, INDENT, hanging=INDENT)
    if page.entries is not None and len(told) > page.entries:
        paper.put(Text(f"and {len(told) - page.entries} more: see the JSON report", "dim"), INDENT)


def _put_details(paper: _Paper, lines: Sequence[str], page: Page) -> None:
    shown = lines if page.entries is None else lines[:_DETAILS]
    for line in shown:
        paper.put(Text(clipped(line, EVIDENCE_CHARS)), INDENT * 2, hanging=INDENT)
    if len(lines) > len(shown):
        paper.put(Text(f"and {len(lines) - len(shown)} more", "dim"), INDENT * 2)


def _bases(bases: Sequence[str], page: Page) -> str:
    """What else a load would open, and nobody has looked at here."""
    shown = ", ".join(clipped_middle(base, PLACE_CHARS) for base in bases[: page.entries])
    more = len(bases) - len(bases[: page.entries])
    return (
        f"A load would also open: {shown}{f' and {more} more' if more else ''}. Audit these, too."
    )


def _put_what_now(paper: _Paper, report: RepoReport) -> None:
    line = pin(report.repo, report.load)
    match report.verdict:
        case Verdict.PASS:
            tolerated = any(f.waived is not None for f in report.findings)
            said = _ACCEPTED if tolerated else "To load exactly what was read:"
            said = said if line else ""
        case Verdict.REVIEW:
            said = _ACCEPTED if line else ""
        case Verdict.FAIL:
            said, line = f"Do not load {_it(report.repo)}.{_if_loaded(report)}", None
        case Verdict.INCOMPLETE:
            said, line = "Not decided: what was not read could do anything.", None
        case _:
            assert_never(report.verdict)
    if said:
        paper.gap()
        paper.put(Text(said, "bold"))
    if line:
        paper.put_whole(Text(line, "bold green"))


def _if_loaded(report: RepoReport) -> str:
    """Where to read on, if somebody loaded it before it was audited."""
    critical = any(f.severity is Severity.CRITICAL and f.waived is None for f in report.findings)
    return IF_LOADED if critical else ""


def _it(repo: RepoRef) -> str:
    return "these files" if repo.repo_type == "local" else "this commit"
