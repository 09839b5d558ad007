"""Shards and what is merged of them: as if one machine had swept the whole list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import UsageError
from hubaudit.lists import Entry
from hubaudit.model import Target
from hubaudit.sweeping.run import Shard, parse_shard
from tests.sweep.conftest import Machine, files

LIST = "".join(f"org/model-{number}\n" for number in range(4)) + "org/armed\norg/gone\n"


def test_every_target_is_in_one_shard_whatever_else_is_in_the_list() -> None:
    entries = [Entry(Target(f"org/model-{number}"), "list") for number in range(500)]
    shards = [Shard(number, 4) for number in range(1, 5)]
    for entry in entries:
        assert sum(shard.has(entry) for shard in shards) == 1
    assert all(80 < sum(map(shard.has, entries)) < 170 for shard in shards)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2", "²/2"])
def test_what_is_no_shard_is_an_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(text)


def test_merged_shards_are_the_sweep_of_one_machine(
    machine: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    stores = []
    for number in (1, 2, 3):
        part = Machine(hub, tmp_path / f"part-{number}")
        part.sweep(part.write(LIST), "--shard", f"{number}/3")
        stores.append(str(part.home / "store.sqlite3"))
    machine.home.mkdir()
    merged = machine("merge", *stores, "--format", "json")
    one = Machine(hub, tmp_path / "one")
    whole = one.sweep(one.write(LIST))
    assert merged.code == whole.code == 1, merged.err
    assert merged.out == whole.out
    assert machine.reports == one.reports
    assert machine.stored == one.stored


@pytest.mark.slow
def test_merged_shards_of_two_hundred_are_the_sweep_of_one_machine(tmp_path: Path) -> None:
    repos = [HubRepo(f"org/many-{number}", files(number)) for number in range(200)]
    names = "".join(f"{repo.repo_id}\n" for repo in repos)
    with StandInHub(repos, page_size=1000) as hub:
        stores = []
        for number in range(1, 5):
            part = Machine(hub, tmp_path / f"part-{number}")
            assert part.sweep(part.write(names), "--shard", f"{number}/4").code == 0
            stores.append(str(part.home / "store.sqlite3"))
        merged, one = Machine(hub, tmp_path / "merged"), Machine(hub, tmp_path / "one")
        merged.home.mkdir()
        ran = merged("merge", *stores, "--format", "json")
        whole = one.sweep(one.write(names))
    assert len(merged.reports) == 200
    assert (ran.out, merged.reports, merged.stored) == (whole.out, one.reports, one.stored)


def test_a_missing_shard_is_told_and_no_sweep_is_complete_without_it(
    machine: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    part = Machine(hub, tmp_path / "part-1")
    part.sweep(part.write("org/model-0\norg/model-1\norg/model-2\n"), "--shard", "1/2")
    machine.home.mkdir()
    ran = machine("merge", str(part.home / "store.sqlite3"))
    assert ran.code == 3
    assert "part 2 is not there" in ran.err


def test_a_merge_compares_with_the_sweep_before(
    machine: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    machine.sweep(machine.write(LIST))
    repo = hub.repo("org/model-0")
    repo.commit(repo.files | {"README.md": b"# Other\n"})
    stores = []
    for number in (1, 2):
        part = Machine(hub, tmp_path / f"part-{number}")
        part.sweep(part.write(LIST), "--shard", f"{number}/2")
        stores.append(str(part.home / "store.sqlite3"))
    merged = machine("merge", *stores, "--format", "json")
    assert merged.target("org/model-0")["changes"] == ["moved"]
    assert merged.target("org/model-1")["changes"] == ["unchanged"]


def test_the_history_of_a_repository_has_every_commit_that_was_swept(
    machine: Machine, hub: StandInHub
) -> None:
    hub.add(HubRepo("org/own", files(70)))
    name = machine.write("org/own\n")
    first = hub.repo("org/own").sha
    machine.sweep(name)
    hub.repo("org/own").commit(files(71))
    machine.sweep(name)
    rows = json.loads(machine("history", "org/own", "--format", "json").out)
    assert [row["commit_hash"] for row in rows] == [first, hub.repo("org/own").sha]
    text = machine("history", "org/own").out
    assert first[:12] in text
    assert text.count("PASS") == 2
    missing = machine("history", "org/other")
    assert missing.code == 2
    assert "no audit of org/other" in missing.err
