"""Our full trace of a pickle against C `pickle.load` and picklescan: ratios of one run.

    pip install -e . picklescan
    python benchmarks/pickle_machine.py [--rounds 5]

Each contestant runs in a process of its own, which times the work itself (not the interpreter's start)
and tells its peak memory. The contestants take turns; a ratio is the median of the rounds' ratios. The
files are plain numbers, texts and lists that this script has just written.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

MEASURE = """

import json, re, sys, time
def peak():  # KiB; ru_maxrss would begin with the parent's
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()).group(1))
before = peak()
start = time.perf_counter()
{work}
took = time.perf_counter() - start
print(json.dumps([took, peak() - before]))
"""

CONTESTANTS = {
    "hubaudit": (
        """
from hubaudit.pvm.machine import interpret
from hubaudit.source.local import LocalSource
from pathlib import Path""",
        """
with LocalSource(Path(sys.argv[1])) as source:
    trace = interpret(source)
assert trace.complete""",
    ),
    "pickle.load": (
        "import pickle",
        "with open(sys.argv[1], 'rb') as file: pickle.load(file)",
    ),
    "picklescan": (
        "from picklescan.scanner import scan_file_path",
        "assert not scan_file_path(sys.argv[1]).scan_err",
    ),
}


def nested(count: int) -> list[Any]:
    """`count` lists and tuples in one another, three deep."""
    return [[number, (number, [number])] for number in range(count // 3)]


CASES: dict[str, tuple[int, Callable[[], Any]]] = {
    "3,000,000 floats": (4, lambda: [number / 7 for number in range(3_000_000)]),
    "600,000 keys": (4, lambda: {f"key{number:07}": number for number in range(600_000)}),
    "300,000 lists and tuples": (2, lambda: nested(300_000)),
    "300 MB of bytes": (4, lambda: b"\x00" * 300_000_000),
}


def measure(name: str, path: Path) -> tuple[float, float]:
    """Seconds and MiB that the contestant `name` takes for `path`."""
    imports, work = CONTESTANTS[name]
    code = imports + MEASURE.format(work=work)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    seconds, kibibytes = json.loads(done.stdout)
    return seconds, kibibytes / 1024


def rounds(path: Path, count: int) -> Iterator[dict[str, tuple[float, float]]]:
    for _ in range(count):
        yield {name: measure(name, path) for name in CONTESTANTS}


def report(title: str, measured: list[dict[str, tuple[float, float]]]) -> str:
    times = {name: [one[name][0] for one in measured] for name in CONTESTANTS}
    peaks = {name: median(one[name][1] for one in measured) for name in CONTESTANTS}
    to_load = median(a / b for a, b in zip(times["hubaudit"], times["pickle.load"], strict=True))
    to_scan = median(a / b for a, b in zip(times["picklescan"], times["hubaudit"], strict=True))
    figures = ", ".join(
        f"{name} {median(times[name]) * 1000:,.1f} ms {peaks[name]:,.0f} MiB"
        for name in CONTESTANTS
    )
    return (
        f"{title}: {to_load:.2f} x pickle.load, {to_scan:.1f} times as fast as picklescan\n"
        f"    {figures}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    count = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        for title, (protocol, make) in CASES.items():
            path = Path(folder) / "case.pkl"
            path.write_bytes(pickle.dumps(make(), protocol))
            print(report(title, list(rounds(path, count))))


if __name__ == "__main__":
    main()
