"""A watch that runs: each change of a repository is one alert of the right kind, whatever happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hubaudit.demo.faults import Status
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repository import file_scan
from hubaudit.hub.client import HubClient
from hubaudit.hub.wire import Patience
from hubaudit.model import Severity
from hubaudit.store import Store
from hubaudit.watch.alert import Alert, Event, Name
from hubaudit.watch.glance import Asks
from hubaudit.watch.kinds import Kind
from hubaudit.watch.ledger import Ledger, Origin, Seen
from hubaudit.watch.look import Looked, Looker, Watched
from hubaudit.watch.poll import FEW, Failed, Outcome, Rhythm, Roster, Watch
from hubaudit.watch.receive import Hook
from hubaudit.watch.state import Presence
from tests.watch.conftest import armed, checkpoint, model_files, twin

EVERY = 0.2  # seconds; jitter makes it a little more or less


class Running:
    """A watch in a thread of its own, on one store."""

    def __init__(
        self, hub: StandInHub, store: Path, names: list[str], every: float = EVERY
    ) -> None:
        self.hub = hub
        self._client = HubClient(
            endpoint=hub.endpoint, token=False, patience=Patience(1.0, (0.01,))
        )
        self._store = Store(store)
        self.ledger = Ledger(self._store, time.time)
        self.entries = [Watched(Name(hub.endpoint, "model", name)) for name in names]
        self.outcomes: list[Outcome] = []
        looker = Looker(self._client, self.ledger, {"sink": Severity.INFO}, time.time)
        self.watch = Watch(
            looker,
            lambda: Roster(tuple(self.entries)),
            Rhythm(every),
            2,
            lambda _watched, outcome: self.outcomes.append(outcome),
        )
        self._thread = threading.Thread(target=self.watch.run)

    def __enter__(self) -> Running:
        self._client.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.watch.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._client.__exit__(None, None, None)
        self._store.close()

    def alerts(self) -> list[Alert]:
        """All that were put, the oldest first."""
        told = [one for entry in self.entries for one in self.ledger.alerts(entry.name)]
        return [one.alert for one in sorted(told, key=lambda one: one.id)]

    def rounds(self, many: int) -> None:
        """Returns when so many whole rounds are over that began from now on."""
        until = self.watch.read().rounds + many + 1
        wait_for(lambda: self.watch.read().rounds >= until)

    def news(self, change: Callable[[], object]) -> list[Alert]:
        """The alerts of one change, after as many rounds as it may take, and two more."""
        known = {one.key for one in self.alerts()}
        change()
        self.rounds(2)
        return [one for one in self.alerts() if one.key not in known]


def wait_for(true: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "in vain"
        time.sleep(0.02)


@contextmanager
def running(tmp_path: Path, *repos: HubRepo, every: float = EVERY) -> Iterator[Running]:
    with (
        StandInHub(repos, page_size=1000) as hub,
        Running(hub, tmp_path / "watch.sqlite3", [one.repo_id for one in repos], every) as found,
    ):
        found.rounds(0)
        yield found


def edit(repo: HubRepo, **files: bytes | None) -> str:
    held = dict(repo.files)
    for name, data in files.items():
        path = name.replace("__", ".")
        held.pop(path, None)
        if data is not None:
            held[path] = data
    return repo.commit(held)


def worsen_scan(repo: HubRepo) -> None:
    repo.scans["pytorch_model.bin"] = file_scan("unsafe")


CHANGES: dict[str, tuple[Kind, Callable[[HubRepo], object]]] = {
    "readme": (Kind.README_CHANGED, lambda r: edit(r, README__md=b"---\nlicense: mit\n---\nx")),
    "new file": (Kind.FILE_ADDED, lambda r: edit(r, notes__txt=b"a")),
    "removed": (Kind.FILE_REMOVED, lambda r: edit(r, vocab__txt=None)),
    "renamed": (Kind.FILE_RENAMED, lambda r: edit(r, vocab__txt=None, words__txt=b"a\nb\n")),
    "executable": (Kind.EXECUTABLE_ADDED, lambda r: edit(r, extra__pkl=checkpoint(3))),
    "imports": (Kind.IMPORTS_CHANGED, lambda r: edit(r, pytorch_model__bin=armed())),
    "weights": (
        Kind.WEIGHTS_REPLACED,
        lambda r: edit(r, pytorch_model__bin=checkpoint(2), model__safetensors=twin(2)),
    ),
    "shapes": (
        Kind.WEIGHTS_REPLACED,
        lambda r: edit(r, pytorch_model__bin=checkpoint(2, 4), model__safetensors=twin(2, 4)),
    ),
    "twin": (Kind.TWIN_CHANGED, lambda r: edit(r, model__safetensors=twin(2))),
    "code": (Kind.EXECUTABLE_ADDED, lambda r: edit(r, modeling_x__py=b"import os\n")),
    "auto_map": (
        Kind.AUTO_MAP_CHANGED,
        lambda r: edit(r, config__json=b'{"auto_map": {"AutoModel": "modeling_x.X"}}'),
    ),
    "template": (
        Kind.CHAT_TEMPLATE_CHANGED,
        lambda r: edit(r, tokenizer_config__json=b'{"chat_template": "x", "pad_token": "x"}'),
    ),
    "config": (
        Kind.CONFIG_CHANGED,
        lambda r: edit(r, config__json=b'{"architectures": ["BertModel"], "model_type": "bert"}'),
    ),
    "licence": (
        Kind.LICENCE_CHANGED,
        lambda r: edit(r, README__md=b"---\nlicense: apache-2.0\ntags:\n- a\n---\n# Hello\n"),
    ),
    "gating": (Kind.GATING_CHANGED, lambda r: setattr(r, "gated", "manual")),
    "visibility": (Kind.REPOSITORY_DELETED, lambda r: setattr(r, "private", True)),
    "rewritten": (Kind.HISTORY_REWRITTEN, lambda r: r.force_push(dict(r.files))),
    "tag": (Kind.TAG_MOVED, lambda r: r.tag("v1", r.history(r.sha)[0].sha)),
    "scan": (Kind.SCAN_CHANGED, worsen_scan),
    "conversion": (
        Kind.CONVERSION_OPENED,
        lambda r: r.pull_request(7, dict(r.files) | {"model-00001.safetensors": twin(5)}),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_each_change_is_one_alert_of_its_kind(what: str, tmp_path: Path) -> None:
    kind, change = CHANGES[what]
    repo, other = HubRepo("org/model", model_files()), HubRepo("org/other", model_files())
    repo.tag("v1")
    edit(repo, vocab__txt=b"a\nb\nc\n")
    if what == "renamed":
        edit(repo, vocab__txt=b"a\nb\n")
    with running(tmp_path, repo, other) as found:
        (alert,) = found.news(lambda: change(repo))
    assert (alert.event, alert.name.repo_id) == (Event.CHANGED, "org/model")
    assert kind in {one.kind for one in alert.changes}
    assert alert.kind is kind


def test_a_repository_that_is_renamed_deleted_or_made_anew_is_one_alert_each(
    tmp_path: Path,
) -> None:
    repos = [HubRepo(f"org/{name}", model_files()) for name in ("moved", "gone", "anew")]
    with running(tmp_path, *repos) as found:

        def change() -> None:
            found.hub.rename("org/moved", "org/elsewhere")
            found.hub.remove("org/gone")
            found.hub.remove("org/anew")
            found.hub.add(HubRepo("org/anew", model_files(), object_key="f" * 24))

        kinds = {one.name.repo_id: one.kind for one in found.news(change)}
    assert kinds == {
        "org/moved": Kind.REPOSITORY_RENAMED,
        "org/gone": Kind.REPOSITORY_DELETED,
        "org/anew": Kind.REPOSITORY_RECREATED,
    }


def test_every_commit_while_the_watch_was_down_is_an_alert_of_its_own(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    with StandInHub([repo], page_size=1000) as hub:
        with Running(hub, tmp_path / "watch.sqlite3", ["org/model"]) as found:
            found.rounds(1)
        for number in range(3):
            edit(repo, notes__txt=b"%d" % number)
        edit(repo, pytorch_model__bin=armed())
        edit(repo, pytorch_model__bin=checkpoint())
        with Running(hub, tmp_path / "watch.sqlite3", ["org/model"]) as found:
            found.rounds(1)
            alerts = found.alerts()
    changed, hidden, shown = Kind.FILE_CHANGED, Kind.IMPORTS_CHANGED, Kind.IMPORTS_CHANGED
    kinds = [one.kind for one in alerts if one.event is Event.CHANGED]
    assert kinds == [Kind.FILE_ADDED, changed, changed, hidden, shown]
    assert [one.severity for one in alerts][3] is Severity.CRITICAL
    assert [one.after for one in alerts[:4]] == [one.before for one in alerts[1:5]]


def test_what_is_back_as_it_was_approved_ends_the_alert(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    with running(tmp_path, repo) as found:
        (alert,) = found.news(lambda: edit(repo, config__json=b"{}"))
        name = found.entries[0].name
        assert found.ledger.open_alerts(name)
        back, closing = found.news(lambda: repo.commit(model_files()))
        assert (back.event, closing.event) == (Event.CHANGED, Event.CLOSED)
        assert set(closing.closes) == {alert.key, back.key}
        assert not found.ledger.open_alerts(name)


def test_a_harmless_change_is_told_and_leaves_nothing_open(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    with running(tmp_path, repo) as found:
        (alert,) = found.news(lambda: CHANGES["readme"][1](repo))
        assert alert.severity is Severity.INFO
        assert not found.ledger.open_alerts(found.entries[0].name)


def test_what_a_hub_that_fails_hides_is_told_when_it_is_back(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    with running(tmp_path, repo) as found:

        def change() -> None:
            found.hub.fault(Status(500), path="/api/", times=12)
            edit(repo, config__json=b"{}")
            wait_for(lambda: any(isinstance(one, Failed) for one in found.outcomes))
            assert found.ledger.trouble(found.entries[0].name) is not None
            found.hub.clear_faults()

        (alert,) = found.news(change)
        assert alert.kind is Kind.CONFIG_CHANGED
        assert found.ledger.trouble(found.entries[0].name) is None


def test_a_hint_is_followed_at_once_and_only_by_name_or_id(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    with running(tmp_path, repo, every=600.0) as found:
        wait_for(lambda: found.watch.read().looks == 1)
        hook = Hook("model", "Org/Model", None, None, "repo.content", "update")
        assert not found.watch.hint(replace(hook, repo_id="org/other"))
        assert not found.watch.hint(replace(hook, repo_type="dataset"))
        edit(repo, config__json=b"{}")
        begun = time.monotonic()
        assert found.watch.hint(hook)
        wait_for(lambda: len(found.alerts()) == 1)
        assert time.monotonic() - begun < 5
        assert found.watch.hint(replace(hook, repo_id="org/new-name", object_id=repo.object_key))


def test_a_flood_of_hints_is_a_look_every_two_seconds_and_the_last_one_is_followed(
    tmp_path: Path,
) -> None:
    repo = HubRepo("org/model", model_files())
    hook = Hook("model", "org/model", None, None, "repo.content", "update")
    with running(tmp_path, repo, every=600.0) as found:
        wait_for(lambda: found.watch.read().looks == 1)
        begun = time.monotonic()
        while time.monotonic() - begun < 1.0:
            assert found.watch.hint(hook)
            time.sleep(0.01)
        edit(repo, config__json=b"{}")
        found.watch.hint(hook)
        wait_for(lambda: len(found.alerts()) == 1)
        assert time.monotonic() - begun < 5
        assert found.watch.read().looks <= 4


def test_a_trouble_may_hold_what_is_no_text(tmp_path: Path) -> None:
    with running(tmp_path, HubRepo("org/model", model_files())) as found:
        name = found.entries[0].name
        found.ledger.put_trouble(name, "a\udcff")
        found.rounds(1)
        assert found.ledger.trouble(name) is None


def test_a_repository_is_told_of_once_by_two_watches(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    with (
        running(tmp_path, repo) as one,
        Running(one.hub, tmp_path / "watch.sqlite3", ["org/model"]) as other,
    ):
        other.rounds(1)
        for number in range(4):
            edit(repo, notes__txt=b"%d" % number)
            other.rounds(1)
            one.rounds(1)
        assert len(one.alerts()) == 4


def test_of_many_repositories_each_is_a_request_a_round_and_nothing_is_missed(
    tmp_path: Path,
) -> None:
    repos = [HubRepo(f"org/m{n}", {"README.md": b"# %d" % n}) for n in range(FEW + 5)]
    with running(tmp_path, *repos) as found:
        found.rounds(1)
        before = found.watch.read().rounds
        found.hub.clear_log()
        found.rounds(1)
        rounds = found.watch.read().rounds - before + 1
        assert len(found.hub.requests) <= rounds * len(repos)
        (alert,) = found.news(lambda: edit(repos[3], notes__txt=b"x"))
        assert alert.kind is Kind.FILE_ADDED
        (alert,) = found.news(lambda: setattr(repos[4], "gated", "auto"))
        assert alert.kind is Kind.GATING_CHANGED


def test_many_repositories_are_asked_for_info_refs_and_scans_in_turns() -> None:
    rhythm, now = Rhythm(60.0, 3600.0), 10_000.0
    name = Name("http://hub", "model", "org/model")

    def asks(turn: str, scanned: float, presence: Presence = Presence.PRESENT) -> Asks:
        mark = json.dumps({"turn": turn, "scanned": str(scanned)})
        seen = Seen(name, 1, mark, presence, "a" * 40, None, None, now)
        return rhythm.asks(seen, None, now, few=False)

    assert rhythm.asks(None, None, now, few=False).is_thorough
    assert asks("info", now) == Asks(info=False, refs=True)
    assert asks("refs", now) == Asks(info=True, refs=False)
    assert asks("info", now - 3601).is_of_scans_alone
    assert asks("refs", now - 3601) == Asks(info=True, refs=False)
    assert asks("info", now + 60).is_of_scans_alone, "the clock was set back"
    assert asks("info", now, Presence.MISSING) == Asks(info=True, refs=False)


def test_a_commit_that_the_list_names_is_the_approved_one(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    approved = repo.sha
    edit(repo, config__json=b"{}")
    with StandInHub([repo], page_size=1000) as hub:
        found = Running(hub, tmp_path / "watch.sqlite3", ["org/model"])
        found.entries[0] = replace(found.entries[0], listed=approved)
        with found:
            found.rounds(0)
            (alert,) = found.alerts()
            approval = found.ledger.approval(found.entries[0].name)
            assert approval is not None
            assert (approval.origin, approval.commit) == (Origin.LISTED, approved)
            assert (alert.before, alert.kind) == (approved, Kind.CONFIG_CHANGED)
            found.entries[0] = replace(found.entries[0], listed=repo.sha)
            (closing,) = found.news(lambda: None)
            assert (closing.event, closing.closes) == (Event.CLOSED, (alert.key,))


@pytest.mark.parametrize("what", ["gating", "tag", "conversion", "scan", "visibility"])
def test_what_no_commit_tells_stays_open_also_where_the_list_names_the_commit(
    what: str, tmp_path: Path
) -> None:
    kind, change = CHANGES[what]
    repo = HubRepo("org/model", model_files())
    repo.tag("v1")
    edit(repo, vocab__txt=b"a\nb\nc\n")
    with StandInHub([repo], page_size=1000) as hub:
        found = Running(hub, tmp_path / "watch.sqlite3", ["org/model"])
        found.entries[0] = replace(found.entries[0], listed=repo.sha)
        with found:
            found.rounds(0)
            (alert,) = found.news(lambda: change(repo))
            assert alert.kind is kind
            assert len(found.ledger.open_alerts(alert.name)) == 1


def test_a_listed_repository_that_is_gone_at_the_first_look_is_told(tmp_path: Path) -> None:
    with StandInHub([], page_size=1000) as hub:
        found = Running(hub, tmp_path / "watch.sqlite3", ["org/model"])
        found.entries[0] = replace(found.entries[0], listed="a" * 40)
        with found:
            found.rounds(1)
            assert [one.kind for one in found.alerts()] == [Kind.REPOSITORY_DELETED]


def test_the_looks_are_told_to_whoever_runs_the_watch(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    with running(tmp_path, repo) as found:
        found.rounds(1)
        assert all(isinstance(one, Looked) for one in found.outcomes)


def test_a_repository_whose_tag_moved_and_that_then_is_gone_is_an_alert_of_its_own(
    tmp_path: Path,
) -> None:
    repo = HubRepo("org/model", model_files())
    repo.tag("v1")
    aside = repo.commit(repo.files, "aside", ref="refs/heads/aside")
    with running(tmp_path, repo) as found:
        (alert,) = found.news(lambda: repo.tag("v1", aside))
        assert alert.kind is Kind.TAG_MOVED
        (alert,) = found.news(lambda: found.hub.remove("org/model"))
        assert alert.kind is Kind.REPOSITORY_DELETED


def test_a_change_since_a_commit_that_is_gone_stays_open(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    with StandInHub([repo], page_size=1000) as hub:
        found = Running(hub, tmp_path / "watch.sqlite3", ["org/model"])
        found.entries[0] = replace(found.entries[0], listed="a" * 40)
        with found:
            found.rounds(0)
            (alert,) = found.alerts()
            assert alert.kind is Kind.HISTORY_REWRITTEN
            (alert,) = found.news(lambda: edit(repo, config__json=b"{}"))
            assert alert.kind is Kind.CONFIG_CHANGED
            assert len(found.ledger.open_alerts(found.entries[0].name)) == 2


def test_an_alert_of_thousands_of_tags_is_bounded(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    for number in range(300):
        repo.tag(f"v{number}")
    edit(repo, vocab__txt=b"a\n")
    with running(tmp_path, repo) as found:

        def change() -> None:
            for number in range(300):
                repo.tag(f"v{number}")

        (alert,) = found.news(change)
    assert len(alert.changes) == 50
    assert alert.changes[-1].message == "251 more of this kind"
    assert alert.summary.endswith("(and 299 more)")


def test_an_older_commit_that_is_approved_later_makes_what_is_there_drift(tmp_path: Path) -> None:
    repo = HubRepo("org/model", model_files())
    older = repo.sha
    edit(repo, config__json=b"{}")
    with running(tmp_path, repo) as found:

        def change() -> None:
            found.entries[0] = replace(found.entries[0], listed=older)

        (alert,) = found.news(change)
        assert (alert.kind, alert.before, alert.after) == (Kind.CONFIG_CHANGED, older, repo.sha)
        assert found.news(lambda: None) == []
        (back, closing) = found.news(lambda: repo.commit(model_files()))
        assert closing.closes == (alert.key, back.key)


def test_a_state_that_is_approved_while_it_is_looked_at_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    repo = HubRepo("org/model", model_files())
    with running(tmp_path, repo) as found:
        found.news(lambda: edit(repo, config__json=b"{}"))
        name = found.entries[0].name
        state = found.ledger.state(name)
        assert state is not None
        # as if it came between the look and what it puts: nobody closes the alert
        (closing,) = found.news(lambda: found.ledger.approve(name, state, Origin.APPROVED))
        assert closing.event is Event.CLOSED
        assert found.ledger.open_alerts(name) == ()
