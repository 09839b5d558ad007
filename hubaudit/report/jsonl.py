"""JSON Lines: the JSON report of each target on one line, for what reads logs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hubaudit.model import RepoReport
from hubaudit.report.json import as_dict, printable
from hubaudit.report.page import Page


def render(report: RepoReport, _page: Page | None = None) -> str:
    """One line, ASCII only, with the newline at its end."""
    return printable(json.dumps(as_dict(report), separators=(",", ":"), allow_nan=False)) + "\n"


def render_many(reports: Sequence[RepoReport], page: Page | None = None) -> str:
    """A line for each, in the order given."""
    return "".join(render(report, page) for report in reports)
