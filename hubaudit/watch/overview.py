"""How every watched repository stands, in a few queries over the watch's tables."""

# ruff: noqa: S608 -- every query is put together of constants of this module

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from hubaudit.model import RepoType, Severity
from hubaudit.store import AuditKey, StoredAudit
from hubaudit.watch.alert import Name, loads
from hubaudit.watch.ledger import Approval, Ledger, Origin, Seen, Told, Trouble

_NAME = "endpoint, repo_type, repo_id, revision"
_AT_ONCE = 500  # SQLite's least bound on variables of one query is 999


@dataclass(frozen=True, slots=True)
class Standing:
    """One repository. `seen` is None if no look at it ever succeeded. `open_alerts` are counted."""

    name: Name
    seen: Seen | None = None
    approval: Approval | None = None
    trouble: Trouble | None = None
    open_alerts: Mapping[Severity, int] = field(default_factory=dict)

    @property
    def worst(self) -> Severity | None:
        return min(self.open_alerts, key=lambda one: one.rank, default=None)

    @property
    def is_drift(self) -> bool:
        return bool(self.open_alerts)


def standings(ledger: Ledger, watched: Iterable[Name]) -> tuple[Standing, ...]:
    """Of each in `watched`, in this order."""
    seen = {folded(one.name): one for one in ledger.all_seen()}
    approvals, troubles, alerts = _approvals(ledger), _troubles(ledger), _open_alerts(ledger)
    return tuple(
        Standing(name, seen.get(key), approvals.get(key), troubles.get(key), alerts.get(key, {}))
        for name, key in ((name, folded(name)) for name in watched)
    )


def standing(ledger: Ledger, name: Name) -> Standing:
    """Of one."""
    counts = Counter(one.alert.severity for one in ledger.open_alerts(name))
    return Standing(name, ledger.seen(name), ledger.approval(name), ledger.trouble(name), counts)


Key = tuple[str, str, str, str]


def folded(name: Name) -> Key:
    """What is the same for every way to write the name: an id is one in any letter case."""
    return name.endpoint, name.repo_type, name.repo_id.lower(), name.revision


def latest(ledger: Ledger, watched: Iterable[Name], most: int) -> tuple[Told, ...]:
    """What was told last of those in `watched`, the newest first. Looked for among the newest 1000 alerts."""
    keys = {folded(name) for name in watched}
    # An alert may have a megabyte: which ones are wanted is found out without it
    rows = ledger.store.rows(f"SELECT {_NAME}, id FROM alerts ORDER BY id DESC LIMIT 1000")
    wanted = [row[4] for row in rows if _key(row) in keys][:most]
    marks = ", ".join("?" * len(wanted))
    query = f"SELECT id, alert, closed FROM alerts WHERE id IN ({marks}) ORDER BY id DESC"
    return tuple(Told(row[0], loads(row[1]), row[2]) for row in ledger.store.rows(query, wanted))


def audited(ledger: Ledger, commits: Collection[str]) -> frozenset[tuple[str, str, str]]:
    """Of which there are audits in the store: type and id (in lower case) of a repository, and commit."""
    found: set[tuple[str, str, str]] = set()
    wanted = sorted(set(commits))
    for at in range(0, len(wanted), _AT_ONCE):
        some = wanted[at : at + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        which = f"FROM audits WHERE commit_hash IN ({marks})"
        query = f"SELECT DISTINCT repo_type, lower(repo_id), commit_hash {which}"
        found.update(map(tuple, ledger.store.rows(query, some)))
    return frozenset(found)


def audit_of(ledger: Ledger, name: Name, commit: str) -> StoredAudit | None:
    """The newest audit of a commit of the repository, under whichever policy."""
    query = (
        f"SELECT {_NAME}, commit_hash, ruleset, policy, settings FROM audits WHERE endpoint = ? "
        "AND repo_type = ? AND repo_id = ? COLLATE NOCASE AND commit_hash = ? ORDER BY at DESC LIMIT 1"
    )
    rows = ledger.store.rows(query, (name.endpoint, name.repo_type, name.repo_id, commit))
    return ledger.store.find_audit(AuditKey(*rows[0])) if rows else None


def _approvals(ledger: Ledger) -> dict[Key, Approval]:
    rows = ledger.store.rows(f"SELECT {_NAME}, commit_hash, origin, at FROM approvals")
    return {_key(row): Approval(row[4], Origin(row[5]), row[6]) for row in rows}


def _troubles(ledger: Ledger) -> dict[Key, Trouble]:
    rows = ledger.store.rows(f"SELECT {_NAME}, trouble, since FROM troubles")
    return {_key(row): Trouble(*row[4:]) for row in rows}


def _open_alerts(ledger: Ledger) -> dict[Key, dict[Severity, int]]:
    query = f"SELECT {_NAME}, severity, count(*) FROM alerts WHERE closed IS NULL GROUP BY {_NAME}, severity"
    found: dict[Key, dict[Severity, int]] = defaultdict(dict)
    for row in ledger.store.rows(query):
        found[_key(row)][Severity(row[4])] = row[5]
    return found


def _key(row: tuple[object, ...]) -> Key:
    endpoint, repo_type, repo_id, revision = map(str, row[:4])
    return folded(Name(endpoint, cast(RepoType, repo_type), repo_id, revision))
