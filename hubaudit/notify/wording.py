"""Alerts in words, for people: all text of a repository is made harmless for the place it goes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hubaudit.model import Severity
from hubaudit.report.escape import clipped, visible
from hubaudit.report.markdown import code
from hubaudit.watch.alert import Alert, Event
from hubaudit.watch.kinds import Change

_SUBJECT = 200  # characters: RFC 5322 has no bound, and clients show about 80
_LINE = 500
_CHANGES = 50  # of one alert; the JSON has all
_DETAIL = 40  # lines of one change
_ALERTS = 100  # of a digest
# Discord takes 2,000 characters, Slack 3,000 in a block, and others cut.
_CHAT = 1800
_CHAT_LINE = 160
# What is a mention, a channel, a link or the end of a code span to some chat: its look-alike is none.
_INERT = str.maketrans({
    "@": "\uff20", "<": "\u2039", ">": "\u203a", "&": "\uff06", "!": "\uff01", "`": "\u2019",
    "|": "\u2223", "\\": "\u2216",
})  # fmt: skip


def worst(alerts: Sequence[Alert]) -> Severity:
    return min((alert.severity for alert in alerts), key=lambda severity: severity.rank)


def headline(alerts: Sequence[Alert]) -> str:
    """In words of our own only: nothing in it comes from a repository."""
    if len(alerts) > 1:
        return f"{len(alerts)} alerts, the worst {worst(alerts).value}"
    one = alerts[0]
    if one.event is Event.CLOSED:
        return "closed"
    return f"{one.severity.value}: {one.kind.value if one.kind else 'changed'}"


def subject(alerts: Sequence[Alert]) -> str:
    """One line without control characters, with the repositories."""
    names = list(dict.fromkeys(visible(str(alert.name)) for alert in alerts))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return clipped(f"[hubaudit] {headline(alerts)}: {', '.join(names[:3])}{more}", _SUBJECT)


def text(alerts: Sequence[Alert]) -> str:
    """Plain text; everything but line ends that we made is printable."""
    parts = ["\n".join(_paragraph(alert)) for alert in alerts[:_ALERTS]]
    if len(alerts) > _ALERTS:
        parts.append(f"and {len(alerts) - _ALERTS} more alerts: see the JSON")
    return "\n\n".join(parts) + "\n"


def markdown(alerts: Sequence[Alert]) -> str:
    """For chats, at most about 1,800 characters.

    Text of the repository stands in code spans, where chats make neither links nor mentions of it, and
    without the characters that some make mentions of nevertheless.
    """
    lines: list[str] = []
    room = _CHAT
    for number, alert in enumerate(alerts):
        block = list(_chat_lines(alert, many=len(alerts) > 1))
        size = sum(len(line) + 1 for line in block)
        if size > room and lines:
            lines.append(f"and {len(alerts) - number} more")
            break
        lines += block
        room -= size
    return "\n".join(lines)


def _paragraph(alert: Alert) -> Iterator[str]:
    yield f"{visible(str(alert.name))}: {headline([alert])}"
    yield _line(alert.summary)
    yield ""
    for word, value in (
        ("at", alert.name.endpoint),
        ("before", alert.before),
        ("now", alert.after),
        ("approved", alert.approved),
        ("verdict", alert.verdict),
        ("noticed", alert.at),
        ("alert", alert.key),
    ):
        yield f"  {word:<9} {_line(value) if value else '-'}"
    for change in alert.changes[:_CHANGES]:
        yield from _change(change)
    if len(alert.changes) > _CHANGES:
        yield f"\n  and {len(alert.changes) - _CHANGES} more changes: see the JSON"


def _change(change: Change) -> Iterator[str]:
    yield ""
    yield f"  {change.severity.value} {change.kind.value}: {_line(change.message)}"
    yield from (f"    {_line(line)}" for line in change.detail[:_DETAIL])
    if len(change.detail) > _DETAIL:
        yield f"    and {len(change.detail) - _DETAIL} more lines"


def _chat_lines(alert: Alert, *, many: bool) -> Iterator[str]:
    yield f"**{headline([alert])}** {_inert(str(alert.name))}"
    if many:
        yield _inert(alert.summary)
        return
    if alert.event is Event.CLOSED:
        yield _inert(alert.summary)
    room = _CHAT - 400
    for number, change in enumerate(alert.changes):
        line = f"- {change.severity.value} {change.kind.value}: {_inert(change.message)}"
        if len(line) > room:
            yield f"- and {len(alert.changes) - number} more"
            break
        room -= len(line)
        yield line
    yield f"now {_inert(alert.after or '-')}, approved {_inert(alert.approved or '-')}"
    if alert.verdict is not None:
        yield f"verdict {alert.verdict.value.upper()}"


def _line(said: str) -> str:
    return clipped(said, _LINE)


def _inert(said: str) -> str:
    shown = clipped(said, _CHAT_LINE).translate(_INERT).replace("://", ":\u2215\u2215")
    return code(shown, 2 * _CHAT_LINE)
