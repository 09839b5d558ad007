"""What sweeps cost: requests, bytes, memory and time a repository, on the stand-in Hub.

    pip install -e .
    python benchmarks/sweep.py [--repositories 2000]

The Hub runs in this process, each sweep is the command line in another one, with a home of its own. All
repositories are ordinary ones: a torch checkpoint, its safetensors twin and texts, each with other
weights. The Hub counts; peak memory is what the system says of the process.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hubaudit.demo.checkpoints import floats, safetensors, state_dict, torch_zip
from hubaudit.demo.hub import HubRepo, StandInHub

RUN = """
import re, sys
from hubaudit.cli.app import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()).group(1), file=sys.stderr)
raise SystemExit(code)
"""


def repository(number: int) -> HubRepo:
    weights = {"w": floats((8, 8), number)}
    files = {
        "README.md": f"# Model {number}\n".encode(),
        "config.json": b'{"model_type": "bert"}',
        "pytorch_model.bin": torch_zip(state_dict(weights)),
        "model.safetensors": safetensors(weights),
    }
    return HubRepo(f"org/model-{number:05}", files)


def sweep(hub: StandInHub, home: Path, *arguments: str, expected: int = 0) -> tuple[str, ...]:
    """One sweep; its row of the table."""
    hub.clear_log()
    env = hub.env(home) | {
        "HUBAUDIT_CACHE": str(home / "cache"),
        "HUBAUDIT_STORE": str(home / "store.sqlite3"),
    }
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", RUN, "sweep", "-q", "--no-save", *arguments],
        env=env,
        cwd=home,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    spent = time.monotonic() - begun
    assert done.returncode == expected, (done.returncode, done.stderr[-2000:])
    targets = int(re.findall(r"(\d+) targets?:", done.stdout)[0])
    requests = hub.requests
    files = [one for one in requests if one.host == "cdn" or "/resolve" in one.path]
    api = len(requests) - len(files)
    return (
        f"{targets}",
        f"{api / targets:.2f}",
        f"{len(files) / targets:.2f}",
        f"{sum(one.sent_bytes for one in files):,}",
        f"{int(done.stderr.split()[-1]) / 1024:.0f} MiB",
        f"{spent / targets * 1000:.1f} ms",
        f"{sum(one.status == 429 for one in requests)}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repositories", type=int, default=2000)
    count = parser.parse_args().repositories
    rows: list[tuple[str, ...]] = [
        (
            "sweep",
            "targets",
            "API/target",
            "file requests/target",
            "file bytes",
            "peak",
            "time/target",
            "429s",
        )
    ]
    repos = [repository(number) for number in range(count)]
    with StandInHub(repos, page_size=1000) as hub, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        some = count // 10
        for name, number in (
            ("some.txt", some),
            ("all.txt", count),
            ("window.txt", min(300, count)),
        ):
            (home / name).write_text("".join(f"{one.repo_id}\n" for one in repos[:number]))
        rows.append((f"first, {some}", *sweep(hub, home, "some.txt")))
        rows.append((f"unchanged, {some}", *sweep(hub, home, "some.txt")))
        rows.append((f"first, {count}", *sweep(hub, home, "all.txt")))
        rows.append((f"unchanged, {count}", *sweep(hub, home, "all.txt")))
        (home / "hubaudit.toml").write_text('[formats]\ndeny = ["hdf5"]\n')
        rows.append((f"other policy, {count}", *sweep(hub, home, "all.txt")))
        (home / "hubaudit.toml").unlink()
        rows.append(("one window", *window(repos, home)))
    for row in rows:
        print(
            "  ".join(
                cell.rjust(12 if at else 0).ljust(22 if not at else 0)
                for at, cell in enumerate(row)
            )
        )


def window(repos: list[HubRepo], home: Path) -> tuple[str, ...]:
    """300 unchanged models with the quota of an anonymous caller: 500 requests in 300 seconds."""
    with StandInHub(repos[:300], page_size=1000) as before:
        sweep(before, home, "window.txt")
        port = before.endpoint
    with StandInHub(repos[:300], page_size=1000, quota=500, window=300) as hub:
        # the same Hub by another port: the store knows it by its endpoint
        store = home / "store.sqlite3"
        rename(store, port, hub.endpoint)
        return sweep(hub, home, "window.txt")


def rename(store: Path, before: str, after: str) -> None:
    import sqlite3

    with sqlite3.connect(store) as database:
        for table in ("audits", "listings"):
            database.execute(f"UPDATE {table} SET endpoint = ? WHERE endpoint = ?", (after, before))
    database.close()


if __name__ == "__main__":
    main()
