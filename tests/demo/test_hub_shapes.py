"""The stand-in's answers have the keys, JSON types and headers of recorded answers of the real Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hubaudit.demo.exchange import weak_etag
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repository import file_scan
from tests.demo.hubclient import Got, ask

RECORDED = Path(__file__).parents[3] / "shared" / "recordings" / "matrixhub-hfd"

pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="recorded answers of the real Hub are not beside this checkout"
)

# What the real Hub says and the stand-in leaves out, each with its reason.
NOT_SERVED = {
    "xetHash": "no Xet, so that clients take plain HTTP",
    "safetensors": "a parameter count that the Hub works out from the weights; optional for clients",
}
NOT_SENT = {
    "x-xet-hash": "no Xet, so that clients take plain HTTP",
    "link of xet-auth": "no Xet, so that clients take plain HTTP",
}
# Keys of free content: what is in them is the repository's, not the protocol's.
FREE = {"cardData", "config"}


@dataclass(frozen=True, slots=True)
class Recording:
    request: dict[str, Any]
    response: dict[str, Any]
    final: dict[str, Any] | None


def recording(name: str) -> Recording:
    raw = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return Recording(raw["request"], raw["response"], raw.get("final"))


@pytest.fixture
def twin() -> Iterator[StandInHub]:
    """A Hub with repositories of the recorded names, kinds of files and scan results."""
    tree = recording("models.tree.recursive").response["json"]
    large = {row["path"] for row in tree if "lfs" in row}
    model = HubRepo(
        "wzshiming/gpt2",
        {row["path"]: row["path"].encode() for row in tree if row["type"] == "file"},
        lfs=lambda path, size: path in large,
        tags=["pytorch"],
        card_data={"license": "mit"},
        scans={row["path"]: row.get("securityFileStatus", file_scan()) for row in tree},
    )
    data = HubRepo("wzshiming/fixtures_image_utils", {"README.md": b""}, repo_type="dataset")
    space = HubRepo(
        "wzshiming/hello_world",
        {"app.py": b""},
        repo_type="space",
        tags=["gradio"],
        info={"runtime": recording("spaces.info").response["json"]["runtime"]},
    )
    with StandInHub([model, data, space], page_size=1000) as hub:
        yield hub


def replay(hub: StandInHub, asked: dict[str, Any], token: str | None = None) -> Got:
    body = asked.get("body")
    return ask(
        hub,
        asked["path"],
        asked["method"],
        body=body.encode() if body else None,
        token=token,
        Content_Type="application/json",
    )


def missing(real: Any, ours: Any, where: str = "$") -> Iterator[str]:
    """Every place where `ours` lacks a key of `real` or has another JSON type there."""
    if type(real) is not type(ours):
        yield f"{where}: {type(ours).__name__} in place of {type(real).__name__}"
    elif isinstance(real, dict):
        for key, value in real.items():
            if key in NOT_SERVED:
                continue
            if key not in ours:
                yield f"{where}.{key} is missing"
            elif key not in FREE:
                yield from missing(value, ours[key], f"{where}.{key}")
    elif isinstance(real, list) and real and ours:
        for item in real:
            yield from min((list(missing(item, one, f"{where}[]")) for one in ours), key=len)


def header_names(headers: dict[str, str]) -> set[str]:
    names = {name.lower() for name in headers} - set(NOT_SENT)
    return names - ({"link"} if "xet-auth" in headers.get("Link", "") else set())


WITH_BODY = [
    "datasets.info",
    "models.commits.limit",
    "models.list",
    "models.notfound",
    "models.paths-info",
    "models.refs",
    "models.revision",
    "models.revision.notfound",
    "models.tree",
    "models.tree.notfound",
    "models.tree.recursive",
    "spaces.info",
    "whoami-v2",
]


@pytest.mark.parametrize("name", WITH_BODY)
def test_an_answer_has_the_status_headers_keys_and_types_of_the_real_one(
    twin: StandInHub, name: str
) -> None:
    real = recording(name)
    ours = replay(twin, real.request)
    assert ours.status == real.response["status"]
    assert header_names(real.response["headers"]) <= {header.lower() for header in ours.headers}
    assert list(missing(real.response["json"], ours.json)) == []
    assert ours.header("Content-Type") == real.response["headers"]["Content-Type"]


@pytest.mark.parametrize(
    "name", ["models.notfound", "models.revision.notfound", "models.tree.notfound", "whoami-v2"]
)
def test_an_error_has_the_very_body_and_headers_of_the_real_one(
    twin: StandInHub, name: str
) -> None:
    real = recording(name)
    ours = replay(twin, real.request)
    assert ours.json == real.response["json"]
    for header in (
        "Content-Length",
        "Etag",
        "X-Error-Code",
        "X-Error-Message",
        "Www-Authenticate",
        "Vary",
    ):
        assert ours.headers[header] == real.response["headers"].get(header), header


@pytest.mark.parametrize(
    "name", ["models.resolve.config.head", "models.resolve.config", "models.resolve.lfs.head"]
)
def test_a_file_takes_the_hops_of_the_real_one_with_its_headers(
    twin: StandInHub, name: str
) -> None:
    real = recording(name)
    ours = replay(twin, real.request)
    assert ours.status == real.response["status"]
    assert header_names(real.response["headers"]) <= {header.lower() for header in ours.headers}
    assert real.final is not None
    last = ask(twin, ours.header("Location"), real.request["method"])
    assert last.status == real.final["status"]
    assert header_names(real.final["headers"]) <= {header.lower() for header in last.headers}


def test_the_address_of_a_small_file_is_built_as_the_real_one(twin: StandInHub) -> None:
    real = recording("models.resolve.config.head")
    ours = replay(twin, real.request).header("Location")

    def without_ids(location: str) -> str:
        return re.sub(r"(?<=/|2)[0-9a-f]{40}(?=/|%)", "ID", location)

    assert without_ids(ours) == without_ids(real.response["headers"]["Location"])


def test_a_missing_file_is_refused_as_the_real_one(twin: StandInHub) -> None:
    real = recording("models.resolve.notfound")
    ours = replay(twin, real.request)
    assert (ours.status, ours.body.decode()) == (real.response["status"], real.response["text"])
    for header in ("X-Error-Code", "X-Error-Message", "X-Repo-Commit", "Content-Type", "Etag"):
        assert ours.headers[header] == real.response["headers"].get(header), header
    assert header_names(real.response["headers"]) <= {header.lower() for header in ours.headers}


def test_entries_come_in_the_order_of_the_real_tree(twin: StandInHub) -> None:
    real = recording("models.tree.recursive")
    assert [row["path"] for row in replay(twin, real.request).json] == [
        row["path"] for row in real.response["json"]
    ]


def test_only_recorded_keys_are_in_tree_entries(twin: StandInHub) -> None:
    real = recording("models.tree.recursive")
    known = {key for row in real.response["json"] for key in row}
    assert {key for row in replay(twin, real.request).json for key in row} <= known


def test_the_comparison_sees_a_missing_key_and_another_type() -> None:
    real = {"a": [{"b": 1, "c": None}], "xetHash": "x"}
    assert list(missing(real, {"a": [{"b": 2, "c": None}]})) == []
    assert list(missing(real, {"a": [{"c": None}]})) == ["$.a[].b is missing"]
    assert list(missing(real, {"a": [{"b": "1", "c": None}]})) == ["$.a[].b: str in place of int"]


def test_the_weak_etag_is_the_real_one_of_the_same_body() -> None:
    real = recording("models.notfound").response
    assert (
        weak_etag(json.dumps(real["json"], separators=(",", ":")).encode())
        == real["headers"]["Etag"]
    )
