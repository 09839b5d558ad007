"""The store: one SQLite file with what was audited, what was read of which content, and each sweep's results.

Everything in it is JSON or a digest, and can be had again from the Hub. Several processes may use it at
once: write-ahead log, and every transaction takes the write lock when it begins. A transaction that reads
first and writes later fails under load instead of waiting.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Self

import platformdirs

from hubaudit.errors import StoreUnusable

_APPLICATION = 0x48554241  # "HUBA" in the file's header, by which a foreign database is told
# Writers hold the lock for milliseconds; this is for one that waits behind a slow disk.
_BUSY_SECONDS = 60.0
_CHECKED = 32 << 20  # bytes: up to here a file is checked page by page when it is opened, 50 ms

# Sweeps of one list whose results stay: only the last that ended is ever compared with, the others are for
# whoever looks into the file. 5,000 targets a night would otherwise be 1 GB a year.
_SWEEPS_KEPT = 10
_AT_ONCE = 500  # rows in memory, of about 1 KiB each

_FIRST = """
CREATE TABLE audits (
    endpoint TEXT NOT NULL, repo_type TEXT NOT NULL, repo_id TEXT NOT NULL, revision TEXT NOT NULL,
    commit_hash TEXT NOT NULL, ruleset TEXT NOT NULL, policy TEXT NOT NULL, settings TEXT NOT NULL,
    scan TEXT NOT NULL, settled INTEGER NOT NULL, verdict TEXT NOT NULL, code INTEGER NOT NULL,
    report BLOB NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (endpoint, repo_type, repo_id, revision, commit_hash, ruleset, policy, settings)
);
CREATE TABLE listings (
    endpoint TEXT NOT NULL, repo_type TEXT NOT NULL, repo_id TEXT NOT NULL, commit_hash TEXT NOT NULL,
    scan TEXT NOT NULL, listing BLOB NOT NULL,
    PRIMARY KEY (endpoint, repo_type, repo_id, commit_hash)
);
CREATE TABLE evidence (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, begun REAL NOT NULL, ended REAL
);
CREATE INDEX sweeps_by_name ON sweeps (name, id);
CREATE TABLE results (
    sweep INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    target TEXT NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (sweep, target)
);
"""

# An id is one in any letter case. `revision` is "" for the default branch.
_WATCH = """
CREATE TABLE approvals (
    endpoint TEXT NOT NULL, repo_type TEXT NOT NULL, repo_id TEXT NOT NULL COLLATE NOCASE,
    revision TEXT NOT NULL, commit_hash TEXT, origin TEXT NOT NULL, at REAL NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (endpoint, repo_type, repo_id, revision)
);
CREATE TABLE watched (
    endpoint TEXT NOT NULL, repo_type TEXT NOT NULL, repo_id TEXT NOT NULL COLLATE NOCASE,
    revision TEXT NOT NULL, serial INTEGER NOT NULL, mark TEXT NOT NULL, presence TEXT NOT NULL,
    commit_hash TEXT, verdict TEXT, object_id TEXT, looked REAL NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (endpoint, repo_type, repo_id, revision)
);
CREATE TABLE troubles (
    endpoint TEXT NOT NULL, repo_type TEXT NOT NULL, repo_id TEXT NOT NULL COLLATE NOCASE,
    revision TEXT NOT NULL, trouble TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (endpoint, repo_type, repo_id, revision)
);
CREATE TABLE sources (
    endpoint TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (endpoint, source)
);
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
    endpoint TEXT NOT NULL, repo_type TEXT NOT NULL, repo_id TEXT NOT NULL COLLATE NOCASE,
    revision TEXT NOT NULL, event TEXT NOT NULL, severity TEXT NOT NULL, at REAL NOT NULL,
    closed REAL, alert TEXT NOT NULL
);
CREATE INDEX alerts_by_repository ON alerts (endpoint, repo_type, repo_id, revision, id);
CREATE INDEX alerts_open ON alerts (endpoint, repo_type, repo_id, revision, severity)
    WHERE closed IS NULL;
CREATE TABLE deliveries (
    alert INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE, sink TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL DEFAULT 0, error TEXT, acknowledged REAL,
    PRIMARY KEY (alert, sink)
);
CREATE INDEX deliveries_due ON deliveries (sink, alert) WHERE acknowledged IS NULL;
"""

# Each makes the schema of the next version out of the one before; never changed once released.
_MIGRATIONS: tuple[str, ...] = (_FIRST, _WATCH)


@dataclass(frozen=True, slots=True)
class AuditKey:
    """What a stored audit holds for. `settings`: how it was read, and by which code."""

    endpoint: str
    repo_type: str
    repo_id: str
    revision: str
    commit_hash: str
    ruleset: str
    policy: str
    settings: str


@dataclass(frozen=True, slots=True)
class StoredAudit:
    """`report` is the JSON report's text, byte for byte. `scan` is what the Hub's scanners then said.

    `settled`: nothing of it was missing because the Hub did not give it, so asking again changes nothing.
    `at` are seconds since 1970.
    """

    key: AuditKey
    scan: str
    settled: bool
    verdict: str
    code: int
    report: str
    at: float


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One run over a list. `ended` is None while it runs, or if it was broken off."""

    id: int
    name: str
    begun: float
    ended: float | None


def default_path() -> Path:
    """HUBAUDIT_STORE, or `store.sqlite3` in the user's data folder for hubaudit."""
    named = os.environ.get("HUBAUDIT_STORE")
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("hubaudit") / "store.sqlite3"


class Store:
    """An open store. Threads may share it. Every method may raise StoreUnusable."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Opens the file, or makes it. Raises StoreUnusable for what is no store, and leaves that alone."""
        self.path = path
        self._clock = clock
        self._lock = RLock()
        self._connection = _open(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def find_audit(self, key: AuditKey) -> StoredAudit | None:
        rows = self.rows(f"{_AUDIT} WHERE {_same(_KEY)}", _values(key))
        return _audit(rows[0]) if rows else None

    def approved_commit(self, key: AuditKey) -> str | None:
        """What somebody approved of the revision; None of one that is itself a commit."""
        if _COMMIT_HASH.fullmatch(key.revision):
            return None
        revision = "" if key.revision in _DEFAULT_BRANCH else key.revision
        found = self.rows(
            "SELECT commit_hash FROM approvals WHERE endpoint = ? AND repo_type = ? AND repo_id = ? "
            "AND revision = ? AND origin = 'approved'",
            (key.endpoint, key.repo_type, key.repo_id, revision),
        )
        return found[0][0] if found else None

    def history(self, repo_type: str, repo_id: str) -> tuple[StoredAudit, ...]:
        """Every audit of a repository, the oldest first."""
        where = "WHERE repo_type = ? AND repo_id = ? COLLATE NOCASE ORDER BY at, rowid"
        return tuple(_audit(row) for row in self.rows(f"{_AUDIT} {where}", (repo_type, repo_id)))

    def find_listing(self, key: AuditKey) -> tuple[str, bytes] | None:
        """What the scanners said, and the listing of the commit, as `put_audit` was given them."""
        query = f"SELECT scan, listing FROM listings WHERE {_same(_COMMIT)}"  # noqa: S608
        found = self.rows(query, _values(key, _COMMIT))
        return (found[0][0], _unpacked(found[0][1])) if found else None

    def find_evidence(self, key: str) -> bytes | None:
        found = self.rows("SELECT value FROM evidence WHERE key = ?", (key,))
        return found[0][0] if found else None

    def put_evidence(self, key: str, value: bytes) -> None:
        with self.writing() as database:
            database.execute("INSERT OR IGNORE INTO evidence VALUES (?, ?)", (key, value))

    def begin_sweep(self, name: str) -> SweepRow:
        at = self._clock()
        with self.writing() as database:
            made = database.execute("INSERT INTO sweeps (name, begun) VALUES (?, ?)", (name, at))
            assert made.lastrowid is not None
            return SweepRow(made.lastrowid, name, at, None)

    def end_sweep(self, sweep: SweepRow) -> None:
        """It came to its end. Of its list the last sweeps stay, and the results of older ones go."""
        with self.writing() as database:
            database.execute("UPDATE sweeps SET ended = ? WHERE id = ?", (self._clock(), sweep.id))
            database.execute(
                "DELETE FROM sweeps WHERE name = ? AND id < ? AND id NOT IN "
                "(SELECT id FROM sweeps WHERE name = ? ORDER BY id DESC LIMIT ?)",
                (sweep.name, sweep.id, sweep.name, _SWEEPS_KEPT),
            )

    def last_sweep(self, name: str, *, before: SweepRow | None = None) -> SweepRow | None:
        """The last one that came to its end, of those begun before another one."""
        return self._sweep("name = ? AND ended IS NOT NULL AND id < ?", name, before)

    def broken_off(self, name: str) -> SweepRow | None:
        """The last one, if it did not come to its end."""
        last = self._sweep("name = ? AND id < ?", name, None)
        return last if last is not None and last.ended is None else None

    def put_result(
        self,
        sweep: SweepRow,
        target: str,
        result: str,
        audit: StoredAudit | None = None,
        listing: bytes | None = None,
    ) -> None:
        """What came of one target, all of it or nothing."""
        with self.writing() as database:
            if audit is not None:
                _put_audit(database, audit, listing)
            database.execute(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?)", (sweep.id, target, result)
            )

    def put_audit(self, audit: StoredAudit, listing: bytes) -> None:
        """One that belongs to no sweep."""
        with self.writing() as database:
            _put_audit(database, audit, listing)

    def sweeps(self) -> tuple[SweepRow, ...]:
        """All of them, the oldest first."""
        rows = self.rows("SELECT id, name, begun, ended FROM sweeps ORDER BY id", ())
        return tuple(SweepRow(*row) for row in rows)

    def results(self, sweep: SweepRow) -> Iterator[tuple[str, str]]:
        """Target and result, as they were put, by target."""
        after = ""
        query = (
            "SELECT target, result FROM results WHERE sweep = ? AND target > ? "
            "ORDER BY target LIMIT ?"
        )
        while rows := self.rows(query, (sweep.id, after, _AT_ONCE)):
            yield from rows
            after = rows[-1][0]

    def find_result(self, sweep: SweepRow, target: str) -> str | None:
        query = "SELECT result FROM results WHERE sweep = ? AND target = ?"
        found = self.rows(query, (sweep.id, target))
        return found[0][0] if found else None

    def count(self, table: str) -> int:
        """Rows of `audits`, `evidence`, `listings`, `sweeps` or `results`."""
        if table not in ("audits", "evidence", "listings", "sweeps", "results"):
            raise ValueError(table)
        return int(self.rows(f"SELECT count(*) FROM {table}", ())[0][0])  # noqa: S608

    def merge(self, other: Store) -> None:
        """Take in all that `other` has. Of two audits under one key the later stays."""
        with other._lock, self.writing() as database:
            for table, many in _MERGED:
                read = other._connection.execute(f"SELECT * FROM {table}")  # noqa: S608
                rows = read.fetchall() if table == "audits" else read
                marks = ", ".join("?" * many)
                if table == "audits":
                    rows = [row for row in rows if self._is_later(row)]
                database.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608

    def _is_later(self, row: Sequence[Any]) -> bool:
        found = self.find_audit(AuditKey(*row[: len(_KEY)]))
        return found is None or found.at < row[-1]

    def _sweep(self, where: str, name: str, before: SweepRow | None) -> SweepRow | None:
        last = before.id if before is not None else 2**62
        query = f"SELECT id, name, begun, ended FROM sweeps WHERE {where} ORDER BY id DESC LIMIT 1"  # noqa: S608
        rows = self.rows(query, (name, last))
        return SweepRow(*rows[0]) if rows else None

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """For those who keep tables of their own here, as the watch does."""
        with self._lock, _explained(self.path):
            return self._connection.execute(query, tuple(values)).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all that is written in the block, or nothing of it."""
        with self._lock, _explained(self.path), _transaction(self._connection) as database:
            yield database


_KEY = (
    "endpoint",
    "repo_type",
    "repo_id",
    "revision",
    "commit_hash",
    "ruleset",
    "policy",
    "settings",
)
_COMMIT = ("endpoint", "repo_type", "repo_id", "commit_hash")
_COMMIT_HASH = re.compile(r"[0-9a-f]{40}")
_DEFAULT_BRANCH = ("main", "refs/heads/main")  # as an approval has it: ""
_VALUE = ("scan", "settled", "verdict", "code", "report", "at")
_AUDIT = f"SELECT {', '.join((*_KEY, *_VALUE))} FROM audits"  # noqa: S608
_MERGED = (("audits", 14), ("listings", 6), ("evidence", 2))


def _put_audit(database: sqlite3.Connection, audit: StoredAudit, listing: bytes | None) -> None:
    names = ", ".join((*_KEY, *_VALUE))
    marks = ", ".join("?" * len((*_KEY, *_VALUE)))
    database.execute(
        f"INSERT OR REPLACE INTO audits ({names}) VALUES ({marks})",  # noqa: S608
        (*_values(audit.key), audit.scan, audit.settled, audit.verdict, audit.code,
         zlib.compress(audit.report.encode()), audit.at),
    )  # fmt: skip
    if listing is not None:
        database.execute(
            "INSERT OR REPLACE INTO listings VALUES (?, ?, ?, ?, ?, ?)",
            (*_values(audit.key, _COMMIT), audit.scan, zlib.compress(listing)),
        )


def _same(names: Sequence[str]) -> str:
    return " AND ".join(f"{name} = ?" for name in names)


def _values(key: AuditKey, names: Sequence[str] = _KEY) -> tuple[str, ...]:
    return tuple(getattr(key, name) for name in names)


def _audit(row: Sequence[Any]) -> StoredAudit:
    scan, settled, verdict, code, report, at = row[len(_KEY) :]
    text = _unpacked(report).decode()
    return StoredAudit(AuditKey(*row[: len(_KEY)]), scan, bool(settled), verdict, code, text, at)


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompress(packed)
    except zlib.error as error:
        raise StoreUnusable(
            f"the store holds what it did not write: {error}", hint=_ELSEWHERE
        ) from None


_ELSEWHERE = "move it away, or name another one with --store; it is left as it is"


def _open(path: Path) -> sqlite3.Connection:
    _check_file(path)
    with _explained(path), ExitStack() as opened:
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        opened.callback(connection.close)
        _check_kind(connection, path)
        _use_log(connection)
        _migrate(connection)
        opened.pop_all()
    return connection


def _check_file(path: Path) -> None:
    """Before SQLite makes a file of it. Raises StoreUnusable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise StoreUnusable(f"the store {path} is no file", hint="name another with --store")
        if not path.exists() or path.stat().st_size == 0:
            return
        with path.open("rb") as opened:
            header = opened.read(100)
        if header[:16] != b"SQLite format 3\0":
            raise StoreUnusable(f"{path} is no store: it is no SQLite file", hint=_ELSEWHERE)
        # in this order: a log that goes meanwhile has left a whole file
        if not _has_log(path) and path.stat().st_size < _least(header):
            raise StoreUnusable(f"{path} is cut off: its end is missing", hint=_ELSEWHERE)
    except OSError as error:
        raise StoreUnusable(
            f"the store {path} cannot be used: {error.strerror}", hint="name another with --store"
        ) from None


def _least(header: bytes) -> int:
    """How many bytes the file has at least, by its header: www.sqlite.org/fileformat.html, 1.3."""
    page = int.from_bytes(header[16:18], "big")
    is_valid = header[24:28] == header[92:96]  # otherwise an old SQLite wrote it last
    return int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page) if is_valid else 0


def _has_log(path: Path) -> bool:
    """Whether pages may still be in the log of a process that was killed."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StoreUnusable for a database of somebody else, of the future, or with broken pages."""
    application, version = (
        _number(connection, "application_id"),
        _number(connection, "user_version"),
    )
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != _APPLICATION and (application or version or tables):
        raise StoreUnusable(f"{path} is a database of another program", hint=_ELSEWHERE)
    if version > len(_MIGRATIONS):
        raise StoreUnusable(
            f"{path} was written by a newer hubaudit: its version is {version}, this one writes "
            f"{len(_MIGRATIONS)}",
            hint="use that version, or name another store with --store",
        )
    if path.stat().st_size <= _CHECKED:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise StoreUnusable(f"{path} is damaged: {said.splitlines()[-1]}", hint=_ELSEWHERE)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _use_log(connection: sqlite3.Connection) -> None:
    """The write-ahead log. Two that turn it on at once get "locked" in spite of the time-out."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _migrate(connection: sqlite3.Connection) -> None:
    if _number(connection, "user_version") == len(_MIGRATIONS):
        return
    with _transaction(connection) as database:
        # asked again under the lock: another process may have done it meanwhile
        for version in range(_number(database, "user_version"), len(_MIGRATIONS)):
            for statement in _MIGRATIONS[version].split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {version + 1}")
        database.execute(f"PRAGMA application_id = {_APPLICATION}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    end = "ROLLBACK"
    try:
        yield connection
        end = "COMMIT"
    finally:
        connection.execute(end)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        hint = "make room on its disk, and go on with --resume" if full else _ELSEWHERE
        raise StoreUnusable(f"the store {path} cannot be used: {error}", hint=hint) from error
