"""`hubaudit watch`: polls what a list names, and alerts once to every change."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hubaudit.cli import console, notifyoptions, options
from hubaudit.cli import sweepoptions as sweeping
from hubaudit.cli import watchoptions as own
from hubaudit.cli.errors import Job
from hubaudit.cli.reading import Reading
from hubaudit.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from hubaudit.cli.policy import Settled
    from hubaudit.notify import Notifier
    from hubaudit.notify.deliver import Deliverer
    from hubaudit.notify.outbox import Outbox
    from hubaudit.sweeping.work import How
    from hubaudit.watch.alert import Alert
    from hubaudit.watch.ledger import Ledger, Routes
    from hubaudit.watch.listen import Address
    from hubaudit.watch.look import Looked, Watched
    from hubaudit.watch.poll import Outcome, Rhythm, Watch

_DELIVERED_WITHIN = 60.0  # seconds after --once; what is left then is sent by the next run
_SUFFIXES = {".md": "markdown", ".json": "json", ".txt": "text"}
_SHORT = 12  # characters of a commit hash
_LINE = 400  # characters of what may come from a repository


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be watched, and how."""

    lists: tuple[str, ...]
    column: str | None
    keep_going: bool
    store: Path | None
    jobs: int
    once: bool
    rhythm: Rhythm
    notifiers: tuple[Notifier, ...]
    routes: Routes
    digest: float | None
    listen: Address | None
    secret: bytes | None
    page: bool
    reading: Reading
    form: own.StandingName
    outputs: tuple[Path, ...]
    quiet: bool
    verbose: bool


def watch(
    lists: sweeping.Lists,
    once: own.Once = False,
    every: own.Every = "15m",
    scans_every: own.ScansEvery = "1h",
    serve: own.Serve = None,
    page: own.Page = False,
    notify: notifyoptions.Notify = None,
    min_severity: notifyoptions.MinSeverity = "info",
    digest: notifyoptions.Digest = None,
    column: sweeping.Column = None,
    keep_going: sweeping.KeepGoing = False,
    store: sweeping.StoreFile = None,
    jobs: sweeping.Jobs = 4,
    fail_on: options.FailOn = None,
    strict: options.Strict = None,
    max_archive_depth: options.MaxArchiveDepth = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    baseline: options.Baseline = None,
    form: own.Form = "text",
    output: own.Summary = None,
    load: options.Load = "auto",
    use_safetensors: options.UseSafetensors = "auto",
    variant: options.Variant = None,
    subfolder: options.Subfolder = None,
    compare: options.Compare = None,
    sample_seed: options.SampleSeed = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> Job:
    """Poll the repositories of a list, and alert once to whatever changes in one of them.

    What a repository is compared with is the commit that the list names, or that `hubaudit approve` has
    recorded, or else how it was when the watch first looked. Ends with Ctrl-C or SIGTERM, and goes on where
    it was when it is started again.
    """

    def job() -> int:
        from hubaudit.cli.durations import parse_duration
        from hubaudit.cli.policy import Choices, settle
        from hubaudit.model import Severity
        from hubaudit.notify.spec import notifiers
        from hubaudit.watch.listen import check_listen, parse_listen, secret_of
        from hubaudit.watch.poll import Rhythm

        if once and serve is not None:
            raise UsageError("--once listens to nobody", hint="leave out --serve, or --once")
        rhythm = Rhythm(
            parse_duration(every, "--every"), parse_duration(scans_every, "--scans-every")
        )
        listen = None if serve is None else parse_listen(serve)
        secret = secret_of(os.environ) if listen is not None else None
        if listen is not None:
            check_listen(listen.host, listen.port, secret)
        sinks = notifiers(notify or (), os.environ)
        least = Severity(min_severity)
        order = Order(
            lists=tuple(lists),
            column=column,
            keep_going=keep_going,
            store=store,
            jobs=jobs,
            once=once,
            rhythm=rhythm,
            notifiers=sinks,
            routes={one.name: least for one in sinks},
            digest=None if digest is None else parse_duration(digest, "--digest"),
            listen=listen,
            secret=secret,
            page=page,
            reading=Reading(load, use_safetensors, variant, subfolder, compare, False, sample_seed),
            form=form,
            outputs=tuple(output or ()),
            quiet=quiet,
            verbose=verbose,
        )
        chosen = Choices(config, no_config, fail_on, strict, max_archive_depth, baseline)
        return _run(order, settle(chosen, audited=(), quiet=quiet))

    return job


def _run(order: Order, settled: Settled) -> int:
    from hubaudit.cli.roster import Rosters
    from hubaudit.cli.sinks import check_writable
    from hubaudit.cli.sweepshow import warnings_of
    from hubaudit.hub.budget import Budget
    from hubaudit.hub.client import HubClient
    from hubaudit.notify.deliver import Deliverer
    from hubaudit.notify.outbox import Outbox
    from hubaudit.store import Store, default_path
    from hubaudit.watch.ledger import Ledger
    from hubaudit.watch.look import Looker
    from hubaudit.watch.poll import Watch

    for path in order.outputs:
        check_writable(path, "--output")
    with ExitStack() as stack:
        store = stack.enter_context(Store(order.store or default_path()))
        hub = stack.enter_context(HubClient(budget=Budget()))
        ledger = Ledger(store, time.time)
        _tell_orphans(Outbox(store, time.time), order)
        deliverer = Deliverer(
            Outbox(store, time.time), order.notifiers, digest=order.digest, warn=console.warn
        )
        rosters = Rosters(
            hub,
            ledger,
            order.lists,
            order.column,
            _how(order, settled),
            keep_going=order.keep_going,
        )
        teller = _Teller(order, deliverer)
        looker = Looker(hub, ledger, order.routes, time.time, warnings_of("watch"))
        watching = Watch(looker, rosters, order.rhythm, order.jobs, teller.told, deliverer.counters)
        stack.enter_context(_ended_by_signals(watching))
        deliverer.start()
        stack.callback(deliverer.stop)
        if order.once:
            return _once(order, watching, ledger, deliverer)
        _serve(order, watching, ledger, stack)
        watching.run()
        deliverer.flush(1.0)
        return 0


def _once(order: Order, watching: Watch, ledger: Ledger, deliverer: Deliverer) -> int:
    from hubaudit.cli.save import write_file
    from hubaudit.verdict import UNDECIDED, worst_exit_code
    from hubaudit.watch import outcome

    roster = watching.once()
    left = deliverer.flush(_DELIVERED_WITHIN)
    rows = outcome.rows_of(ledger, roster.watched)
    for path in order.outputs:
        form = _SUFFIXES.get(path.suffix.lower(), order.form)
        write_file(path, outcome.FORMS[form](rows))
    if not order.outputs:
        console.write(outcome.FORMS[order.form](rows))
    if watching.is_stopped:
        raise KeyboardInterrupt
    if left:
        console.warn(f"{left} alerts are not delivered: the next run sends them")
    return worst_exit_code([outcome.code_of(rows), UNDECIDED if left else 0])


def _how(order: Order, settled: Settled) -> Callable[[date], How]:
    """How everything is audited on a day, which decides on waivers."""
    from hubaudit.sweeping.work import How

    load, depth = order.reading.load(), order.reading.depth("sampled")

    def how(today: date) -> How:
        policy = settled.policy
        if policy.today is not None:
            policy = replace(policy, today=today)
        return How(policy, "range", load, depth)

    return how


def _serve(order: Order, watching: Watch, ledger: Ledger, stack: ExitStack) -> None:
    """Listens, if it is asked to. Raises UsageError without the extra, or CannotListen."""
    if order.listen is None:
        return
    from hubaudit.watch.listen import is_loopback
    from hubaudit.watch.page import Pages
    from hubaudit.watch.receive import Gate
    from hubaudit.watch.server import Server, app_of, own_hosts

    gate = Gate(order.secret)
    shows = order.page or is_loopback(order.listen.host)
    app = app_of(
        ledger,
        watching,
        watching,
        gate,
        clock=time.time,
        pages=Pages(ledger, watching, time.time, gate) if shows else None,
        hosts=own_hosts(order.listen),
    )
    server = Server(app, order.listen.host, order.listen.port)
    address = server.start()
    stack.callback(server.stop)
    if not order.quiet:
        more = "" if shows else ", without the status page (--page shows it)"
        console.note(f"listening on http://{address}{more}")


def _tell_orphans(outbox: Outbox, order: Order) -> None:
    for name in outbox.orphans([one.name for one in order.notifiers]):
        if not order.quiet:
            console.note(
                f"alerts wait for {console.harmless(name)}, which --notify does not name now"
            )


class _Teller:
    """Tells people at the terminal what the watch sees. Alerts go to stdout, unless a sink writes there."""

    def __init__(self, order: Order, deliverer: Deliverer) -> None:
        self._order, self._deliverer = order, deliverer
        self._say: Callable[[str], object] = lambda text: console.write(f"{text}\n")
        if order.once or any(one.name.startswith("stdout") for one in order.notifiers):
            self._say = _nothing if order.quiet else console.note
        self._troubles: dict[str, str] = {}
        self._known: set[str] = set()

    def told(self, watched: Watched, outcome: Outcome) -> None:
        from hubaudit.watch.poll import Failed

        name = console.harmless(str(watched.name))
        if isinstance(outcome, Failed):
            said = str(outcome.error)
            if self._troubles.get(name) != said:
                console.warn(f"{name}: {said}")
            self._troubles[name] = said
            return
        if self._troubles.pop(name, None) is not None and not self._order.quiet:
            console.note(f"{name}: can be looked at again")
        if outcome.alerts:
            self._deliverer.wake()
        for alert in outcome.alerts:
            self._say(_sentences(alert, detail=self._order.verbose))
        if not outcome.alerts and (self._order.verbose or name not in self._known):
            self._note(name, outcome)
        self._known.add(name)

    def _note(self, name: str, looked: Looked) -> None:
        if not self._order.quiet:
            seen = looked.seen
            at = f"at {seen.commit[:_SHORT]}" if seen.commit else seen.presence.value
            verdict = f", {seen.verdict.upper()}" if seen.verdict else ""
            console.note(f"{name}: {at}{verdict}")


def _sentences(alert: Alert, *, detail: bool) -> str:
    """One alert in lines: what it is about, and each change."""
    from hubaudit.report.escape import clipped

    head = f"{alert.at} {alert.severity.upper()} {clipped(str(alert.name), _LINE)}"
    if not alert.changes:
        return f"{head}: {clipped(alert.summary, _LINE)}"
    lines = [f"{head}: {_way(alert)}"]
    for one in alert.changes:
        lines.append(f"    {one.severity:<8} {one.kind}: {clipped(one.message, _LINE)}")
        lines += [f"             {clipped(each, _LINE)}" for each in one.detail if detail]
    return "\n".join(lines)


def _way(alert: Alert) -> str:
    after = alert.after[:_SHORT] if alert.after else "no commit"
    verdict = f", {alert.verdict.upper()}" if alert.verdict else ""
    if alert.before == alert.after or alert.before is None:
        return f"at {after}{verdict}"
    return f"from {alert.before[:_SHORT]} to {after}{verdict}"


def _nothing(_text: str) -> None:
    pass


@contextmanager
def _ended_by_signals(watching: Watch) -> Iterator[None]:
    """SIGTERM ends the watch in good order, and so does Ctrl-C; a second Ctrl-C ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def end(number: int, _frame: object) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)
        watching.stop()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
        if signal.SIGINT in heard:
            raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
