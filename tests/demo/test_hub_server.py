"""The stand-in as a server: headers, quota, log, environment, an end without remains."""

from __future__ import annotations

import http.client
import threading
import warnings
from pathlib import Path

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.limits import RateLimit
from tests.demo.hubclient import ask


def test_every_answer_of_the_hub_tells_the_rate_limit_and_its_request_id(hub: StandInHub) -> None:
    paths = {
        "/api/models/org/model": "api",
        "/org/model/resolve/main/config.json": "resolvers",
        "/x": "pages",
    }
    numbers = set()
    for path, bucket in paths.items():
        got = ask(hub, path)
        assert got.header("RateLimit").startswith(f'"{bucket}";r=')
        assert got.header("RateLimit-Policy").startswith(f'"fixed window";"{bucket}";q=')
        numbers.add(got.header("X-Request-Id"))
    assert len(numbers) == 3


def test_a_quota_ends_in_429_for_its_kind_of_request_only(repo: HubRepo) -> None:
    with StandInHub([repo], quota=2) as hub:
        got = [ask(hub, "/api/models/org/model") for _ in range(3)]
        assert [one.status for one in got] == [200, 200, 429]
        assert got[1].header("RateLimit").startswith('"api";r=0;t=')
        assert ask(hub, "/org/model/resolve/main/config.json").status == 307


def test_a_quota_is_there_again_when_its_window_has_passed() -> None:
    now = [1000.0]
    limit = RateLimit(2, 300, clock=lambda: now[0])
    taken = [limit.take("/api/models/org/model") for _ in range(3)]
    assert [within for within, _ in taken] == [True, True, False]
    now[0] = 1299.5
    within, headers = limit.take("/api/models/org/model")
    assert (within, headers["RateLimit"]) == (False, '"api";r=0;t=1')
    now[0] = 1300.0
    within, headers = limit.take("/api/models/org/model")
    assert (within, headers["RateLimit"]) == (True, '"api";r=1;t=300')


def test_the_log_has_what_was_asked_and_answered(hub: StandInHub) -> None:
    ask(hub, "/api/models/org/model?expand=sha", token="hf_reader")
    ask(hub, "/org/model/resolve/main/we%20ird%2B%C3%A9%23%25%5B1%5D.pkl", "HEAD")
    first, second = hub.requests
    assert (first.method, first.path, first.status, first.host) == (
        "GET",
        "/api/models/org/model?expand=sha",
        200,
        "hub",
    )
    assert first.headers["authorization"] == "Bearer hf_reader"
    assert first.sent_bytes > 50
    assert (second.path, second.status, second.sent_bytes) == (
        "/org/model/resolve/main/we%20ird%2B%C3%A9%23%25%5B1%5D.pkl",
        302,
        0,
    )
    hub.clear_log()
    assert hub.requests == []


def test_the_same_request_gets_the_same_answer_from_another_stand_in(repo: HubRepo) -> None:
    answers = []
    for _ in range(2):
        with StandInHub([repo]) as hub:
            got = ask(hub, "/api/models/org/model/revision/main")
            answers.append((got.status, got.headers.items(), got.body))
    assert answers[0] == answers[1]


def test_nothing_is_left_running_after_close(repo: HubRepo) -> None:
    before = set(threading.enumerate())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hub = StandInHub([repo])
        idle = http.client.HTTPConnection(hub.endpoint.removeprefix("http://"), timeout=20)
        idle.request("GET", "/api/models/org/model")
        assert idle.getresponse().read()
        hub.close()
        hub.close()
        idle.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        ask(hub, "/api/models/org/model")


def test_one_connection_carries_many_requests(hub: StandInHub) -> None:
    connection = http.client.HTTPConnection(hub.endpoint.removeprefix("http://"), timeout=20)
    for method, path in (
        ("HEAD", "/org/model/resolve/main/config.json"),
        ("GET", "/api/models/org/nothing"),
        ("GET", "/api/models/org/model"),
    ):
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        assert not answer.will_close
    connection.close()


def test_the_environment_knows_this_hub_and_no_token(
    hub: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    env = hub.env(tmp_path)
    assert env["HF_ENDPOINT"] == hub.endpoint
    assert env["HF_HOME"].startswith(str(tmp_path))
    assert not {"HF_TOKEN", "HF_HUB_OFFLINE"} & set(env)
