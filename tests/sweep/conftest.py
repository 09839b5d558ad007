"""The command in a process of its own, against the stand-in Hub, with a home of its own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hubaudit.demo.assemble import assemble
from hubaudit.demo.checkpoints import floats, safetensors, state_dict, torch_zip
from hubaudit.demo.hub import HubRepo, StandInHub

ROOT = Path(__file__).parents[2]
ARMED = assemble(
    ("PROTO", 2), ("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP"
)


def files(seed: int) -> dict[str, bytes]:
    """An ordinary repository, unlike that of another seed."""
    weights = {"w": floats((8, 8), seed)}
    return {
        "README.md": f"# Model {seed}\n".encode(),
        "config.json": b'{"model_type": "bert"}',
        "pytorch_model.bin": torch_zip(state_dict(weights)),
        "model.safetensors": safetensors(weights),
    }


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def target(self, name: str) -> dict[str, Any]:
        return next(one for one in self.summary["targets"] if one["target"] == name)


@dataclass
class Machine:
    """Where hubaudit runs: its home has the caches, the store and the reports."""

    hub: StandInHub
    home: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        ours = {
            "HUBAUDIT_CACHE": str(self.home / "cache"),
            "HUBAUDIT_STORE": str(self.home / "store.sqlite3"),
            "PYTHONPATH": str(ROOT),
        }
        return self.hub.env(self.home) | ours | self.more

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        self.home.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "hubaudit", *arguments],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def __call__(self, *arguments: str, given: str = "") -> Ran:
        with self.start(*arguments) as running:
            try:
                out, err = running.communicate(given, timeout=60)
            finally:
                running.kill()
        return Ran(running.returncode, out, err)

    def sweep(self, *arguments: str, given: str = "") -> Ran:
        return self("sweep", "--format", "json", *arguments, given=given)

    def write(self, text: str, name: str = "list.txt") -> str:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / name).write_text(text, encoding="utf-8")
        return name

    @property
    def reports(self) -> dict[str, bytes]:
        root = self.home / "reports"
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    @property
    def stored(self) -> dict[str, list[Any]]:
        """What the store holds, without its clock and its numbers."""
        return stored_in(self.home / "store.sqlite3")


def stored_in(path: Path) -> dict[str, list[Any]]:
    queries = {
        "audits": "SELECT endpoint, repo_type, repo_id, revision, commit_hash, ruleset, policy, "
        "settings, scan, settled, verdict, code, report FROM audits",
        "listings": "SELECT * FROM listings",
        "evidence": "SELECT * FROM evidence",
        "results": "SELECT target, result FROM results WHERE sweep = (SELECT max(id) FROM sweeps)",
    }
    with sqlite3.connect(path) as database:
        found = {name: sorted(database.execute(query)) for name, query in queries.items()}
    database.close()
    return found


def file_requests(hub: StandInHub) -> list[str]:
    return [one.path for one in hub.requests if one.host == "cdn" or "/resolve" in one.path]


def api_requests(hub: StandInHub) -> list[str]:
    return [one.path for one in hub.requests if one.host == "hub" and "/resolve" not in one.path]


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    repos = [HubRepo(f"org/model-{number}", files(number)) for number in range(4)]
    repos.append(HubRepo("org/armed", files(9) | {"pytorch_model.bin": ARMED}))
    with StandInHub(repos, page_size=1000) as hub:
        yield hub


@pytest.fixture
def machine(hub: StandInHub, tmp_path: Path) -> Machine:
    return Machine(hub, tmp_path / "home")
