"""The watch: rounds over everything that is watched, and looks at once where a webhook hints at a change."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock

from hubaudit.errors import HubauditError, RequestsSpent, StoreUnusable
from hubaudit.hub.metadata import RepoInfo
from hubaudit.model import Severity
from hubaudit.watch.alert import Name
from hubaudit.watch.glance import Asks
from hubaudit.watch.kinds import Kind
from hubaudit.watch.ledger import Seen
from hubaudit.watch.look import Looked, Looker, Watched
from hubaudit.watch.overview import folded
from hubaudit.watch.pulse import SinkCounters, Vitals
from hubaudit.watch.receive import Hook
from hubaudit.watch.state import Presence

# Up to here each look asks for everything: 200 of the 500 requests that the Hub allows in five minutes. Of
# more repositories each look is one request, for the repository and for its refs in turns.
FEW = 100
_SLICE = 0.5  # seconds in which an end is noticed
_JITTER = 0.05  # of the pause: many watches shall not come all at once
_HINT_PAUSE = 2.0  # seconds between looks at one repository that are hinted at
_GRACE = 5.0  # seconds for what is under way when the watch ends


@dataclass(frozen=True, slots=True)
class Roster:
    """What is watched in a round. `infos` were had at once, from the listing of an owner.

    `added` were not among the repositories of their owner before.
    """

    watched: tuple[Watched, ...]
    infos: Mapping[Name, RepoInfo] = field(default_factory=dict)
    added: frozenset[Name] = frozenset()


@dataclass(frozen=True, slots=True)
class Failed:
    """A look that came to nothing. The next one goes on where this one was."""

    error: HubauditError


Outcome = Looked | Failed


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds from round to round, and from one question about every scanner to the next."""

    every: float
    scans_every: float = 3600.0

    def asks(self, seen: Seen | None, info: RepoInfo | None, now: float, *, few: bool) -> Asks:
        """What is asked for of a repository that was `seen` so."""
        if seen is None:
            return Asks(info=info or True)
        said = json.loads(seen.mark)
        since = now - float(said.get("scanned", 0))
        is_due = not 0 <= since < self.scans_every  # the clock may have been set back
        is_turn = said.get("turn") != "refs"
        if few:
            return Asks(info=info or True, files=is_due)
        if seen.presence is not Presence.PRESENT:
            return Asks(info=info or True, refs=False)
        if is_turn and is_due:
            return Asks(info=False, refs=False, files=True)
        if info is not None:
            return Asks(info=info, refs=is_turn)
        return Asks(info=not is_turn, refs=is_turn)


class Watch:
    """Looks at a roster, round after round. One thread runs it; `hint` and `read` are for any other.

    `tell` hears of every look, from the thread that runs the watch. `sinks` gives the counters of delivery.
    """

    def __init__(
        self,
        looker: Looker,
        roster: Callable[[], Roster],
        rhythm: Rhythm,
        jobs: int,
        tell: Callable[[Watched, Outcome], None],
        sinks: Callable[[], Mapping[str, SinkCounters]] = dict,
    ) -> None:
        self._looker, self._ledger, self._clock = looker, looker.ledger, looker.clock
        self._find_roster, self._rhythm, self._jobs = roster, rhythm, jobs
        self._tell, self._sinks = tell, sinks
        self._pool = ThreadPoolExecutor(jobs + 1, "watch")  # one is for what is hinted at
        self._running: dict[Future[Looked], Watched] = {}
        self._lock = Lock()
        self._bell = Event()
        self._stopping = Event()
        self._roster = Roster(())
        self._hinted: dict[Name, None] = {}
        self._followed: dict[Name, float] = {}  # when a hint at it was last, by a monotonic clock
        self._places: dict[tuple[str, str], list[Name]] = {}  # by type, and id or `_id`
        self._counted = _Counted()

    def run(self) -> None:
        """Rounds until `stop`. Raises StoreUnusable, and what the roster raises the first time."""
        self._enrol(self._find_roster())
        while not self._stopping.is_set():
            begun = time.monotonic()
            self._round()
            pause = self._rhythm.every * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
            self._work(iter(()), until=begun + pause)
            if not self._stopping.is_set():
                self._enrol(self._find_roster())
        self._end()

    def once(self) -> Roster:
        """One round; what was looked at. Raises StoreUnusable, and what the roster raises."""
        self._enrol(self._find_roster())
        self._round()
        self._end()
        return self._roster

    def stop(self) -> None:
        """Ends the watch soon. For any thread, and for a signal."""
        self._stopping.set()
        self._bell.set()
        self._looker.hub.stop()

    @property
    def is_stopped(self) -> bool:
        return self._stopping.is_set()

    def hint(self, hook: Hook) -> bool:
        """Whether what the webhook names is watched: then it is looked at next."""
        ids = (hook.repo_id, hook.moved_to, hook.object_id)
        with self._lock:
            found = [
                name
                for one in ids
                if one is not None
                for name in self._places.get((hook.repo_type, one.lower()), ())
            ]
            self._hinted.update(dict.fromkeys(found))
        self._bell.set()
        return bool(found)

    def read(self) -> Vitals:
        sinks = self._sinks()  # asks the store, for which `hint` shall not wait
        with self._lock:
            counted = self._counted
            return Vitals(
                watched=tuple(one.name for one in self._roster.watched),
                every=self._rhythm.every,
                rounds=counted.rounds,
                looks=counted.looks,
                changes=dict(counted.changes),
                hub_requests=self._looker.hub.cost.requests,
                last_round_at=counted.last_round_at,
                last_round_seconds=counted.last_round_seconds,
                alive_at=counted.alive_at,
                sinks=sinks,
            )

    def _enrol(self, roster: Roster) -> None:
        places: dict[tuple[str, str], list[Name]] = {}
        object_ids = {folded(seen.name): seen.object_id for seen in self._ledger.all_seen()}
        for one in roster.watched:
            for word in (one.name.repo_id, object_ids.get(folded(one.name))):
                if word is not None:
                    places.setdefault((one.name.repo_type, word.lower()), []).append(one.name)
        with self._lock:
            self._roster, self._places = roster, places

    def _round(self) -> None:
        begun = time.monotonic()
        few = len(self._roster.watched) <= FEW
        self._work(((one, few) for one in self._roster.watched), until=begun)
        with self._lock:
            self._counted.rounds += 1
            self._counted.last_round_at = self._clock()
            self._counted.last_round_seconds = time.monotonic() - begun

    def _work(self, waiting: Iterator[tuple[Watched, bool]], until: float) -> None:
        """Look at all that wait, and at what is hinted at meanwhile, at least until then (monotonic)."""
        is_empty = False
        while not self._stopping.is_set():
            self._bell.clear()
            self._begin_hinted()
            while not is_empty and len(self._running) < self._jobs:
                task = next(waiting, None)
                is_empty = task is None
                if task is not None and not self._is_running(task[0].name):
                    self._begin(*task)
            left = until - time.monotonic()
            if is_empty and not self._running and left <= 0:
                return
            self._rest(min(max(left, 0.01), _SLICE) if not self._running else _SLICE)

    def _rest(self, seconds: float) -> None:
        """Until something is done or hinted at, or so long."""
        if not self._running:
            self._bell.wait(seconds)
        else:
            # a hint has a thread of its own, and shall not wait for those that are busy
            wait(self._running, timeout=min(seconds, 0.1), return_when=FIRST_COMPLETED)
        for future in [one for one in self._running if one.done()]:
            self._take(self._running.pop(future), future)
        with self._lock:
            self._counted.alive_at = self._clock()

    def _begin_hinted(self) -> None:
        by_name = {one.name: one for one in self._roster.watched} if self._hinted else {}
        with self._lock:
            now = time.monotonic()
            names = [name for name in self._hinted if self._may_follow(name, now)]
            for name in names[: self._jobs + 1 - len(self._running)]:
                del self._hinted[name]
                if name in by_name:
                    self._followed[name] = now
                    self._begin(by_name[name], few=True)

    def _may_follow(self, name: Name, now: float) -> bool:
        """Whether a hint at it is followed now. A flood of them is a look every two seconds."""
        last = self._followed.get(name)
        return not self._is_running(name) and (last is None or now - last >= _HINT_PAUSE)

    def _is_running(self, name: Name) -> bool:
        return any(one.name == name for one in self._running.values())

    def _begin(self, watched: Watched, few: bool) -> None:
        self._running[self._pool.submit(self._look, watched, few)] = watched

    def _look(self, watched: Watched, few: bool) -> Looked:
        seen = self._ledger.seen(watched.name)
        info = self._roster.infos.get(watched.name)
        asks = self._rhythm.asks(seen, info, self._clock(), few=few)
        return self._looker.look(watched, asks, is_added=watched.name in self._roster.added)

    def _take(self, watched: Watched, future: Future[Looked]) -> None:
        """What came of a look. Raises StoreUnusable: without a store nothing can be watched."""
        outcome: Outcome
        try:
            outcome = future.result()
        except (StoreUnusable, RequestsSpent):
            raise
        except HubauditError as error:
            outcome = Failed(error)
        except Exception as error:  # noqa: BLE001 - one repository must not end the watch
            said = f"unexpected {type(error).__name__}: {error}"
            outcome = Failed(HubauditError(said, hint="please report this defect"))
        if isinstance(outcome, Failed):
            if not self._stopping.is_set():
                self._ledger.put_trouble(watched.name, str(outcome.error))
        else:
            self._learn(watched.name, outcome)
        if not self._stopping.is_set() or isinstance(outcome, Looked):
            self._tell(watched, outcome)

    def _learn(self, name: Name, looked: Looked) -> None:
        object_id = looked.seen.object_id
        with self._lock:
            self._counted.looks += 1
            self._counted.changes.update(
                (one.kind, one.severity) for alert in looked.alerts for one in alert.changes
            )
            if object_id is not None:
                known = self._places.setdefault((name.repo_type, object_id.lower()), [])
                if name not in known:
                    known.append(name)

    def _end(self) -> None:
        """What is under way may come to its end; what takes longer is done anew by the next watch."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        done, _ = wait(self._running, timeout=_GRACE if self._stopping.is_set() else None)
        for future in done:
            if not future.cancelled():
                self._take(self._running[future], future)
        self._running.clear()


@dataclass(slots=True)
class _Counted:
    rounds: int = 0
    looks: int = 0
    changes: Counter[tuple[Kind, Severity]] = field(default_factory=Counter)
    last_round_at: float | None = None
    last_round_seconds: float | None = None
    alive_at: float | None = None
