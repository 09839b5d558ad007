"""What the status page shows of repositories and of what was told of them: texts, times and links."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote, urlencode

from hubaudit.model import RepoRef, Severity, Verdict
from hubaudit.report.html.rows import Rows, clip, cut, link
from hubaudit.report.words import count
from hubaudit.watch.alert import Event, Name
from hubaudit.watch.kinds import Change
from hubaudit.watch.ledger import Told
from hubaudit.watch.overview import Standing
from hubaudit.watch.state import Presence

_SHORT = 12  # characters of a hash: git takes 7 for enough in a small repository
_CHANGES = 40  # of one alert; with their details that is some screens
_PATHS = 10  # of one change
_LINES = 60  # of the details of one change: an ordinary diff
_ALL_LINES = 300  # of those of one alert
_LINE = 300  # characters of one
Audited = Collection[tuple[str, str, str]]  # of `overview.audited`


@dataclass(frozen=True, slots=True)
class Time:
    """`iso` is for machines, `text` for readers; both in UTC and to the second."""

    iso: str
    text: str

    @property
    def minute(self) -> str:
        """The text without the seconds."""
        return f"{self.text[:16]} UTC"


@dataclass(frozen=True, slots=True)
class Commit:
    """`hub` and `report` are addresses, None where there is no page."""

    full: str
    hub: str | None
    report: str | None

    @property
    def short(self) -> str:
        return self.full[:_SHORT]


@dataclass(frozen=True, slots=True)
class Row:
    """One repository in the table."""

    name: str
    href: str
    endpoint: str
    revision: str
    verdict: Verdict | None
    presence: Presence | None
    approved: Commit | None
    origin: str
    approved_at: Time | None
    current: Commit | None
    looked: Time | None
    open: int
    worst: Severity | None
    trouble: str
    since: Time | None
    is_urgent: bool

    @property
    def is_same(self) -> bool:
        return self.approved is not None and self.approved == self.current


@dataclass(frozen=True, slots=True)
class Line:
    """`mark` is "new" or "old" in a diff, "" for every other line."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    severity: Severity
    kind: str
    message: str
    paths: Rows[str]
    detail: Rows[Line]


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a timeline. `before` and `after` are commits."""

    id: int
    name: str
    href: str
    event: str
    severity: Severity
    summary: str
    at: Time
    closed: Time | None
    is_open: bool
    before: Commit | None
    after: Commit | None
    verdict: Verdict | None
    changes: Rows[ChangeRow]
    count: str


# Why a repository stands where it does in the table.
_ALERTS, _ABSENT, _FAILS, _TROUBLED, _INCOMPLETE, _REVIEW, _NEVER, _SAME = range(8)
_LAST_URGENT = _TROUBLED


def needs_attention(one: Standing) -> bool:
    return _group(one) <= _LAST_URGENT


def order(one: Standing) -> tuple[int, int, str, str]:
    """What needs attention first, then by name."""
    worst = one.worst.rank if one.worst else len(Severity)
    return _group(one), worst, str(one.name).lower(), one.name.endpoint


def row_of(one: Standing, audited: Audited = ()) -> Row:
    seen, approval = one.seen, one.approval
    commit = partial(commit_of, one.name, audited=audited)
    return Row(
        name=cut(str(one.name)),
        href=address(one.name),
        endpoint=cut(one.name.endpoint),
        revision=cut(one.name.revision),
        verdict=seen.verdict if seen else None,
        presence=seen.presence if seen else None,
        approved=commit(approval.commit) if approval else None,
        origin=approval.origin.value if approval else "",
        approved_at=time_of(approval.at) if approval else None,
        current=commit(seen.commit) if seen else None,
        looked=time_of(seen.looked) if seen else None,
        open=sum(one.open_alerts.values()),
        worst=one.worst,
        trouble=clip(one.trouble.said) if one.trouble else "",
        since=time_of(one.trouble.since) if one.trouble else None,
        is_urgent=needs_attention(one),
    )


def _group(one: Standing) -> int:
    seen = one.seen
    if one.is_drift:
        return _ALERTS
    if seen is not None and seen.presence is not Presence.PRESENT:
        return _ABSENT
    if seen is not None and seen.verdict is Verdict.FAIL:
        return _FAILS
    if one.trouble is not None:
        return _TROUBLED
    if seen is None:
        return _NEVER
    if seen.verdict in (None, Verdict.INCOMPLETE):
        return _INCOMPLETE
    return _REVIEW if seen.verdict is Verdict.REVIEW else _SAME


def step_of(told: Told, audited: Audited = ()) -> Step:
    alert = told.alert
    commit = partial(commit_of, alert.name, audited=audited)
    is_closing = alert.event is Event.CLOSED
    return Step(
        id=told.id,
        name=cut(str(alert.name)),
        href=address(alert.name),
        event=alert.event.value,
        severity=alert.severity,
        summary=clip(alert.summary),
        at=_of_iso(alert.at),
        closed=time_of(told.closed) if told.closed and alert.is_drift else None,
        is_open=told.closed is None and not is_closing,
        before=commit(alert.before),
        after=commit(alert.after),
        verdict=alert.verdict,
        changes=Rows(tuple(_changes(alert.changes[:_CHANGES])), len(alert.changes)),
        count=count(len(alert.changes), "change"),
    )


def commits_of(standings: Iterable[Standing], told: Iterable[Told]) -> set[str]:
    """Every commit that is shown of them."""
    of_rows = (
        (one.seen and one.seen.commit, one.approval and one.approval.commit) for one in standings
    )
    of_steps = ((one.alert.before, one.alert.after) for one in told)
    return {commit for pair in (*of_rows, *of_steps) for commit in pair if commit}


def commit_of(name: Name, commit: str | None, *, audited: Audited = ()) -> Commit | None:
    if not commit:
        return None
    has_report = (name.repo_type, name.repo_id.lower(), commit) in audited
    report = address(name, of="report", commit=commit) if has_report else None
    page = link(RepoRef(name.repo_id, name.repo_type, None, commit, name.endpoint))
    return Commit(cut(commit), page, report)


def address(
    name: Name, *, of: str = "repository", commit: str = "", before: int | None = None
) -> str:
    """The path of the repository's page on this server, or with `of="report"` that of an audit of it."""
    path = "/".join((of, name.repo_type, name.repo_id))
    asked = {
        "hub": name.endpoint,
        "revision": name.revision,
        "commit": commit,
        "before": before,
    }
    given = {key: value for key, value in asked.items() if value not in ("", None)}
    query = urlencode(given, errors="backslashreplace")
    return f"/{quote(path, errors='backslashreplace')}?{query}"


def span(seconds: float) -> str:
    """In the largest unit of which there are two: "90 s", "15 min", "24 h"."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def time_of(seconds: float) -> Time:
    """To the second. What no calendar has is shown as the number it is."""
    try:
        return _time(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return Time("", f"{seconds:.0f} s since 1970")


def _time(moment: datetime) -> Time:
    whole = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    return Time(f"{whole.isoformat()}Z", f"{whole.isoformat(sep=' ')} UTC")


def _of_iso(text: str) -> Time:
    try:
        return _time(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return Time("", cut(text))


def _changes(found: Iterable[Change]) -> Iterator[ChangeRow]:
    left = _ALL_LINES
    for one in found:
        lines = one.detail[: min(left, _LINES)]
        left -= len(lines)
        yield ChangeRow(
            severity=one.severity,
            kind=one.kind.value,
            message=clip(one.message),
            paths=Rows(tuple(map(cut, one.paths[:_PATHS])), len(one.paths)),
            detail=Rows(tuple(_lines(lines)), len(one.detail)),
        )


def _lines(lines: Iterable[str]) -> Iterator[Line]:
    is_diff = False
    for line in lines:
        is_diff = is_diff or line.startswith("@@")
        yield Line(clip(line, _LINE), _MARKS.get(line[:1], "") if is_diff else "")


_MARKS = {"+": "new", "-": "old"}
