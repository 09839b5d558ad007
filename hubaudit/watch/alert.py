"""What is told of a watched repository, once: plain data with a key of its own, and its JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hubaudit.errors import ReportUnusable
from hubaudit.model import RepoType, Severity, Target, Verdict
from hubaudit.watch.kinds import Change, Kind, is_drift, report_order
from hubaudit.watch.stored import encodable_tree

SCHEMA = "hubaudit.alert/1"

_OF_A_KIND = 50  # changes in one alert; files are told together long before, refs are not
_STRICT = {"extra": "forbid"}  # for pydantic
_HINT = "the store was written by another version of hubaudit, or changed since"


class Event(StrEnum):
    CHANGED = "changed"
    CLOSED = "closed"  # the repository is again as it was approved, or was approved as it is


@dataclass(frozen=True, slots=True)
class Name:
    """What is watched: a repository at one Hub, and one revision of it; "" is the default branch."""

    __pydantic_config__ = _STRICT

    endpoint: str
    repo_type: RepoType
    repo_id: str
    revision: str = ""

    def __str__(self) -> str:
        prefix = "" if self.repo_type == "model" else f"{self.repo_type}s/"
        return f"{prefix}{self.repo_id}" + (f"@{self.revision}" if self.revision else "")


def name_of(endpoint: str, target: Target, revision: str) -> Name:
    """What is watched of a target. The Hub's default branch is main, however it is written."""
    watched = "" if revision in ("main", "refs/heads/main") else revision
    return Name(endpoint, target.repo_type, target.repo_id, watched)


@dataclass(frozen=True, slots=True)
class Alert:
    """One step of a repository, with all that changed in it, worst first.

    `key` is the same however often the alert is sent, and no other alert has it. `severity` and `kind` are
    those of the worst change; of a closing, the worst severity of the alerts that it `closes`, by key, and
    no kind. `before` and `after` are commits, None where there is none. `verdict` is that of the newer
    commit, None where nobody could audit it. `at` is when it was noticed, in UTC as ISO 8601. Every text
    may come from the repository: whoever shows it escapes it.
    """

    __pydantic_config__ = _STRICT

    key: str
    event: Event
    name: Name
    severity: Severity
    kind: Kind | None
    summary: str
    before: str | None
    after: str | None
    approved: str | None
    verdict: Verdict | None
    at: str
    changes: tuple[Change, ...] = ()
    closes: tuple[str, ...] = ()

    @property
    def is_drift(self) -> bool:
        return any(map(is_drift, self.changes))


def changed(
    name: Name,
    serial: int,
    at: str,
    changes: Sequence[Change],
    *,
    commits: tuple[str | None, str | None],
    approved: str | None,
    verdict: Verdict | None,
) -> Alert:
    """The alert for one step. `serial` numbers the steps of `name`; no two have the same."""
    ordered = sorted(changes, key=report_order)
    worst = ordered[0]
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return Alert(
        key=_key(name, serial, Event.CHANGED, at),
        event=Event.CHANGED,
        name=name,
        severity=worst.severity,
        kind=worst.kind,
        summary=worst.message + more,
        before=commits[0],
        after=commits[1],
        approved=approved,
        verdict=verdict,
        at=at,
        changes=tuple(_bounded(ordered)),
    )


def _bounded(ordered: Sequence[Change]) -> Iterator[Change]:
    """The first of each kind, and how many more there are of it: somebody may move 5,000 tags."""
    many = Counter(one.kind for one in ordered)
    told = Counter[Kind]()
    for one in ordered:
        told[one.kind] += 1
        if told[one.kind] < _OF_A_KIND or many[one.kind] == _OF_A_KIND:
            yield one
        elif told[one.kind] == _OF_A_KIND:
            left = many[one.kind] - _OF_A_KIND + 1
            yield Change(one.kind, one.severity, f"{left} more of this kind")


def closed(
    name: Name,
    serial: int,
    at: str,
    summary: str,
    alerts: Sequence[Alert],
    *,
    commit: str | None,
    verdict: Verdict | None,
) -> Alert:
    """What ends `alerts`, of which there is one at least."""
    return Alert(
        key=_key(name, serial, Event.CLOSED, at),
        event=Event.CLOSED,
        name=name,
        severity=min((one.severity for one in alerts), key=lambda severity: severity.rank),
        kind=None,
        summary=summary,
        before=alerts[-1].after,
        after=commit,
        approved=commit,
        verdict=verdict,
        at=at,
        closes=tuple(one.key for one in alerts),
    )


def instant(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def to_dict(alert: Alert) -> dict[str, Any]:
    """As `hubaudit.alert/1`: what sinks get, and the store keeps."""
    written: dict[str, Any] = encodable_tree(asdict(alert))
    name = written.pop("name")
    rest = {key: written[key] for key in written if key not in ("key", "event")}
    return {"schema": SCHEMA, "key": alert.key, "event": alert.event.value, "repo": name, **rest}


def dumps(alert: Alert) -> str:
    """One line, ASCII only; the same alert gives the same bytes."""
    return json.dumps(to_dict(alert), separators=(",", ":"), allow_nan=False)


def loads(text: str) -> Alert:
    """What `dumps` wrote. Raises ReportUnusable for anything else."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or found.pop("schema", None) != SCHEMA:
            raise ReportUnusable(f"a stored alert has no schema {SCHEMA}", hint=_HINT)
        found["name"] = found.pop("repo", None)
        return _ADAPTER.validate_json(json.dumps(found), strict=True)
    except (ValueError, RecursionError, ValidationError) as error:
        said = str(error).splitlines()[0]
        raise ReportUnusable(f"a stored alert is not usable: {said}", hint=_HINT) from None


_ADAPTER = TypeAdapter(Alert)


def _key(name: Name, serial: int, event: Event, at: str) -> str:
    """Steps are counted anew in a new store, so the time belongs to it."""
    said = [*asdict(name).values(), serial, event.value, at]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
