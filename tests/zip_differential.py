"""Hold the zip reader to those of torch and of Python over any number of broken archives.

    python -m tests.zip_differential --cases 100000 --seed 1

The law: whatever a pickle imports that one of them reads out of an archive is among what we find in it,
or something of the archive is a gap. torch is asked by `PyTorchFileReader`, its own miniz, and only if
it is installed; Python by zipfile. Both are asked for bytes of members alone: nothing is unpickled.

A case is a function of the seed and its number. Exit code 1 if there were misses; each comes in hex.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hubaudit.formats.contents import Contents
from hubaudit.formats.read import read_promised
from hubaudit.pvm.machine import interpret
from hubaudit.source.memory import MemorySource
from tests.formats.test_zip_readings import AMBIGUOUS, HIDDEN, ORDINARY

MOST = 1 << 16  # bytes of a member that are looked at: the samples have some hundred
NUMBERS = (0, 1, 2, 4, 8, 22, 30, 46, 0x7FFF, 0xFFFF)  # that mean something in zip headers

Name = tuple[str, str]
Reader = Callable[[bytes], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Miss:
    number: int
    reader: str
    name: Name
    data: bytes


@dataclass(slots=True)
class Tally:
    """`kinds` counts what the cases did, so that 0 misses mean something."""

    kinds: Counter[str] = field(default_factory=Counter)
    misses: list[Miss] = field(default_factory=list)


def seeds() -> list[bytes]:
    return [made() for table in (AMBIGUOUS, HIDDEN, ORDINARY) for made in table.values()]


def readers() -> dict[str, Reader]:
    """Those that are installed here."""
    found: dict[str, Reader] = {"zipfile": with_zipfile}
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return found
    return found | {"torch": lambda data: with_torch(torch, data)}


def with_zipfile(data: bytes) -> Iterator[bytes]:
    """Of each member that zipfile opens, what comes before an error in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                yield from _read_member(archive, info)
    except Exception:  # noqa: BLE001  # it has no one class for what it refuses
        return


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    read = b""
    try:
        with archive.open(info) as member:
            while len(read) < MOST and (chunk := member.read(100)):
                read += chunk
    except Exception:  # noqa: BLE001
        pass
    yield read


def with_torch(torch: Any, data: bytes) -> Iterator[bytes]:
    """The records that torch's own reader gives out, by the names that it lists and by torch.load's."""
    try:
        archive = torch._C.PyTorchFileReader(io.BytesIO(data))
        names = archive.get_all_records()
    except Exception:  # noqa: BLE001
        return
    for name in dict.fromkeys(("data.pkl", "constants.pkl", *names)):
        try:
            yield bytes(archive.get_record(name))[:MOST]
        except Exception:  # noqa: BLE001
            continue


def case(seed: int, number: int, start: Sequence[bytes]) -> bytes:
    """The archive of this number. The first ones are the seeds as they are."""
    if number < len(start):
        return start[number]
    random = Random(f"{seed}:{number}")
    data = bytearray(random.choice(start))
    for _ in range(random.choice((1, 1, 1, 1, 2, 3, 5))):
        _change(data, random, start)
    return bytes(data)


def _change(data: bytearray, random: Random, start: Sequence[bytes]) -> None:
    at = _place(data, random)
    kind = random.randrange(10)
    if kind < 3:
        data[at : at + 1] = random.randbytes(1)
    elif kind < 5:
        data[at : at + 1] = bytes([data[at] ^ 1 << random.randrange(8)])
    elif kind < 7:
        data[at : at + 2] = random.choice(NUMBERS).to_bytes(2, "little")
    elif kind < 8:  # from here on, all that follows is elsewhere than its headers say
        del data[at : at + random.randrange(1, 20)]
    elif kind < 9:
        data[at:at] = random.randbytes(random.randrange(1, 9))
    else:
        other = random.choice(start)
        begin = random.randrange(len(other))
        data[at:at] = other[begin : begin + random.randrange(1, 120)]


def _place(data: bytearray, random: Random) -> int:
    """Anywhere, but every other time in a header: those decide what is read."""
    if not data:
        data[:] = b"PK"
    at = random.randrange(len(data))
    if random.randrange(2):
        header = data.rfind(b"PK", 0, at + 1)
        at = max(0, header) + random.randrange(46)
    return min(at, len(data) - 1)


def compare(seed: int, numbers: Iterable[int], asked: dict[str, Reader]) -> Tally:
    """The tally of the cases of these numbers, with the readers `asked` as references."""
    tally, start = Tally(), seeds()
    for number in numbers:
        data = case(seed, number, start)
        ours = read_promised(MemorySource(data))
        tally.kinds["cases"] += 1
        tally.kinds["with gaps"] += bool(ours.gaps)
        for name, reader in asked.items():
            theirs = _imports(list(reader(data)))
            tally.kinds[f"with imports, by {name}"] += bool(theirs)
            missed = sorted(theirs - _found(ours))
            tally.kinds[f"of these explained by a gap, by {name}"] += bool(missed and ours.gaps)
            if missed and not ours.gaps:
                tally.misses.append(Miss(number, name, missed[0], data))
    return tally


def _imports(members: Iterable[bytes]) -> set[Name]:
    return {name for member in members for name in interpret(MemorySource(member)).imports}


def _found(ours: Contents) -> set[Name]:
    return {name for pickle in ours.pickles for name in pickle.trace.imports}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    asked = readers()
    if "torch" not in asked:
        print("torch is not installed: only zipfile is asked", file=sys.stderr)
    tally = compare(wanted.seed, range(wanted.cases), asked)
    for kind, count in tally.kinds.items():
        print(f"{count:>12,}  {kind}")
    print(f"{len(tally.misses):>12,}  misses")
    for miss in tally.misses[:20]:
        print(f"\ncase {miss.number}, by {miss.reader}: {miss.name}\n{miss.data.hex()}")
    return 1 if tally.misses else 0


if __name__ == "__main__":
    sys.exit(main())
