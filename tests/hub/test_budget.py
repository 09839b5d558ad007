"""The budget of requests: slower before the limit, and an end of one's own."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import RequestsSpent
from hubaudit.events import Event, Waiting
from hubaudit.hub.budget import Budget
from hubaudit.hub.client import HubClient
from hubaudit.model import Target

HUB = "https://hub.example"
API = f"{HUB}/api/models/org/model"
CACHE = f"{HUB}/api/resolve-cache/models/org/model/a"


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float, _why: str) -> None:
        self.waits.append(seconds)
        self.now += seconds


def limit(left: int, seconds: int, bucket: str = "api", quota: int = 500) -> dict[str, str]:
    return {
        "RateLimit": f'"{bucket}";r={left};t={seconds}',
        "RateLimit-Policy": f'"fixed window";"{bucket}";q={quota};w=300',
    }


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> Budget:
    return Budget(HUB, clock=clock)


def ask(budget: Budget, clock: Clock, url: str, headers: dict[str, str]) -> None:
    budget.answered(budget.take(url, clock.wait), headers)


def test_nothing_waits_while_much_is_left(budget: Budget, clock: Clock) -> None:
    for left in range(499, 100, -1):
        ask(budget, clock, API, limit(left, 300))
    assert not clock.waits


def test_the_last_tenth_is_spread_over_the_rest_of_the_window(budget: Budget, clock: Clock) -> None:
    start = clock.now
    for left in range(50, 0, -1):
        ask(budget, clock, API, limit(left, round(start + 300 - clock.now)))
    assert 0 < max(clock.waits) < 15
    assert 250 < clock.now - start <= 310


def test_with_nothing_left_the_next_window_is_waited_for(budget: Budget, clock: Clock) -> None:
    ask(budget, clock, API, limit(0, 42))
    ask(budget, clock, API, limit(499, 300))
    assert clock.waits == [43.0]
    ask(budget, clock, API, limit(498, 300))
    assert len(clock.waits) == 1


def test_a_limit_that_ends_sooner_than_the_window_is_waited_for_no_longer(
    budget: Budget, clock: Clock
) -> None:
    ask(budget, clock, API, limit(499, 300))
    ask(budget, clock, API, limit(0, 1))
    ask(budget, clock, API, limit(499, 300))
    assert clock.waits == [2.0]


def test_two_kinds_of_address_may_count_in_one_bucket(budget: Budget, clock: Clock) -> None:
    ask(budget, clock, CACHE, limit(100, 42))
    ask(budget, clock, API, limit(0, 42))
    ask(budget, clock, CACHE, limit(499, 300))
    assert clock.waits == [43.0]


def test_files_count_apart_from_the_api(budget: Budget, clock: Clock) -> None:
    ask(budget, clock, API, limit(0, 42))
    ask(budget, clock, f"{HUB}/org/model/resolve/main/a", limit(2999, 300, "resolvers", 3000))
    ask(budget, clock, "https://storage.example/a", {})
    assert not clock.waits


def test_a_hub_without_limits_is_asked_without_a_pause(budget: Budget, clock: Clock) -> None:
    for _ in range(100):
        ask(budget, clock, API, {"Content-Type": "application/json"})
    assert not clock.waits


def test_requests_of_ones_own_limit_end_in_an_error(clock: Clock) -> None:
    budget = Budget(HUB, most=3, clock=clock)
    for url in (API, API, "https://storage.example/a"):
        ask(budget, clock, url, limit(400, 300))
    assert budget.is_spent
    with pytest.raises(RequestsSpent, match="3 requests"):
        budget.take("https://storage.example/a", clock.wait)


def test_many_threads_meet_no_429_and_the_wait_is_told() -> None:
    events: list[Event] = []
    with StandInHub([HubRepo("org/model", {"a": b"1"})], quota=12, window=2) as hub:
        with (
            HubClient(
                endpoint=hub.endpoint, token=False, listener=events.append, budget=Budget()
            ) as client,
            ThreadPoolExecutor(6) as pool,
        ):
            begun = time.monotonic()
            list(pool.map(client.standing, [Target("org/model")] * 30))
        assert {request.status for request in hub.requests} == {200}
        assert len(hub.requests) == 30
    assert time.monotonic() - begun > 4
    assert [event for event in events if isinstance(event, Waiting)]
