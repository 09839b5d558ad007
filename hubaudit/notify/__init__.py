"""The delivery of alerts: sinks, and the outbox from which each gets them until it has acknowledged them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hubaudit.notify import apprise, command, email, lines, webhook
from hubaudit.notify.notifier import DeliveryFailed, Notifier

__all__ = ["NOTIFIERS", "DeliveryFailed", "Notifier"]

# What makes the sinks of a `--notify SCHEME:REST`, by scheme, out of REST and the environment.
NOTIFIERS: dict[str, Callable[[str, Mapping[str, str]], tuple[Notifier, ...]]] = {
    "stdout": lines.stdout_from_spec,
    "jsonl": lines.from_spec,
    "https": lambda rest, environ: (webhook.from_url(f"https:{rest}", environ),),
    "http": lambda rest, environ: (webhook.from_url(f"http:{rest}", environ),),
    "webhook": webhook.from_spec,
    "mailto": email.from_spec,
    "command": command.from_spec,
    "apprise": apprise.from_spec,
}
