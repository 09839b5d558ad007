"""What is approved, and which alerts are over because a repository is as it was approved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hubaudit.watch.alert import Alert, Name, closed, instant
from hubaudit.watch.changes import Change, changes, is_drift
from hubaudit.watch.ledger import Ledger, Origin, Seen
from hubaudit.watch.state import Presence, State

_SHORT = 12  # characters of a commit hash in a sentence


def approve(ledger: Ledger, name: Name, state: State, origin: Origin) -> tuple[Alert, ...]:
    """From now on the repository is compared with `state`. What that ends, and whoever was told is told."""
    seen, last = ledger.seen(name), ledger.state(name)
    closing: list[Alert] = []
    if seen is not None and last is not None:
        known = [told.alert for told in ledger.open_alerts(name)]
        closing = ended(seen, state, known, changes(state, last), ledger.now())
    ledger.approve(name, state, origin, closing)
    return tuple(closing)


def ended(
    seen: Seen,
    approved: State,
    known: Sequence[Alert],
    differences: Iterable[Change],
    now: float | None = None,
) -> list[Alert]:
    """One closing for those alerts of which nothing is left in the differences from the approved state.

    None if there are no such alerts, or the repository is not there. `now` is by default the look's time.
    """
    if seen.presence is not Presence.PRESENT:
        return []
    left = [one for one in differences if is_drift(one)]
    over = [
        alert
        for alert in known
        if not any(_is_left(one, left) for one in alert.changes if is_drift(one))
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


def _is_left(one: Change, left: Sequence[Change]) -> bool:
    return any(one.kind is other.kind or set(one.paths) & set(other.paths) for other in left)
