"""The delivery of alerts: a thread for each sink, so that one that hangs stops nobody else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from threading import Condition, Event, Lock, Thread

from hubaudit.errors import HubauditError, ReportUnusable
from hubaudit.notify.notifier import DeliveryFailed, Notifier
from hubaudit.notify.outbox import LEASE, MOST_BYTES, Outbox, Pending
from hubaudit.notify.payload import message_key
from hubaudit.report.escape import visible
from hubaudit.watch.alert import Alert, loads
from hubaudit.watch.pulse import SinkCounters

FIRST_PAUSE = 1.0  # seconds; doubled with each attempt
LONGEST_PAUSE = 300.0
LONGEST_ASKED = 3600.0  # of a Retry-After: beyond it is a mistake of the sink
# Another process may have written alerts without our being told.
_LOOK = 5.0
# A sink that fails now and then gets the next message at once; one that fails so often in a row rests.
# One that fails half of the time, by chance, does so once in 256 messages.
_RESTS_AFTER = 8
_MOST_OF_A_DIGEST = 500
_TO_STOP = 0.5  # seconds, twice: before and after the sinks are closed
_MOST_OF_AN_ERROR = 300  # characters

Warn = Callable[[str], None]


def ignore(_text: str) -> None:
    """The `warn` of those who do not want to know."""


class Deliverer:
    """Sends what is in `outbox` to `notifiers`, until each alert is acknowledged by each of them.

    With `digest` (seconds) all that is due goes in one message, and no message sooner than that after the
    one before. `warn` is called from the threads: when a sink begins to fail, and when it works again.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifiers: Sequence[Notifier],
        *,
        digest: float | None = None,
        warn: Warn = ignore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._stopping = Event()
        self._changed = Condition()
        self._couriers = [
            _Courier(outbox, one, digest, warn, clock, self._stopping, self._changed)
            for one in notifiers
        ]
        self._clock = clock
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Once. What is left over from another time is sent first."""
        for courier in self._couriers:
            self._threads.append(_thread(courier.run, f"deliver {courier.name}"))
        self._threads.append(_thread(self._renew, "renew leases"))

    def wake(self) -> None:
        """There may be something new."""
        for courier in self._couriers:
            courier.bell.set()

    def flush(self, timeout: float) -> int:
        """Waits until everything is delivered, at most `timeout` seconds: how many alerts are not.

        Returns sooner where nothing more would be tried in that time. What only waits for the next digest
        is not counted.
        """
        if self._threads:
            self._wait(time.monotonic() + timeout)
        late = (one for one in self._couriers if not one.keeps_for_digest())
        return sum(self._outbox.pending(one.name) for one in late)

    def stop(self) -> None:
        """Ends the threads and closes the sinks, within about a second.

        What is still under way is sent again by the next process, with the same key.
        """
        self._stopping.set()
        self.wake()
        self._join(_TO_STOP)
        for courier in self._couriers:
            courier.close()
        self._join(_TO_STOP)

    def counters(self) -> Mapping[str, SinkCounters]:
        """By the names of the sinks. An error stays until all that failed is delivered."""
        return {
            one.name: replace(one.counted, pending=self._outbox.pending(one.name))
            for one in self._couriers
        }

    def _wait(self, until: float) -> None:
        for courier in self._couriers:
            courier.rests_until = None
        self.wake()
        with self._changed:
            while (left := until - time.monotonic()) > 0:
                end = self._clock() + left
                if all(courier.rests_beyond(end) for courier in self._couriers):
                    return
                self._changed.wait(min(left, 1.0))

    def _join(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _renew(self) -> None:
        while not self._stopping.wait(LEASE / 3):
            for courier in self._couriers:
                courier.renew()


class _Courier:
    """What one thread does for one sink.

    `rests_until` is when it goes on by itself if nobody rings the `bell`; None while it is at work.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifier: Notifier,
        digest: float | None,
        warn: Warn,
        clock: Callable[[], float],
        stopping: Event,
        changed: Condition,
    ) -> None:
        self.name = notifier.name
        self.bell = Event()
        self.counted = SinkCounters()
        self.rests_until: float | None = None
        self._outbox = outbox
        self._notifier = notifier
        self._digest = digest
        self._warn = warn
        self._clock = clock
        self._stopping = stopping
        self._changed = changed
        self._lock = Lock()
        self._under_way: tuple[Pending, ...] = ()
        self._lease = 0.0  # of these
        self._most = _MOST_OF_A_DIGEST  # fewer after it was too much
        self._not_before = 0.0  # the sink as a whole rests until then
        self._knows_last = digest is None
        self._in_a_row = 0  # failures
        self._failing: set[int] = set()  # alerts that were tried in vain
        self._was_in_trouble = True  # maybe, before we started

    def run(self) -> None:
        while not self._stopping.is_set():
            self.rests_until = None  # before the bell is cleared: `rests_beyond` looks at both
            self.bell.clear()
            until = self._look()
            with self._changed:
                # rung meanwhile: then it is not at rest
                self.rests_until = None if self.bell.is_set() else until
                self._changed.notify_all()
            self.bell.wait(min(max(until - self._clock(), 0.0), _LOOK))

    def rests_beyond(self, end: float) -> bool:
        until = self.rests_until
        return until is not None and until > end and not self.bell.is_set()

    def keeps_for_digest(self) -> bool:
        """Whether what it has waits for nothing but its time."""
        is_early = self._digest is not None and self._rests(self._clock())
        return is_early and self.counted.error is None

    def renew(self) -> None:
        """Keeps other processes from sending what this one is sending."""
        until = self._clock() + LEASE
        with self._lock:
            ids = [one.id for one in self._under_way]
            if not ids:
                return
            try:
                self._outbox.renew(self.name, ids, self._lease, until)
            except HubauditError:
                return  # a message may then come twice, with the same key
            self._lease = until

    def close(self) -> None:
        self._notifier.close()

    def _look(self) -> float:
        """Sends what is due. When to look again, in seconds since 1970."""
        try:
            if self._digest is not None:
                return self._send_digest(self._digest)
            return self._send_one()
        except HubauditError as error:  # of the store
            self._note(f"the outbox cannot be used: {error}")
            return self._clock() + _LOOK

    def _send_one(self) -> float:
        now = self._clock()
        if self._rests(now):
            return self._not_before
        taken = self._outbox.due(self.name, now, 1)
        if not taken:
            return self._next(now)
        self._send(taken)
        return now

    def _send_digest(self, every: float) -> float:
        now = self._clock()
        if not self._knows_last:
            last = self._outbox.last_acknowledged(self.name)
            self._not_before = 0.0 if last is None else min(last, now) + every
            self._knows_last = True
        if self._rests(now):
            return self._not_before if self._outbox.next_at(self.name) is not None else _NEVER
        most = self._most
        taken = self._outbox.due(self.name, now, most)
        if not taken:
            return self._next(now)
        if not self._send(taken):
            return now
        if most < _MOST_OF_A_DIGEST:
            self._most = min(2 * most, _MOST_OF_A_DIGEST)  # a part: the rest of it follows
        elif not _is_full(taken):
            self._not_before = now + every
        return now

    def _rests(self, now: float) -> bool:
        return now < self._not_before < now + LONGEST_ASKED + (self._digest or 0.0)

    def _next(self, now: float) -> float:
        found = self._outbox.next_at(self.name)
        if found is None:
            self._recover(self._failing)  # another process may have delivered what we could not
            return _NEVER
        return max(found, now + 0.05)

    def _send(self, taken: tuple[Pending, ...]) -> bool:
        """Whether the sink has it now."""
        readable = self._readable(taken)
        if not readable:
            return False
        self._take([one for one, _ in readable])
        try:
            self._notifier.send(
                [alert for _, alert in readable], message_key([one.key for one, _ in readable])
            )
        except DeliveryFailed as failed:
            self._failed(failed)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends neither the watch nor the delivery
            # its text may hold the sink's place, which may be a secret
            self._failed(DeliveryFailed(f"unexpected {type(error).__name__}"))
            return False
        self._delivered()
        return True

    def _take(self, under_way: Sequence[Pending]) -> tuple[Pending, ...]:
        """What was under way before."""
        with self._lock:
            before, self._under_way = self._under_way, tuple(under_way)
            self._lease = under_way[0].until if under_way else 0.0
        return before

    def _readable(self, taken: Sequence[Pending]) -> list[tuple[Pending, Alert]]:
        found = []
        for one in taken:
            try:
                found.append((one, loads(one.text)))
            except ReportUnusable as error:
                self._outbox.postpone(
                    self.name, [one.id], self._clock() + LONGEST_PAUSE, _short(str(error))
                )
                self._failing.add(one.id)
                self._note(str(error))
        return found

    def _delivered(self) -> None:
        ids = [one.id for one in self._under_way]
        while True:
            try:
                self._outbox.acknowledge(self.name, ids)
                break
            except HubauditError as error:
                # it must not be sent again while there is somebody who knows that it arrived
                self._note(f"an acknowledgement cannot be kept: {error}")
                if self._stopping.wait(FIRST_PAUSE):
                    return
        self._take(())
        self._in_a_row = 0
        if self._digest is None and self._was_in_trouble:
            self._was_in_trouble = False
            self._outbox.hasten(self.name, self._clock() + FIRST_PAUSE)
        self.counted = replace(self.counted, delivered=self.counted.delivered + len(ids))
        self._recover(ids)

    def _recover(self, ids: Iterable[int]) -> None:
        """These are delivered. The trouble is over if that was all that had failed."""
        self._failing.difference_update(tuple(ids))
        if self.counted.error is not None and not self._failing:
            self.counted = replace(self.counted, error=None)
            self._warn(f"alerts reach {self.name} again")

    def _failed(self, failed: DeliveryFailed) -> None:
        now = self._clock()
        tried = self._take(())
        attempts = max(one.attempts for one in tried)
        if failed.is_final:
            # of many, one may be what the sink does not take, or all of them too much at once
            self._most = len(tried) // 2 or self._most
        else:
            attempts = min(attempts, self._in_a_row)  # a sink that takes others is asked again soon
            self._was_in_trouble = True
            self._in_a_row += 1
        pause = _pause(attempts)
        if failed.retry_after is not None:
            pause = min(max(failed.retry_after, FIRST_PAUSE), LONGEST_ASKED)
        if failed.retry_after is not None or (self._digest is not None and not failed.is_final):
            self._not_before = now + pause
        elif self._in_a_row >= _RESTS_AFTER and not failed.is_final:
            self._not_before = now + _pause(self._in_a_row - _RESTS_AFTER)
        self._failing.update(one.id for one in tried)
        self.counted = replace(self.counted, failed=self.counted.failed + len(tried))
        self._note(str(failed))
        self._outbox.postpone(
            self.name, [one.id for one in tried], now + pause, _short(str(failed))
        )

    def _note(self, said: str) -> None:
        """The last error, of which `warn` hears only if it is the first."""
        is_first = self.counted.error is None
        self.counted = replace(self.counted, error=_short(said))
        if is_first and not self._stopping.is_set():  # what an end breaks off is no trouble
            self._warn(f"alerts do not reach {self.name}: {_short(said)}; they are sent again")


_NEVER = float("inf")


def _is_full(taken: Sequence[Pending]) -> bool:
    """Whether a message took about as much as it may, so that there may be more for now."""
    return len(taken) == _MOST_OF_A_DIGEST or sum(len(one.text) for one in taken) > MOST_BYTES // 2


def _pause(attempts: int) -> float:
    """Seconds after a failure that follows so many: half of it is by chance, lest all come at once."""
    whole = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts, 16))
    return whole * random.uniform(0.5, 1.0)  # noqa: S311


def _short(text: str) -> str:
    return visible(text[:_MOST_OF_AN_ERROR])


def _thread(job: Callable[[], None], name: str) -> Thread:
    made = Thread(target=job, name=name, daemon=True)
    made.start()
    return made
