"""What a watch costs while nothing changes: requests, time and memory of each round, on the stand-in Hub.

    pip install -e .
    python benchmarks/watch.py [--repositories 1000] [--rounds 50]

The Hub runs in this process and counts; the watch is the command line in another one, with a home and a
store of its own. The first round, which audits everything, is not counted. Memory is what the system says is
resident after the tenth round and after the last.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubaudit.demo.checkpoints import floats, safetensors, state_dict, torch_zip
from hubaudit.demo.hub import HubRepo, StandInHub


def repository(number: int) -> HubRepo:
    weights = {"w": floats((8, 8), number)}
    files = {
        "README.md": f"# Model {number}\n".encode(),
        "config.json": b'{"model_type": "bert"}',
        "pytorch_model.bin": torch_zip(state_dict(weights)),
        "model.safetensors": safetensors(weights),
    }
    return HubRepo(f"org/model-{number:05}", files)


@contextmanager
def watching(hub: StandInHub, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(folder / "home"),
        "HUBAUDIT_CACHE": str(folder / "cache"),
        "HUBAUDIT_STORE": str(folder / "store.sqlite3"),
    }
    command = [sys.executable, "-m", "hubaudit", "watch", str(folder / "list.txt"), "-q"]
    command += ["--no-config", "--every", "1s", "--serve", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    if process.returncode != 0:
        raise SystemExit("the watch did not end well")


def rounds_at(port: int) -> int:
    """Rounds that are over, 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            found = re.search(rb"^hubaudit_rounds_total (\d+)", answer.read(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def wait_for(port: int, rounds: int) -> int:
    while (now := rounds_at(port)) < rounds:
        time.sleep(0.1)
    return now


def resident(process: subprocess.Popen[bytes]) -> float:
    """MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s*(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repositories", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=50)
    asked = parser.parse_args()
    repos = [repository(number) for number in range(asked.repositories)]
    port = free_port()
    with tempfile.TemporaryDirectory() as name, StandInHub(repos, page_size=1000) as hub:
        folder = Path(name)
        (folder / "list.txt").write_text("".join(f"{one.repo_id}\n" for one in repos))
        with watching(hub, folder, port) as process:
            first = wait_for(port, 2)
            hub.clear_log()
            begun = time.monotonic()
            early = wait_for(port, first + 10)
            before = resident(process)
            last = wait_for(port, first + asked.rounds)
            after, spent = resident(process), time.monotonic() - begun
            requests, sent = len(hub.requests), sum(one.sent_bytes for one in hub.requests)
    rounds = last - first
    print(f"{asked.repositories} repositories, {rounds} rounds in which nothing changed")
    print(f"  requests a repository and round   {requests / rounds / asked.repositories:.3f}")
    print(f"  bytes a repository and round      {sent / rounds / asked.repositories:.0f}")
    print(f"  seconds a round                   {spent / rounds:.2f} (with the pause of 1 s)")
    print(f"  resident after round {early - first:<4}         {before:.1f} MiB")
    print(f"  resident after round {rounds:<4}         {after:.1f} MiB")


if __name__ == "__main__":
    main()
