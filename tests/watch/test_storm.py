"""Random commits while the watch is killed and started again, and the sink fails half of the time."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from tests.watch.conftest import armed, checkpoint, model_files, twin


class Sink:
    """Takes every other delivery, by chance, and says what it took."""

    def __init__(self, dice: random.Random) -> None:
        self.taken: list[dict[str, Any]] = []
        self.keys: Counter[str] = Counter()
        sink, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                alert = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    takes = dice.random() < 0.5
                    if takes:
                        sink.keys[self.headers["Idempotency-Key"]] += 1
                        sink.taken.append(alert)
                self.send_response(200 if takes else 503)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def place(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/alerts"


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink(random.Random(7))
    yield found
    found.server.shutdown()
    found.server.server_close()


class Process:
    """The command line, watching, in a home of its own."""

    def __init__(self, hub: StandInHub, sink: Sink, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(folder / "home"),
            "HUBAUDIT_CACHE": str(folder / "cache"),
            "HUBAUDIT_STORE": str(folder / "store.sqlite3"),
        }
        self._arguments = [
            "watch",
            str(folder / "list.txt"),
            "--notify",
            sink.place,
            "--no-config",
            "-q",
        ]

    def once(self) -> int:
        return self._start("--once").wait(120)

    def begin(self) -> subprocess.Popen[bytes]:
        return self._start("--every", "1s")

    def _start(self, *more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "hubaudit", *self._arguments, *more],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def some_files(dice: random.Random, number: int) -> dict[str, bytes]:
    kinds = {
        "config.json": b'{"n": %d}' % number,
        "notes.txt": b"%d" % number,
        "README.md": b"# %d\n" % number,
        "modeling_x.py": b"N = %d\n" % number,
        "pytorch_model.bin": armed(number) if dice.random() < 0.3 else checkpoint(number),
        "model.safetensors": twin(number),
    }
    names = dice.sample(sorted(kinds), dice.randint(1, 2))
    return {name: kinds[name] for name in names}


@pytest.mark.parametrize(
    ("repositories", "commits", "kills"),
    [
        (3, 24, 5),
        pytest.param(
            20, 200, 30, marks=[pytest.mark.slow, pytest.mark.timeout(900)], id="200 commits"
        ),
    ],
)
@pytest.mark.timeout(120)
def test_every_commit_is_delivered_and_none_is_lost(
    repositories: int, commits: int, kills: int, sink: Sink, tmp_path: Path
) -> None:
    dice = random.Random(11)
    repos = [HubRepo(f"org/m{n}", model_files(n + 1)) for n in range(repositories)]
    (tmp_path / "list.txt").write_text("".join(f"{one.repo_id}\n" for one in repos))
    made: dict[str, list[str]] = {one.repo_id: [one.sha] for one in repos}
    with StandInHub(repos, page_size=1000) as hub:
        process = Process(hub, sink, tmp_path)
        assert process.once() == 0
        running, pauses = process.begin(), sorted(dice.sample(range(commits), kills))
        for number in range(commits):
            repo = dice.choice(repos)
            made[repo.repo_id].append(repo.commit(repo.files | some_files(dice, number + 100)))
            time.sleep(dice.uniform(0, 0.25))
            if number in pauses:
                running.send_signal(signal.SIGKILL)
                running.wait()
                running = process.begin()
        wanted = sum(len(commits) - 1 for commits in made.values())
        until = time.monotonic() + 30 + commits
        while len(sink.keys) < wanted and time.monotonic() < until:
            time.sleep(0.2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
        while process.once() == 2:  # some are not delivered yet
            assert time.monotonic() < until
    steps: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for alert in sink.taken:
        if alert["event"] == "changed":
            steps[alert["repo"]["repo_id"]][alert["key"]] = alert["before"], alert["after"]
    for repo_id, hashes in made.items():
        told = sorted(steps[repo_id].values(), key=lambda step: hashes.index(step[0]))
        assert told == list(itertools.pairwise(hashes)), repo_id
    # a kill between the sink's yes and our note of it makes one come again, with the same key
    assert sum(times - 1 for times in sink.keys.values()) <= kills
