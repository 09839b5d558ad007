"""What is still to be delivered: the table `deliveries`, from which whoever sends takes rows for a while.

A row that is taken has a lease in `next_at`: until then no other process sends it. A process that dies
holds nothing longer than that.
"""

# ruff: noqa: S608 -- every query is put together of constants of this module

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hubaudit.store import Store

# Seconds. Sending takes longer at times, so the sender renews it; after a crash this long nothing comes.
LEASE = 10.0
# A row further in the future than any back-off is left over from a clock that was wrong.
FURTHEST = 3600.0 + 60.0
# Bytes of a message of several alerts: 500 short ones have half of it, and mail servers take 10 MiB.
MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Pending:
    """An alert that a sink has not acknowledged. `text` is `hubaudit.alert/1`, `until` ends the lease.

    `attempts` were made before and failed.
    """

    id: int
    key: str
    attempts: int
    text: str
    until: float


class Outbox:
    """The deliveries in an open store. Threads may share it; every method may raise StoreUnusable."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def due(self, sink: str, now: float, most: int) -> tuple[Pending, ...]:
        """Takes the oldest that may be sent now, at most `most` and about 1 MiB of them, by alert id.

        Of one repository no alert comes before an older one that is not delivered. What was once taken
        together is taken together again, so that a message that failed is sent again as it was.
        """
        if not self._heads(self._store.rows, sink, now, 1):
            return ()  # the usual case takes no write lock
        until = now + LEASE
        with self._store.writing() as database:

            def rows(query: str, values: Sequence[object]) -> list[Any]:
                return database.execute(query, tuple(values)).fetchall()

            taken = _together(self._heads(rows, sink, now, most))
            # without the error: so is what is taken told from what waits, see `hasten`
            database.executemany(
                "UPDATE deliveries SET next_at = ?, error = NULL WHERE alert = ? AND sink = ?",
                [(until, one, sink) for one in taken],
            )
            return tuple(
                Pending(found[0], found[1], found[2], found[3], until)
                for one in taken
                for found in rows(
                    "SELECT d.alert, a.key, d.attempts, a.alert FROM deliveries d "
                    "JOIN alerts a ON a.id = d.alert WHERE d.alert = ? AND d.sink = ?",
                    (one, sink),
                )
            )

    def _heads(
        self, rows: Callable[[str, Sequence[object]], list[Any]], sink: str, now: float, most: int
    ) -> list[Any]:
        held = (now, now + FURTHEST)
        return rows(_DUE, (sink, *held, sink, *held, most))

    def renew(self, sink: str, ids: Iterable[int], until: float, now_until: float) -> None:
        """Moves the end of the lease from `until`, if these rows still have that one."""
        with self._store.writing() as database:
            database.executemany(
                f"UPDATE deliveries SET next_at = ? WHERE {_ROW} AND next_at = ?",
                [(now_until, one, sink, until) for one in ids],
            )

    def acknowledge(self, sink: str, ids: Iterable[int]) -> int:
        """The sink has these. How many of them it was not known of before."""
        now = self._clock()
        with self._store.writing() as database:
            return database.executemany(
                f"UPDATE deliveries SET acknowledged = ?, error = NULL WHERE {_ROW}",
                [(now, one, sink) for one in ids],
            ).rowcount

    def postpone(self, sink: str, ids: Iterable[int], next_at: float, error: str) -> None:
        """Sending these failed. `error` holds no secret."""
        with self._store.writing() as database:
            database.executemany(
                f"UPDATE deliveries SET attempts = attempts + 1, next_at = ?, error = ? WHERE {_ROW}",
                [(next_at, error, one, sink) for one in ids],
            )

    def hasten(self, sink: str, next_at: float) -> None:
        """The sink works again: what failed and was to wait longer than until `next_at` waits until then."""
        with self._store.writing() as database:
            database.execute(
                "UPDATE deliveries SET next_at = ? "
                "WHERE sink = ? AND acknowledged IS NULL AND next_at > ? AND error IS NOT NULL",
                (next_at, sink, next_at),
            )

    def pending(self, sink: str | None = None) -> int:
        """Deliveries that no sink, or not this one, has acknowledged."""
        if sink is None:
            found = self._store.rows("SELECT count(*) FROM deliveries WHERE acknowledged IS NULL")
        else:
            found = self._store.rows(
                "SELECT count(*) FROM deliveries WHERE acknowledged IS NULL AND sink = ?", (sink,)
            )
        return int(found[0][0])

    def next_at(self, sink: str) -> float | None:
        """When the next one may be sent, in seconds since 1970; None if there is none. Maybe in the past."""
        found: float | None = self._store.rows(_NEXT, (sink,))[0][0]
        return found

    def last_acknowledged(self, sink: str) -> float | None:
        """In seconds since 1970."""
        query = "SELECT max(acknowledged) FROM deliveries WHERE sink = ?"
        found: float | None = self._store.rows(query, (sink,))[0][0]
        return found

    def orphans(self, sinks: Iterable[str]) -> tuple[str, ...]:
        """Sinks that have something to come, and are none of `sinks`."""
        query = "SELECT DISTINCT sink FROM deliveries WHERE acknowledged IS NULL ORDER BY sink"
        known = set(sinks)
        return tuple(row[0] for row in self._store.rows(query) if row[0] not in known)


_ROW = "alert = ? AND sink = ? AND acknowledged IS NULL"
_SAME = (
    "b.endpoint = a.endpoint AND b.repo_type = a.repo_type AND b.repo_id = a.repo_id "
    "AND b.revision = a.revision"
)
_DUE = f"""
SELECT d.alert, d.next_at, length(a.alert), a.endpoint, a.repo_type, lower(a.repo_id), a.revision
FROM deliveries d CROSS JOIN alerts a ON a.id = d.alert
WHERE d.sink = ? AND d.acknowledged IS NULL AND NOT (d.next_at > ? AND d.next_at < ?) AND NOT EXISTS (
    SELECT 1 FROM deliveries o CROSS JOIN alerts b ON b.id = o.alert
    WHERE o.sink = ? AND o.acknowledged IS NULL AND o.alert < d.alert
        AND o.next_at > ? AND o.next_at < ? AND {_SAME}
) ORDER BY d.alert LIMIT ?
"""
# With min() SQLite gives the other columns from the row that has the least (sqlite.org/lang_select.html).
_NEXT = """
SELECT min(next_at) FROM (
    SELECT min(d.alert), d.next_at AS next_at FROM deliveries d CROSS JOIN alerts a ON a.id = d.alert
    WHERE d.sink = ? AND d.acknowledged IS NULL
    GROUP BY a.endpoint, a.repo_type, a.repo_id, a.revision
)
"""


def _together(rows: Sequence[Any]) -> list[int]:
    """Ids of one message: what has the `next_at` of the first, as the rows of one lease have in common.

    And of those nothing whose repository has an older alert among the rows that is of another message.
    """
    taken: list[int] = []
    waiting: set[tuple[str, ...]] = set()
    size = 0
    for one, next_at, length, *name in rows:
        if next_at != rows[0][1]:
            waiting.add(tuple(name))
        if tuple(name) in waiting:
            continue
        size += length
        if taken and size > MOST_BYTES:
            break
        taken.append(one)
    return taken
