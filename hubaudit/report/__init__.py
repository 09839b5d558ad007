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
from hubaudit.report.page import Origin, Page

__all__ = ["REPORTS", "Format", "Origin", "Page", "format_of"]


@dataclass(frozen=True, slots=True)
class Format:
    """How one report is written, and how the reports of several targets are in one document.

    `suffixes` are the ends of file names that ask for it, the longest of all formats first.
    """

    one: Callable[[RepoReport, Page], str]
    many: Callable[[Sequence[RepoReport], Page], str]
    suffixes: tuple[str, ...] = ()


REPORTS: dict[str, Format] = {
    "text": Format(terminal.render, terminal.render_many),
    "json": Format(json.render, json.render_many, (".json",)),
    "jsonl": Format(jsonl.render, jsonl.render_many, (".jsonl", ".ndjson")),
    "markdown": Format(markdown.render, markdown.render_many, (".md", ".markdown")),
    "html": Format(html.render, html.render_many, (".html", ".htm")),
    "sarif": Format(sarif.render, sarif.render_many, (".sarif", ".sarif.json")),
    "junit": Format(junit.render, junit.render_many, (".xml",)),
    "cyclonedx": Format(cyclonedx.render, cyclonedx.render_many, (".cdx.json", ".bom.json")),
    "github": Format(github.render, github.render_many),
}


def format_of(name: str) -> str | None:
    """The format that a file's name asks for: by its longest suffix, whatever the letter case."""
    suffixes = {suffix: key for key, form in REPORTS.items() for suffix in form.suffixes}
    found = [suffix for suffix in suffixes if name.lower().endswith(suffix)]
    return suffixes[max(found, key=len)] if found else None
