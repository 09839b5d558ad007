"""Reports: one module a format, each a function of a `RepoReport`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hubaudit.model import RepoReport
from hubaudit.report import json as json
from hubaudit.report import terminal as terminal
from hubaudit.report.page import Page

__all__ = ["REPORTS", "Format", "Page"]


@dataclass(frozen=True, slots=True)
class Format:
    """How one report is written, and how the reports of several targets are in one document."""

    one: Callable[[RepoReport, Page], str]
    many: Callable[[Sequence[RepoReport], Page], str]


REPORTS: dict[str, Format] = {
    "text": Format(terminal.render, terminal.render_many),
    "json": Format(json.render, json.render_many),
}
