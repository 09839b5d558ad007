"""A sweep that is killed or interrupted, at any moment: what is there is whole, and --resume ends it."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest

from hubaudit.demo.faults import Delay, Stall
from hubaudit.demo.hub import HubRepo, StandInHub
from tests.sweep.conftest import ARMED, Machine, files

TARGETS = [f"org/model-{number}" for number in range(12)]
LIST = "".join(f"{name}\n" for name in TARGETS)


@pytest.fixture
def hub() -> StandInHub:  # type: ignore[misc]
    repos = [HubRepo(name, files(number)) for number, name in enumerate(TARGETS)]
    repos[5].commit(repos[5].files | {"pytorch_model.bin": ARMED})
    with StandInHub(repos, page_size=1000) as hub:
        yield hub


def check_reports(machine: Machine) -> None:
    """Whatever has a report's name is a whole report."""
    for path, text in machine.reports.items():
        if path.endswith(".json"):
            assert json.loads(text)["schema"] == "hubaudit.report/1"


def killed(machine: Machine, name: str, requests: int) -> bool:
    """Whether it was still running after so many requests of its own, and then killed."""
    begun = len(machine.hub.requests)
    with machine.start("sweep", "--resume", "--format", "json", name) as running:
        while running.poll() is None and len(machine.hub.requests) - begun < requests:
            time.sleep(0.005)
        running.kill()
        running.communicate()
        return running.returncode == -signal.SIGKILL


def undisturbed(hub: StandInHub, home: Path) -> Machine:
    machine = Machine(hub, home)
    assert machine.sweep(machine.write(LIST)).code == 1
    return machine


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_and_resumed_it_ends_as_if_nothing_had_happened(
    machine: Machine, hub: StandInHub, tmp_path: Path, seed: int
) -> None:
    name, chance = machine.write(LIST), random.Random(seed)
    hub.fault(Delay(0.02), path="/api/")
    kills = 0
    while killed(machine, name, chance.randrange(1, 120)):
        check_reports(machine)
        kills += 1
    assert kills
    whole = undisturbed(hub, tmp_path / "whole")
    assert machine.reports == whole.reports
    assert machine.stored == whole.stored


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_fifty_random_moments_it_ends_as_if_nothing_had_happened(
    machine: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    whole, chance = undisturbed(hub, tmp_path / "whole"), random.Random(50)
    kills = 0
    for number in range(200):
        one = Machine(hub, tmp_path / f"home-{number}")
        name = one.write(LIST)
        while killed(one, name, chance.randrange(1, 150)):
            kills += 1
            check_reports(one)
        assert one.reports == whole.reports
        assert one.stored == whole.stored
        if kills >= 50:
            return


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_soon_and_resumes(
    machine: Machine, hub: StandInHub, how: signal.Signals
) -> None:
    name = machine.write(LIST)
    stall = hub.fault(Stall(), path="/api/models/org/model-7/")
    with machine.start("sweep", "--format", "json", name) as running:
        until = time.monotonic() + 20
        while not stall.hits and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)
        running.send_signal(how)
        begun = time.monotonic()
        _, err = running.communicate(timeout=30)
        assert time.monotonic() - begun < 5
        assert running.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    check_reports(machine)
    hub.clear_faults()
    hub.clear_log()
    ran = machine.sweep("--resume", name)
    assert ran.code == 1, ran.err
    assert len(ran.summary["targets"]) == len(TARGETS)
    asked = {one.path.split("/revision/")[0] for one in hub.requests if "/revision/" in one.path}
    assert len(asked) < len(TARGETS)


def test_two_sweeps_at_once_share_a_store(
    machine: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    name = machine.write(LIST)
    with machine.start("sweep", name) as one, machine.start("sweep", name) as other:
        for running in (one, other):
            _, err = running.communicate("", timeout=60)
            assert running.returncode == 1, err
    whole = undisturbed(hub, tmp_path / "whole")
    assert machine.reports == whole.reports
    for table in ("audits", "listings", "evidence"):
        assert machine.stored[table] == whole.stored[table]
