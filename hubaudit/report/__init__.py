"""Reports: one module a format, each a function of a `RepoReport`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hubaudit.model import RepoReport
from hubaudit.report import cyclonedx as cyclonedx
from hubaudit.report import github as github
from hubaudit.report import html as html
from hubaudit.report import json as json
from hubaudit.report import jsonl as jsonl
from hubaudit.report import junit as junit
from hubaudit.report import markdown as markdown
from hubaudit.report import sarif as sarif
from hubaudit.report import terminal as terminal
from hubaudit.report.page import Origin, Origins, Page
from hubaudit.report.settled import settled

__all__ = ["REPORTS", "Format", "Origin", "Origins", "Page", "format_of"]


@dataclass(frozen=True, slots=True)
class Format:
    """How one report is written, and how the reports of several targets are in one document.

    `suffixes` are the ends of file names that ask for it, the longest of all formats first.
    """

    one: Callable[[RepoReport, Page], str]
    many: Callable[[Sequence[RepoReport], Page], str]
    suffixes: tuple[str, ...] = ()


_One = Callable[[RepoReport, Page], str]
_Many = Callable[[Sequence[RepoReport], Page], str]


def _format(one: _One, many: _Many, *suffixes: str) -> Format:
    """Whoever renders has a settled report: what an audit writes is what its stored report gives again."""
    return Format(
        lambda report, page: one(settled(report), page),
        lambda reports, page: many([settled(report) for report in reports], page),
        suffixes,
    )


REPORTS: dict[str, Format] = {
    "text": _format(terminal.render, terminal.render_many),
    "json": _format(json.render, json.render_many, ".json"),
    "jsonl": _format(jsonl.render, jsonl.render_many, ".jsonl", ".ndjson"),
    "markdown": _format(markdown.render, markdown.render_many, ".md", ".markdown"),
    "html": _format(html.render, html.render_many, ".html", ".htm"),
    "sarif": _format(sarif.render, sarif.render_many, ".sarif", ".sarif.json"),
    "junit": _format(junit.render, junit.render_many, ".xml"),
    "cyclonedx": _format(cyclonedx.render, cyclonedx.render_many, ".cdx.json", ".bom.json"),
    "github": _format(github.render, github.render_many),
}


def format_of(name: str) -> str | None:
    """The format that a file's name asks for: by its longest suffix, whatever the letter case."""
    suffixes = {suffix: key for key, form in REPORTS.items() for suffix in form.suffixes}
    found = [suffix for suffix in suffixes if name.lower().endswith(suffix)]
    return suffixes[max(found, key=len)] if found else None
