"""A sweep on a Dask cluster gives what threads give, whatever happens to its workers."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubaudit.demo.faults import Delay
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import ClusterLost, UsageError
from hubaudit.events import Event, Warned, ignore
from hubaudit.lists import Entry
from hubaudit.model import Target
from hubaudit.sweeping import cluster as ours
from hubaudit.sweeping.work import How
from tests.sweep.conftest import Machine, file_requests, files

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(300),
    pytest.mark.slow,
]

COUNT = 200
LIST = "".join(f"org/many-{number}\n" for number in range(COUNT))
KILLER = """
import os
from hubaudit.sweeping import cluster
from hubaudit.sweeping.work import perform as work

def perform(hub, target, how, desk, listener):
    if target.repo_id == "org/many-7":
        os._exit(1)
    return work(hub, target, how, desk, listener)

cluster.perform = perform
"""


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    repos = [HubRepo(f"org/many-{number}", files(number)) for number in range(COUNT)]
    with StandInHub(repos, page_size=1000) as hub:
        hub.fault(Delay(0.03), path="/api/")
        yield hub


@pytest.fixture
def home(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine, with its environment also for the workers that the test starts."""
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HUBAUDIT_CACHE", str(machine.home / "workers"))
    monkeypatch.setenv("HF_HOME", str(machine.home / "workers-hf"))
    machine.write(LIST)
    return machine


def cluster(folder: Path, workers: int = 2, **how: Any) -> Any:
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        dashboard_address=None,
        local_directory=str(folder),
        **how,
    )


def threads(hub: StandInHub, home: Path) -> Machine:
    machine = Machine(hub, home)
    assert machine.sweep(machine.write(LIST)).code == 0
    return machine


def test_workers_find_what_threads_find(machine: Machine, hub: StandInHub, tmp_path: Path) -> None:
    name = machine.write(LIST)
    ran = machine.sweep("--executor", "dask", "--jobs", "2", name)
    assert ran.code == 0, ran.err
    other = threads(hub, tmp_path / "threads")
    assert machine.reports == other.reports
    for table in ("audits", "listings", "results"):
        assert machine.stored[table] == other.stored[table]
    hub.clear_log()
    again = machine.sweep("--executor", "dask", "--jobs", "2", name)
    assert again.summary["changes"]["unchanged"] == COUNT
    (machine.home / "hubaudit.toml").write_text('[formats]\ndeny = ["torch-zip"]\n')
    judged = machine.sweep("--executor", "dask", "--jobs", "2", name)
    assert judged.summary["verdicts"]["fail"] == COUNT
    assert not file_requests(hub)


def test_a_worker_that_dies_costs_nothing_but_time(
    home: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    with cluster(tmp_path / "dask") as running, distributed.Client(running) as client:
        killed = []

        def kill() -> None:
            while len(home.reports) < COUNT // 2:
                time.sleep(0.02)
            pids = client.run(os.getpid)
            killed.append(next(iter(pids.values())))
            os.kill(killed[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        where = f"dask:{running.scheduler_address}"
        ran = home.sweep("--executor", where, "--insecure-cluster", "list.txt")
        killer.join()
    assert killed
    assert ran.code == 0, ran.err
    assert home.reports == threads(hub, tmp_path / "threads").reports


def test_a_repository_that_kills_workers_is_isolated_and_named(
    home: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    preload = tmp_path / "killer.py"
    preload.write_text(KILLER)
    with cluster(tmp_path / "dask", preload=[str(preload)]) as running:
        where = f"dask:{running.scheduler_address}"
        ran = home.sweep("--executor", where, "--insecure-cluster", "list.txt")
    assert ran.code == 2, ran.err
    assert ran.target("org/many-7")["error"]["kind"] == "WorkersDied"
    assert ran.summary["verdicts"]["pass"] == COUNT - 1


def test_a_cluster_that_goes_away_ends_the_sweep_and_the_rest_is_for_resume(
    home: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    with cluster(tmp_path / "dask") as running:
        where = f"dask:{running.scheduler_address}"
        with home.start(
            "sweep", "-f", "json", "--executor", where, "--insecure-cluster", "list.txt"
        ) as sweep:
            while len(home.reports) < 5:
                time.sleep(0.02)
            running.close()
            out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 3, err
    assert err.count("the scheduler went away") == 1
    summary = json.loads(out)
    assert summary["verdicts"]["undecided"] == 0
    assert summary["verdicts"]["pass"] + summary["left"] == COUNT
    assert home.sweep("--resume", "list.txt").code == 0
    assert home.reports == threads(hub, tmp_path / "threads").reports


def test_without_a_worker_nothing_is_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_PATIENCE", 1.0)
    with cluster(tmp_path / "none", 0) as running:
        where = f"dask:{running.scheduler_address}"
        with (
            pytest.raises(UsageError, match="no worker"),
            ours.connected(where, 1, ignore, insecure=True),
        ):
            pass


def test_when_the_last_worker_is_gone_the_cluster_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_PATIENCE", 1.0)
    heard: list[Event] = []
    entry = Entry(Target("org/many-0"), "list")
    sent = ours.Sent("http://127.0.0.1:9", entry, How(), None, "")
    with cluster(tmp_path / "one", 1) as running:
        where = f"dask:{running.scheduler_address}"
        with ours.connected(where, 1, heard.append, insecure=True) as workers:
            running.scale(0)
            while workers.client.nthreads():
                time.sleep(0.05)
            for _ in range(2):
                with pytest.raises(ClusterLost):
                    workers.ask(sent)
    assert len([one for one in heard if isinstance(one, Warned)]) == 1


def test_a_cluster_without_tls_has_to_be_allowed(machine: Machine) -> None:
    ran = machine.sweep("--executor", "dask:tcp://127.0.0.1:9", machine.write(LIST))
    assert ran.code == 2
    assert "--insecure-cluster" in ran.err
