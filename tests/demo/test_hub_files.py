"""The stand-in delivers files as the Hub does: redirects, ranges, hashes, names."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from tests.demo.hubclient import FILES, WEIGHTS, ask


def test_a_small_file_goes_over_a_relative_307_to_its_git_id(
    hub: StandInHub, repo: HubRepo
) -> None:
    got = ask(hub, "/org/model/resolve/main/config.json", "HEAD")
    oid = repo.commits[repo.sha].entries["config.json"].oid
    assert (got.status, got.body) == (307, b"")
    assert got.header("X-Repo-Commit") == repo.sha
    assert got.header("X-Linked-ETag") == f'"{oid}"'
    assert got.headers["X-Linked-Size"] is None
    assert got.header("Location").startswith(
        f"/api/resolve-cache/models/org/model/{repo.sha}/config.json?"
    )
    for location in (got.header("Location"), got.header("Location").partition("?")[0]):
        content = ask(hub, location)
        assert (content.status, content.body) == (200, FILES["config.json"])
        assert content.header("ETag") == f'"{oid}"'


def test_a_large_file_goes_over_a_302_to_another_host_name(hub: StandInHub) -> None:
    got = ask(hub, "/org/model/resolve/v1/pytorch_model.bin")
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert got.status == 302
    assert got.header("X-Linked-ETag") == f'"{sha256}"'
    assert got.header("X-Linked-Size") == str(len(WEIGHTS))
    assert got.headers["X-Xet-Hash"] is None
    assert got.header("Location").startswith("http://localhost:")
    content = ask(hub, got.header("Location"))
    assert content.body == WEIGHTS
    assert sha256 not in content.header("ETag")


def test_a_cdn_address_expires_when_told_to(hub: StandInHub) -> None:
    old = ask(hub, "/org/model/resolve/v1/pytorch_model.bin").header("Location")
    hub.expire_cdn_urls()
    assert ask(hub, old).status == 403
    new = ask(hub, "/org/model/resolve/v1/pytorch_model.bin").header("Location")
    assert ask(hub, new).status == 200


def test_direct_delivery_answers_200_with_the_size_and_both_etags(repo: HubRepo) -> None:
    with StandInHub([repo], delivery="direct") as hub:
        got = ask(hub, "/org/model/resolve/main/pytorch_model.bin", "HEAD")
        assert (got.status, got.header("Content-Length")) == (200, str(len(WEIGHTS)))
        assert got.header("ETag") == got.header("X-Linked-ETag")
        assert ask(hub, "/org/model/resolve/main/empty.txt").status == 200


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=255990-", 255990, 256000),
        ("bytes=-22", 255978, 256000),
        ("bytes=255999-999999999", 255999, 256000),
        ("bytes=-999999999", 0, 256000),
    ],
)
def test_a_range_is_answered_with_exactly_its_bytes(
    hub: StandInHub, asked: str, start: int, stop: int
) -> None:
    where = ask(hub, "/org/model/resolve/v1/pytorch_model.bin").header("Location")
    got = ask(hub, where, Range=asked)
    assert (got.status, got.body) == (206, WEIGHTS[start:stop])
    assert got.header("Content-Range") == f"bytes {start}-{stop - 1}/{len(WEIGHTS)}"
    assert hub.requests[-1].sent_bytes == stop - start


@pytest.mark.parametrize("asked", ["bytes=256000-", "bytes=-0"])
def test_a_range_past_the_end_is_a_416_that_tells_the_size(hub: StandInHub, asked: str) -> None:
    where = ask(hub, "/org/model/resolve/v1/pytorch_model.bin").header("Location")
    got = ask(hub, where, Range=asked)
    assert (got.status, got.header("Content-Range")) == (416, "bytes */256000")


@pytest.mark.parametrize("asked", ["bytes=9-1", "bytes=-", "lines=1-2", "bytes=0-1,4-5"])
def test_a_range_that_makes_no_sense_is_as_good_as_none(hub: StandInHub, asked: str) -> None:
    where = ask(hub, "/org/model/resolve/v1/pytorch_model.bin").header("Location")
    assert ask(hub, where, Range=asked).status == 200


def test_raw_gives_the_pointer_of_a_large_file(hub: StandInHub) -> None:
    assert ask(hub, "/org/model/raw/main/config.json").body == FILES["config.json"]
    pointer = ask(hub, "/org/model/raw/main/pytorch_model.bin").body.decode()
    assert f"oid sha256:{hashlib.sha256(WEIGHTS).hexdigest()}" in pointer


def test_a_missing_file_and_a_directory_are_missing_entries(hub: StandInHub) -> None:
    for path in ("nope.bin", "onnx"):
        got = ask(hub, f"/org/model/resolve/main/{path}")
        assert (got.status, got.header("X-Error-Code"), got.body) == (
            404,
            "EntryNotFound",
            b"Entry not found",
        )


@pytest.mark.parametrize(
    "name", ["a\nb.txt", "\x1b[31mred.bin", 'quo"te.bin', "\u202egnp.txt", "../up.txt", "/abs.txt"]
)
def test_a_file_of_any_name_is_listed_and_served(name: str) -> None:
    with StandInHub([HubRepo("org/model", {name: b"content", "z": b""})]) as hub:
        listed = ask(hub, "/api/models/org/model/tree/main?recursive=true&limit=9").json
        assert name in [entry["path"] for entry in listed]
        where = ask(hub, f"/org/model/resolve/main/{quote(name)}").header("Location")
        assert ask(hub, where).body == b"content"
