"""The sweep itself: targets to an executor, answers into the record, and a clean end whatever happens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Protocol

from hubaudit.errors import ClusterLost, RequestsSpent, StoreUnusable, UsageError
from hubaudit.lists import Entry, name_of
from hubaudit.sweeping.record import Recorder
from hubaudit.sweeping.results import Result
from hubaudit.sweeping.work import Answer, Failed, How, failed

Work = Callable[[Entry, How], Answer]

WORKERS_DIED = "WorkersDied"
_DIED = "every worker that audited it died"
_FEW = 20  # failures in passing that are tried again in any case; of many targets a tenth


@dataclass(frozen=True, slots=True)
class Task:
    entry: Entry
    how: How

    @property
    def name(self) -> str:
        return name_of(self.entry.target)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of every list, the first being number 1."""

    number: int
    count: int

    def has(self, entry: Entry) -> bool:
        """By a hash of type and id: the part stays the same whatever else is in the list."""
        name = f"{entry.target.repo_type}/{entry.target.repo_id.lower()}"
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """`2/8`. Raises UsageError."""
    number, slash, count = text.partition("/")
    if slash and number.isascii() and number.isdigit() and count.isascii() and count.isdigit():
        shard = Shard(int(number), int(count))
        if 1 <= shard.number <= shard.count:
            return shard
    raise UsageError(f"{text!r} is no shard", hint="write --shard 1/4 for the first of four")


class Watcher(Protocol):
    """Who is told how the sweep goes, always from the thread that runs it."""

    def begun(self, task: Task, /) -> None: ...

    def done(self, result: Result, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Swept:
    """`results` of all targets that were decided or failed, by target; `left` were not reached."""

    results: tuple[Result, ...]
    left: int


class Sweep:
    """Runs tasks on an executor, `at_once` of them. `may_go_on` says whether another may begin."""

    def __init__(
        self,
        recorder: Recorder,
        executor: Executor,
        work: Work,
        at_once: int,
        watcher: Watcher,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._recorder = recorder
        self._executor = executor
        self._work = work
        self._at_once = at_once
        self._watcher = watcher
        self._may_go_on = may_go_on
        self._running: dict[Future[Answer], Task] = {}

    def run(self, tasks: Sequence[Task]) -> Swept:
        """All tasks that are not done yet; those that failed in passing a second time, at the end.

        Raises StoreUnusable, KeyboardInterrupt and what the recorder raises; then what ran is dropped.
        """
        try:
            again = self._all(self._open(tasks))
            self._once_more(again, len(tasks))
        except BaseException:
            for future in self._running:
                future.cancel()
            raise
        self._recorder.settle()
        names = {task.name for task in tasks}
        found = [one for one in self._recorder.results() if one.target in names]
        left = len(names) - len(found)
        if left == 0:
            found += self._recorder.gone(frozenset(names))
        return Swept(tuple(found), left)

    def _open(self, tasks: Iterable[Task]) -> Iterator[Task]:
        for task in tasks:
            result = self._recorder.done(task.name, task.how)
            if result is None:
                yield task
            else:
                self._watcher.done(result)

    def _all(self, tasks: Iterable[Task]) -> list[tuple[Task, Failed]]:
        """Those that failed in passing, which are not recorded."""
        passing: list[tuple[Task, Failed]] = []
        waiting = iter(tasks)
        while self._fill(waiting):
            finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in finished:
                task = self._running.pop(future)
                answer = self._answer(future)
                if isinstance(answer, Failed) and answer.is_passing:
                    passing.append((task, answer))
                elif answer is not None:
                    self._record(task, answer)
        return passing

    def _once_more(self, passing: Sequence[tuple[Task, Failed]], of: int) -> None:
        """Unless so many failed that it is the Hub, and one by one what workers died of."""
        killers = [task for task, failure in passing if failure.kind == WORKERS_DIED]
        others = [task for task, failure in passing if failure.kind != WORKERS_DIED]
        failures = {task.name: failure for task, failure in passing}
        last = []
        if len(others) <= max(_FEW, of // 10):
            last += self._all(others)
        else:
            last += [(task, failures[task.name]) for task in others]
        for task in killers:
            last += self._all([task])
        for task, failure in last:
            self._record(task, failure)

    def _fill(self, waiting: Iterator[Task]) -> bool:
        """Give the executor as much as it can do; False when nothing runs any more."""
        while len(self._running) < self._at_once and self._may_go_on():
            task = next(waiting, None)
            if task is None:
                break
            self._watcher.begun(task)
            self._running[self._executor.submit(self._work, task.entry, task.how)] = task
        return bool(self._running)

    def _answer(self, future: Future[Answer]) -> Answer | None:
        """None if the target was not reached. A defect in one audit is that target's failure."""
        try:
            return future.result()
        except (RequestsSpent, ClusterLost):
            return None
        except StoreUnusable:
            raise
        except Exception as error:  # noqa: BLE001 - one repository must not end the sweep
            if type(error).__name__ == "KilledWorker":
                return Failed(WORKERS_DIED, _DIED, "audit it alone, and report this defect", True)
            return failed(error)

    def _record(self, task: Task, answer: Answer) -> None:
        result = self._recorder.record(task.name, task.how, answer, task.entry.owner)
        self._watcher.done(result)
