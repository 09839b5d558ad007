"""Targets to the workers of a Dask cluster, and back: the extra `cluster`.

Dask's own wire is pickle: whoever may speak to a scheduler runs code on every worker. So it is TLS, or the
user has said that it need not be. The token is never sent; workers use their own.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from hubaudit.errors import ClusterLost, UsageError
from hubaudit.events import Listener, Waiting, Warned, ignore
from hubaudit.hub.budget import Budget
from hubaudit.hub.client import HubClient
from hubaudit.lists import Entry, name_of
from hubaudit.model import RepoRef
from hubaudit.remembering import Memory, Remembering
from hubaudit.store import AuditKey
from hubaudit.sweeping.record import Recorder, StoreDesk
from hubaudit.sweeping.results import result_from
from hubaudit.sweeping.work import Answer, Failed, How, Unchanged, perform

_NEEDED = "pip install 'hubaudit[cluster]'"
# Pieces of evidence that a worker keeps for forks that follow; some KiB each.
_KEPT = 2000
# Seconds without a worker until one is not waited for any more: a nanny needs 2 to start one anew, a
# machine that boots less than a minute.
_PATIENCE = 60.0
_LOOK = 2.0  # seconds between looks at whether there are workers


@dataclass(frozen=True, slots=True)
class Known:
    """A commit that is known from before, and what the scanners said of it then."""

    commit_hash: str
    scan: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes to a worker. `judged_by`: the digest that the worker's own code must have, too."""

    endpoint: str
    entry: Entry
    how: How
    known: Known | None
    judged_by: str


@dataclass(frozen=True, slots=True)
class Returned:
    answer: Answer
    evidence: Mapping[str, bytes] = field(default_factory=dict)


def at_worker(sent: Sent) -> Returned:
    """Runs in the worker's process. Raises what nobody foresaw."""
    if sent.how.judged_by != sent.judged_by:
        said = "the worker has another hubaudit, or other extras, than the machine that sweeps"
        return Returned(Failed("VersionsDiffer", said, "install the same on every machine"))
    desk = _WorkerDesk(sent.known)
    answer = perform(_hub(sent.endpoint), sent.entry.target, sent.how, desk, ignore)
    return Returned(answer, desk.found)


@cache
def _hub(endpoint: str) -> HubClient:
    """One client for the worker's process: it ends with it."""
    return HubClient(endpoint=endpoint, budget=Budget()).__enter__()


_SHELF: OrderedDict[str, bytes] = OrderedDict()
_SHELF_LOCK = Lock()


@dataclass(slots=True)
class _WorkerDesk:
    """What the task was told, and what is found, which goes back."""

    known: Known | None
    found: dict[str, bytes] = field(default_factory=dict)

    def has_audit(self, key: AuditKey, scan: str) -> bool:
        """A known commit needs no worker: the machine that sweeps has the audit, or its evidence."""
        return self.known == Known(key.commit_hash, scan)

    def listing(self, _key: AuditKey, _scan: str) -> bytes | None:
        return None

    def memory(self, repo: RepoRef) -> Memory:
        return Remembering(self, repo)

    def find_evidence(self, key: str) -> bytes | None:
        with _SHELF_LOCK:
            return _SHELF.get(key)

    def put_evidence(self, key: str, value: bytes) -> None:
        self.found[key] = value
        with _SHELF_LOCK:
            _SHELF[key] = value
            while len(_SHELF) > _KEPT:
                _SHELF.popitem(last=False)


@dataclass(slots=True)
class Workers:
    """The workers of a cluster, `at_once` of whose targets may be open."""

    client: Any
    executor: Executor
    at_once: int
    listener: Listener
    is_lost: bool = False
    _missed: float | None = None  # since when there is none
    _lock: Lock = field(default_factory=Lock)

    def ask(self, sent: Sent) -> Returned:
        """What a worker returns or raises. Raises ClusterLost where none is left to do it."""
        self._check_scheduler()
        try:
            future = self.executor.submit(at_worker, sent)
            while True:
                try:
                    return future.result(_LOOK)
                except TimeoutError:
                    if future.done():
                        raise
                self._check_workers()
        except CancelledError:
            raise self._lost("the scheduler went away") from None

    def _check_scheduler(self) -> None:
        if self.is_lost or self.client.status != "running":
            raise self._lost("the scheduler went away")

    def _check_workers(self) -> None:
        """One thread looks for all of them."""
        with self._lock:
            self._check_scheduler()
            now = time.monotonic()
            if self.client.nthreads():
                self._missed = None
            elif self._missed is None:
                self._missed = now
                self.listener(Waiting(_PATIENCE, "the cluster has no worker any more"))
            elif now - self._missed > _PATIENCE:
                raise self._lost(f"there was no worker for {_PATIENCE:.0f} seconds")

    def _lost(self, why: str) -> ClusterLost:
        was_lost, self.is_lost = self.is_lost, True
        error = ClusterLost(f"the cluster is lost: {why}", hint="go on with --resume")
        if not was_lost:
            self.listener(Warned(str(error)))
        return error


@dataclass(frozen=True, slots=True)
class Cluster:
    """Work on a cluster. What a worker finds goes into the store, and what is known stays here."""

    workers: Workers
    hub: HubClient
    recorder: Recorder
    desk: StoreDesk

    def work(self, entry: Entry, how: How) -> Answer:
        """The answer for one target. What is known but judged by other rules is judged here, unread."""
        sent = Sent(self.hub.endpoint, entry, how, self._known(entry), how.judged_by)
        returned = self.workers.ask(sent)
        for key, value in returned.evidence.items():
            self.recorder.store.put_evidence(key, value)
        answer = returned.answer
        if isinstance(answer, Unchanged) and not self.desk.has_audit(
            how.key(answer.repo), answer.scan
        ):
            return perform(self.hub, entry.target, how, self.desk, ignore)
        return answer

    def _known(self, entry: Entry) -> Known | None:
        key = self._key_before(name_of(entry.target))
        if key is None:
            return None
        found = self.recorder.store.find_listing(key)
        return None if found is None else Known(key.commit_hash, found[0])

    def _key_before(self, target: str) -> AuditKey | None:
        before = self.recorder.before
        text = self.recorder.store.find_result(before, target) if before is not None else None
        return result_from(text).key if text is not None else None


@contextmanager
def connected(spec: str, workers: int, listener: Listener, *, insecure: bool) -> Iterator[Workers]:
    """The workers of `dask` or `dask:ADDRESS`, as many as are there by now.

    Raises UsageError for an address without TLS, unless `insecure`, for a cluster that cannot be reached
    or has no worker, and where Dask is not installed.
    """
    address = spec.partition(":")[2]
    if address and not address.startswith("tls://") and not insecure:
        raise UsageError(
            f"{address} is no cluster with TLS",
            hint="start it with TLS and write dask:tls://HOST:8786, or add --insecure-cluster",
        )
    try:
        import distributed
    except ImportError:
        raise UsageError("--executor dask needs the extra `cluster`", hint=_NEEDED) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        client = stack.enter_context(_client(distributed, address, workers, insecure, stack))
        threads = sum(_threads(client, listener).values())
        yield Workers(client, client.get_executor(pure=False), 2 * threads, listener)


def _threads(client: Any, listener: Listener) -> Mapping[str, int]:
    """Of each worker, as soon as there is one. Raises UsageError where none comes."""
    until = time.monotonic() + _PATIENCE
    if not client.nthreads():
        listener(Waiting(_PATIENCE, "the cluster has no worker yet"))
    while not (found := client.nthreads()):
        if time.monotonic() > until:
            raise UsageError(
                f"the cluster has no worker, and none came in {_PATIENCE:.0f} seconds",
                hint="start some: dask worker, with the scheduler's address and the certificates",
            )
        time.sleep(_LOOK / 10)
    threads: Mapping[str, int] = found
    return threads


def _client(distributed: Any, address: str, workers: int, insecure: bool, stack: ExitStack) -> Any:
    try:
        if address:
            return distributed.Client(address, timeout="15s")
        security = None if insecure else distributed.Security.temporary()
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=None,
            security=security,
            silence_logs=logging.CRITICAL,
            local_directory=stack.enter_context(TemporaryDirectory(prefix="hubaudit-")),
        )
        return distributed.Client(stack.enter_context(cluster), security=security)
    except ImportError:
        raise UsageError("a cluster with TLS needs the extra `cluster`", hint=_NEEDED) from None
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"the cluster {address or 'on this machine'} cannot be reached: {error}",
            hint="is its scheduler running, and does the Dask configuration name the certificates?",
        ) from error
