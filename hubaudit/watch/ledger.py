"""What the store knows of watched repositories: as approved, as last seen, and what was told of them.

A state and the alerts about it are written in one transaction: what was noticed is told, whatever happens
in between, and told once.
"""

# ruff: noqa: S608 -- every query is put together of constants of this module

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Any, cast

from hubaudit.errors import StoreUnusable
from hubaudit.model import RepoType, Severity, Verdict
from hubaudit.report.escape import encodable
from hubaudit.store import Store
from hubaudit.watch import stored
from hubaudit.watch.alert import Alert, Event, Name, dumps, loads
from hubaudit.watch.state import Presence, State

_SAME = "endpoint = ? AND repo_type = ? AND repo_id = ? AND revision = ?"
_NAME = "endpoint, repo_type, repo_id, revision"
_PAGE = 500  # rows in memory at once
_LAST_ID = 2**62


class Origin(StrEnum):
    """Why a state counts as approved."""

    APPROVED = "approved"  # somebody said so: `hubaudit approve`
    LISTED = "listed"  # the list names the commit
    FIRST_SEEN = "first-seen"  # nobody said anything: it was so when the watch first looked


@dataclass(frozen=True, slots=True)
class Approval:
    """`at` is in seconds since 1970."""

    commit: str | None
    origin: Origin
    at: float


@dataclass(frozen=True, slots=True)
class Seen:
    """How a watched repository was last seen, in short. `serial` counts the steps that were seen of it.

    `mark` is what the cheap questions said then, only good for being compared. `looked` is when it was
    last looked at without trouble, in seconds since 1970.
    """

    name: Name
    serial: int
    mark: str
    presence: Presence
    commit: str | None
    verdict: Verdict | None
    object_id: str | None
    looked: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a repository could not be looked at, and since when (seconds since 1970)."""

    said: str
    since: float


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as it stands in the store. `closed` is when it was ended, in seconds since 1970."""

    id: int
    alert: Alert
    closed: float | None


# The sinks by name, each with the least severity that it is told.
Routes = Mapping[str, Severity]


class Ledger:
    """The watch's tables in an open store. Threads may share it; every method may raise StoreUnusable."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store = store
        self._clock = clock

    def now(self) -> float:
        return self._clock()

    def seen(self, name: Name) -> Seen | None:
        found = self.store.rows(f"{_SEEN} WHERE {_SAME}", astuple(name))
        return _seen(found[0]) if found else None

    def all_seen(self) -> Iterator[Seen]:
        """Everything that was ever watched, by name."""
        after = ("", "", "", "")
        query = f"{_SEEN} WHERE ({_NAME}) > (?, ?, ?, ?) ORDER BY {_NAME} LIMIT {_PAGE}"
        while rows := self.store.rows(query, after):
            yield from map(_seen, rows)
            after = tuple(rows[-1][:4])

    def state(self, name: Name) -> State | None:
        """As it was last seen."""
        return self._state("watched", name)

    def approval(self, name: Name) -> Approval | None:
        query = f"SELECT commit_hash, origin, at FROM approvals WHERE {_SAME}"
        found = self.store.rows(query, astuple(name))
        return Approval(found[0][0], Origin(found[0][1]), found[0][2]) if found else None

    def approved(self, name: Name) -> State | None:
        return self._state("approvals", name)

    def trouble(self, name: Name) -> Trouble | None:
        query = f"SELECT trouble, since FROM troubles WHERE {_SAME}"
        found = self.store.rows(query, astuple(name))
        return Trouble(*found[0]) if found else None

    def alerts(self, name: Name, *, most: int = 100, before: int = _LAST_ID) -> tuple[Told, ...]:
        """The newest first, of those whose id is less than `before`."""
        query = f"{_TOLD} WHERE {_SAME} AND id < ? ORDER BY id DESC LIMIT ?"
        return tuple(map(_told, self.store.rows(query, (*astuple(name), before, most))))

    def open_alerts(self, name: Name) -> tuple[Told, ...]:
        """Those that nothing closed yet, the oldest first."""
        query = f"{_TOLD} WHERE {_SAME} AND closed IS NULL ORDER BY id"
        return tuple(map(_told, self.store.rows(query, astuple(name))))

    def approve(
        self, name: Name, state: State, origin: Origin, closing: Sequence[Alert] = ()
    ) -> None:
        """`state` is what the repository is compared with from now on; `closing` ends what was open."""
        with self.store.writing() as database:
            database.execute(
                f"INSERT OR REPLACE INTO approvals ({_NAME}, commit_hash, origin, at, state) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*astuple(name), state.commit, origin, self._clock(), _packed(state)),
            )
            for alert in closing:
                self._tell(database, alert, {})

    def put(self, seen: Seen, state: State, alerts: Sequence[Alert], routes: Routes) -> bool:
        """The repository as it is now, and what there is to tell of it, all or nothing.

        False, and nothing is written, if somebody else has put a step in the meantime: `seen.serial` is
        not one more than what is there.
        """
        with self.store.writing() as database:
            rows = database.execute(f"SELECT serial FROM watched WHERE {_SAME}", astuple(seen.name))
            last = rows.fetchone()
            if (last[0] if last else 0) != seen.serial - 1:
                return False
            database.execute(
                f"INSERT OR REPLACE INTO watched ({_NAME}, serial, mark, presence, commit_hash, verdict, "
                "object_id, looked, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*astuple(seen.name), seen.serial, seen.mark, seen.presence, seen.commit, seen.verdict,
                 seen.object_id, seen.looked, _packed(state)),
            )  # fmt: skip
            database.execute(f"DELETE FROM troubles WHERE {_SAME}", astuple(seen.name))
            for alert in alerts:
                self._tell(database, alert, routes)
        return True

    def unchanged(self, name: Name, mark: str) -> None:
        """It was looked at now, and is as it was. The mark may say more than before."""
        with self.store.writing() as database:
            database.execute(
                f"UPDATE watched SET looked = ?, mark = ? WHERE {_SAME}",
                (self._clock(), mark, *astuple(name)),
            )
            database.execute(f"DELETE FROM troubles WHERE {_SAME}", astuple(name))

    def knows_source(self, endpoint: str, source: str) -> bool:
        """Whether the repositories of an owner were looked at before: who is not among them is new."""
        query = "SELECT 1 FROM sources WHERE endpoint = ? AND source = ?"
        return bool(self.store.rows(query, (endpoint, source)))

    def names_of(self, endpoint: str, owner: str) -> tuple[Name, ...]:
        """What was ever watched of an owner's repositories, by their default branches."""
        query = (
            f"SELECT {_NAME} FROM watched WHERE endpoint = ? AND revision = '' "
            f"AND repo_id > ? AND repo_id < ? ORDER BY {_NAME}"
        )
        rows = self.store.rows(query, (endpoint, f"{owner}/", f"{owner}0"))  # "0" follows "/"
        return tuple(Name(*row) for row in rows)

    def put_source(self, endpoint: str, source: str) -> None:
        with self.store.writing() as database:
            database.execute("INSERT OR IGNORE INTO sources VALUES (?, ?)", (endpoint, source))

    def put_trouble(self, name: Name, said: str) -> None:
        """The repository could not be looked at. Since when stays as it is while it lasts."""
        with self.store.writing() as database:
            database.execute(
                f"INSERT INTO troubles ({_NAME}, trouble, since) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET trouble = excluded.trouble",
                (*astuple(name), encodable(said), self._clock()),
            )

    def _tell(self, database: Any, alert: Alert, routes: Routes) -> None:
        """The alert, a delivery of it to each sink that is to hear of it, and the end of what it closes.

        What is harmless stays no open question.
        """
        now = self._clock()
        is_over = alert.event is Event.CLOSED or not alert.is_drift
        made = database.execute(
            f"INSERT INTO alerts (key, {_NAME}, event, severity, at, alert, closed) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (alert.key, *astuple(alert.name), alert.event, alert.severity, now, dumps(alert),
             now if is_over else None),
        )  # fmt: skip
        sinks = [sink for sink, least in routes.items() if alert.severity.rank <= least.rank]
        if alert.closes:  # whoever was told of it is told that it is over
            sinks = self._told_of(database, alert.closes)
        for sink in sinks:
            database.execute(
                "INSERT INTO deliveries (alert, sink) VALUES (?, ?)", (made.lastrowid, sink)
            )
        for key in alert.closes:
            database.execute("UPDATE alerts SET closed = ? WHERE key = ?", (now, key))

    def _told_of(self, database: Any, keys: Sequence[str]) -> list[str]:
        marks = ", ".join("?" * len(keys))
        query = (
            "SELECT DISTINCT sink FROM deliveries JOIN alerts ON alerts.id = deliveries.alert "
            f"WHERE alerts.key IN ({marks}) ORDER BY sink"
        )
        return [row[0] for row in database.execute(query, tuple(keys))]

    def _state(self, table: str, name: Name) -> State | None:
        found = self.store.rows(f"SELECT state FROM {table} WHERE {_SAME}", astuple(name))
        return _unpacked(found[0][0]) if found else None


_SEEN = (
    f"SELECT {_NAME}, serial, mark, presence, commit_hash, verdict, object_id, looked FROM watched"
)
_TOLD = "SELECT id, alert, closed FROM alerts"


def _seen(row: Sequence[Any]) -> Seen:
    endpoint, repo_type, repo_id, revision, serial, mark, presence, commit, verdict, *rest = row
    return Seen(
        Name(endpoint, cast(RepoType, repo_type), repo_id, revision),
        serial,
        mark,
        Presence(presence),
        commit,
        None if verdict is None else Verdict(verdict),
        *rest,
    )


def _told(row: Sequence[Any]) -> Told:
    return Told(row[0], loads(row[1]), row[2])


def _packed(state: State) -> bytes:
    return zlib.compress(stored.dumps(state).encode())


def _unpacked(packed: bytes) -> State:
    try:
        return stored.loads(zlib.decompress(packed))
    except zlib.error as error:
        raise StoreUnusable(
            f"the store holds what it did not write: {error}", hint="name another one with --store"
        ) from None
