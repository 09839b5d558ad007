from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubaudit.demo.exchange import Answer
from hubaudit.demo.faults import (
    Alter,
    ContentRange,
    Cut,
    Gzip,
    IgnoreRange,
    LeaveOut,
    StallBody,
    Status,
)
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import FileUnavailable, HubauditError, HubUnreachable, RevisionMissing
from hubaudit.source.remote import BLOCK
from tests.hub.conftest import FILES, WEIGHTS, Connect, listed, pinned

PATHS = ["pytorch_model.bin", "config.json", "sub/dir/weird name+é#%[1].pkl"]


@pytest.mark.parametrize("delivery", ["redirect", "direct"])
def test_the_bytes_are_the_files_wherever_they_lie(connect: Connect, delivery: Any) -> None:
    with StandInHub([HubRepo("org/model", dict(FILES))], delivery=delivery) as hub:
        client = connect(endpoint=hub.endpoint)
        repo = pinned(client)
        for file in client.list_files(repo).files:
            data = FILES[file.path]
            source = client.open_range(repo, file)
            assert source.size == len(data)
            assert source.read(0, 16) == data[:16]
            assert source.read(max(0, len(data) - 22), 100) == data[-22:]
            assert source.read(0, len(data)) == data


def test_a_few_bytes_of_a_big_file_cost_a_few_blocks(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    source = client.open_range(repo, file)
    hub.clear_log()
    source.read(0, 16)
    source.read(file.size - 22, 22)
    assert sum(r.sent_bytes for r in hub.requests if r.host == "cdn") <= 2 * BLOCK


def test_an_empty_file_needs_no_request(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "empty.pt")
    hub.clear_log()
    assert client.open_range(repo, file).read(0, 100) == b""
    assert hub.requests == []


def test_the_redirect_is_asked_for_once_and_its_location_used_again(
    hub: StandInHub, connect: Connect
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    source = client.open_range(repo, file)
    hub.clear_log()
    for block in (0, 9, 20):
        source.read(block * BLOCK, 10)
    assert [r.host for r in hub.requests] == ["hub", "cdn", "cdn", "cdn"]


def test_a_file_opened_again_is_not_resolved_again(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.clear_log()
    for block in (0, 9):
        client.open_range(repo, file).read(block * BLOCK, 10)
    assert [r.host for r in hub.requests] == ["hub", "cdn", "cdn"]


@pytest.mark.parametrize("mode", ["live", "record"])
def test_many_threads_may_read_at_once(connect: Connect, tmp_path: Path, mode: str) -> None:
    files = {f"{i:02}.bin": bytes([i]) * 20_000 for i in range(40)}
    with StandInHub([HubRepo("org/model", files)], page_size=50) as hub:
        options: dict[str, Any] = {"record": tmp_path / "cassette"} if mode == "record" else {}
        client = connect(endpoint=hub.endpoint, **options)
        repo = pinned(client)
        listing = client.list_files(repo)
        with ThreadPoolExecutor(8) as pool:
            parts = list(
                pool.map(lambda f: client.open_range(repo, f).read(0, f.size), listing.files)
            )
    assert parts == list(files.values())


def test_an_expired_location_is_resolved_again(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    source = client.open_range(repo, file)
    source.read(0, 10)
    hub.expire_cdn_urls()
    hub.clear_log()
    assert source.read(9 * BLOCK, 10) == WEIGHTS[9 * BLOCK :][:10]
    assert [r.host for r in hub.requests] == ["cdn", "hub", "cdn"]


def test_a_location_that_never_works_is_unavailable(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(Status(403), host="cdn")
    with pytest.raises(FileUnavailable, match="403"):
        client.open_range(repo, file).read(0, 10)


def test_ranges_ask_for_no_encoding_count_no_download_and_carry_no_token_elsewhere(
    hub: StandInHub, connect: Connect
) -> None:
    client = connect(token="hf_reader")
    repo, file = listed(client, "pytorch_model.bin")
    hub.clear_log()
    source = client.open_range(repo, file)
    source.read(0, 10)
    source.read(10 * BLOCK, 10)
    assert {r.host for r in hub.requests} == {"hub", "cdn"}
    for request in hub.requests:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["accept-encoding"] == "identity"
        assert "x-hf-download-counter" not in headers
        assert ("authorization" in headers) == (request.host == "hub")


def body(change: Any) -> Alter:
    def alter(answer: Answer) -> Answer:
        return replace(answer, body=change(answer.body)) if answer.status == 206 else answer

    return Alter(alter)


@pytest.mark.parametrize("path", PATHS[:2])
@pytest.mark.parametrize(
    "effect",
    [
        ContentRange("bytes 0-9/300000"),
        ContentRange("bytes 8192-16383/300001"),
        ContentRange("bytes 8191-16382/300000"),
        ContentRange("bytes 8192-16383/*"),
        ContentRange("bytes */300000"),
        ContentRange("nonsense"),
        LeaveOut("Content-Range"),
        Gzip(),
        body(lambda data: data[:-1]),
        body(lambda data: data + b"x"),
        body(lambda data: b""),
        Status(416),
        Status(204, {}, b""),
        Status(404, {"X-Error-Code": "EntryNotFound"}),
        Status(410),
        Status(302, {"Location": "ftp://x/y"}, b""),
        Status(302, {"Location": "http://[x"}, b""),
        Status(302, {"Location": ""}, b""),
        Status(302, {}, b""),
    ],
)
def test_an_answer_that_is_not_the_asked_range_is_unavailable_never_wrong_bytes(
    hub: StandInHub, connect: Connect, path: str, effect: Any
) -> None:
    client = connect()
    repo, file = listed(client, path)
    if path == "config.json":
        fault = hub.fault(effect, path="resolve-cache")
    else:
        fault = hub.fault(effect, host="cdn")
    with pytest.raises(HubauditError) as caught:
        client.open_range(repo, file).read(BLOCK if file.size > BLOCK else 0, 10)
    assert fault.hits
    assert isinstance(caught.value, FileUnavailable | HubUnreachable)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", PATHS)
def test_of_a_server_without_ranges_the_bytes_are_cut_out_of_the_whole_file(
    hub: StandInHub, connect: Connect, path: str
) -> None:
    client = connect()
    repo, file = listed(client, path)
    fault = hub.fault(IgnoreRange())
    source = client.open_range(repo, file)
    assert source.read(0, 10) == FILES[path][:10]
    assert source.read(max(0, file.size - 22), 22) == FILES[path][-22:]
    assert fault.hits


@pytest.mark.parametrize("whole", [WEIGHTS[:-1], WEIGHTS + b"x", b"<html>Please wait</html>"])
def test_a_whole_file_of_another_size_than_listed_is_unavailable(
    hub: StandInHub, connect: Connect, whole: bytes
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(Alter(lambda _: Answer(200, whole, {})), host="cdn")
    with pytest.raises(FileUnavailable):
        client.open_range(repo, file).read(0, 10)


def test_a_range_that_is_cut_once_is_asked_for_again(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    fault = hub.fault(Cut(100), host="cdn", times=1)
    assert client.open_range(repo, file).read(0, 200) == WEIGHTS[:200]
    assert fault.hits == 1


@pytest.mark.parametrize("effect", [Cut(100), StallBody(100)])
def test_a_range_that_breaks_off_every_time_is_unreachable(
    hub: StandInHub, connect: Connect, effect: Any
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    fault = hub.fault(effect, host="cdn")
    with pytest.raises(HubUnreachable):
        client.open_range(repo, file).read(0, 200)
    assert fault.hits == 3


def test_a_commit_that_vanished_is_no_file_trouble(repo: HubRepo, connect: Connect) -> None:
    client = connect()
    ref, file = listed(client, "pytorch_model.bin")
    repo.force_push({"other.bin": b"1"})
    with pytest.raises(RevisionMissing):
        client.open_range(ref, file).read(0, 1)


def test_redirects_in_a_circle_end(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    fault = hub.fault(Status(302, {"Location": "?again"}, b""), path="/resolve/")
    with pytest.raises(FileUnavailable, match="without an end"):
        client.open_range(repo, file).read(0, 1)
    assert fault.hits < 10


def having(**headers: str) -> Alter:
    """The fault that puts other headers into an answer; `_` in a name is `-` there."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}

    def alter(answer: Answer) -> Answer:
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in map(str.lower, changed)}
        return replace(answer, headers={**kept, **changed})

    return Alter(alter)


@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("pytorch_model.bin", having(X_Repo_Commit="1" * 40), "another commit"),
        ("config.json", having(X_Repo_Commit="1" * 40), "another commit"),
        ("pytorch_model.bin", having(X_Linked_ETag=f'"{"a" * 64}"'), "another hash"),
        ("config.json", having(X_Linked_ETag=f'"{"a" * 40}"'), "another hash"),
        ("pytorch_model.bin", having(X_Linked_Size="7"), "served with others"),
    ],
)
def test_what_the_hub_names_otherwise_than_listed_is_unavailable(
    hub: StandInHub, connect: Connect, path: str, fault: Alter, said: str
) -> None:
    client = connect()
    repo, file = listed(client, path)
    hub.fault(fault, host="hub", path="/resolve")
    with pytest.raises(FileUnavailable, match=said):
        client.open_range(repo, file).read(0, 10)


def test_a_file_that_changes_between_two_reads_is_unavailable(
    hub: StandInHub, connect: Connect
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    source = client.open_range(repo, file)
    source.read(0, 10)
    hub.fault(having(ETag='"another"'), host="cdn")
    with pytest.raises(FileUnavailable, match="changed while it was read"):
        source.read(20 * BLOCK, 10)
