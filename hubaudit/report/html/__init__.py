"""The HTML report: one page that needs no network, no script and no trust in what it shows.

Every text goes through `visible` and through Jinja's autoescape, whoever wrote it. The page's own policy
lets run only the style and the script whose hashes it names, so that markup which came through all the
same would still load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from hubaudit.model import RepoReport
from hubaudit.report import templates
from hubaudit.report.html.rows import Limits
from hubaudit.report.html.view import VERDICTS, view_of
from hubaudit.report.page import Page
from hubaudit.report.tally import subject
from hubaudit.report.words import count, size

if TYPE_CHECKING:
    from jinja2 import Environment

# A page on 5,000 files, 3,000 findings and 100,000 tensors has 1.8 MB, which Chromium filters and sorts
# without delay.
ALONE = Limits(files=1_000, findings=300, unread=300, pairs=50, tensors=300, names=300)
# Of many repositories each has what fits a screen or two: 14 kB an ordinary one, 190 kB one like that above.
TOGETHER = Limits(files=50, findings=50, unread=50, pairs=10, tensors=50, names=50)


def render(report: RepoReport, _page: Page | None = None) -> str:
    """A page about one repository."""
    title = f"{report.verdict.value.upper()}: {subject(report.repo)}"
    return _document(title, [report], ALONE)


def render_many(reports: Sequence[RepoReport], _page: Page | None = None) -> str:
    """A page with an index of all repositories, and the report on each below it."""
    return _document(f"hubaudit: {_tally(reports)}", reports, TOGETHER, "index")


def _document(
    title: str, reports: Sequence[RepoReport], limits: Limits, layout: str = "single"
) -> str:
    style, script = (templates.part(__name__, name) for name in ("style.css", "script.js"))
    return (
        _environment()
        .get_template("document.html.j2")
        .render(
            title=title,
            layout=layout,
            policy=_policy(style, script),
            style=style,
            script=script,
            views=[
                view_of(report, f"r{number}", limits) for number, report in enumerate(reports, 1)
            ],
        )
        .rstrip("\n")
        + "\n"
    )


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy (CSP level 3): nothing is loaded, and only our style and script are used.

    The hash is that of the element's text, so the template may put nothing around it, no newline either.
    """
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _tally(reports: Sequence[RepoReport]) -> str:
    """ "2 FAIL, 1 PASS of 3 targets"."""
    verdicts = [report.verdict for report in reports]
    parts = [f"{verdicts.count(one)} {one.value.upper()}" for one in VERDICTS if one in verdicts]
    return f"{', '.join(parts) or 'nothing'} of {count(len(reports), 'target')}"


@cache
def _environment() -> Environment:
    environment = templates.environment(__name__)
    environment.globals.update(count=count, size=size)
    return environment
