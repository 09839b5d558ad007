from __future__ import annotations

from pathlib import Path

import pytest

from hubaudit.demo.faults import Status
from hubaudit.demo.hub import StandInHub
from tests.hub.conftest import FILES, WEIGHTS, Connect, listed, pinned


def test_every_request_and_every_byte_of_a_body_is_counted(
    hub: StandInHub, connect: Connect
) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    before = client.cost
    assert before.requests == len(hub.requests) > 1
    client.open_range(repo, file).read(0, 10)
    assert client.cost.requests == len(hub.requests)
    assert client.cost.received - before.received >= 8192


def test_a_repeated_request_counts_again(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    hub.fault(Status(503), path="/revision/", times=1)
    pinned(client)
    assert client.cost.requests == 2


def test_what_the_cache_holds_is_not_fetched_by_range(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    client.download(repo, file)
    hub.clear_log()
    assert client.open_range(repo, file).read(100, 50) == WEIGHTS[100:150]
    assert hub.requests == []


@pytest.mark.parametrize("path", ["pytorch_model.bin", "config.json"])
def test_a_cached_file_that_was_changed_is_fetched_by_range(
    hub: StandInHub, connect: Connect, path: str
) -> None:
    client = connect()
    repo, file = listed(client, path)
    cached: Path = client.download(repo, file).resolve()
    cached.chmod(0o644)
    cached.write_bytes(b"?" * file.size)
    hub.clear_log()
    assert client.open_range(repo, file).read(0, file.size) == FILES[path]
    assert hub.requests
