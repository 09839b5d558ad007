"""The watch in Prometheus' words. Every number is read when it is asked for; no repository is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hubaudit import __version__
from hubaudit.watch.ledger import Ledger
from hubaudit.watch.overview import Standing, standings
from hubaudit.watch.pulse import Pulse, Vitals
from hubaudit.watch.receive import Gate


def exposed(ledger: Ledger, pulse: Pulse, gate: Gate) -> Callable[[str], tuple[bytes, str]]:
    """From the Accept header to the metrics and their content type. It may raise StoreUnusable."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Watch(ledger, pulse, gate))

    def expose(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    return expose


class _Watch(Collector):
    def __init__(self, ledger: Ledger, pulse: Pulse, gate: Gate) -> None:
        self._ledger = ledger
        self._pulse = pulse
        self._gate = gate

    def describe(self) -> list[Metric]:
        """Nothing: or the store would be read when the registry is made."""
        return []

    def collect(self) -> Iterator[Metric]:
        vitals = self._pulse.read()
        yield _gauge(
            "hubaudit_build_info", "Which hubaudit it is.", ("version",), [((__version__,), 1)]
        )
        yield self._webhooks()
        yield from _loop(vitals)
        yield from _sinks(vitals)
        yield from _repositories(standings(self._ledger, vitals.watched))

    def _webhooks(self) -> Metric:
        counts = {(outcome.value,): count for outcome, count in self._gate.counts.items()}
        said = "Deliveries of webhooks, by what became of them."
        return _counter("hubaudit_webhooks", said, ("outcome",), counts.items())


def _loop(vitals: Vitals) -> Iterator[Metric]:
    yield _counter("hubaudit_rounds", "Rounds over all repositories.", (), [((), vitals.rounds)])
    yield _counter("hubaudit_looks", "Looks at a repository.", (), [((), vitals.looks)])
    said = "Requests made to the Hub."
    yield _counter("hubaudit_hub_requests", said, (), [((), vitals.hub_requests)])
    changes = {(kind.value, severity.value): n for (kind, severity), n in vitals.changes.items()}
    yield _counter("hubaudit_changes", "Changes noticed.", ("kind", "severity"), changes.items())
    said = "The pause between rounds."
    yield _gauge("hubaudit_every_seconds", said, (), [((), vitals.every)])
    if vitals.last_round_seconds is not None:
        said = "How long the last round took."
        yield _gauge("hubaudit_last_round_seconds", said, (), [((), vitals.last_round_seconds)])
    if vitals.last_round_at is not None:
        said = "When the last round ended, in seconds since 1970."
        at = [((), vitals.last_round_at)]
        yield _gauge("hubaudit_last_round_timestamp_seconds", said, (), at)


def _sinks(vitals: Vitals) -> Iterator[Metric]:
    tries = {
        (name, outcome): count
        for name, sink in vitals.sinks.items()
        for outcome, count in (("delivered", sink.delivered), ("failed", sink.failed))
    }
    said = "Tries to deliver an alert, by sink and outcome."
    yield _counter("hubaudit_deliveries", said, ("sink", "outcome"), tries.items())
    pending = {(name,): sink.pending for name, sink in vitals.sinks.items()}
    said = "Alerts that wait to be delivered."
    yield _gauge("hubaudit_deliveries_pending", said, ("sink",), pending.items())


def _repositories(every: tuple[Standing, ...]) -> Iterator[Metric]:
    kinds: Counter[tuple[str, ...]] = Counter(map(_kind, every))
    said = "Watched repositories, as they were last seen."
    yield _gauge("hubaudit_repositories", said, ("presence", "verdict", "drift"), kinds.items())
    troubled = sum(one.trouble is not None for one in every)
    said = "Watched repositories that could not be looked at."
    yield _gauge("hubaudit_troubled_repositories", said, (), [((), troubled)])
    alerts: Counter[tuple[str, ...]] = Counter()
    for one in every:
        for severity, count in one.open_alerts.items():
            alerts[(severity.value,)] += count
    yield _gauge(
        "hubaudit_open_alerts", "Alerts that nothing closed yet.", ("severity",), alerts.items()
    )


def _kind(one: Standing) -> tuple[str, str, str]:
    presence = one.seen.presence.value if one.seen else "unknown"
    verdict = one.seen.verdict.value if one.seen and one.seen.verdict else "none"
    return presence, verdict, "yes" if one.is_drift else "no"


Labelled = Iterable[tuple[tuple[str, ...], float]]


def _counter(name: str, said: str, labels: tuple[str, ...], values: Labelled) -> Metric:
    family = CounterMetricFamily(name, said, labels=labels)
    for key, value in sorted(values):
        family.add_metric(key, value)
    return family


def _gauge(name: str, said: str, labels: tuple[str, ...], values: Labelled) -> Metric:
    family = GaugeMetricFamily(name, said, labels=labels)
    for key, value in sorted(values):
        family.add_metric(key, value)
    return family
