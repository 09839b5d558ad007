"""The delivery: every alert to every sink, in order, again until it is acknowledged, and then never again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from hubaudit.errors import StoreUnusable
from hubaudit.notify import DeliveryFailed, Notifier
from hubaudit.notify import deliver as module
from hubaudit.notify.deliver import LONGEST_ASKED, LONGEST_PAUSE, Deliverer
from hubaudit.notify.outbox import LEASE
from hubaudit.notify.payload import message_key
from hubaudit.notify.webhook import Webhook
from hubaudit.watch.alert import Alert

from .conftest import Box, WebSink, wait_until


@dataclass
class Told:
    """A sink in memory, which fails as often and in the way that it is told."""

    name: str = "told"
    failures: list[Exception] = field(default_factory=list)
    messages: list[tuple[str, ...]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    is_closed: bool = False

    def send(self, alerts: Sequence[Alert], key: str) -> None:
        self.tried.append(key)
        self.at.append(time.monotonic())
        if self.failures:
            raise self.failures.pop(0)
        self.messages.append(tuple(one.key for one in alerts))
        self.keys.append(key)

    def close(self) -> None:
        self.is_closed = True


class Hanging(Told):
    """Takes nothing and never comes back by itself."""

    def __init__(self) -> None:
        super().__init__("hanging")
        self.entered = threading.Event()
        self.released = threading.Event()

    def send(self, alerts: Sequence[Alert], key: str) -> None:
        self.tried.append(key)
        self.entered.set()
        self.released.wait(30)


class Killed(Hanging):
    """One that is ended by being closed, as a command is."""

    def send(self, alerts: Sequence[Alert], key: str) -> None:
        super().send(alerts, key)
        raise DeliveryFailed("the command was ended by signal 9")

    def close(self) -> None:
        self.released.set()


@contextmanager
def delivering(
    box: Box, *sinks: Notifier, digest: float | None = None, warned: list[str] | None = None
) -> Iterator[Deliverer]:
    warn = warned.append if warned is not None else module.ignore
    made = Deliverer(box.outbox, sinks, digest=digest, warn=warn)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.02)


def test_each_alert_is_a_message_with_its_own_key_in_order(live: Box) -> None:
    told = [live.tell(f"org/m{number % 3}", "told") for number in range(9)]
    with delivering(live, sink := Told()) as deliverer:
        assert deliverer.flush(10) == 0
        assert deliverer.counters()["told"].delivered == 9
    assert sink.keys == [one.key for one in told]
    assert sink.messages == [(one.key,) for one in told]
    assert sink.is_closed


def test_what_is_new_is_sent_at_once_when_the_bell_rings(live: Box) -> None:
    with delivering(live, sink := Told()) as deliverer:
        deliverer.flush(1)
        live.tell("org/x", "told")
        deliverer.wake()
        assert wait_until(lambda: len(sink.keys) == 1, 1.0)


def test_what_failed_is_sent_again_with_the_same_key_until_it_is_acknowledged(live: Box) -> None:
    told = live.tell("org/x", "told")
    sink = Told(failures=[DeliveryFailed("it answered 503")] * 4)
    with delivering(live, sink) as deliverer:
        assert deliverer.flush(10) == 0
        counted = deliverer.counters()["told"]
    assert sink.tried == [told.key] * 5
    assert (counted.delivered, counted.failed, counted.pending, counted.error) == (1, 4, 0, None)


def test_pauses_double_from_one_second_up_to_five_minutes_and_are_not_all_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 1.0)
    for attempts, whole in enumerate([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]):
        found = {module._pause(attempts) for _ in range(50)}
        assert whole / 2 <= min(found) < max(found) <= whole
    assert module._pause(10**6) <= LONGEST_PAUSE


def test_retry_after_wins_and_holds_for_the_whole_sink(live: Box) -> None:
    live.tell("org/x", "told")
    live.tell("org/y", "told")
    sink = Told(failures=[DeliveryFailed("it answered 429", 0.6)])
    with delivering(live, sink) as deliverer:
        assert deliverer.flush(10) == 0
    assert sink.at[1] - sink.at[0] >= 0.6
    assert len(sink.tried) == 3


def test_a_retry_after_of_days_is_an_hour(live: Box) -> None:
    live.tell("org/x", "told")
    before = time.time()
    with delivering(live, Told(failures=[DeliveryFailed("busy", 1e6)])) as deliverer:
        assert deliverer.flush(5) == 1
    found = live.outbox.next_at("told")
    assert found is not None
    assert before + LONGEST_ASKED <= found <= time.time() + LONGEST_ASKED


def test_flush_does_not_wait_for_what_is_not_tried_in_time(live: Box) -> None:
    live.tell("org/x", "told")
    with delivering(live, Told(failures=[DeliveryFailed("busy", 60.0)])) as deliverer:
        began = time.monotonic()
        assert deliverer.flush(20) == 1
        assert time.monotonic() - began < 5


def test_a_message_that_is_refused_holds_up_its_own_repository_only(live: Box) -> None:
    bad, late = live.tell("org/bad", "told").key, live.tell("org/bad", "told").key
    others = [live.tell(f"org/m{number}", "told").key for number in range(30)]
    sink = Told(failures=[DeliveryFailed("it answered 422", is_final=True)])
    with delivering(live, sink) as deliverer:
        assert deliverer.flush(10) == 0
    assert sink.tried[0] == bad
    assert sink.keys.index(bad) < sink.keys.index(late)
    assert [key for key in sink.keys if key in others] == others


def test_a_sink_that_fails_again_and_again_is_not_asked_for_every_repository(
    live: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 60.0)
    for number in range(50):
        live.tell(f"org/m{number}", "told")
    sink = Told(failures=[DeliveryFailed("it answered 503")] * 50)
    with delivering(live, sink) as deliverer:
        assert deliverer.flush(10) == 50
    assert len(sink.tried) == module._RESTS_AFTER


def test_once_a_sink_works_again_what_waited_follows_soon(live: Box) -> None:
    waits = live.tell("org/x", "told").key
    live.outbox.postpone("told", [1], time.time() + 300, "it answered 503")
    new = live.tell("org/y", "told").key
    with delivering(live, sink := Told()) as deliverer:
        assert deliverer.flush(10) == 0
    assert sink.keys == [new, waits]


def test_a_sink_that_hangs_stops_neither_the_others_nor_the_end(live: Box) -> None:
    for number in range(20):
        live.tell(f"org/m{number}", "told", "hanging")
    hanging, sink = Hanging(), Told()
    with delivering(live, hanging, sink) as deliverer:
        assert hanging.entered.wait(5)
        assert wait_until(lambda: len(sink.keys) == 20)
        assert deliverer.flush(0.2) == 20
        began = time.monotonic()
        deliverer.stop()
        assert time.monotonic() - began < 2
    assert hanging.is_closed
    hanging.released.set()


def test_what_was_under_way_at_the_end_is_sent_again_with_the_same_key(live: Box) -> None:
    told = live.tell("org/x", "hanging")
    with delivering(live, hanging := Hanging()):
        assert hanging.entered.wait(5)
    [again] = live.outbox.due("hanging", time.time() + LEASE, 1)
    assert again.key == told.key
    hanging.released.set()


def test_while_a_message_is_under_way_nobody_else_sends_it(
    live: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE", 1.5)  # of which a third is the time between two renewals
    monkeypatch.setattr("hubaudit.notify.outbox.LEASE", 1.5)
    live.tell("org/x", "hanging")
    with delivering(live, hanging := Hanging()):
        assert hanging.entered.wait(5)
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert not live.outbox.due("hanging", time.time(), 1)
            time.sleep(0.02)
    hanging.released.set()


def test_warn_hears_of_the_first_failure_and_of_the_end_of_trouble(live: Box) -> None:
    for number in range(5):
        live.tell(f"org/m{number}", "told")
    warned: list[str] = []
    sink = Told(failures=[DeliveryFailed("it answered 503\x1b[2J")] * 7)
    with delivering(live, sink, warned=warned) as deliverer:
        assert deliverer.flush(10) == 0
    assert warned == [
        "alerts do not reach told: it answered 503\\x1b[2J; they are sent again",
        "alerts reach told again",
    ]


def test_trouble_is_over_when_another_process_has_delivered_it(
    live: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 60.0)
    live.tell("org/x", "told")
    warned: list[str] = []
    sink = Told(failures=[DeliveryFailed("it answered 503")])
    with delivering(live, sink, warned=warned) as deliverer:
        assert deliverer.flush(1) == 1
        live.outbox.acknowledge("told", [1])
        assert deliverer.flush(1) == 0
        assert deliverer.counters()["told"].error is None
    assert warned[1:] == ["alerts reach told again"]


def test_what_the_end_breaks_off_is_no_trouble(live: Box) -> None:
    live.tell("org/x", "hanging")
    warned: list[str] = []
    with delivering(live, killed := Killed(), warned=warned):
        assert killed.entered.wait(5)
    assert wait_until(lambda: live.store.rows("SELECT attempts FROM deliveries") == [(1,)])
    assert not warned


def test_an_error_that_nobody_foresaw_ends_nothing_and_shows_no_text(live: Box) -> None:
    live.tell("org/x", "told")
    warned: list[str] = []
    sink = Told(failures=[KeyError("https://hooks.example.org/S3CRET")])
    with delivering(live, sink, warned=warned) as deliverer:
        assert deliverer.flush(10) == 0
    assert warned[0] == "alerts do not reach told: unexpected KeyError; they are sent again"


def test_an_alert_that_cannot_be_read_does_not_hold_up_the_others(live: Box) -> None:
    live.tell("org/x", "told")
    good = live.tell("org/y", "told")
    with live.store.writing() as database:
        database.execute("UPDATE alerts SET alert = '{}' WHERE id = 1")
    with delivering(live, sink := Told()) as deliverer:
        assert deliverer.flush(5) == 1
        assert "has no schema" in str(deliverer.counters()["told"].error)
    assert sink.keys == [good.key]


def test_an_acknowledgement_that_cannot_be_kept_is_tried_again_without_sending_again(
    live: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.tell("org/x", "told")
    keep, full = live.outbox.acknowledge, iter([True, True])

    def acknowledge(name: str, ids: Sequence[int]) -> int:
        if next(full, False):
            raise StoreUnusable("the disk is full")
        return keep(name, ids)

    monkeypatch.setattr(live.outbox, "acknowledge", acknowledge)
    with delivering(live, sink := Told()) as deliverer:
        assert deliverer.flush(10) == 0
    assert len(sink.keys) == 1


def test_a_digest_takes_all_that_is_due_and_then_waits(live: Box) -> None:
    first = [live.tell(f"org/m{number % 2}", "told").key for number in range(5)]
    with delivering(live, sink := Told(), digest=60.0) as deliverer:
        assert deliverer.flush(5) == 0
        live.tell("org/x", "told")
        deliverer.wake()
        assert deliverer.flush(1) == 0  # not late: it waits for its time
    assert sink.messages == [tuple(first)]
    assert sink.keys == [message_key(first)]
    with delivering(live, again := Told(), digest=60.0) as deliverer:
        assert deliverer.flush(1) == 0  # a restart brings no digest sooner
    assert not again.tried
    assert live.outbox.pending() == 1


def test_a_digest_that_fails_is_late(live: Box) -> None:
    live.tell("org/x", "told")
    sink = Told(failures=[DeliveryFailed("it answered 503", 60.0)])
    with delivering(live, sink, digest=60.0) as deliverer:
        assert deliverer.flush(5) == 1


def test_the_next_digest_comes_when_its_time_is_there(live: Box) -> None:
    live.tell("org/x", "told")
    with delivering(live, sink := Told(), digest=0.5) as deliverer:
        assert deliverer.flush(5) == 0
        more = [live.tell(f"org/m{number}", "told").key for number in range(2)]
        deliverer.wake()
        assert wait_until(lambda: len(sink.messages) == 2)
    assert sink.messages[1] == tuple(more)
    assert sink.at[1] - sink.at[0] >= 0.45  # from the look that found it


def test_a_digest_that_failed_is_sent_again_as_it_was(live: Box) -> None:
    first = tuple(live.tell(f"org/m{number}", "told").key for number in range(3))
    sink = Told(failures=[DeliveryFailed("it answered 503", 0.3)])
    with delivering(live, sink, digest=0.1) as deliverer:
        assert wait_until(lambda: len(sink.tried) == 1)
        late = live.tell("org/late", "told").key
        deliverer.wake()
        assert wait_until(lambda: len(sink.messages) == 2)
    assert sink.tried == [message_key(first), message_key(first), late]
    assert sink.messages == [first, (late,)]


class Picky(Told):
    """Takes no message with a `bad` alert in it, and none of more than `most`."""

    bad: str = ""
    most: int = 99

    def send(self, alerts: Sequence[Alert], key: str) -> None:
        if len(alerts) > self.most or self.bad in [one.key for one in alerts]:
            self.tried.append(key)
            raise DeliveryFailed("it answered 413", is_final=True)
        super().send(alerts, key)


def test_a_digest_that_is_refused_as_too_much_is_sent_in_parts(live: Box) -> None:
    told = [live.tell(f"org/m{number % 7}", "told").key for number in range(20)]
    sink = Picky()
    sink.most = 6
    with delivering(live, sink, digest=60.0) as deliverer:
        assert wait_until(lambda: live.outbox.pending("told") == 0)
        assert deliverer.counters()["told"].error is None
    assert sorted(key for one in sink.messages for key in one) == sorted(told)
    assert max(map(len, sink.messages)) <= 6
    sent = [key for one in sink.messages for key in one]
    of_one = told[0::7]
    assert [key for key in sent if key in of_one] == of_one


def test_one_alert_that_is_refused_does_not_hold_up_the_digests_of_others(live: Box) -> None:
    told = [live.tell(f"org/m{number}", "told").key for number in range(16)]
    sink = Picky()
    sink.bad = told[3]
    with delivering(live, sink, digest=0.2) as deliverer:
        assert wait_until(lambda: live.outbox.pending("told") == 1)
        late = live.tell("org/late", "told").key
        deliverer.wake()
        assert wait_until(lambda: bool(sink.messages) and late in sink.messages[-1])
    assert live.outbox.pending("told") == 1


def test_two_deliverers_on_one_store_send_each_alert_once(
    live: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.1)  # what the other one holds may be free soon
    keys = sorted(live.tell(f"org/m{number % 5}", "told").key for number in range(60))
    one, other = Told(), Told()
    with delivering(live, one) as first, delivering(live, other) as second:
        first.wake()
        assert second.flush(20) == 0
        assert first.flush(20) == 0
    assert sorted(one.keys + other.keys) == keys


def test_what_another_process_writes_is_found_without_a_bell(
    live: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.1)
    with delivering(live, sink := Told()) as deliverer:
        deliverer.flush(1)
        live.tell("org/x", "told")
        assert wait_until(lambda: len(sink.keys) == 1, 3.0)


def test_without_a_start_nothing_is_sent(live: Box) -> None:
    live.tell("org/x", "told")
    deliverer = Deliverer(live.outbox, [sink := Told()])
    assert deliverer.flush(30) == 1
    assert deliverer.counters()["told"].pending == 1
    deliverer.stop()
    assert not sink.tried


def test_503_then_429_then_200_over_a_real_connection(live: Box, sink: WebSink) -> None:
    answers = iter([(503, {}), (429, {"Retry-After": "1"}), (200, {})])
    sink.act = lambda _: next(answers)
    webhook = Webhook(sink.url, "secret")
    told = live.tell("org/x", webhook.name)
    with delivering(live, webhook) as deliverer:
        began = time.monotonic()
        assert deliverer.flush(20) == 0
        assert time.monotonic() - began >= 1.0
    assert [one.status for one in sink.received] == [503, 429, 200]
    assert {one.key for one in sink.received} == {told.key}
    assert len({one.body for one in sink.received}) == 1
