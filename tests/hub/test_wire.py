from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from huggingface_hub import constants, get_session, set_client_factory
from huggingface_hub.utils import _http as hf_http
from huggingface_hub.utils import httpx

from hubaudit.demo.faults import Cut, Drop, Stall, StallBody, Status, Trickle, rate_limited
from hubaudit.demo.hub import StandInHub
from hubaudit.errors import HubUnreachable, RateLimited
from hubaudit.events import Event, Waiting
from hubaudit.hub.client import HubClient
from tests.hub.conftest import SHORT, WEIGHTS, Connect, listed, pinned


def waits(events: list[Event]) -> list[float]:
    return [event.seconds for event in events if isinstance(event, Waiting)]


@pytest.mark.parametrize("code", [408, 500, 502, 503, 504])
def test_a_busy_answer_is_asked_again_and_the_wait_is_told(
    hub: StandInHub, connect: Connect, events: list[Event], code: int
) -> None:
    fault = hub.fault(Status(code), path="/revision/", times=2)
    pinned(connect(listener=events.append))
    assert fault.hits == 2
    assert waits(events) == [0.01, 0.01]
    assert all(str(code) in e.why for e in events if isinstance(e, Waiting))


def test_a_hub_that_stays_busy_is_unreachable_after_three_attempts(
    hub: StandInHub, connect: Connect
) -> None:
    fault = hub.fault(Status(503), path="/revision/")
    with pytest.raises(HubUnreachable, match="503") as caught:
        pinned(connect())
    assert fault.hits == 3
    assert caught.value.hint


def test_a_busy_hub_that_asks_to_come_back_much_later_is_not_waited_for(
    hub: StandInHub, connect: Connect
) -> None:
    fault = hub.fault(Status(503, {"Retry-After": "120"}), path="/revision/")
    with pytest.raises(HubUnreachable):
        pinned(connect())
    assert fault.hits == 1


@pytest.mark.parametrize("effect", [Drop(), Stall()])
def test_a_request_without_an_answer_is_repeated(
    hub: StandInHub, connect: Connect, effect: Drop | Stall
) -> None:
    hub.fault(effect, path="/revision/", times=2)
    assert pinned(connect()).repo_id == "org/model"


def test_a_stalled_hub_ends_in_an_error(hub: StandInHub, connect: Connect) -> None:
    fault = hub.fault(Stall(), path="/revision/")
    with pytest.raises(HubUnreachable, match="stalled"):
        pinned(connect())
    assert fault.hits == 3


def test_the_default_patience_bounds_a_stall_to_well_under_a_minute() -> None:
    patience = HubClient(endpoint="http://127.0.0.1:9")._patience
    timeout = constants.DEFAULT_DOWNLOAD_TIMEOUT
    assert patience.attempts * timeout + sum(patience.pauses) < 60


def test_a_rate_limit_is_waited_out_where_the_listener_sees_it(
    hub: StandInHub, connect: Connect, events: list[Event]
) -> None:
    slept: list[float] = []
    hub.fault(rate_limited(42), path="/revision/", times=1)
    pinned(connect(listener=events.append, sleep=slept.append))
    assert waits(events) == [43.0]
    assert slept == [43.0]


def test_a_whole_window_is_waited_for_once_but_not_twice(
    hub: StandInHub, connect: Connect, events: list[Event]
) -> None:
    hub.fault(rate_limited(300), path="/revision/")
    with pytest.raises(RateLimited) as caught:
        pinned(connect(listener=events.append, sleep=lambda _: None))
    assert waits(events) == [301.0]
    assert "HF_TOKEN" in caught.value.hint


def test_retry_after_counts_where_there_is_no_ratelimit_header(
    hub: StandInHub, connect: Connect, events: list[Event]
) -> None:
    limited = Status(429, {"Retry-After": "7"})
    hub.fault(limited, path="/revision/", times=1)
    pinned(connect(listener=events.append, sleep=lambda _: None))
    assert waits(events) == [7.0]


def test_a_limit_without_an_end_does_not_loop(
    hub: StandInHub, connect: Connect, events: list[Event]
) -> None:
    fault = hub.fault(rate_limited(0), path="/revision/")
    with pytest.raises(RateLimited):
        pinned(connect(listener=events.append, sleep=lambda _: None))
    assert fault.hits == 5


def test_a_refused_connection_ends_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with (
        HubClient(endpoint=f"http://127.0.0.1:{port}", token=False) as client,
        pytest.raises(HubUnreachable, match=f"cannot reach 127.0.0.1:{port}"),
    ):
        pinned(client)
    assert time.monotonic() - began < 5


def test_a_host_that_does_not_exist_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_host(*_args: object, **_options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    with (
        HubClient(endpoint="http://hub.invalid", token=False, patience=SHORT) as client,
        pytest.raises(HubUnreachable, match=r"cannot reach hub\.invalid"),
    ):
        pinned(client)


def test_a_listing_that_is_cut_once_is_read_again(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo = pinned(client)
    hub.fault(Cut(40), path="/tree/", times=1)
    assert len(client.list_files(repo).files) == 5


@pytest.mark.parametrize("effect", [Cut(40), StallBody(40)])
def test_a_listing_that_breaks_off_every_time_is_unreachable(
    hub: StandInHub, connect: Connect, effect: Cut | StallBody
) -> None:
    client = connect()
    repo = pinned(client)
    fault = hub.fault(effect, path="/tree/")
    with pytest.raises(HubUnreachable):
        client.list_files(repo)
    assert fault.hits == 3


@pytest.mark.parametrize("effect", [Cut(1000), StallBody(1000)])
def test_a_download_that_breaks_off_every_time_is_unreachable(
    hub: StandInHub, connect: Connect, events: list[Event], effect: Cut | StallBody
) -> None:
    client = connect(listener=events.append)
    repo, file = listed(client, "pytorch_model.bin")
    fault = hub.fault(effect, host="cdn")
    with pytest.raises(HubUnreachable):
        client.download(repo, file)
    assert fault.hits == 3
    assert waits(events) == [1.0, 1.0]


def test_a_download_that_is_cut_once_is_resumed(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    hub.fault(Cut(1000), host="cdn", times=1)
    assert client.download(repo, file).read_bytes() == WEIGHTS


def test_an_answer_that_only_trickles_is_a_stall(hub: StandInHub, connect: Connect) -> None:
    slow = replace(SHORT, trickle_window=0.3, trickle_bytes=10_000)
    client = connect(patience=slow)
    hub.fault(Trickle(10, 0.1), path="/tree/")
    with pytest.raises(HubUnreachable, match="stalled"):
        listed(client, "config.json")


def test_every_request_has_a_time_out_also_where_the_client_sets_none(
    hub: StandInHub, connect: Connect
) -> None:
    connect()
    hub.fault(Stall(), path="whoami")
    with pytest.raises(HubUnreachable):
        get_session().get(f"{hub.endpoint}/api/whoami-v2", timeout=None)


def test_the_old_factory_is_back_afterwards_and_nothing_is_left_open(hub: StandInHub) -> None:
    threads = threading.active_count()
    made: list[httpx.Client] = []

    def factory() -> httpx.Client:
        made.append(httpx.Client())
        return made[-1]

    set_client_factory(factory)
    try:
        with HubClient(endpoint=hub.endpoint, token=False) as client:
            pinned(client)
        assert hf_http._GLOBAL_CLIENT_FACTORY is factory
        assert all(client.is_closed for client in made)
        assert len(made) == 1, "an application's own factory makes the session"
    finally:
        set_client_factory(hf_http.default_client_factory)
    assert threading.active_count() <= threads + 1  # the stand-in's own for the connection


def test_a_wire_within_a_wire_does_not_retry_for_both(hub: StandInHub, connect: Connect) -> None:
    fault = hub.fault(Status(503), path="/revision/")
    connect()
    with pytest.raises(HubUnreachable):
        pinned(connect())
    assert fault.hits == 3


def test_xet_and_telemetry_are_off_meanwhile_also_where_the_client_was_imported_first(
    hub: StandInHub, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    with HubClient(endpoint=hub.endpoint, token=False, listener=events.append) as client:
        assert constants.HF_HUB_DISABLE_XET is True
        pinned(client)
    assert constants.HF_HUB_DISABLE_XET is False
    assert constants.HF_HUB_DISABLE_TELEMETRY is False
    assert len(hub.requests) == 1
    assert events == [], "nobody else was asked, which would be retried"


def test_the_clients_own_warnings_stay_off_the_terminal(
    hub: StandInHub, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.fault(Cut(1000), host="cdn", times=1)
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    client.download(repo, file)
    assert capfd.readouterr() == ("", "")


def test_a_proxy_has_the_wire_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        dead = f"http://127.0.0.1:{server.getsockname()[1]}"
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", dead)
    with (
        HubClient(endpoint="http://hub.invalid", token=False, patience=SHORT) as client,
        pytest.raises(HubUnreachable, match=r"cannot reach hub\.invalid.*refused"),
    ):
        pinned(client)


def test_a_wait_in_another_thread_can_be_ended(hub: StandInHub, connect: Connect) -> None:
    waiting = threading.Event()
    hub.fault(rate_limited(200), path="/revision/")
    client = connect(listener=lambda _: waiting.set())
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(pinned, client)
        assert waiting.wait(10)
        client.stop()
        with pytest.raises(HubUnreachable, match="gave up"):
            asked.result(10)
