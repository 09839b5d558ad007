"""A delivery that is killed again and again, to a sink that fails half of the time: nothing is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from hubaudit.notify.webhook import Webhook

from .conftest import Box, WebSink

ROOT = Path(__file__).parents[2]
ALERTS = 200
REPOSITORIES = 20

# A lease of half a second, so that the test need not wait ten for what a killed process held.
DELIVERER = """
import sys, time
from pathlib import Path
from hubaudit.notify import deliver, outbox
from hubaudit.notify.webhook import Webhook
from hubaudit.store import Store
deliver.LEASE = outbox.LEASE = 0.5
deliver.FIRST_PAUSE = 0.02
store = Store(Path(sys.argv[1]))
box = outbox.Outbox(store, time.time)
deliverer = deliver.Deliverer(box, [Webhook(sys.argv[2], "secret")])
deliverer.start()
sys.exit(min(deliverer.flush(60), 1))
"""


def half_the_time(chance: random.Random) -> object:
    def act(_handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str]] | None:
        turn = chance.random()
        if turn < 0.1:
            return None  # cut off without an answer
        return (503 if turn < 0.5 else 200, {})

    return act


def acknowledged(box: Box) -> set[str]:
    query = (
        "SELECT key FROM deliveries d JOIN alerts a ON a.id = d.alert "
        "WHERE acknowledged IS NOT NULL"
    )
    return {row[0] for row in box.store.rows(query)}


def test_kills_and_failures_lose_nothing_and_nothing_acknowledged_is_sent_again(
    live: Box, sink: WebSink
) -> None:
    chance = random.Random(8)
    sink.act = half_the_time(chance)  # type: ignore[assignment]
    name = Webhook(sink.url).name
    command = [sys.executable, "-c", DELIVERER, str(live.store.path), sink.url]
    told: list[str] = []
    snapshots: list[tuple[int, set[str]]] = []
    until = time.monotonic() + 90
    while time.monotonic() < until and (len(told) < ALERTS or live.outbox.pending()):
        running = subprocess.Popen(command, cwd=ROOT)
        try:
            for _ in range(min(30, ALERTS - len(told))):
                told.append(live.tell(f"org/m{chance.randrange(REPOSITORIES)}", name).key)
                time.sleep(0.01)
            came = len(sink.received)
            while (
                len(sink.received) == came and running.poll() is None and time.monotonic() < until
            ):
                time.sleep(0.02)
            time.sleep(chance.uniform(0.0, 0.8))
        finally:
            running.kill()
            running.wait()
        time.sleep(0.05)  # what the kernel had already taken is still on its way
        snapshots.append((len(sink.received), acknowledged(live)))

    assert len(told) == ALERTS
    assert len(snapshots) > 5
    assert live.outbox.pending() == 0
    assert live.acknowledged(name) == ALERTS
    taken = {one.key for one in sink.received if one.status == 200}
    assert taken == set(told)
    for index, known in snapshots:
        assert not known & {one.key for one in sink.received[index:]}
    bodies: dict[str, set[bytes]] = {}
    for one in sink.received:
        bodies.setdefault(one.key, set()).add(one.body)
    assert {len(found) for found in bodies.values()} == {1}
    orders: dict[str, list[str]] = {}
    for one in sink.received:
        if one.status == 200:
            repo = json.loads(one.body)["repo"]["repo_id"]
            orders.setdefault(repo, []).append(one.key)
    for keys in orders.values():
        assert [key for key in told if key in keys] == list(dict.fromkeys(keys))
