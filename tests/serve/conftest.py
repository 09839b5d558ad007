"""A store with watched repositories in it, and a server over it on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hubaudit.model import RepoReport, Severity, Verdict
from hubaudit.report import json as report_json
from hubaudit.store import AuditKey, Store, StoredAudit
from hubaudit.watch.alert import Alert, Name, changed
from hubaudit.watch.kinds import Change, Kind, change
from hubaudit.watch.ledger import Ledger, Origin, Seen
from hubaudit.watch.listen import Address
from hubaudit.watch.page import Pages
from hubaudit.watch.pulse import SinkCounters, Vitals
from hubaudit.watch.receive import Busy, Gate, Hook
from hubaudit.watch.state import Presence, State

HUB = "https://huggingface.co"
SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_790_000_000.0
OLD, NEW = "a" * 40, "b" * 40


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Noted:
    """Takes hints for every repository but `nobody/…`, as many as it has room for."""

    hooks: list[Hook] = field(default_factory=list)
    room: int = 1_000_000

    def hint(self, hook: Hook) -> bool:
        if hook.repo_id.startswith("nobody/"):
            return False
        if len(self.hooks) >= self.room:
            raise Busy("the queue is full")
        self.hooks.append(hook)
        return True


@dataclass
class Beat:
    vitals: Vitals

    def read(self) -> Vitals:
        return self.vitals


@dataclass
class World:
    """What a running watch keeps."""

    ledger: Ledger
    clock: Clock
    beat: Beat
    hints: Noted = field(default_factory=Noted)

    def watch(
        self,
        repo_id: str,
        *,
        verdict: Verdict | None = Verdict.PASS,
        presence: Presence = Presence.PRESENT,
        commit: str | None = OLD,
        repo_type: str = "model",
        revision: str = "",
        origin: Origin = Origin.APPROVED,
    ) -> Name:
        """One more repository, approved at OLD and as it was approved if nothing else is said."""
        name = Name(HUB, repo_type, repo_id, revision)  # type: ignore[arg-type]
        approved = State(repo_id, name.repo_type, Presence.PRESENT, OLD)
        self.ledger.approve(name, approved, origin)
        self._put(name, approved, ())
        if (commit, verdict, presence) != (OLD, Verdict.PASS, Presence.PRESENT):
            now = replace(approved, commit=commit, presence=presence)
            self._put(name, now, (), verdict)
        self.list(name)
        return name

    def list(self, name: Name) -> Name:
        """A name that is watched, whether anybody ever looked at it or not."""
        vitals = self.beat.vitals
        self.beat.vitals = replace(vitals, watched=(*vitals.watched, name))
        return name

    def alert(self, name: Name, *changes: Change, verdict: Verdict = Verdict.REVIEW) -> Alert:
        """What changed from OLD to NEW."""
        seen = self.ledger.seen(name)
        assert seen is not None
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock()))
        alert = changed(
            name,
            seen.serial + 1,
            at,
            changes or (change(Kind.WEIGHTS_REPLACED, "other weights under the same name"),),
            commits=(OLD, NEW),
            approved=OLD,
            verdict=verdict,
        )
        state = State(name.repo_id, name.repo_type, Presence.PRESENT, NEW)
        self._put(name, state, (alert,), verdict)
        return alert

    def audit(self, name: Name, report: RepoReport, commit: str = OLD) -> None:
        """Puts a report on the repository at the commit into the store."""
        repo = replace(
            report.repo,
            repo_id=name.repo_id,
            repo_type=name.repo_type,
            commit_hash=commit,
            endpoint=HUB,
            revision=None,
        )
        text = report_json.render(replace(report, repo=repo))
        key = AuditKey(HUB, name.repo_type, name.repo_id, "", commit, "rules", "policy", "settings")
        stored = StoredAudit(key, "", True, report.verdict.value, 0, text, self.clock())
        self.ledger.store.put_audit(stored, b"{}")

    def _put(
        self,
        name: Name,
        state: State,
        alerts: tuple[Alert, ...],
        verdict: Verdict | None = Verdict.PASS,
    ) -> None:
        before = self.ledger.seen(name)
        serial = before.serial + 1 if before else 1
        seen = Seen(
            name, serial, "mark", state.presence, state.commit, verdict, "1" * 24, self.clock()
        )
        assert self.ledger.put(seen, state, alerts, {"hook": Severity.INFO})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = Clock()
    vitals = Vitals(
        watched=(),
        every=900,
        rounds=12,
        looks=345,
        changes={(Kind.WEIGHTS_REPLACED, Severity.HIGH): 2},
        hub_requests=678,
        last_round_at=NOW - 30,
        last_round_seconds=4.25,
        alive_at=NOW - 5,
        sinks={"hook": SinkCounters(5, 2, 1, "503 from https://hooks.example/T0KEN")},
    )
    with Store(tmp_path / "store.sqlite3", clock) as store:
        yield World(Ledger(store, clock), clock, Beat(vitals))


@dataclass
class Served:
    """A running server. `base` is its address without a slash at the end."""

    world: World
    gate: Gate
    address: Address

    @property
    def base(self) -> str:
        return f"http://{self.address}"

    @property
    def port(self) -> int:
        return self.address.port


Serve = Callable[..., Served]


@pytest.fixture
def serve(world: World) -> Iterator[Serve]:
    """Starts servers over the world, as many as the test wants."""
    pytest.importorskip("uvicorn", reason="the extra `server` is not installed")
    from hubaudit.watch.server import Server, app_of, own_hosts

    running: list[Server] = []

    def start(
        secret: bytes | None = SECRET, *, page: bool = True, host: str = "127.0.0.1"
    ) -> Served:
        gate = Gate(secret)
        app = app_of(
            world.ledger,
            world.hints,
            world.beat,
            gate,
            clock=world.clock,
            pages=Pages(world.ledger, world.beat, world.clock, gate) if page else None,
            hosts=own_hosts(Address(host, 0)),
        )
        server = Server(app, host, 0)
        running.append(server)
        return Served(world, gate, server.start())

    yield start
    for server in running:
        server.stop()
