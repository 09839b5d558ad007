"""What an audit costs the network: requests, bytes and peak memory, on a stand-in Hub with latency.

    pip install -e .
    python benchmarks/remote_reads.py [--mebibytes 1024] [--latency 0.02]

The Hub runs in a process of its own, which waits before every answer. Each audit is the command line in
another, with empty caches unless the line says otherwise; what it cost is what `--cost` prints, and its
peak memory is what the system says of the process. The weights are random bytes made on the spot.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubaudit.demo.checkpoints import Tensor, safetensors, state_dict, tensor, torch_zip
from hubaudit.demo.faults import Delay
from hubaudit.demo.hub import HubRepo, StandInHub

CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}).encode()
CARD = {"README.md": b"# model\n", "config.json": CONFIG}
TENSORS = 200
SHARDS = 70

# peak of this process alone, in KiB: ru_maxrss would begin with the parent's
RUN = """
import re, sys
from hubaudit.cli.app import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()).group(1), file=sys.stderr)
raise SystemExit(code)
"""


def weights(size: int, count: int, seed: int = 0) -> dict[str, Tensor]:
    """`count` float32 matrices, `size` bytes together; cut out of one random block at many places."""
    block = random.Random(seed).randbytes(1 << 20)
    rows = max(1, size // count // 4096)
    data = block * (rows * 4096 // len(block) + 2)
    made = {}
    for number in range(count):
        start = number * 4096 * 7 % len(block)
        made[f"model.layers.{number:03}.weight"] = tensor(
            "F32", (rows, 1024), data[start : start + rows * 4096]
        )
    return made


def index(shards: dict[str, dict[str, Tensor]]) -> bytes:
    placed = {name: path for path, tensors in shards.items() for name in tensors}
    return json.dumps({"metadata": {"total_size": 0}, "weight_map": placed}).encode()


def repositories(mebibytes: int) -> Iterator[HubRepo]:
    single = weights(mebibytes << 20, TENSORS)
    checkpoint, twin = torch_zip(state_dict(single)), safetensors(single, {"format": "pt"})
    files = {"pytorch_model.bin": checkpoint, "model.safetensors": twin}
    yield HubRepo("bench/single", {**CARD, **files})
    part = weights(1 << 20, 10)
    for count in (7, SHARDS):
        bins = {
            f"pytorch_model-{number:05}-of-{count:05}.bin": {
                f"shard{number}.{name}": one for name, one in part.items()
            }
            for number in range(1, count + 1)
        }
        files = {path: torch_zip(state_dict(tensors)) for path, tensors in bins.items()}
        files["pytorch_model.bin.index.json"] = index(bins)
        yield HubRepo(f"bench/shards-{count}", {**CARD, **files})


def serve(mebibytes: int, latency: float) -> None:
    """The Hub, until stdin is closed."""
    with StandInHub(repositories(mebibytes), page_size=1000) as hub:
        hub.fault(Delay(latency))
        print(hub.endpoint, flush=True)
        sys.stdin.read()


@contextmanager
def running_hub(mebibytes: int, latency: float) -> Iterator[str]:
    command = [sys.executable, __file__, "--serve"]
    command += ["--mebibytes", str(mebibytes), "--latency", str(latency)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def audit(endpoint: str, home: Path, repo_id: str, *options: str) -> str:
    """One line: the verdict, and what the audit of `repo_id` cost."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUB"))}
    env = {**kept, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HUBAUDIT_CACHE": str(home)}
    command = [sys.executable, "-c", RUN, "audit", repo_id, "--no-save", "--no-config"]
    command += ["--quiet", "--format", "json", "--cost", *options]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    seconds = time.perf_counter() - start
    report = json.loads(done.stdout)
    cost = report["cost"]
    compared = [f"{one['result']} ({one['depth']})" for one in report["comparisons"]]
    return (
        f"{report['verdict']}, {cost['requests']} requests, {cost['received'] / 1000:,.0f} kB,"
        f" {seconds:.1f} s, {int(done.stderr.split()[-1]) / 1024:.0f} MiB"
        + (f"; {', '.join(compared)}" if compared else "")
    )


def measure(mebibytes: int, latency: float) -> None:
    with running_hub(mebibytes, latency) as endpoint, tempfile.TemporaryDirectory() as folder:
        cases = {
            "headers only": ("single", "--fetch", "range", "--compare", "metadata"),
            "sampled": ("single", "--fetch", "range"),
            "7 shards": ("shards-7", "--fetch", "range"),
            f"{SHARDS} shards": (f"shards-{SHARDS}", "--fetch", "range"),
            "into the cache": ("single", "--fetch", "cache", "--compare", "metadata"),
        }
        for title, (name, *options) in cases.items():
            home = Path(folder) / title
            print(f"{title}: {audit(endpoint, home, f'bench/{name}', *options)}")
            print(f"    again: {audit(endpoint, home, f'bench/{name}', *options)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mebibytes", type=int, default=1024, help="of the single checkpoint")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before an answer")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    (serve if chosen.serve else measure)(chosen.mebibytes, chosen.latency)


if __name__ == "__main__":
    main()
