"""The bytes that a sink gets: one alert as it is, several as a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from hubaudit.report.json import printable
from hubaudit.watch.alert import Alert, dumps, to_dict

DIGEST_SCHEMA = "hubaudit.digest/1"


def payload(alerts: Sequence[Alert]) -> bytes:
    """`hubaudit.alert/1` for one, `hubaudit.digest/1` for several: one line of ASCII, without its end.

    The same alerts give the same bytes.
    """
    if len(alerts) == 1:
        return line(alerts[0]).encode("ascii")
    found = {"schema": DIGEST_SCHEMA, "alerts": [to_dict(alert) for alert in alerts]}
    text = json.dumps(found, separators=(",", ":"), allow_nan=False)
    return printable(text).encode("ascii")


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `payload` gives, as the package ships it."""
    text = files("hubaudit.notify").joinpath("alert.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def line(alert: Alert) -> str:
    """The JSON of `alert`, harmless to a terminal and to the log of a job."""
    return printable(dumps(alert))


def event(alerts: Sequence[Alert]) -> str:
    """`changed`, `closed` or `digest`."""
    return alerts[0].event.value if len(alerts) == 1 else "digest"


def message_key(keys: Sequence[str]) -> str:
    """The idempotency key of a message: that of the alert, of several one made of theirs."""
    if len(keys) == 1:
        return keys[0]
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()
