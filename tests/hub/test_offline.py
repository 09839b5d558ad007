from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, hf_hub_download, snapshot_download

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import FileUnavailable, NotCached, UsageError
from hubaudit.hub.client import HubClient
from hubaudit.model import Target
from tests.hub.conftest import FILES, WEIGHTS, Connect, Read, listed, part, pinned, whole

Offline = Callable[[], HubClient]


@pytest.fixture
def offline(hub: StandInHub, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Offline:
    def enter() -> HubClient:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        hub.clear_log()
        return connect()

    return enter


@pytest.fixture
def snapshot(repo: HubRepo, hub: StandInHub, connect: Connect, tmp_path: Path) -> Path:
    """The repository in the cache as `from_pretrained` leaves it: by its branch, the listing with it."""
    with HubClient(endpoint=hub.endpoint, token=False):
        path = snapshot_download(
            "org/model", endpoint=hub.endpoint, token=False, cache_dir=tmp_path / "hub"
        )
    return Path(path)


def test_a_cached_branch_and_a_cached_commit_are_pinned_without_a_request(
    repo: HubRepo, hub: StandInHub, snapshot: Path, offline: Offline
) -> None:
    client = offline()
    assert pinned(client).commit_hash == repo.sha
    assert pinned(client, revision=repo.sha).commit_hash == repo.sha
    assert hub.requests == []


@pytest.mark.parametrize(
    "target",
    [
        Target("org/other"),
        Target("org/model", revision="v1"),
        Target("org/model", revision="b" * 40),
        Target("org/model", "dataset"),
    ],
)
def test_what_is_not_cached_cannot_be_pinned(
    snapshot: Path, offline: Offline, target: Target
) -> None:
    with pytest.raises(NotCached, match="offline") as caught:
        offline().pin(target)
    assert caught.value.hint.endswith("unset HF_HUB_OFFLINE")
    assert not caught.value.hint.startswith("or ")


def test_the_hint_names_a_commit_that_is_cached(
    repo: HubRepo, snapshot: Path, offline: Offline
) -> None:
    with pytest.raises(NotCached) as caught:
        pinned(offline(), revision="v1")
    assert f"org/model@{repo.sha}" in caught.value.hint


@pytest.mark.parametrize("ref", [b"", b"main", b"../../x", b"\xff\xfe"])
def test_a_damaged_ref_is_not_cached(snapshot: Path, offline: Offline, ref: bytes) -> None:
    (snapshot.parents[1] / "refs" / "main").write_bytes(ref)
    with pytest.raises(NotCached):
        pinned(offline())


def test_the_cached_listing_is_as_good_as_the_hubs(
    hub: StandInHub, connect: Connect, snapshot: Path, offline: Offline
) -> None:
    client = connect()
    online = client.list_files(pinned(client))
    client = offline()
    listing = client.list_files(pinned(client))
    assert [(f.path, f.size, f.blob_id, f.sha256) for f in listing.files] == [
        (f.path, f.size, f.blob_id, f.sha256) for f in online.files
    ]
    assert listing.unread == ()
    assert hub.requests == []


@pytest.mark.parametrize("read", [whole, part])
def test_cached_files_are_read_without_a_request(
    hub: StandInHub, snapshot: Path, offline: Offline, read: Read
) -> None:
    client = offline()
    repo = pinned(client)
    for file in client.list_files(repo).files:
        assert read(client, repo, file) == FILES[file.path]
    assert hub.requests == []


@pytest.mark.parametrize("read", [whole, part])
def test_a_file_that_is_not_cached_is_unavailable(
    snapshot: Path, offline: Offline, read: Read
) -> None:
    (snapshot / "pytorch_model.bin").unlink()
    client = offline()
    with pytest.raises(FileUnavailable, match="offline"):
        read(client, *listed(client, "pytorch_model.bin"))


def test_blocks_that_were_fetched_online_are_there_offline(
    hub: StandInHub, connect: Connect, snapshot: Path, offline: Offline
) -> None:
    (snapshot / "pytorch_model.bin").unlink()
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    assert part(client, repo, file) == WEIGHTS
    assert part(offline(), repo, file) == WEIGHTS
    assert hub.requests == []


def downloaded_only(hub: StandInHub, cache: Path, *names: str) -> None:
    with HubClient(endpoint=hub.endpoint, token=False):
        for name in names:
            hf_hub_download("org/model", name, endpoint=hub.endpoint, token=False, cache_dir=cache)


def test_without_a_cached_listing_the_downloaded_files_are_known_and_the_rest_is_unread(
    hub: StandInHub, tmp_path: Path, offline: Offline
) -> None:
    downloaded_only(hub, tmp_path / "hub", "config.json", "pytorch_model.bin")
    client = offline()
    listing = client.list_files(pinned(client))
    config, weights = listing.files
    assert config.blob_id == hashlib.sha1(b"blob 8\0" + FILES["config.json"]).hexdigest()
    assert config.sha256 is None
    assert weights.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert weights.blob_id is None
    assert [u.why for u in listing.unread] == ["the listing of the commit is not cached (offline)"]


def test_a_hash_is_the_first_links_name_not_where_the_links_end(
    hub: StandInHub, tmp_path: Path, offline: Offline
) -> None:
    downloaded_only(hub, tmp_path / "hub", "pytorch_model.bin")
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    blob = tmp_path / "hub" / "models--org--model" / "blobs" / sha256
    shared = tmp_path / "hub" / "blobs" / ("f" * 64)
    shared.parent.mkdir()
    blob.rename(shared)
    blob.symlink_to(shared)
    client = offline()
    repo, file = listed(client, "pytorch_model.bin")
    assert file.sha256 == sha256
    assert whole(client, repo, file) == part(client, repo, file) == WEIGHTS


def test_a_broken_link_in_the_cache_is_unread(
    hub: StandInHub, tmp_path: Path, offline: Offline
) -> None:
    downloaded_only(hub, tmp_path / "hub", "config.json", "pytorch_model.bin")
    for blob in (tmp_path / "hub" / "models--org--model" / "blobs").iterdir():
        if len(blob.name) == 64:
            blob.unlink()
    client = offline()
    listing = client.list_files(pinned(client))
    assert [f.path for f in listing.files] == ["config.json"]
    assert "pytorch_model.bin" in [u.path for u in listing.unread]


@pytest.mark.parametrize(
    "tree",
    [
        b"",
        b"[]",
        b"{",
        json.dumps({"format_version": 2, "files": {}}).encode(),
        json.dumps({"format_version": 1, "files": []}).encode(),
        json.dumps({"format_version": 1, "files": {"a": {}}}).encode(),
        json.dumps({"format_version": 1, "files": {"a": None}}).encode(),
    ],
)
def test_a_damaged_listing_counts_as_none(snapshot: Path, offline: Offline, tree: bytes) -> None:
    (snapshot.parents[1] / "trees" / f"{snapshot.name}.json").write_bytes(tree)
    client = offline()
    listing = client.list_files(pinned(client))
    assert {f.path for f in listing.files} == set(FILES)
    assert listing.unread[0].why.startswith("the listing of the commit is not cached")


def test_a_shorter_file_in_the_cache_is_unavailable_by_range(
    snapshot: Path, offline: Offline
) -> None:
    client = offline()
    repo, file = listed(client, "pytorch_model.bin")
    os.truncate(snapshot / "pytorch_model.bin", 10)
    with pytest.raises(FileUnavailable, match="shorter"):
        part(client, repo, file)


def test_offline_there_is_nothing_to_record(
    offline: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline()
    with pytest.raises(UsageError):
        HubClient(record=tmp_path / "cassette")


def test_a_revision_cannot_lead_out_of_the_cache(tmp_path: Path, offline: Offline) -> None:
    folder = tmp_path / "hub" / "models--org--model"
    (folder / "refs").mkdir(parents=True)
    (folder / "snapshots" / ("a" * 40)).mkdir(parents=True)
    (tmp_path / "outside").write_text("a" * 40)
    options: dict[str, Any] = {"revision": "../../../outside"}
    with pytest.raises(NotCached):
        pinned(offline(), **options)
