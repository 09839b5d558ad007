"""The outbox: in order, for one sender at a time, until it is acknowledged."""

from __future__ import annotations

import threading

from hubaudit.notify.outbox import FURTHEST, LEASE, Outbox
from hubaudit.store import Store
from hubaudit.watch.alert import loads

from .conftest import Box, Clock


def test_what_is_due_comes_in_the_order_of_the_alerts(box: Box, clock: Clock) -> None:
    told = [box.tell(repo, "a", "b") for repo in ("org/x", "org/y", "org/x")]
    found = box.outbox.due("a", clock.now, 10)
    assert [one.key for one in found] == [one.key for one in told]
    assert [loads(one.text) for one in found] == told
    assert [one.attempts for one in found] == [0, 0, 0]
    assert box.outbox.pending() == 6
    assert box.outbox.pending("a") == 3


def test_what_one_has_taken_nobody_else_gets_until_the_lease_ends(box: Box, clock: Clock) -> None:
    box.tell("org/x", "a")
    [taken] = box.outbox.due("a", clock.now, 1)
    assert taken.until == clock.now + LEASE
    assert not box.outbox.due("a", clock.now + LEASE - 0.1, 1)
    assert box.outbox.due("a", clock.now + LEASE, 1)


def test_a_renewed_lease_lasts_longer_and_one_that_was_lost_is_not_renewed(
    box: Box, clock: Clock
) -> None:
    box.tell("org/x", "a")
    [taken] = box.outbox.due("a", clock.now, 1)
    box.outbox.renew("a", [taken.id], taken.until, taken.until + 5)
    assert not box.outbox.due("a", taken.until, 1)
    [again] = box.outbox.due("a", taken.until + 5, 1)
    box.outbox.renew("a", [taken.id], taken.until, 2000.0)
    assert box.outbox.next_at("a") == again.until


def test_two_processes_never_take_the_same_alert(box: Box, clock: Clock) -> None:
    for number in range(40):
        box.tell(f"org/m{number % 7}", "a")
    taken: list[int] = []

    def take() -> None:
        with Store(box.store.path) as store:
            outbox = Outbox(store, clock)
            while found := outbox.due("a", clock.now, 1):
                taken.append(found[0].id)
                outbox.acknowledge("a", [found[0].id])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # one that is under way holds back its repository, so each may have found nothing before the end
    taken += [one.id for one in box.outbox.due("a", clock.now + LEASE, 99)]
    assert sorted(taken) == list(range(1, 41))


def test_of_one_repository_nothing_overtakes_an_alert_that_waits(box: Box, clock: Clock) -> None:
    first, second, other = (box.tell(repo, "a") for repo in ("org/x", "ORG/X", "org/y"))
    [taken] = box.outbox.due("a", clock.now, 1)
    box.outbox.postpone("a", [taken.id], clock.now + 60, "it answered 503")
    found = box.outbox.due("a", clock.now, 10)
    assert [one.key for one in found] == [other.key]
    box.outbox.acknowledge("a", [one.id for one in found])
    clock.now += 60
    [again] = box.outbox.due("a", clock.now, 1)
    assert (again.key, again.attempts) == (first.key, 1)
    box.outbox.acknowledge("a", [again.id])
    assert [one.key for one in box.outbox.due("a", clock.now, 10)] == [second.key]


def test_one_sink_that_waits_holds_up_no_other(box: Box, clock: Clock) -> None:
    told = box.tell("org/x", "a", "b")
    box.outbox.postpone("a", [1], clock.now + 60, "down")
    assert [one.key for one in box.outbox.due("b", clock.now, 1)] == [told.key]


def test_what_is_acknowledged_is_never_due_again_and_counted_once(box: Box, clock: Clock) -> None:
    box.tell("org/x", "a")
    [taken] = box.outbox.due("a", clock.now, 1)
    assert box.outbox.acknowledge("a", [taken.id]) == 1
    assert box.outbox.acknowledge("a", [taken.id]) == 0
    box.outbox.postpone("a", [taken.id], 0, "too late")
    assert not box.outbox.due("a", clock.now + 1e6, 1)
    assert box.outbox.pending() == 0
    assert box.outbox.next_at("a") is None
    assert box.outbox.last_acknowledged("a") == clock.now


def test_what_failed_together_comes_again_together_and_without_what_is_new(
    box: Box, clock: Clock
) -> None:
    first = [box.tell(repo, "a").key for repo in ("org/x", "org/y")]
    taken = box.outbox.due("a", clock.now, 10)
    box.outbox.postpone("a", [one.id for one in taken], clock.now + 5, "down")
    new = box.tell("org/z", "a").key
    clock.now += 5
    assert [one.key for one in box.outbox.due("a", clock.now, 10)] == first
    assert [one.key for one in box.outbox.due("a", clock.now, 10)] == [new]


def test_in_one_message_nothing_overtakes_what_failed_in_another(box: Box, clock: Clock) -> None:
    new, failed, later = (box.tell(repo, "a").key for repo in ("org/y", "org/x", "org/x"))
    box.outbox.postpone("a", [2], clock.now + 5, "down")
    clock.now += 5
    taken = []
    while found := box.outbox.due("a", clock.now, 10):
        taken.append([one.key for one in found])
        box.outbox.acknowledge("a", [one.id for one in found])
    assert taken == [[new], [failed], [later]]


def test_what_a_crash_left_comes_again_as_the_same_message(box: Box, clock: Clock) -> None:
    first = [box.tell(repo, "a").key for repo in ("org/x", "org/y")]
    box.outbox.due("a", clock.now, 10)
    box.tell("org/z", "a")
    assert [one.key for one in box.outbox.due("a", clock.now + LEASE, 10)] == first


def test_a_message_of_many_alerts_has_a_bound_in_bytes(box: Box, clock: Clock) -> None:
    for number in range(5):
        box.tell(f"org/m{number}", "a", said="x" * 300_000)
    sizes = []
    while taken := box.outbox.due("a", clock.now, 100):
        sizes.append(len(taken))
    assert sizes == [1] * 5  # each has its text twice, as summary and as message


def test_the_next_is_the_oldest_of_each_repository(box: Box, clock: Clock) -> None:
    for repo in ("org/x", "org/x", "org/y"):
        box.tell(repo, "a")
    assert box.outbox.next_at("a") == 0
    box.outbox.postpone("a", [1], 1500.0, "down")
    box.outbox.postpone("a", [3], 1400.0, "down")
    assert box.outbox.next_at("a") == 1400.0


def test_only_what_failed_is_hastened(box: Box, clock: Clock) -> None:
    box.tell("org/x", "a")
    box.tell("org/y", "a")
    box.outbox.postpone("a", [1], 1300.0, "down")
    [taken] = box.outbox.due("a", clock.now, 1)
    box.outbox.hasten("a", clock.now + 1)
    assert box.store.rows("SELECT next_at FROM deliveries ORDER BY alert") == [
        (clock.now + 1,),
        (taken.until,),
    ]


def test_a_clock_that_was_wrong_delays_nothing_for_years(box: Box, clock: Clock) -> None:
    box.tell("org/x", "a")
    box.outbox.postpone("a", [1], clock.now + 1e8, "down")
    assert box.outbox.due("a", clock.now, 1)
    assert FURTHEST > 3600


def test_sinks_that_are_no_longer_there_are_named(box: Box, clock: Clock) -> None:
    box.tell("org/x", "a", "old", "older")
    box.outbox.acknowledge("older", [1])
    assert box.outbox.orphans(["a", "b"]) == ("old",)


def test_taking_one_of_many_does_not_look_at_all(box: Box, clock: Clock) -> None:
    for number in range(1500):
        box.tell(f"org/m{number % 150}", "a")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    box.store._connection.set_progress_handler(count, 100)
    for _ in range(100):
        [taken] = box.outbox.due("a", clock.now, 1)
        box.outbox.acknowledge("a", [taken.id])
    assert steps / 100 < 1500  # SQLite's steps each; a look at every row has ten times that
