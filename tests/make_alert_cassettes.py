"""Record `cassettes/alerts/` anew, from a webhook on loopback: `python -m tests.make_alert_cassettes`.

A cassette is a list of exchanges in order. The secret that signs them is no secret.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from hubaudit.notify import DeliveryFailed
from hubaudit.notify.payload import message_key
from hubaudit.notify.webhook import Webhook
from hubaudit.watch.alert import Alert
from tests.notify.conftest import HOSTILE, Received, WebSink, alert, closing

FOLDER = Path(__file__).parents[1] / "cassettes" / "alerts"
SECRET = "not-a-secret"
# What belongs to the contract; the others name the version, the port and the HTTP library.
HEADERS = ("Content-Type", "Idempotency-Key", "X-Hubaudit-Event", "X-Hubaudit-Signature-256")
_LATER = (503, {"Retry-After": "2"})
_BUSY = (429, {"Retry-After": "Wed, 04 Mar 2026 05:06:17 GMT"})


@dataclass(frozen=True)
class Scene:
    """What is sent, again for each of `answers`, and what the sink answers to it."""

    alerts: tuple[Alert, ...]
    answers: tuple[tuple[int, dict[str, str]], ...]


SCENES = {
    "changed": Scene((alert(),), ((200, {}),)),
    "closed": Scene((closing([alert(1), alert(2)]),), ((202, {}),)),
    "digest": Scene((alert(1), alert(2, "org/other"), closing([alert(1)])), ((204, {}),)),
    "hostile-text": Scene((alert(said=HOSTILE),), ((200, {}),)),
    "retried": Scene((alert(),), (_LATER, _BUSY, (200, {}))),
    "refused": Scene((alert(),), ((400, {}), (409, {}), (410, {}))),
    "redirected": Scene((alert(),), ((301, {"Location": "/new"}), (308, {"Location": "/new"}))),
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, scene in SCENES.items():
        text = json.dumps(recorded(scene), indent=1, ensure_ascii=True) + "\n"
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def recorded(scene: Scene) -> list[dict[str, Any]]:
    answers = iter(scene.answers)

    def act(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str]]:
        status, headers = (200, {}) if handler.path == "/new" else next(answers)
        given.append((status, headers))
        return status, headers | ({"Content-Length": "0"} if status == 204 else {})

    given: list[tuple[int, dict[str, str]]] = []
    with WebSink(act) as sink:
        webhook = Webhook(sink.url, SECRET)
        for _ in scene.answers:
            with suppress(DeliveryFailed):
                webhook.send(scene.alerts, message_key([one.key for one in scene.alerts]))
        received = list(sink.received)
    return [
        {"request": _request(one), "response": {"status": status, "headers": headers}}
        for one, (status, headers) in zip(received, given, strict=True)
    ]


def _request(one: Received) -> dict[str, Any]:
    headers = {name: one.headers[name] for name in HEADERS}
    return {"method": "POST", "path": one.path, "headers": headers, "body": one.body.decode()}


if __name__ == "__main__":
    main()
