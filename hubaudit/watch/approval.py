"""What is approved, and which alerts are over because a repository is as it was approved."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from hubaudit.events import Listener
from hubaudit.hub.client import HubClient
from hubaudit.model import Target
from hubaudit.store import Store
from hubaudit.sweeping.work import How
from hubaudit.watch.alert import Alert, Name, closed, instant, name_of
from hubaudit.watch.changes import Change, Kind, changes, is_drift
from hubaudit.watch.glance import Asks, glance
from hubaudit.watch.ledger import Ledger, Origin, Seen
from hubaudit.watch.state import Presence, State
from hubaudit.watch.steps import Auditor, finished

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT = 12  # characters of a commit hash in a sentence


def state_to_approve(
    hub: HubClient,
    store: Store,
    target: Target,
    how: How,
    listener: Listener,
    clock: Callable[[], float],
) -> tuple[Name, State]:
    """What is watched if the target is, and its state at the target's commit, by default that of now.

    A full commit hash is a commit of the default branch. Raises a HubError.
    """
    revision = target.revision or ""
    commit = revision if _COMMIT.fullmatch(revision) else None
    name = name_of(hub.endpoint, target, "" if commit is not None else revision)
    pinned = hub.pin(target)  # raises for what is missing, renamed, or no revision
    now = glance(hub, name, Asks())
    now = replace(now, state=replace(now.state, commit=pinned.commit_hash))
    assert pinned.commit_hash is not None
    auditor = Auditor(hub, store, name, how, listener, clock)
    content = auditor.content(pinned.commit_hash, None)
    return name, finished(auditor, now, None, content)


def approve(ledger: Ledger, name: Name, state: State, origin: Origin) -> tuple[Alert, ...]:
    """From now on the repository is compared with `state`. What that ends, and whoever was told is told."""
    seen, last = ledger.seen(name), ledger.state(name)
    closing: list[Alert] = []
    if seen is not None and last is not None:
        known = [told.alert for told in ledger.open_alerts(name)]
        closing = ended(seen, state, last, known, changes(state, last), ledger.now())
    ledger.approve(name, state, origin, closing)
    return tuple(closing)


def ended(
    seen: Seen,
    approved: State,
    state: State,
    known: Sequence[Alert],
    differences: Iterable[Change],
    now: float | None = None,
) -> list[Alert]:
    """One closing for those alerts of which nothing is left in the differences from the approved state.

    `state` is that of now. What one of the two does not know is not over. None if there are no such alerts,
    or the repository is not there. `now` is by default the look's time.
    """
    if seen.presence is not Presence.PRESENT:
        return []
    left = [one for one in differences if is_drift(one)]
    dark = _untold(approved, state)
    over = [
        alert
        for alert in known
        if not any(is_left(one, left) or one.kind in dark for one in alert.changes if is_drift(one))
    ]
    if not over:
        return []
    same = "at" if seen.commit == approved.commit else "in all but its commit, as at"
    summary = (
        f"{seen.name} is as it was approved, {same} {(approved.commit or 'no commit')[:_SHORT]}"
    )
    if len(over) < len(known):
        summary = f"{seen.name} is in part again as it was approved"
    at = instant(seen.looked if now is None else now)
    return [
        closed(seen.name, seen.serial, at, summary, over, commit=seen.commit, verdict=seen.verdict)
    ]


def _untold(approved: State, state: State) -> frozenset[Kind]:
    """The kinds of which the two commits tell nothing: the approved one may be gone, or files gated."""
    if approved.commit != state.commit and None in (approved.content, state.content):
        return frozenset(one for one in Kind if one.rank >= Kind.SCAN_CHANGED.rank)
    return frozenset()


def is_left(one: Change, left: Sequence[Change]) -> bool:
    """Whether something is left of what the change is about."""
    return any(one.kind is other.kind or set(one.paths) & set(other.paths) for other in left)
