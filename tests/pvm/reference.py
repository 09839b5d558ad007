"""The real C unpickler with nothing in its hands: tells which names it would import.

A script of its own, so that any CPython from 3.8 on can be the reference. It imports nothing of the
project, limits its own memory and time, and reads batches of pickles from stdin. `find_class`
returns stand-ins that accept everything and do nothing; an audit hook refuses whatever would reach
further (imports, files, processes, sockets, code).

Each pickle is read in several ways, because what a frame means depends on what the unpickler reads
from: see `READINGS`. The answer has the imports of each reading.
"""

from __future__ import annotations

import io
import pickle
import signal
import struct
import sys
import warnings
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = 1 << 29  # bytes of address space: a memo index of some ten million still fits
SECONDS = 5  # per pickle; the slowest ordinary case takes a tenth of a second
_UINT4 = struct.Struct("<I")


class _Anything(type):
    """What a stand-in's class has: attributes can be set on it, and that changes nothing."""

    def __setattr__(cls, name: str, value: object) -> None:
        pass

    def __setstate__(cls, state: object = None) -> None:
        pass


class Thing(metaclass=_Anything):
    """Takes any argument, state, item and attribute."""

    def __new__(cls, *args: object, **kwargs: object) -> Any:
        return object.__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __call__(self, *args: object, **kwargs: object) -> Thing:
        return self

    def __setattr__(self, name: str, value: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    extend = add = update = append


class Bare(metaclass=_Anything):
    """Takes arguments, and items one by one; BUILD has to go through its `__dict__`."""

    def __new__(cls, *args: object, **kwargs: object) -> Any:
        return object.__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass


class Text(metaclass=_Anything):
    """Calling it gives a str, which STACK_GLOBAL takes for a name."""

    def __new__(cls, *args: object, **kwargs: object) -> Any:
        return f"computed{len(args)}"

    @classmethod
    def __setstate__(cls, state: object) -> None:
        pass


def stand_in(module: str, name: str) -> object:
    """What `find_class` returns: by the name, so that a case always goes the same way."""
    kind = zlib.crc32((module + "\n" + name).encode("utf-8", "surrogatepass")) % 8
    if kind == 0:
        return "imported"
    return {1: Text, 2: Bare, 3: Thing()}.get(kind, Thing)


class _Recording:
    """Writes down what it is asked to import."""

    seen: list[tuple[str, str]]

    def find_class(self, module: str, name: str) -> object:
        self.seen.append((module, name))
        return stand_in(module, name)

    def persistent_load(self, pid: object) -> object:
        return "persistent" if isinstance(pid, str) and len(pid) % 2 else Thing()


class InC(_Recording, pickle.Unpickler):
    """What `load` and `loads` use, and torch."""


class InPython(_Recording, pickle._Unpickler):
    """What joblib builds on. It reads frames, and lines at the end of the data, in ways of its own."""

    def find_class(self, module: str, name: str) -> object:
        if not module or not name:  # which C refuses before; to import it fails
            raise ImportError
        return super().find_class(module, name)


class Whole:
    """A file that shows all of itself to `peek`: the unpickler then reads as `loads` does.

    It takes the whole data into its buffer at once. A subclass cannot be given bytes otherwise.
    """

    def __init__(self, data: bytes) -> None:
        self._data, file = data, io.BytesIO(data)
        self.read, self.readline, self.readinto = file.read, file.readline, file.readinto
        self._tell = file.tell

    def peek(self, size: int) -> bytes:
        return self._data[self._tell() :]


def _buffered(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data), 64)


# A frame is read in one piece. From a file, what is left of it is dropped when an opcode reaches
# beyond its end. `torch.load` gives the unpickler a BytesIO, `open` a buffered file.
# The one but last reads Python 2's str as numpy and joblib advise.
READINGS: tuple[tuple[Any, Callable[[bytes], Any], str], ...] = (
    (InC, io.BytesIO, "ASCII"),
    (InC, Whole, "ASCII"),
    (InC, _buffered, "ASCII"),
    (InC, Whole, "latin1"),
    (InPython, io.BytesIO, "ASCII"),
)


def names(
    data: bytes, unpickler: Any, opener: Callable[[bytes], Any], encoding: str
) -> tuple[list[tuple[str, str]], bool]:
    """The imports of one reading, up to where it stops or raises."""
    recorder = unpickler(opener(data), encoding=encoding, buffers=iter(bytearray, None))
    recorder.seen = []
    try:
        recorder.load()
    except BaseException:  # noqa: BLE001  # whatever it was, the reading ends here
        return recorder.seen, False
    return recorder.seen, True


def answer(data: bytes) -> bytes:
    """Per reading: whether it came to STOP, how many imports, and each as two counted texts."""
    parts = []
    for unpickler, opener, encoding in READINGS:
        seen, complete = names(data, unpickler, opener, encoding)
        parts.append(bytes([complete]) + _UINT4.pack(len(seen)))
        for pair in seen:
            for word in pair:
                encoded = word.encode("utf-8", "surrogatepass")
                parts.append(_UINT4.pack(len(encoded)) + encoded)
    return b"".join(parts)


def _refuse(event: str, args: object) -> None:
    if event.split(".")[0] not in ("object", "gc"):
        raise RuntimeError("the reference must not " + event)


def _confine() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (600, 600))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    warnings.simplefilter("ignore")
    for encoding in ("ascii", "latin1", "raw-unicode-escape"):  # found by importing
        "".encode(encoding)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)  # a loader may have taken the limit away
    sys.addaudithook(_refuse)


def main() -> None:
    """Answer batches until stdin ends: a count, then as many counted pickles; the same back."""
    if pickle.Unpickler.__module__ != "_pickle":
        sys.exit("this Python has no C unpickler")
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _confine()
    while True:
        head = source.read(4)
        if len(head) < 4:
            return
        count = _UINT4.unpack(head)[0]
        batch = [source.read(_UINT4.unpack(source.read(4))[0]) for _ in range(count)]
        for data in batch:
            signal.setitimer(signal.ITIMER_REAL, SECONDS)  # SIGALRM ends the process
            reply = answer(data)
            signal.setitimer(signal.ITIMER_REAL, 0)
            sink.write(_UINT4.pack(len(reply)) + reply)
        sink.flush()


if __name__ == "__main__":
    main()
