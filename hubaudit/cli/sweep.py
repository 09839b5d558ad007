"""`hubaudit sweep`: every repository of a list, and what changed since the sweep before."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hubaudit.cli import console, options
from hubaudit.cli import sweepoptions as own
from hubaudit.cli.errors import Job
from hubaudit.cli.reading import Reading
from hubaudit.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from hubaudit.cli.policy import Settled
    from hubaudit.events import Event, Listener
    from hubaudit.hub.client import HubClient
    from hubaudit.lists import ApprovedList, Entry
    from hubaudit.sweeping.record import Recorder, StoreDesk
    from hubaudit.sweeping.run import Shard, Swept, Task
    from hubaudit.sweeping.work import Answer, How

_TOLD = 50  # mistakes in a list: with more it is the wrong file, or the wrong column


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be swept, and how."""

    lists: tuple[str, ...]
    column: str | None
    keep_going: bool
    store: Path | None
    jobs: int
    resume: bool
    max_requests: int | None
    shard: Shard | None
    executor: str
    insecure_cluster: bool
    fetch: options.FetchName
    reading: Reading
    reports: Path | None
    form: own.SummaryName
    outputs: tuple[Path, ...]
    quiet: bool
    verbose: bool


def sweep(
    lists: own.Lists,
    column: own.Column = None,
    keep_going: own.KeepGoing = False,
    store: own.StoreFile = None,
    jobs: own.Jobs = 4,
    resume: own.Resume = False,
    max_requests: own.MaxRequests = None,
    shard: own.ShardPart = None,
    executor: own.ExecutorName = "threads",
    insecure_cluster: own.InsecureCluster = False,
    fail_on: options.FailOn = None,
    strict: options.Strict = None,
    max_archive_depth: options.MaxArchiveDepth = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    baseline: options.Baseline = None,
    form: own.SummaryForm = "text",
    output: options.Output = None,
    fetch: options.Fetch = "auto",
    load: options.Load = "auto",
    use_safetensors: options.UseSafetensors = "auto",
    variant: options.Variant = None,
    subfolder: options.Subfolder = None,
    compare: options.Compare = None,
    deep: options.Deep = False,
    sample_seed: options.SampleSeed = 0,
    reports: options.Reports = Path("reports"),
    no_save: options.NoSave = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> Job:
    """Audit every repository of a list, and say what changed since the sweep before.

    What stands as it stood is not audited again: it costs a request, and no byte of a file.
    """

    def job() -> int:
        from hubaudit.cli.policy import Choices, settle
        from hubaudit.sweeping.run import parse_shard

        reading = Reading(load, use_safetensors, variant, subfolder, compare, deep, sample_seed)
        order = Order(
            lists=tuple(lists),
            column=column,
            keep_going=keep_going,
            store=store,
            jobs=jobs,
            resume=resume,
            max_requests=max_requests,
            shard=None if shard is None else parse_shard(shard),
            executor=executor,
            insecure_cluster=insecure_cluster,
            fetch=fetch,
            reading=reading,
            reports=None if no_save else reports,
            form=form,
            outputs=tuple(output or ()),
            quiet=quiet,
            verbose=verbose,
        )
        chosen = Choices(config, no_config, fail_on, strict, max_archive_depth, baseline)
        return _run(order, settle(chosen, audited=(), quiet=quiet))

    return job


def _run(order: Order, settled: Settled) -> int:
    from hubaudit.cli.approved import read_lists
    from hubaudit.cli.sinks import check_writable
    from hubaudit.cli.sweepwrite import origins_of, saver, write_summary
    from hubaudit.hub.budget import Budget
    from hubaudit.hub.client import HubClient
    from hubaudit.store import Store, default_path
    from hubaudit.sweeping.record import Recorder
    from hubaudit.sweeping.summary import Summary

    if order.form == "html" and not order.outputs:
        raise UsageError("an HTML index needs a place", hint="write it to a file: -o sweep.html")
    for path in order.outputs:
        check_writable(path, "--output")
    heard = _Heard()
    with ExitStack() as stack:
        store = stack.enter_context(Store(order.store or default_path()))
        budget = Budget(most=order.max_requests)
        hub = stack.enter_context(HubClient(listener=heard, budget=budget))
        today = settled.policy.today or datetime.now(UTC).date()
        found = read_lists(order.lists, order.column, hub, today)
        _tell(found, order)
        tasks = _tasks(found.entries, order, settled, today)
        name = _name(order, hub.endpoint)
        row = store.broken_off(name) if order.resume else None
        if order.resume and row is None and not order.quiet:
            console.note("there is no sweep of this list to go on with: another one begins")
        row = row or store.begin_sweep(name)
        before = store.last_sweep(name, before=row)
        recorder = Recorder(store, row, before, saver(order.reports))
        with _terminable():
            swept = _sweep(order, tasks, recorder, hub, heard)
        if not swept.left:
            store.end_sweep(row)
        summary = Summary(order.lists, swept.results, swept.left, found.problems, before is None)
        origins = origins_of(found.entries)
        write_summary(summary, store, order.form, order.outputs, origins, verbose=order.verbose)
        return summary.code


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work, `at_once` targets of it, and until when."""

    work: Callable[[Entry, How], Answer]
    at_once: int
    may_go_on: Callable[[], bool]


def _sweep(
    order: Order, tasks: Sequence[Task], recorder: Recorder, hub: HubClient, heard: _Heard
) -> Swept:
    from concurrent.futures import ThreadPoolExecutor

    from hubaudit.cli.sweepshow import shown
    from hubaudit.sweeping.run import Sweep

    with ExitStack() as stack:
        show = stack.enter_context(shown(len(tasks), quiet=order.quiet))
        heard.listener = show.hears
        crew = _crew(order, recorder, hub, heard, stack)
        pool = ThreadPoolExecutor(crew.at_once, "sweep")
        try:
            swept = Sweep(recorder, pool, crew.work, crew.at_once, show, crew.may_go_on).run(tasks)
        except BaseException:
            # who waits for a limit is woken, who reads is not waited for: the process ends
            hub.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        return swept


def _crew(
    order: Order, recorder: Recorder, hub: HubClient, heard: _Heard, stack: ExitStack
) -> Crew:
    from hubaudit.cli.sweepshow import warnings_of
    from hubaudit.sweeping.record import StoreDesk
    from hubaudit.sweeping.work import perform

    desk = StoreDesk(recorder.store)
    if order.executor != "threads":
        return _elsewhere(order, recorder, hub, desk, heard, stack)

    def here(entry: Entry, how: How) -> Answer:
        return perform(hub, entry.target, how, desk, warnings_of(entry.target.repo_id))

    return Crew(here, order.jobs, lambda: not hub.budget.is_spent)


def _elsewhere(
    order: Order,
    recorder: Recorder,
    hub: HubClient,
    desk: StoreDesk,
    heard: _Heard,
    stack: ExitStack,
) -> Crew:
    """What sends the work to a cluster."""
    from hubaudit.sweeping.cluster import Cluster, connected

    if order.executor.partition(":")[0] != "dask":
        raise UsageError(
            f"there is no executor {order.executor!r}", hint="threads, dask or dask:tls://HOST:8786"
        )
    if order.max_requests is not None:
        raise UsageError(
            "--max-requests counts on this machine only", hint="leave it out, or use threads"
        )
    workers = stack.enter_context(
        connected(order.executor, order.jobs, heard, insecure=order.insecure_cluster)
    )
    work = Cluster(workers, hub, recorder, desk).work
    return Crew(work, workers.at_once, lambda: not workers.is_lost)


class _Heard:
    """The listener of the one wire, before and while something is shown."""

    def __init__(self) -> None:
        self.listener: Listener | None = None

    def __call__(self, event: Event) -> None:
        if self.listener is not None:
            self.listener(event)


def _tell(found: ApprovedList, order: Order) -> None:
    """Mistakes in the lists on stderr. Raises ConfigError unless they are to be left out."""
    for problem in found.problems[:_TOLD]:
        console.warn(str(problem))
    if len(found.problems) > _TOLD:
        console.warn(f"and {len(found.problems) - _TOLD} more mistakes")
    if found.problems and not order.keep_going:
        number = len(found.problems)
        raise ConfigError(
            f"{number} mistakes in the list" if number > 1 else "a mistake in the list",
            hint="correct what the warnings say, or sweep the rest with --keep-going",
        )
    if not order.quiet:
        for note in found.notes:
            console.note(console.harmless(note))


def _tasks(
    entries: Sequence[Entry], order: Order, settled: Settled, today: date
) -> tuple[Task, ...]:
    from hubaudit.sweeping.run import Task
    from hubaudit.sweeping.work import How

    load, depth = order.reading.load(), order.reading.depth("sampled")
    kept = [entry for entry in entries if order.shard is None or order.shard.has(entry)]
    return tuple(
        Task(entry, How(entry.policy(settled.policy, today), order.fetch, load, depth))
        for entry in kept
    )


def _name(order: Order, endpoint: str) -> str:
    """What the sweeps of one list have in common, also on other machines."""
    part = "" if order.shard is None else f" [{order.shard}]"
    return f"{' '.join(order.lists)} at {endpoint}{part}"


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the sweep as Ctrl-C does. Signals are the main thread's business only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
