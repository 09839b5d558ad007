"""Whether a cluster and shards come to what one machine does, byte for byte, with a worker killed midway.

    pip install -e '.[cluster]'
    python benchmarks/cluster.py [--targets 200]

The stand-in Hub runs in this process. The scheduler and the workers are the two commands of docs/sweep.md,
with certificates that openssl makes for this one time.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hubaudit.demo.checkpoints import floats, safetensors, state_dict, torch_zip
from hubaudit.demo.hub import HubRepo, StandInHub

WORKERS, SHARDS = 2, 4


def repository(number: int) -> HubRepo:
    weights = {"w": floats((8, 8), number)}
    files = {
        "config.json": b'{"model_type": "bert"}',
        "pytorch_model.bin": torch_zip(state_dict(weights)),
        "model.safetensors": safetensors(weights),
    }
    return HubRepo(f"org/model-{number:05}", files)


class Place:
    """A home with its own caches, store and reports."""

    def __init__(self, hub: StandInHub, home: Path, more: dict[str, str] | None = None) -> None:
        self.home = home
        home.mkdir()
        ours = {
            "HUBAUDIT_CACHE": str(home / "cache"),
            "HUBAUDIT_STORE": str(home / "store.sqlite3"),
        }
        self.env = os.environ | hub.env(home) | ours | (more or {})

    def run(self, *arguments: str) -> tuple[bytes, float]:
        """The JSON summary and the seconds. Raises SystemExit unless the exit code is 0."""
        begun = time.monotonic()
        command = [sys.executable, "-m", "hubaudit", *arguments, "--format", "json"]
        done = subprocess.run(
            command, env=self.env, cwd=self.home, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"exit code {done.returncode}: {done.stderr.decode()[-2000:]}")
        return done.stdout, time.monotonic() - begun

    @property
    def reports(self) -> dict[str, bytes]:
        root = self.home / "reports"
        found = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def certificates(folder: Path) -> dict[str, str]:
    """An authority, and a certificate that it signed; the configuration that names them."""
    made = {name: str(folder / f"{name}.pem") for name in ("ca", "ca-key", "cert", "key")}
    request = str(folder / "request.pem")
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    for command in (
        [*new, "-x509", "-subj", "/CN=authority", "-keyout", made["ca-key"], "-out", made["ca"]],
        [*new, "-subj", "/CN=localhost", "-keyout", made["key"], "-out", request],
        ["openssl", "x509", "-req", "-in", request, "-CA", made["ca"], "-CAkey", made["ca-key"],
         "-CAcreateserial", "-out", made["cert"]],
    ):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    return {
        f"{tls}CA_FILE": made["ca"],
        f"{tls}CLIENT__CERT": made["cert"],
        f"{tls}CLIENT__KEY": made["key"],
    }


@contextmanager
def cluster(
    folder: Path, env: dict[str, str], said: dict[str, str]
) -> Iterator[tuple[str, list[int]]]:
    """The address of a scheduler, and the ids of its workers' processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ca, cert, key = said.values()
    tls = ["--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key]
    address = f"tls://127.0.0.1:{port}"
    scheduler = ["scheduler", "--protocol", "tls", *tls, "--host", "127.0.0.1", "--port", str(port)]
    worker = ["worker", address, *tls, "--nthreads", "1", "--no-nanny"]
    with ExitStack() as stack:
        running = []
        for name, arguments in (
            ("scheduler", scheduler),
            *((f"worker-{one}", worker) for one in range(WORKERS)),
        ):
            (folder / name).mkdir()
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            command = [str(Path(sys.executable).with_name("dask")), *arguments]
            one = subprocess.Popen(
                command, env=env, cwd=folder / name, stdout=log, stderr=subprocess.STDOUT
            )
            stack.callback(one.wait)
            stack.callback(one.terminate)
            running.append(one.pid)
        yield address, running[1:]


def killed_midway(place: Place, address: str, workers: list[int], targets: int) -> float:
    """The seconds of a sweep during which the first worker is killed."""
    killed = []

    def kill() -> None:
        while len(place.reports) < targets // 2:
            time.sleep(0.02)
        killed.append(len(place.reports))
        os.kill(workers[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    _, spent = place.run("sweep", "list.txt", "--executor", f"dask:{address}")
    killer.join(1)
    if not killed or killed[0] >= targets:
        raise SystemExit("the worker was not killed in time")
    print(f"  a worker was killed at {killed[0]} of {targets} reports")
    return spent


def same(what: str, found: Place, wanted: Place, targets: int, spent: float) -> None:
    reports = found.reports
    if len(reports) != targets or reports != wanted.reports:
        raise SystemExit(f"{what}: {len(reports)} reports, and not those of threads")
    print(f"{what}: {len(reports)} reports, those of threads byte for byte, in {spent:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=200)
    targets = parser.parse_args().targets
    repos = [repository(number) for number in range(targets)]
    names = "".join(f"{repo.repo_id}\n" for repo in repos)
    with StandInHub(repos, page_size=1000) as hub, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        said = certificates(folder)
        threads = Place(hub, folder / "threads")
        (threads.home / "list.txt").write_text(names)
        whole, spent = threads.run("sweep", "list.txt")
        print(f"threads: {len(threads.reports)} reports in {spent:.1f} s")

        place, worker = Place(hub, folder / "dask", said), Place(hub, folder / "worker")
        (place.home / "list.txt").write_text(names)
        with cluster(folder, worker.env, said) as (address, workers):
            spent = killed_midway(place, address, workers, targets)
        same("dask over TLS", place, threads, targets, spent)

        stores, total = [], 0.0
        for number in range(1, SHARDS + 1):
            part = Place(hub, folder / f"part-{number}")
            (part.home / "list.txt").write_text(names)
            total += part.run("sweep", "list.txt", "--shard", f"{number}/{SHARDS}")[1]
            stores.append(str(part.home / "store.sqlite3"))
        merged = Place(hub, folder / "merged")
        summary, spent = merged.run("merge", *stores)
        same(f"{SHARDS} shards and merge", merged, threads, targets, total + spent)
        if summary != whole:
            raise SystemExit("the summary of the merge is not that of threads")


if __name__ == "__main__":
    main()
