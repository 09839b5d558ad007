"""Slack, Discord, Teams, PagerDuty and what else `apprise` knows: an optional library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hubaudit.errors import ConfigError
from hubaudit.model import Severity
from hubaudit.notify import hidden
from hubaudit.notify.notifier import DeliveryFailed, Notifier, name_of
from hubaudit.notify.wording import headline, markdown, worst
from hubaudit.watch.alert import Alert, Event


class _Service(Protocol):
    def notify(self, *, body: str, title: str, notify_type: str, body_format: str) -> bool | None:
        """Whether the service took it. Why not goes into a log, which holds the URL."""


class Apprise:
    """One service. Few of them know keys of idempotency: after a crash a message may come twice."""

    def __init__(self, url: str, service: _Service) -> None:
        self.name = name_of("apprise", url.partition(":")[0].lower(), url)
        self._service = service

    def __repr__(self) -> str:
        return f"<Apprise {self.name}>"

    def send(self, alerts: Sequence[Alert], key: str) -> None:  # noqa: ARG002 - services have no place for it
        if not self._is_taken(alerts):
            raise DeliveryFailed("the service did not take it")

    def close(self) -> None:
        pass

    def _is_taken(self, alerts: Sequence[Alert]) -> bool:
        with hidden.quiet():
            return bool(
                self._service.notify(
                    body=markdown(alerts),
                    title=f"hubaudit: {headline(alerts)}",
                    notify_type=_type(alerts),
                    body_format="markdown",
                )
            )


def from_spec(rest: str, environ: Mapping[str, str]) -> tuple[Notifier, ...]:
    """`env:NAME` or `file:PATH` with one URL a line. Raises ConfigError."""
    found = hidden.from_source(rest, environ, "apprise:env:NAME or apprise:file:PATH")
    lines = [line.strip() for line in found.splitlines()]
    urls = [line for line in lines if line and not line.startswith("#")]
    if not urls:
        raise ConfigError("apprise: is given no URL", hint="write one in a line")
    return tuple(Apprise(url, _service(url, number)) for number, url in enumerate(urls, 1))


def _service(url: str, number: int) -> _Service:
    try:
        import apprise
    except ImportError:
        raise ConfigError(
            "apprise is not installed", hint='pip install "hubaudit[alerts]"'
        ) from None
    # in memory: some services would keep tokens on the disk
    asset = apprise.AppriseAsset(
        app_id="hubaudit", app_desc="hubaudit", secure_logging=True, storage_mode="memory"
    )
    with hidden.quiet():
        made: Any = apprise.Apprise.instantiate(url, asset=asset)
    if not made:
        raise ConfigError(
            f"URL {number} is none that apprise understands",
            hint="see its list of services; passwords in it are percent-encoded",
        )
    service: _Service = made
    return service


def _type(alerts: Sequence[Alert]) -> str:
    """What colour and icon services give it (`apprise.NotifyType`)."""
    if all(alert.event is Event.CLOSED for alert in alerts):
        return "success"
    match worst(alerts):
        case Severity.CRITICAL | Severity.HIGH:
            return "failure"
        case Severity.MEDIUM | Severity.LOW:
            return "warning"
    return "info"
