"""When a watch counts as silent."""

from __future__ import annotations

from dataclasses import replace

from hubaudit.watch.pulse import Vitals, Watchdog
from tests.serve.conftest import NOW, Clock

EVERY = 3600.0
BEGUN = Vitals(watched=(), every=EVERY, alive_at=NOW)


def test_a_loop_that_does_nothing_is_late_after_a_quarter_of_an_hour() -> None:
    clock = Clock()
    dog = Watchdog(clock)
    clock.now += 899
    assert not dog.is_late(BEGUN)
    clock.now += 2
    assert dog.is_late(BEGUN)


def test_a_loop_that_waits_is_late_when_no_round_comes_to_its_end() -> None:
    clock = Clock()
    dog = Watchdog(clock)
    for hours, late in ((1, False), (2, False), (2.2, False), (2.3, True)):
        clock.now = NOW + hours * EVERY
        assert dog.is_late(replace(BEGUN, alive_at=clock.now)) is late
    ended = replace(BEGUN, alive_at=clock.now, rounds=1, last_round_at=clock.now)
    assert not dog.is_late(ended)


def test_a_first_round_may_take_as_long_as_it_likes_while_looks_end() -> None:
    clock = Clock()
    dog = Watchdog(clock)
    for looks in range(100):
        clock.now += 2 * EVERY
        assert not dog.is_late(replace(BEGUN, alive_at=clock.now, looks=looks))


def test_rounds_without_a_good_look_are_rounds() -> None:
    clock = Clock()
    dog = Watchdog(clock)
    for _ in range(10):
        clock.now += EVERY
        assert not dog.is_late(replace(BEGUN, alive_at=clock.now, last_round_at=clock.now - 5))
