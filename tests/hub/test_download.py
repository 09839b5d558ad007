from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hubaudit.demo.exchange import Answer
from hubaudit.demo.faults import Alter, Gzip, LeaveOut, Status, WrongBytes
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import (
    CacheUnusable,
    FileUnavailable,
    HubAnswerInvalid,
    HubUnreachable,
    RevisionMissing,
)
from hubaudit.events import Downloading, Event
from tests.hub.conftest import FILES, WEIGHTS, Connect, listed, pinned


def cached(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_every_file_arrives_whole_under_its_exact_name(connect: Connect) -> None:
    client = connect()
    repo = pinned(client)
    for file in client.list_files(repo).files:
        path = client.download(repo, file)
        assert path.read_bytes() == FILES[file.path]
        assert path.as_posix().endswith(f"/snapshots/{repo.commit_hash}/{file.path}")


def test_only_what_was_asked_for_is_in_the_cache(connect: Connect, tmp_path: Path) -> None:
    client = connect(cache_dir=tmp_path / "mine")
    repo, file = listed(client, "pytorch_model.bin")
    client.download(repo, file)
    names = [n for n in cached(tmp_path / "mine") if "/snapshots/" in n]
    assert names == [f"models--org--model/snapshots/{repo.commit_hash}/pytorch_model.bin"]
    assert not (tmp_path / "hub").exists()


def test_progress_goes_to_the_listener_from_nothing_to_all(
    connect: Connect, events: list[Event], capfd: pytest.CaptureFixture[str]
) -> None:
    client = connect(listener=events.append)
    repo, file = listed(client, "pytorch_model.bin")
    client.download(repo, file)
    size = len(WEIGHTS)
    assert events == [
        Downloading("pytorch_model.bin", 0, size),
        Downloading("pytorch_model.bin", size, size),
    ]
    assert "pytorch_model" not in capfd.readouterr().err


def test_a_cached_file_costs_no_request_and_no_event(
    hub: StandInHub, connect: Connect, events: list[Event]
) -> None:
    client = connect(listener=events.append)
    repo, file = listed(client, "pytorch_model.bin")
    client.download(repo, file)
    events.clear()
    hub.clear_log()
    assert client.download(repo, file).read_bytes() == WEIGHTS
    assert hub.requests == []
    assert events == []


def test_the_token_does_not_reach_the_storage_host(hub: StandInHub, connect: Connect) -> None:
    client = connect(token="hf_reader")
    repo, file = listed(client, "pytorch_model.bin")
    client.download(repo, file)
    carrying = {r.host for r in hub.requests if "authorization" in {n.lower() for n in r.headers}}
    assert carrying == {"hub"}
    assert "cdn" in {r.host for r in hub.requests}


def test_a_listed_file_that_is_missing_is_unavailable_alone(
    hub: StandInHub, connect: Connect
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(Status(404, {"X-Error-Code": "EntryNotFound"}), path="pytorch_model")
    with pytest.raises(FileUnavailable, match="does not have it"):
        client.download(repo, file)
    repo, other = listed(client, "config.json")
    assert client.download(repo, other).read_bytes() == FILES["config.json"]


def shorter(answer: Answer) -> Answer:
    return replace(answer, body=answer.body[:1000])


def longer(answer: Answer) -> Answer:
    return replace(answer, body=answer.body + b"more")


@pytest.mark.parametrize("change", [shorter, longer])
def test_a_body_of_another_length_is_unavailable_and_not_kept(
    hub: StandInHub, connect: Connect, tmp_path: Path, change: object
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(Alter(change), host="cdn")  # type: ignore[arg-type]
    with pytest.raises(FileUnavailable):
        client.download(repo, file)
    assert not [n for n in cached(tmp_path / "hub") if "/blobs/" in n or "/snapshots/" in n]


def test_a_longer_file_than_the_listing_has_stops_at_the_listed_size(
    repo: HubRepo, hub: StandInHub, connect: Connect
) -> None:
    client = connect()
    ref, file = listed(client, "pytorch_model.bin")
    with pytest.raises(FileUnavailable, match="longer"):
        client.download(ref, replace(file, size=10))


def test_wrong_bytes_of_the_right_length_are_the_callers_to_notice(
    hub: StandInHub, connect: Connect
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(WrongBytes(), host="cdn")
    data = client.download(repo, file).read_bytes()
    assert len(data) == file.size
    assert data != WEIGHTS


def test_a_compressed_answer_is_the_file_all_the_same(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "config.json")
    hub.fault(Gzip(), path="resolve", method="GET")
    assert client.download(repo, file).read_bytes() == FILES["config.json"]


@pytest.mark.parametrize("name", ["../evil.bin", "/evil.bin", "C:\\evil.bin", "a/../../evil.bin"])
def test_a_name_that_the_client_refuses_is_unavailable(
    hub: StandInHub, connect: Connect, name: str
) -> None:
    client = connect()
    repo, file = listed(client, "config.json")
    hub.clear_log()
    with pytest.raises(FileUnavailable):
        client.download(repo, replace(file, path=name))
    assert hub.requests == []


@pytest.mark.parametrize("header", ["X-Repo-Commit", "X-Linked-Etag"])
def test_an_answer_without_the_files_metadata_is_unavailable(
    hub: StandInHub, connect: Connect, header: str
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(LeaveOut(header), path="/resolve/", method="HEAD")
    with pytest.raises(FileUnavailable):
        client.download(repo, file)


def test_a_file_of_another_commit_is_unavailable(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    other = Alter(lambda answer: answer.having({"X-Repo-Commit": "b" * 40}))
    hub.fault(other, path="/resolve/", method="HEAD")
    with pytest.raises(FileUnavailable, match="another commit"):
        client.download(repo, file)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Linked-Etag": '"../../../../evil"'},
        {"X-Linked-Etag": '"/tmp/evil"'},
        {"X-Repo-Commit": "../../../evil"},
    ],
)
def test_metadata_that_would_name_a_file_outside_of_the_cache_are_refused(
    hub: StandInHub, connect: Connect, tmp_path: Path, headers: dict[str, str]
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(Alter(lambda answer: answer.having(headers)), path="/resolve/", method="HEAD")
    with pytest.raises(HubAnswerInvalid):
        client.download(repo, file)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("location", ["http://[x", "ftp://x/y", "http://127.0.0.1:99999/x"])
def test_a_location_that_is_no_url_is_an_error_of_ours(
    hub: StandInHub, connect: Connect, location: str
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    bad = Alter(lambda answer: answer.having({"Location": location}))
    hub.fault(bad, path="/resolve/", method="HEAD")
    with pytest.raises((FileUnavailable, HubUnreachable)):
        client.download(repo, file)


@pytest.mark.parametrize("body", [b"[]", b'{"error": [1]}', b'{"errors": [1]}', b"3", b"{"])
def test_an_odd_error_body_is_no_crash(hub: StandInHub, connect: Connect, body: bytes) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(Status(418, {"Content-Type": "application/json"}, body), host="cdn")
    with pytest.raises(FileUnavailable):
        client.download(repo, file)


def test_a_busy_storage_host_is_unreachable(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    fault = hub.fault(Status(500), host="cdn")
    with pytest.raises(HubUnreachable, match="500"):
        client.download(repo, file)
    assert fault.hits == 3


def test_a_commit_that_vanished_is_no_file_trouble(repo: HubRepo, connect: Connect) -> None:
    client = connect()
    ref, file = listed(client, "pytorch_model.bin")
    repo.force_push({"other.bin": b"1"})
    with pytest.raises(RevisionMissing):
        client.download(ref, file)


def test_a_cache_that_is_no_folder_is_nobodys_file_trouble(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_bytes(b"")
    client = connect(cache_dir=tmp_path / "mine")
    with pytest.raises(CacheUnusable) as caught:
        client.download(*listed(client, "pytorch_model.bin"))
    assert str(tmp_path) not in str(caught.value)  # it may reach a report
    assert "HF_HUB_CACHE" in caught.value.hint


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_is_nobodys_file_trouble(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number), "/some/where")

    monkeypatch.setattr("hubaudit.hub.download.hf_hub_download", refuse)
    with pytest.raises(CacheUnusable, match=os.strerror(number)):
        client.download(repo, file)


def test_a_name_that_no_disk_can_have_is_the_files_own_trouble(connect: Connect) -> None:
    long = "n" * 300 + ".bin"
    with StandInHub([HubRepo("org/model", {long: b"x"})]) as hub:
        client = connect(endpoint=hub.endpoint)
        with pytest.raises(FileUnavailable, match="name too long") as caught:
            client.download(*listed(client, long))
    assert "/snapshots/" not in str(caught.value)
