"""The status page: every watched repository, what needs attention first, and one page for each of them.

Every text goes through `visible` and through Jinja's autoescape, whoever wrote it. The pages run no script;
the policy that is sent with them lets them use one style, by its hash, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from hubaudit.errors import ReportUnusable
from hubaudit.report import REPORTS, Page, templates
from hubaudit.report.escape import encodable
from hubaudit.report.stored import read_reports
from hubaudit.watch.alert import Name
from hubaudit.watch.ledger import Ledger, Origin
from hubaudit.watch.overview import audit_of, audited, folded, latest, standing, standings
from hubaudit.watch.page_rows import (
    address,
    commits_of,
    needs_attention,
    order,
    row_of,
    span,
    step_of,
    time_of,
)
from hubaudit.watch.pulse import Pulse, Watchdog
from hubaudit.watch.receive import Gate

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = "hubaudit.watch"
_ROWS = 100  # of a page: 200 kB, which a telephone shows at once
_LATEST = 10  # steps on the front page
_STEPS = 25  # of one page of a timeline
REFRESH = 60  # seconds, where the reader asked for it


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the table is asked for: names with `text` in them, only what needs attention, which page.

    `refresh`: the page is loaded anew every minute. Nothing moves by itself unless asked to (WCAG 2.2.1).
    """

    text: str = ""
    attention: bool = False
    number: int = 1
    refresh: bool = False

    def address(self, **changed: object) -> str:
        """The path of the page on which `changed` is so and all else as here."""
        now = {
            "q": self.text,
            "show": "attention" if self.attention else "",
            "page": self.number if self.number > 1 else "",
            "refresh": "1" if self.refresh else "",
        }
        query = {key: value for key, value in {**now, **changed}.items() if value}
        return "/" + (f"?{urlencode(query, errors='backslashreplace')}" if query else "")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page and the Content-Security-Policy that it is sent with."""

    text: str
    policy: str


class Pages:
    """Renders from the store and the loop's pulse. Threads may share it.

    Every method may raise StoreUnusable, or ReportUnusable for what the store should not hold.
    """

    def __init__(
        self,
        ledger: Ledger,
        pulse: Pulse,
        clock: Callable[[], float],
        gate: Gate | None = None,
    ) -> None:
        """`gate`: of which the deliveries are shown, too, by what became of them."""
        self._ledger = ledger
        self._pulse = pulse
        self._clock = clock
        self._gate = gate
        self._dog = Watchdog(clock)

    def status(self, asked: Asked) -> Rendered:
        """Every watched repository, or those that are asked for, a hundred on a page."""
        vitals, now = self._pulse.read(), self._clock()
        everything = standings(self._ledger, vitals.watched)
        urgent = sum(map(needs_attention, everything))
        wanted = asked.text.lower()
        found = [one for one in everything if wanted in str(one.name).lower()]
        if asked.attention:
            found = [one for one in found if needs_attention(one)]
        window = _Window.of(asked.number, len(found))
        shown = sorted(found, key=order)[window.first : window.first + _ROWS]
        told = latest(self._ledger, vitals.watched, _LATEST)
        known = audited(self._ledger, commits_of(shown, told))
        return _render(
            "status.html.j2",
            asked=asked,
            vitals=vitals,
            rows=[row_of(one, known) for one in shown],
            steps=[step_of(one, known) for one in told],
            window=window,
            watched=len(everything),
            urgent=urgent,
            several_hubs=len({one.name.endpoint for one in everything}) > 1,
            last_round=None if vitals.last_round_at is None else time_of(vitals.last_round_at),
            every=span(vitals.every),
            deliveries=self._deliveries(),
            silent=self._dog.is_late(vitals),
            now=time_of(now),
            refresh=REFRESH if asked.refresh else None,
        )

    def repository(self, name: Name, before: int | None = None) -> Rendered | None:
        """None if nobody watches it. The timeline begins below the step with the id `before`."""
        watched = self._watched(name)
        if watched is None:
            return None
        since = {} if before is None else {"before": before}
        told = self._ledger.alerts(watched, most=_STEPS + 1, **since)
        one = standing(self._ledger, watched)
        known = audited(self._ledger, commits_of([one], told))
        steps = [step_of(step, known) for step in told[:_STEPS]]
        older = steps[-1].id if len(told) > _STEPS else None
        return _render(
            "repository.html.j2",
            row=row_of(one, known),
            steps=steps,
            older=address(watched, before=older) if older is not None else None,
            origins=_ORIGINS,
            begins_later=before is not None,
            now=time_of(self._clock()),
            refresh=None,
        )

    def report(self, name: Name, commit: str) -> Rendered | None:
        """The HTML report of an audit in the store; None if there is none, or nobody watches it."""
        watched = self._watched(name)
        audit = audit_of(self._ledger, watched, commit) if watched is not None else None
        if audit is None:
            return None
        found = read_reports(audit.report.encode(), audit.key.repo_id)
        if not found.reports:
            hint = "audit it again, without what the store has"
            raise ReportUnusable(f"the stored report on {watched} cannot be read", hint=hint)
        text = encodable(REPORTS["html"].one(found.reports[0], Page()))
        return Rendered(text, _policy_in(text))

    def _deliveries(self) -> list[str] | None:
        """ "3 forged" and so on; None if nobody listens."""
        if self._gate is None:
            return None
        return [
            f"{count:,} {outcome.value}" for outcome, count in self._gate.counts.items() if count
        ]

    def _watched(self, name: Name) -> Name | None:
        """As the list spells it; of those at several Hubs the first, if `name` says none."""
        for one in self._pulse.read().watched:
            if folded(replace(name, endpoint=name.endpoint or one.endpoint)) == folded(one):
                return one
        return None


def message(title: str, said: str) -> Rendered:
    """A page that says why there is no other."""
    return _render("message.html.j2", title=title, said=said, refresh=None)


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows `first` (from 0) to `last` (not included) of `total`, which are page `number` of `pages`."""

    first: int
    last: int
    total: int
    number: int
    pages: int

    @classmethod
    def of(cls, number: int, total: int) -> _Window:
        pages = max(1, -(-total // _ROWS))
        number = min(max(number, 1), pages)
        first = (number - 1) * _ROWS
        return cls(first, min(first + _ROWS, total), total, number, pages)


def _render(template: str, **shown: object) -> Rendered:
    page = _environment().get_template(template).render(style=_style(), **shown)
    # Whatever a name holds: what is sent is UTF-8
    return Rendered(encodable(page.rstrip("\n")) + "\n", _policy())


@cache
def _policy() -> str:
    """Nothing is loaded and nothing runs. The hash is that of the style element's text."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    style = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:"
    return f"{style}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def _policy_in(report: str) -> str:
    """The policy that the page names for itself, before it shows any text of a repository."""
    named = _META.search(report, 0, 2000)
    policy = html.unescape(named[1]) if named else "default-src 'none'; base-uri 'none'"
    return f"{policy}; frame-ancestors 'none'"


_META = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
_ORIGINS = {
    Origin.APPROVED.value: "approved",
    Origin.LISTED.value: "named by the list",
    Origin.FIRST_SEEN.value: "as it was first seen, approved by nobody",
}


@cache
def _style() -> str:
    """That of the HTML report, and what only these pages have."""
    return templates.part("hubaudit.report.html", "style.css") + templates.part(_HERE, "style.css")


@cache
def _environment() -> Environment:
    return templates.environment(_HERE)
