"""Hold the pickle machine to the C unpickler over any number of generated pickles.

    python -m tests.differential --cases 1000000 --seed 1

The law: every `(module, name)` that the C unpickler passes to `find_class`, before it stops or
raises, is in the trace's imports, or the trace says where it lost track. An import with a computed
name explains one unknown name, not more. A trace that ended in LIMIT explains all, but nothing in
the reading of `loads`: no case is so large, and a frame that is crossed changes nothing there. And
no input takes the machine down or keeps it busy.

A case is a function of the seed and its number. Exit code 1 if there were misses; each comes with
a pickle in hex that was made as small as it would go.
"""

from __future__ import annotations

import argparse
import signal
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import FrameType, TracebackType

from hubaudit.pvm.machine import interpret
from hubaudit.pvm.render import render
from hubaudit.pvm.values import StopKind, Trace
from hubaudit.source.memory import MemorySource
from tests.pvm import seeds
from tests.pvm.mutations import mutate, split
from tests.pvm.strategies import program

REFERENCE = Path(__file__).parent / "pvm" / "reference.py"
READINGS = (
    "BytesIO",
    "loads",
    "buffered file",
    "loads in Latin-1",
    "pure Python",
)  # as in the reference
BATCH = 200  # cases per answer of the reference: enough that pipes cost nothing
FRESH = 100  # batches after which the reference is started anew, so that nothing piles up
PATIENCE = 20.0  # seconds for one case of at most some hundred KiB, with every core busy
LONG_ONE_IN = 500  # cases that cross a window: they take as long as thousands of others
TRIES = 3000  # of making a reproducer smaller

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the C unpickler imported in one way of reading, and whether it came to STOP."""

    names: tuple[Name, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Miss:
    number: int
    why: str
    data: bytes


@dataclass(slots=True)
class Tally:
    """What came out of some cases. `kinds` counts what the cases did, so that 0 misses mean something."""

    kinds: Counter[str] = field(default_factory=Counter)
    misses: list[Miss] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.kinds += other.kinds
        self.misses += other.misses


class Reference:
    """The C unpickler of some Python, in a process that may die of what it reads."""

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        self._batches = 0
        self._process = self._start()

    def __enter__(self) -> Reference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._python, "-I", "-S", str(REFERENCE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )

    def _stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self, cases: Sequence[bytes]) -> list[tuple[Reading, ...] | None]:
        """The readings of each case; None for one that the reference died of."""
        answers = self._ask(cases)
        while len(answers) < len(cases):
            rest = cases[len(answers) :]
            # The answers to a batch come together: which case it was, they do not tell.
            for case in rest if len(rest) > 1 else ():
                answers += self._ask([case]) or [None]
            if len(rest) == 1:
                answers.append(None)
        return answers

    def _ask(self, cases: Sequence[bytes]) -> list[tuple[Reading, ...] | None]:
        """As many answers as there are cases, or none."""
        if self._batches >= FRESH:
            self._stop()
            self._process, self._batches = self._start(), 0
        self._batches += 1
        assert self._process.stdin
        assert self._process.stdout
        counted = [struct.pack("<I", len(case)) + case for case in cases]
        try:
            self._process.stdin.write(struct.pack("<I", len(cases)) + b"".join(counted))
            self._process.stdin.flush()
            return [_readings(self._answer()) for _ in cases]
        except (BrokenPipeError, EOFError):
            self._batches = FRESH
            return []

    def _answer(self) -> bytes:
        return self._exactly(struct.unpack("<I", self._exactly(4))[0])

    def _exactly(self, size: int) -> bytes:
        assert self._process.stdout
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise EOFError
        return data


def _readings(answer: bytes) -> tuple[Reading, ...]:
    at, readings = 0, []

    def word() -> str:
        nonlocal at
        size = struct.unpack_from("<I", answer, at)[0]
        at += 4 + size
        return str(answer[at - size : at], "utf-8", "surrogatepass")

    for _ in READINGS:
        complete, count = struct.unpack_from("<?I", answer, at)
        at += 5
        readings.append(Reading(tuple((word(), word()) for _ in range(count)), complete))
    return tuple(readings)


class _Hung(BaseException):
    """Not an Exception, so that nothing on the way takes it for an ordinary failure."""


def _hang(signum: int, at: FrameType | None) -> None:
    raise _Hung


def traced(data: bytes) -> Trace | str:
    """The machine's trace, or what took the machine down."""
    before = signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        trace = interpret(MemorySource(data))
        render(trace.result)
        return trace
    except _Hung:
        return f"over {PATIENCE} seconds"
    except Exception as error:  # noqa: BLE001  # any of them is what we look for
        return f"crash: {error!r}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def broken_law(trace: Trace | str, readings: Sequence[Reading]) -> str:
    """Which part of the law does not hold, or nothing."""
    if isinstance(trace, str):
        return trace
    for how, reading in zip(READINGS, readings, strict=True):
        if trace.stop.kind is StopKind.LIMIT and not how.startswith("loads"):
            continue
        unknown = [name for name in reading.names if name not in trace.imports]
        explained = len(trace.computed)
        if trace.stop.kind is StopKind.TRUNCATED and how == "pure Python":
            explained += 1  # it takes what there is of the last line for a name, and then fails
        if len(unknown) > explained:
            return f"missed, reading as {how}: {unknown[0]!r} (and stopped: {trace.stop})"
    return ""


def cases(seed: int, numbers: Sequence[int], start: Sequence[bytes]) -> Iterator[bytes]:
    """The pickles of these numbers. The first ones are the seeds as they are."""
    for number in numbers:
        random = Random(f"{seed}:{number}")
        if number < len(start):
            yield start[number]
        elif number % LONG_ONE_IN == 0:
            yield seeds.long(random)
        elif random.randrange(4) == 0:
            made = program(random)
            yield made if random.randrange(4) == 0 else mutate([made], random)
        else:
            yield mutate(start, random)


def compare(
    seed: int,
    numbers: range,
    python: str = sys.executable,
    progress: Callable[[int], None] = lambda done: None,
) -> Tally:
    """The tally of the cases of these numbers, with `python` as the reference."""
    tally, start = Tally(), seeds.small()
    with Reference(python) as reference:
        for first in range(numbers.start, numbers.stop, BATCH):
            batch = range(first, min(first + BATCH, numbers.stop))
            made = list(cases(seed, batch, start))
            for number, data, readings in zip(batch, made, reference.read(made), strict=True):
                _judge(tally, number, data, readings)
            progress(batch.stop)
        tally.misses = [
            Miss(miss.number, miss.why, smaller(miss.data, partial(_is_miss, reference)))
            for miss in tally.misses[:10]
        ] + tally.misses[10:]
    return tally


def _is_miss(reference: Reference, data: bytes) -> bool:
    readings = reference.read([data])[0]
    return readings is not None and bool(broken_law(traced(data), readings))


def _judge(tally: Tally, number: int, data: bytes, readings: tuple[Reading, ...] | None) -> None:
    trace = traced(data)
    tally.kinds["cases"] += 1
    if readings is None:
        tally.kinds["not comparable: the reference died"] += 1
        readings = (Reading((), False),) * len(READINGS)
    if why := broken_law(trace, readings):
        tally.misses.append(Miss(number, why, data))
    names = [reading.names for reading in readings]
    tally.kinds["that import, in the reference"] += any(names)
    tally.kinds["that reach STOP there"] += any(reading.complete for reading in readings)
    tally.kinds["whose import depends on the way of reading"] += len(set(names)) > 1
    tally.kinds["imports there"] += max(map(len, names))
    if isinstance(trace, Trace):
        tally.kinds[f"the machine ends {trace.stop.kind}"] += 1
        tally.kinds["with computed imports"] += bool(trace.computed)


def smaller(data: bytes, still: Callable[[bytes], bool]) -> bytes:
    """What is left of `data` when no opcode and no byte can go, and it is `still` so."""
    tries = 0
    for pieces_of in (split, lambda whole: [whole[at : at + 1] for at in range(len(whole))]):
        pieces = pieces_of(data)
        size = max(1, len(pieces) // 2)
        while size and tries < TRIES:
            at = 0
            while at < len(pieces) and tries < TRIES:
                shorter = pieces[:at] + pieces[at + size :]
                tries += 1
                if still(b"".join(shorter)):
                    pieces = shorter
                else:
                    at += size
            size //= 2
        data = b"".join(pieces)
    return data


def _shares(count: int, jobs: int) -> list[range]:
    edges = [count * job // jobs for job in range(jobs + 1)]
    return [range(low, high) for low, high in pairwise(edges)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--python", default=sys.executable, help="whose C unpickler is asked")
    wanted = parser.parse_args()

    def progress(done: int) -> None:
        if done % 100_000 < BATCH:
            print(f"{done:,} cases", file=sys.stderr, flush=True)

    tally = Tally()
    if wanted.jobs == 1:
        tally = compare(wanted.seed, range(wanted.cases), wanted.python, progress)
    else:
        with ProcessPoolExecutor(wanted.jobs, mp_context=get_context("spawn")) as pool:
            running = [
                pool.submit(compare, wanted.seed, share, wanted.python)
                for share in _shares(wanted.cases, wanted.jobs)
            ]
            for share in running:
                tally.add(share.result())
    return _report(tally)


def _report(tally: Tally) -> int:
    for kind, count in tally.kinds.items():
        print(f"{count:>12,}  {kind}")
    print(f"{len(tally.misses):>12,}  misses")
    for miss in tally.misses[:20]:
        print(f"\ncase {miss.number}: {miss.why}\n{miss.data.hex()}")
    return 1 if tally.misses else 0


if __name__ == "__main__":
    sys.exit(main())
