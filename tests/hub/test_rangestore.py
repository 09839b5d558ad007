from __future__ import annotations

import hashlib
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.hub.rangestore import RangeStore, store_root
from hubaudit.model import RepoFile, RepoRef
from hubaudit.source.remote import BLOCK
from tests.hub.conftest import FILES, WEIGHTS, Connect, listed, part, pinned

HUB = RepoRef("org/model", "model", "main", "0" * 40, "http://hub")
DATA = random.Random(3).randbytes(5 * BLOCK + 100)
FILE = RepoFile("a.bin", len(DATA), "c" * 40, hashlib.sha256(DATA).hexdigest())


def kept(root: Path) -> list[Path]:
    return sorted(root.rglob("*.blocks"))


def test_a_second_audit_of_a_commit_fetches_no_byte_of_a_file(
    hub: StandInHub, connect: Connect
) -> None:
    for client in (connect(), connect()):
        hub.clear_log()
        repo = pinned(client)
        for file in client.list_files(repo).files:
            assert client.open_range(repo, file).read(0, 10_000) == FILES[file.path][:10_000]
    assert not [r for r in hub.requests if "resolve" in r.path or r.host == "cdn"]


def test_blocks_come_back_as_they_were_kept(tmp_path: Path) -> None:
    RangeStore(tmp_path, HUB, FILE).put(1, DATA[BLOCK : 3 * BLOCK])
    RangeStore(tmp_path, HUB, FILE).put(5, DATA[5 * BLOCK :])
    store = RangeStore(tmp_path, HUB, FILE)
    expected = [None, DATA[BLOCK : 2 * BLOCK], DATA[2 * BLOCK : 3 * BLOCK], None, None]
    assert [store.get(i) for i in range(5)] == expected
    assert store.get(5) == DATA[5 * BLOCK :]
    assert store.get(6) is None


@pytest.mark.parametrize(
    "other",
    [replace(HUB, endpoint="http://evil"), replace(HUB, repo_id="org/gated")],
    ids=["hub", "repository"],
)
def test_no_other_hub_or_repository_answers_for_this_one(tmp_path: Path, other: RepoRef) -> None:
    RangeStore(tmp_path, other, FILE).put(0, b"x" * BLOCK)
    assert RangeStore(tmp_path, HUB, FILE).get(0) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:20],
        lambda raw: raw[:-1],
        lambda raw: raw + b"x",
        lambda raw: raw[:40] + bytes([raw[40] ^ 1]) + raw[41:],
        lambda raw: hashlib.sha256(b"short").digest() + b"short",
    ],
)
def test_a_damaged_entry_is_ignored_and_replaced(tmp_path: Path, damage: object) -> None:
    RangeStore(tmp_path, HUB, FILE).put(1, DATA[BLOCK : 3 * BLOCK])
    (path,) = kept(tmp_path)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    store = RangeStore(tmp_path, HUB, FILE)
    assert store.get(1) is None
    store.put(1, DATA[BLOCK : 3 * BLOCK])
    assert RangeStore(tmp_path, HUB, FILE).get(2) == DATA[2 * BLOCK : 3 * BLOCK]


def test_foreign_files_in_the_store_are_ignored(tmp_path: Path) -> None:
    RangeStore(tmp_path, HUB, FILE).put(0, DATA[:BLOCK])
    folder = kept(tmp_path)[0].parent
    (folder / "x-y.blocks").write_bytes(b"")
    (folder / "1-1.blocks").mkdir()
    store = RangeStore(tmp_path, HUB, FILE)
    assert store.get(0) == DATA[:BLOCK]
    assert store.get(1) is None


@pytest.mark.parametrize("sha256", [hashlib.sha256(b"abc").hexdigest(), None])
def test_a_whole_file_is_believed_only_with_its_hash(tmp_path: Path, sha256: str | None) -> None:
    blob = hashlib.sha1(b"blob 3\0abc").hexdigest()
    file = RepoFile("a", 3, blob, sha256)
    RangeStore(tmp_path, HUB, file).put(0, b"abd")
    assert kept(tmp_path) == []
    RangeStore(tmp_path, HUB, file).put(0, b"abc")
    (path,) = kept(tmp_path)
    assert RangeStore(tmp_path, HUB, file).get(0) == b"abc"
    path.write_bytes(hashlib.sha256(b"abd").digest() + b"abd")
    assert RangeStore(tmp_path, HUB, file).get(0) is None


def test_a_file_without_a_hash_is_not_kept(tmp_path: Path) -> None:
    RangeStore(tmp_path, HUB, RepoFile("a", 3)).put(0, b"abc")
    assert kept(tmp_path) == []


def test_the_oldest_blocks_go_when_the_store_is_full(tmp_path: Path) -> None:
    store = RangeStore(tmp_path, HUB, FILE)
    for index in range(4):
        store.put(index, DATA[index * BLOCK : (index + 1) * BLOCK])
    for age, path in enumerate(reversed(kept(tmp_path))):
        os.utime(path, (1000 - age, 1000 - age))
    RangeStore.prune(tmp_path, 2 * BLOCK + 100)
    assert [p.name for p in kept(tmp_path)] == ["2-1.blocks", "3-1.blocks"]


@pytest.mark.parametrize("depth", [0, 1, 2], ids=["the root", "a repository", "a file"])
def test_a_folder_that_vanishes_while_it_is_looked_at_is_no_reason_to_fail(
    depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, away = tmp_path / "ranges", replace(HUB, repo_id="org/other")
    for repo in (HUB, away):
        RangeStore(root, repo, FILE).put(0, DATA[:BLOCK])
    gone = [kept(root)[0], *kept(root)[0].parents][3 - depth]
    scandir = os.scandir

    def vanishing(folder: str | os.PathLike[str]) -> object:
        if Path(folder) == gone and gone.exists():
            gone.rename(tmp_path / "gone")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", vanishing)
    RangeStore.prune(root, 0)
    monkeypatch.undo()
    assert (tmp_path / "gone").exists()
    assert kept(root) == []


def test_the_blocks_of_a_file_whose_folder_vanishes_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RangeStore(tmp_path, HUB, FILE).put(0, DATA[:BLOCK])
    folder = kept(tmp_path)[0].parent
    scandir = os.scandir

    def vanishing(path: str | os.PathLike[str]) -> object:
        if Path(path) == folder:
            folder.rename(tmp_path / "gone")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert RangeStore(tmp_path, HUB, FILE).get(0) is None


def test_a_disk_that_takes_nothing_is_no_reason_to_fail(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("HUBAUDIT_CACHE", str(tmp_path / "file"))
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    assert part(client, repo, file) == WEIGHTS


def test_the_store_lies_where_the_environment_says(
    repo: HubRepo, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBAUDIT_CACHE", str(tmp_path / "there"))
    client = connect()
    part(client, *listed(client, "config.json"))
    assert len(kept(tmp_path / "there" / "ranges")) == 1
    monkeypatch.delenv("HUBAUDIT_CACHE")
    assert store_root().name == "ranges"
    assert store_root().parent.name == "hubaudit"
