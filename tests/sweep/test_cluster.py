"""A sweep on a Dask cluster gives what threads give, whatever happens to its workers."""

from __future__ import annotations

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
from tests.sweep.conftest import Machine, file_requests, files

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(300),
    pytest.mark.slow,
]

COUNT = 24
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


def cluster(folder: Path, **how: Any) -> Any:
    return distributed.LocalCluster(
        n_workers=2,
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
            while len(home.reports) < 5:
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


def test_a_cluster_without_tls_has_to_be_allowed(machine: Machine) -> None:
    ran = machine.sweep("--executor", "dask:tcp://127.0.0.1:9", machine.write(LIST))
    assert ran.code == 2
    assert "--insecure-cluster" in ran.err
