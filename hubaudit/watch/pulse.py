"""What the loop that polls tells of itself, for the status page and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hubaudit.model import Severity
from hubaudit.watch.alert import Name
from hubaudit.watch.kinds import Kind


@dataclass(frozen=True, slots=True)
class SinkCounters:
    """Of one sink since the start: `delivered` alerts, `failed` messages; `pending` are alerts, now.

    `error` is what went wrong last, None once all that failed is delivered. It may name an address, so
    that no page shows it.
    """

    delivered: int = 0
    failed: int = 0
    pending: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    """Counted since the start. Times are in seconds since 1970, None for never; spans in seconds.

    `every` is the pause between rounds. `alive_at` is when the loop last did anything: it waits in slices
    of a second or less, for looks and for the next round.
    """

    watched: tuple[Name, ...]
    every: float
    rounds: int = 0
    looks: int = 0
    changes: Mapping[tuple[Kind, Severity], int] = field(default_factory=dict)
    hub_requests: int = 0
    last_round_at: float | None = None
    last_round_seconds: float | None = None
    alive_at: float | None = None
    sinks: Mapping[str, SinkCounters] = field(default_factory=dict)


class Pulse(Protocol):
    def read(self) -> Vitals:
        """As it is now. Called by the server's threads; never blocks for long."""
        ...


# A look may download gigabytes, and a rate limit of the Hub lasts five minutes.
_PATIENCE = 900.0


class Watchdog:
    """Tells whether the loop has come to a stop. Threads may share it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = (0, 0, clock())  # rounds and looks, and when there were first so many

    def is_late(self, vitals: Vitals) -> bool:
        """Whether no look and no round has ended for longer than two pauses and a very long look take.

        Or the loop does nothing at all, not even wait.
        """
        now = self._clock()
        done = (vitals.rounds, vitals.looks)
        if self._last[:2] != done:
            self._last = (*done, now)
        since = max(self._last[2], vitals.last_round_at or 0)
        if now - since > 2 * vitals.every + _PATIENCE:
            return True
        return vitals.alive_at is not None and now - vitals.alive_at > _PATIENCE
