"""A sweep compares with what `hubaudit approve` recorded, whatever it was in the sweep before."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hubaudit.demo.hub import StandInHub
from tests.sweep.conftest import Machine, files


def test_a_commit_that_was_not_approved_is_drift_every_time(
    machine: Machine, hub: StandInHub
) -> None:
    name = machine.write("org/model-0\norg/model-1\n")
    assert machine("approve", "org/model-0").code == 0
    repo = hub.repo("org/model-0")
    was = repo.sha
    first = machine.sweep(name)
    assert first.code == 0, first.err
    assert first.target("org/model-0")["approved"] == was
    assert first.target("org/model-1")["approved"] is None
    repo.commit(files(40))
    words = []
    for _ in range(2):
        ran = machine.sweep(name)
        assert ran.code == 4
        assert ran.target("org/model-0")["approved"] == was
        assert ran.summary["changes"]["unapproved"] == 1
        words.append(ran.target("org/model-0")["changes"])
    assert words == [["unapproved", "moved"], ["unapproved"]]
    assert machine("approve", "org/model-0").code == 0
    assert machine.sweep(name).code == 0


def test_a_first_sweep_tells_what_is_not_approved(machine: Machine, hub: StandInHub) -> None:
    machine("approve", "org/model-0")
    hub.repo("org/model-0").commit(files(40))
    ran = machine("sweep", machine.write("org/model-0\n"))
    assert ran.code == 4, ran.err
    assert "At another commit than was approved: 1 unapproved." in ran.out


def test_a_move_to_what_was_approved_is_no_drift(machine: Machine, hub: StandInHub) -> None:
    name = machine.write("org/model-0\norg/model-1\n")
    machine.sweep(name)
    for number in range(2):
        hub.repo(f"org/model-{number}").commit(files(40 + number))
    machine("approve", "org/model-0")
    ran = machine("sweep", name, "-o", "sweep.xml", "--format", "json")
    root = ET.parse(machine.home / "sweep.xml").getroot()
    assert ran.code == 4, "model-1 has moved, and nobody approved it"
    assert [one.get("type") for one in root.iter("failure")] == ["moved"]
    machine("approve", "org/model-1")
    again = machine.sweep(name)
    assert again.code == 0
    assert again.target("org/model-0")["exit_code"] == 0


@pytest.mark.parametrize("revision", ["main", "refs%2Fheads%2Fmain"])
def test_main_is_the_branch_that_was_approved(
    machine: Machine, hub: StandInHub, revision: str
) -> None:
    machine("approve", "org/model-0")
    hub.repo("org/model-0").commit(files(40))
    link = f"https://huggingface.co/org/model-0/tree/{revision}"
    ran = machine.sweep(machine.write(f"{link}\n"))
    assert [one["changes"] for one in ran.summary["targets"]] == [["unapproved", "new"]]


def test_a_commit_in_the_list_stands_for_itself(machine: Machine, hub: StandInHub) -> None:
    repo = hub.repo("org/model-0")
    name = machine.write(f"org/model-0@{repo.sha}\n")
    repo.commit(files(40))
    machine("approve", "org/model-0")
    ran = machine.sweep(name)
    assert ran.code == 0, ran.err
    assert ran.summary["targets"][0]["approved"] is None


@pytest.mark.parametrize("form", ["text", "markdown", "junit", "html", "json"])
def test_every_form_tells_what_is_not_approved(
    machine: Machine, hub: StandInHub, form: str
) -> None:
    machine("approve", "org/model-0")
    was = hub.repo("org/model-0").sha
    hub.repo("org/model-0").commit(files(40))
    ran = machine("sweep", machine.write("org/model-0\n"), "-f", form, "-o", "summary")
    written = (machine.home / "summary").read_text(encoding="utf-8")
    assert ran.code == 4, ran.err
    assert "unapproved" in written
    assert was[:12] in written


def test_a_part_keeps_what_was_approved_where_it_was_swept(
    machine: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    machine("approve", "org/model-0")
    hub.repo("org/model-0").commit(files(40))
    machine.sweep(machine.write("org/model-0\n"), "--shard", "1/1")
    other = Machine(hub, tmp_path / "other")
    ran = other("merge", str(machine.home / "store.sqlite3"), "-f", "json")
    assert ran.code == 4, ran.err
    assert ran.target("org/model-0")["changes"] == ["unapproved", "new"]


def test_what_is_approved_meanwhile_counts_on_resume(machine: Machine, hub: StandInHub) -> None:
    machine("approve", "org/model-0")
    hub.repo("org/model-0").commit(files(40))
    name = machine.write("org/model-0\norg/model-1\n")
    stopped = machine.sweep("--jobs", "1", "--max-requests", "12", name)
    assert (stopped.code, stopped.summary["left"]) == (3, 1)
    assert stopped.target("org/model-0")["changes"] == ["unapproved", "new"]
    machine("approve", "org/model-0")
    assert machine.sweep("--resume", name).code == 0
