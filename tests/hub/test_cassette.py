from __future__ import annotations

import hashlib
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from hubaudit.demo.exchange import Answer
from hubaudit.demo.faults import Alter, Cut, Status
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import (
    CassetteError,
    CassetteMiss,
    GatedRepository,
    HubUnreachable,
    RepositoryMissing,
    UsageError,
)
from hubaudit.events import Event
from hubaudit.hub.cassette import public_url
from hubaudit.hub.client import HubClient
from hubaudit.model import Listing
from tests.hub.conftest import SHORT, WEIGHTS, Connect, part, pinned, whole

TOKEN = "hf_reader"


def visit(client: HubClient, repo_id: str = "org/model") -> tuple[Listing, dict[str, bytes]]:
    """What an audit asks: the pin, the listing, each file whole and in part."""
    repo = pinned(client, repo_id)
    listing = client.list_files(repo)
    seen = {}
    for file in listing.files:
        source = client.open_range(repo, file)
        ends = source.read(0, 16) + source.read(max(0, file.size - 22), 22)
        seen[file.path] = ends + whole(client, repo, file)
    return listing, seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cassette"


def unplug(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on neither a connection nor a look-up of a name."""

    def refuse(*_args: object, **_options: object) -> Any:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def replayed(folder: Path, **options: Any) -> Any:
    with HubClient(replay=folder, **options) as client:
        return visit(client)


def recorded(hub: StandInHub, folder: Path, **options: Any) -> Any:
    settings = {"token": False, "patience": SHORT, **options}
    with HubClient(endpoint=hub.endpoint, record=folder, **settings) as client:
        return visit(client)


def test_a_replay_gives_what_was_recorded_without_a_network(
    hub: StandInHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = recorded(hub, folder)
    hub.close()
    unplug(monkeypatch)
    other = "http://elsewhere.example.org"
    template = f"{other}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", other)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    assert replayed(folder) == live
    assert live[1]["pytorch_model.bin"].endswith(WEIGHTS)


def test_offline_mode_is_no_reason_not_to_replay(
    hub: StandInHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = recorded(hub, folder)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert replayed(folder) == live


def test_neither_recording_nor_replaying_touches_the_users_caches(
    hub: StandInHub, folder: Path, tmp_path: Path
) -> None:
    recorded(hub, folder)
    replayed(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["cassette"]


def test_a_recording_is_complete_although_the_caches_hold_everything(
    hub: StandInHub, connect: Connect, folder: Path
) -> None:
    visit(connect())
    live = recorded(hub, folder)
    assert replayed(folder) == live


def test_the_folder_can_be_read_by_people_and_bodies_are_named_by_their_hash(
    hub: StandInHub, folder: Path
) -> None:
    recorded(hub, folder)
    lines = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    assert lines[0] == {"hubaudit_cassette": 1, "endpoint": hub.endpoint}
    assert list(lines[1]) == ["method", "url", "range", "status", "headers", "body", "whole"]
    bodies = {p.name: p.read_bytes() for p in (folder / "bodies").iterdir()}
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in bodies.items())
    assert WEIGHTS in bodies.values()
    assert {line["body"] for line in lines[1:]} - {None} == set(bodies)


def test_no_token_no_signature_and_no_request_header_is_in_a_cassette(
    hub: StandInHub, folder: Path
) -> None:
    recorded(hub, folder, token=TOKEN)
    assert any("Signature=" in r.path for r in hub.requests)
    text = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file()).replace(WEIGHTS, b"")
    for secret in (TOKEN, "Bearer", "Signature=", "Policy=", "Key-Pair-Id", "authorization"):
        assert secret.encode().lower() not in text.lower()
    assert "user-agent" not in (folder / "index.jsonl").read_text().lower()


def test_a_private_repository_replays_without_a_token(hub: StandInHub, folder: Path) -> None:
    with HubClient(endpoint=hub.endpoint, token=TOKEN, record=folder) as client:
        live = visit(client, "org/secret")
    with HubClient(replay=folder) as client:
        assert visit(client, "org/secret") == live


@pytest.mark.parametrize(
    ("repo_id", "kind"), [("org/nothing", RepositoryMissing), ("org/gated", GatedRepository)]
)
def test_a_refusal_replays_as_the_same_refusal(
    hub: StandInHub, folder: Path, repo_id: str, kind: type[Exception]
) -> None:
    messages = []
    for options in ({"endpoint": hub.endpoint, "record": folder}, {"replay": folder}):
        with HubClient(token=False, **options) as client, pytest.raises(kind) as caught:
            visit(client, repo_id)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_request_that_was_not_recorded_is_a_miss_that_names_it(
    hub: StandInHub, folder: Path
) -> None:
    recorded(hub, folder)
    with HubClient(replay=folder) as client:
        with pytest.raises(CassetteMiss, match=r"GET http.*/api/models/gpt2/revision/main"):
            pinned(client, "gpt2")
        repo = pinned(client)
        file = next(f for f in client.list_files(repo).files if f.path == "pytorch_model.bin")
        with pytest.raises(CassetteMiss, match=r"bytes=81920-\d+"):
            client.open_range(repo, file).read(81920, 10)


def test_a_download_that_was_not_recorded_is_a_miss_too(hub: StandInHub, folder: Path) -> None:
    with HubClient(endpoint=hub.endpoint, token=False, record=folder) as client:
        client.list_files(pinned(client))
    with HubClient(replay=folder) as client:
        repo = pinned(client)
        file = client.list_files(repo).files[0]
        with pytest.raises(CassetteMiss, match="HEAD"):
            client.download(repo, file)
        with pytest.raises(CassetteMiss, match="GET"):
            part(client, repo, file)


def test_the_same_request_asked_again_gets_its_next_answer(
    repo: HubRepo, hub: StandInHub, folder: Path
) -> None:
    with HubClient(endpoint=hub.endpoint, token=False, record=folder) as client:
        first = pinned(client)
        repo.commit({"a.bin": b"2"})
        second = pinned(client)
    assert first != second
    with HubClient(replay=folder) as client:
        assert [pinned(client) for _ in range(3)] == [first, second, second]


def test_failures_on_the_way_replay_without_their_waits(
    hub: StandInHub, folder: Path, events: list[Event]
) -> None:
    hub.fault(Status(429, {"RateLimit": '"api";r=0;t=200'}), path="/tree/", times=1)
    hub.fault(Status(503), path="/revision/", times=2)
    hub.fault(Cut(1000), host="cdn", times=2, skip=2)
    live = recorded(hub, folder, sleep=lambda _: None)
    assert replayed(folder, listener=events.append) == live
    assert not [e for e in events if type(e).__name__ == "Waiting"]


def test_an_unreachable_hub_replays_as_unreachable(hub: StandInHub, folder: Path) -> None:
    hub.fault(Status(503), path="/tree/")
    with pytest.raises(HubUnreachable) as live:
        recorded(hub, folder)
    with pytest.raises(HubUnreachable) as again:
        replayed(folder)
    assert str(again.value) == str(live.value)


def test_an_expired_location_replays(hub: StandInHub, folder: Path) -> None:
    def read(client: HubClient) -> bytes:
        repo = pinned(client)
        files = {f.path: f for f in client.list_files(repo).files}
        source = client.open_range(repo, files["pytorch_model.bin"])
        first = source.read(0, 10)
        hub.expire_cdn_urls()
        return first + source.read(80_000, 10)

    with HubClient(endpoint=hub.endpoint, token=False, record=folder) as client:
        live = read(client)
    hub.close()
    with HubClient(replay=folder) as client:
        assert read(client) == live == WEIGHTS[:10] + WEIGHTS[80_000:80_010]


def test_several_runs_can_share_a_cassette(hub: StandInHub, folder: Path) -> None:
    first = recorded(hub, folder)
    with HubClient(endpoint=hub.endpoint, token=False, record=folder) as client:
        second = visit(client, "gpt2")
    with HubClient(replay=folder) as client:
        assert visit(client) == first
        assert visit(client, "gpt2") == second


def test_a_folder_with_something_else_is_not_recorded_into(hub: StandInHub, folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(CassetteError):
        HubClient(endpoint=hub.endpoint, record=folder)
    with pytest.raises(CassetteError):
        HubClient(endpoint=hub.endpoint, record=folder / "thesis.txt")
    assert [p.name for p in folder.iterdir()] == ["thesis.txt"]


def test_a_cassette_of_another_hub_is_not_recorded_into(hub: StandInHub, folder: Path) -> None:
    recorded(hub, folder)
    with pytest.raises(CassetteError, match="was recorded from"):
        HubClient(endpoint="http://other.example.org", record=folder)


def test_a_run_is_recorded_or_replayed_not_both(folder: Path) -> None:
    with pytest.raises(UsageError):
        HubClient(record=folder, replay=folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "{}",
        lambda text: text.replace('"hubaudit_cassette": 1', '"hubaudit_cassette": 2'),
        lambda text: text[:-30],
        lambda text: text + "[]\n",
        lambda text: text.replace('"status": 200', '"status": "200"'),
        lambda text: text.replace('"status": 200', '"status": 20000'),
        lambda text: re.sub(r'"body": "[0-9a-f]+"', '"body": "../../../etc/passwd"', text),
        lambda text: text.replace('"method": "GET"', '"method": null'),
        lambda text: re.sub(r'"endpoint": "[^"]*"', '"endpoint": 3', text),
    ],
)
def test_a_damaged_index_is_an_error_not_a_crash(
    hub: StandInHub, folder: Path, damage: Any
) -> None:
    recorded(hub, folder)
    index = folder / "index.jsonl"
    index.write_text(damage(index.read_text()))
    with pytest.raises(CassetteError) as caught:
        HubClient(replay=folder)
    assert caught.value.hint


def test_a_folder_without_a_cassette_is_an_error(folder: Path) -> None:
    with pytest.raises(CassetteError):
        HubClient(replay=folder)


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_damaged_body_is_an_error_not_wrong_bytes(
    hub: StandInHub, folder: Path, damage: str
) -> None:
    recorded(hub, folder)
    for path in (folder / "bodies").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        if damage == "missing":
            path.unlink()
    with pytest.raises(CassetteError, match=damage if damage == "missing" else "damaged"):
        replayed(folder)


def test_a_file_that_the_hub_offers_by_xet_as_well_replays(hub: StandInHub, folder: Path) -> None:
    def with_xet(answer: Answer) -> Answer:
        if answer.status != 302:
            return answer
        link = '</api/models/org/model/xet-read-token/x>; rel="xet-auth"'
        return answer.having({"X-Xet-Hash": "f" * 64, "Link": link})

    hub.fault(Alter(with_xet), path="/resolve/")
    live = recorded(hub, folder)
    assert not [r for r in hub.requests if "xet-read-token" in r.path]
    hub.close()
    assert replayed(folder) == live


def test_two_files_behind_one_signed_path_are_told_apart(folder: Path) -> None:
    one, two = (public_url(f"http://cdn/get?file={n}&Signature=x", "http://hub") for n in "12")
    assert one != two
    assert public_url(one, "http://hub") == one
    assert "Signature=" not in one
    hubs = "http://hub/api/models/a/b/tree/x?cursor=abc&recursive=true"
    assert public_url(hubs, "http://hub") == hubs
    assert "abc" not in public_url("http://hub/x?token=abc", "http://hub")
