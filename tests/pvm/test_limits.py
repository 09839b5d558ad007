"""No pickle takes the process down: memory stays below 300 MB, whatever the file's size."""

from __future__ import annotations

import subprocess
import sys

import pytest

MEASURE = """
import re, sys
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.render import render
class Endless:
    # `unit` again and again, as `make(n)` makes the n-th one, without holding all of it
    def __init__(self, unit, size):
        self.unit, self.size = unit, size
    def read(self, offset, length):
        length = max(0, min(length, self.size - offset))
        start = offset % len(self.unit)
        return (self.unit * (length // len(self.unit) + 2))[start : start + length]
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()).group(1)) // 1024
before = peak()
trace = interpret(Endless(eval(sys.argv[1]), 4 << 30))
render(trace.result)
print(trace.stop.kind.value, peak() - before)
del trace
"""

UNITS = {
    "lists": b"]",
    "dicts": b"}",
    "sets": b"\x8f",
    "marks": b"(",
    "memo": b"N\x94",
    "calls": b"))R",
    "new objects": b"))\x81",
    "states": b"]]b",
    "states of calls": b"))RNb",
    "items of calls": b"))R" + b"Na" * 10_000,
    "items of calls of their own": b"))RNa",
    "keys of calls": b"))R" + b"NNs" * 10_000,
    "persistent ids": b"NQ",
    "nested tuples": b"N\x85\x85\x85\x85\x85\x85\x85",
    "nested calls": b")R)R)R",
    "short texts": b"\x8c\x02ab",
    "texts in the memo": b"\x8c\x02ab\x94",
    "long texts": b"\x8c\xff" + b"a" * 255,
    "longer texts": b"X\x00\x10\x00\x00" + b"a" * 4096,
    "texts too long to keep": b"X\x01\x10\x00\x00" + b"a" * 4097,
    "lines": b"V" + b"a" * 5000 + b"\n",
    "strings": b"S'" + b"a" * 5000 + b"'\n",
    "names": b"c" + b"a" * 5000 + b"\nb\n",
    "ids": b"P" + b"a" * 5000 + b"\n",
    "floats": b"G" + b"\x01" * 8,
    "integers": b"J\x01\x02\x03\x04",
    "long integers": b"\x8a\xff" + b"\x01" * 255,
    "doubling": b"2(22e",
    "one line without an end": b"V",
}


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_file_of_gigabytes_takes_less_than_300_megabytes(unit: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, repr(unit)],
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kind, peak = done.stdout.split()
    assert kind in ("limit", "broken")
    assert int(peak) < 230  # the interpreter and its libraries take about 70 more
