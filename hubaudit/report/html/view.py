"""What the HTML report shows of a `RepoReport`, section by section: bounded, sorted, without markup.

Nothing here is escaped for HTML: the templates do that to everything. Text of the repository is cut to
what a reader looks at; the JSON report has all of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from hubaudit import rules
from hubaudit.model import (
    Finding,
    NameClass,
    RepoReport,
    Severity,
    Unread,
    Verdict,
)
from hubaudit.report.advice import advice_for
from hubaudit.report.coverage import coverage_text
from hubaudit.report.escape import visible
from hubaudit.report.html.comparisons import Pair, pairs
from hubaudit.report.html.files import FileRow, file_rows
from hubaudit.report.html.picture import Picture, picture
from hubaudit.report.html.rows import EVIDENCE, Limits, Rows, clip, cut, first, link, order
from hubaudit.report.opinions import heard
from hubaudit.report.order import Heap, heaps, in_order
from hubaudit.report.pin import pin
from hubaudit.report.tally import by_severity, counts_text, standing, subject, tolerated, worst
from hubaudit.report.words import count, size
from hubaudit.verdict import IF_LOADED

VERDICTS = (Verdict.FAIL, Verdict.INCOMPLETE, Verdict.REVIEW, Verdict.PASS)  # worst first

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_CWE = re.compile(r"CWE-([1-9][0-9]{0,4})")
_MOST_REFERENCES = 12  # the rules of today have five at most
_CLASS_MEANS = {
    NameClass.DANGEROUS: "known to run code or to open files or the network",
    NameClass.UNLISTED: "not in the catalogue: nobody has said what it does",
    NameClass.INERT: "known to do nothing in the way it is used",
}
_ACCEPTED = "If you accept what is found below, load exactly what was read:"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of evidence. `mark`: what is known of the name that it is, empty for what is between."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Findings that are one to a reader. `offset` in bytes, empty where there is none.

    `rule_number` is the place of its rule in the view's `rules`, from 1.
    """

    severity: Severity
    confidence: str
    rule: str
    rule_number: int
    path: str
    member: str
    url: str | None
    offset: str
    count: int
    message: str
    evidence: tuple[Piece, ...]
    cut: str
    references: tuple[str, ...]
    waived: str | None


@dataclass(frozen=True, slots=True)
class UnreadRow:
    path: str
    member: str
    why: str


@dataclass(frozen=True, slots=True)
class NameRow:
    """A name that pickles import, in how many files and how often in all."""

    name: str
    count: int
    files: int
    example: str


@dataclass(frozen=True, slots=True)
class NameList:
    """The names of one class, and what being in it means."""

    name_class: NameClass
    means: str
    rows: Rows[NameRow]


@dataclass(frozen=True, slots=True)
class OpinionRow:
    """What another scanner says of some files, or of itself if `about` is empty."""

    engine: str
    about: str
    said: str


@dataclass(frozen=True, slots=True)
class Reference:
    text: str
    url: str | None


@dataclass(frozen=True, slots=True)
class RuleNote:
    """A rule that found something: what it finds and what to do. `stands` unless all of it is waived."""

    number: int
    id: str
    summary: str
    advice: str
    references: tuple[Reference, ...]
    stands: bool


@dataclass(frozen=True, slots=True)
class Next:
    """What to do now: a sentence, and the line to paste where there is one."""

    text: str
    pin: str | None


@dataclass(frozen=True, slots=True)
class View:
    """One report. `key` sets the ids of its sections apart from those of other reports in a document."""

    key: str
    report: RepoReport
    verdict: Verdict
    subject: str
    url: str | None
    summary: str
    next: Next
    counts: str
    by_severity: tuple[tuple[Severity, int], ...]
    worst: str
    findings: Rows[FindingRow]
    waived: Rows[FindingRow]
    waived_count: int
    unread: Rows[UnreadRow]
    files: Rows[FileRow]
    pairs: Rows[Pair]
    names: tuple[NameList, ...]
    opinions: Rows[OpinionRow]
    rules: tuple[RuleNote, ...]
    picture: Picture | None
    coverage: str
    bytes: str
    load: tuple[tuple[str, str], ...]
    bases: Rows[str]
    about: tuple[tuple[str, str], ...]

    @property
    def verdict_rank(self) -> int:
        """0 for what must not be loaded."""
        return VERDICTS.index(self.verdict)

    @property
    def worst_rank(self) -> int:
        return min((severity.rank for severity, _ in self.by_severity), default=len(Severity))

    @property
    def contents(self) -> tuple[tuple[str, str, int | None], ...]:
        """The sections that there are: the end of the id, the name, how many entries."""
        sections: tuple[tuple[str, str, int | None, object], ...] = (
            ("run", "Findings", len(standing(self.report)), self.findings.total),
            ("unread", "Not read", self.unread.total, self.unread.total),
            ("pairs", "Compared", self.pairs.total, self.pairs.total),
            ("bytes", "Bytes", None, self.picture),
            ("files", "Files", self.files.total, self.files.total),
            ("names", "Imports", sum(one.rows.total for one in self.names), self.names),
            ("opinions", "Second opinions", self.opinions.total, self.opinions.total),
            ("load", "Loading", None, self.load or self.bases.total),
            ("waived", "Waived", self.waived_count, self.waived.total),
            ("rules", "Rules", len(self.rules), self.rules),
            ("about", "About", None, True),
        )
        return tuple((key, name, total) for key, name, total, there in sections if there)


def view_of(report: RepoReport, key: str, limits: Limits) -> View:
    """Everything that the template shows of `report`."""
    tally = by_severity(report)
    marks = _Marks(report)
    highest = worst(report)
    return View(
        key=key,
        report=report,
        verdict=report.verdict,
        subject=subject(report.repo),
        url=link(report.repo),
        summary=clip(report.summary.removesuffix(IF_LOADED)),
        next=_next(report),
        counts=counts_text(report),
        by_severity=tuple((severity, number) for severity, number in tally.items() if number),
        worst=highest.value if highest else "none",
        findings=_finding_rows(report, standing(report), marks, limits.findings),
        waived=_finding_rows(report, tolerated(report), marks, limits.findings),
        waived_count=len(tolerated(report)),
        unread=_unread_rows(report.unread, limits.unread),
        files=file_rows(report, limits.files),
        pairs=pairs(report, limits),
        names=_names(report, limits.names),
        opinions=_opinions(report, limits.unread),
        rules=_rule_notes(report),
        picture=picture(report.files),
        coverage=coverage_text(report) if report.files or report.unread else "",
        bytes=size(sum(file.size for file in report.files)),
        load=_load(report),
        bases=first(sorted(_bases(report), key=order), limits.names, cut),
        about=_about(report),
    )


class _Marks:
    """Which names are worth a mark, in the evidence of each file."""

    def __init__(self, report: RepoReport) -> None:
        self._known: dict[str, dict[str, NameClass]] = {}
        for use in report.globals:
            if use.name_class is not NameClass.INERT:
                spelled = visible(f"{use.module}.{use.name}")
                names = self._known.setdefault(use.path, {})
                for name in (spelled, spelled.removeprefix("builtins.")):
                    if names.get(name) is not NameClass.DANGEROUS:
                        names[name] = use.name_class

    def pieces(self, finding: Finding) -> tuple[Piece, ...]:
        """The evidence, its dangerous and unlisted names marked; the first name called, if none is known."""
        text = clip(finding.evidence, EVIDENCE)
        known = self._known.get(finding.path, {})
        found = list(_split(text, known))
        if text and not any(piece.mark for piece in found):
            called = _DOTTED.match(text)
            if called and text[called.end() :].startswith("("):
                return (Piece(called[0], "called"), Piece(text[called.end() :], ""))
        return tuple(found)


def _split(text: str, known: dict[str, NameClass]) -> Iterator[Piece]:
    at = 0
    for word in _DOTTED.finditer(text) if known else ():
        name = word[0]
        while name and name not in known:
            name = name.rpartition(".")[0]
        if name:
            if word.start() > at:
                yield Piece(text[at : word.start()], "")
            yield Piece(name, known[name].value)
            at = word.start() + len(name)
    if at < len(text):
        yield Piece(text[at:], "")


def _finding_rows(
    report: RepoReport, findings: Iterable[Finding], marks: _Marks, limit: int
) -> Rows[FindingRow]:
    heaped = heaps(findings)
    numbers = {rule_id: number for number, rule_id in enumerate(_rule_ids(report), 1)}
    return first(
        heaped, limit, lambda heap: _finding_row(report, heap, marks, numbers[heap.first.rule])
    )


def _finding_row(report: RepoReport, heap: Heap, marks: _Marks, rule_number: int) -> FindingRow:
    one = heap.first
    return FindingRow(
        severity=one.severity,
        confidence=one.confidence.value,
        rule=cut(one.rule),
        rule_number=rule_number,
        path=cut(one.path) or "the whole repository",
        member=cut(one.member or ""),
        url=link(report.repo, one.path),
        offset="" if one.offset is None else f"{one.offset:,}",
        count=heap.count,
        message=clip(one.message),
        evidence=marks.pieces(one),
        cut="" if len(one.evidence) <= EVIDENCE else "The JSON report has all of it.",
        references=tuple(cut(reference) for reference in one.references[:_MOST_REFERENCES]),
        waived=None if one.waived is None else clip(one.waived),
    )


def _unread_rows(unread: Iterable[Unread], limit: int) -> Rows[UnreadRow]:
    return first(in_order(unread), limit, _unread_row)


def _unread_row(entry: Unread) -> UnreadRow:
    path = cut(entry.path) or "the whole repository"
    return UnreadRow(path, cut(entry.member or ""), clip(entry.why))


def _names(report: RepoReport, limit: int) -> tuple[NameList, ...]:
    """What does harm first."""
    lists = [
        NameList(name_class, means, _names_of(report, name_class, limit))
        for name_class, means in _CLASS_MEANS.items()
    ]
    return tuple(one for one in lists if one.rows.total)


def _names_of(report: RepoReport, name_class: NameClass, limit: int) -> Rows[NameRow]:
    """The names of one class, those used most first."""
    counts: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], set[str]] = {}
    for use in report.globals:
        if use.name_class is name_class:
            counts[use.module, use.name] += use.count
            places.setdefault((use.module, use.name), set()).add(use.path)
    ranked = sorted(counts, key=lambda name: (-counts[name], *map(order, name)))

    def row(name: tuple[str, str]) -> NameRow:
        example = cut(min(places[name], key=order))
        return NameRow(cut(".".join(name)), counts[name], len(places[name]), example)

    return first(ranked, limit, row)


def _opinions(report: RepoReport, limit: int) -> Rows[OpinionRow]:
    return first(
        heard(report.opinions),
        limit,
        lambda one: OpinionRow(cut(one.engine), cut(one.about) or "itself", clip(one.said)),
    )


def _rule_notes(report: RepoReport) -> tuple[RuleNote, ...]:
    """The rules that found something, in the order in which a reader meets them."""
    stands = {finding.rule for finding in standing(report)}
    known = {rule.id: rule for rule in rules.RULES}
    return tuple(
        RuleNote(
            number=number,
            id=cut(rule_id),
            summary=known[rule_id].summary if rule_id in known else "",
            advice=advice_for(rule_id),
            references=tuple(
                _reference(one) for one in (known[rule_id].references if rule_id in known else ())
            ),
            stands=rule_id in stands,
        )
        for number, rule_id in enumerate(_rule_ids(report), 1)
    )


def _rule_ids(report: RepoReport) -> list[str]:
    return list(dict.fromkeys(one.rule for one in (*standing(report), *tolerated(report))))


def _reference(text: str) -> Reference:
    cwe = _CWE.fullmatch(text)
    return Reference(text, f"https://cwe.mitre.org/data/definitions/{cwe[1]}.html" if cwe else None)


def _next(report: RepoReport) -> Next:
    line = pin(report.repo, report.load)
    match report.verdict:
        case Verdict.PASS:
            tolerates = any(finding.waived is not None for finding in report.findings)
            return Next(_ACCEPTED if tolerates else "To load exactly what was read:", line)
        case Verdict.REVIEW:
            return Next(_ACCEPTED, line)
        case Verdict.FAIL:
            what = "these files" if report.repo.repo_type == "local" else "this commit"
            return Next(f"Do not load {what}.{_if_loaded(report)}", None)
        case Verdict.INCOMPLETE:
            return Next("Not decided: what was not read could do anything.", None)
        case _:
            assert_never(report.verdict)


def _if_loaded(report: RepoReport) -> str:
    critical = any(finding.severity is Severity.CRITICAL for finding in standing(report))
    return IF_LOADED if critical else ""


def _bases(report: RepoReport) -> Sequence[str]:
    return report.load.bases if report.load else ()


def _load(report: RepoReport) -> tuple[tuple[str, str], ...]:
    if report.load is None:
        return ()
    given = sorted(report.load.arguments.items())
    arguments = ", ".join(f"{name}={value!r}" for name, value in given)
    library = "not known" if report.load.library == "none" else report.load.library
    return (
        ("library", cut(library)),
        ("arguments", clip(arguments) or "no particular ones"),
    )


def _about(report: RepoReport) -> tuple[tuple[str, str], ...]:
    repo, tool = report.repo, report.tool
    facts = (
        ("repository", repo.repo_id),
        ("kind", repo.repo_type),
        ("revision", repo.revision),
        ("commit", repo.commit_hash),
        ("Hub", repo.endpoint),
        ("tool", f"{tool.name} {tool.version}"),
        ("ruleset", tool.ruleset),
        ("policy", tool.policy),
        ("cost", _cost(report)),
    )
    return tuple((name, cut(text)) for name, text in facts if text)


def _cost(report: RepoReport) -> str | None:
    if report.cost is None:
        return None
    return f"{count(report.cost.requests, 'request')}, {size(report.cost.received)} received"
