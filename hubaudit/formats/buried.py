"""Pickles that begin somewhere in other bytes: behind garbage, behind what breaks, behind the end.

Loaders of libraries begin where the file does. Programs that seek load what lies further on, and whoever
put it there knows why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import merge

from hubaudit.formats.contents import Contents, Format, Gap
from hubaudit.formats.place import Effort
from hubaudit.formats.plausible import is_evident
from hubaudit.formats.raw import read_pickles
from hubaudit.formats.sniff import HEAD_SIZE
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.opcodes import OPCODES
from hubaudit.pvm.values import StopKind, Trace
from hubaudit.source import OutOfReach, Source
from hubaudit.source.memory import MemorySource

MAX_UNASKED = 1 << 20  # bytes that are searched where neither name nor format promises a pickle
_LOOK = 4096  # bytes that are tried at first: what imports something mostly does so in them
_LONG_LOOK = 128 * 1024  # bytes that are tried then, if there were opcodes to their end
_STEP = 1 << 20
_BEFORE = 256  # bytes before an import in which its pickle may begin: a MARK, an argument

_NAME = rb"[A-Za-z_][A-Za-z0-9_.]{1,99}+"
_IS_NAME = re.compile(_NAME).fullmatch
# Opcodes that need nothing on the stack: one of them follows PROTO. Not PROTO itself, because -0.0 as two
# bytes, over and over, would be nothing else.
_FIRST = b"(FGIJKLMNSTUVX]})cPBC\x82\x83\x84\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96"
_ANY = b"".join(opcode.code for opcode in OPCODES)
# Each begins with one literal byte: `re` looks for that ten times as fast as for one of several.
_HEADER = re.compile(rb"\x80[\x00-\x05](?=[" + re.escape(_FIRST) + rb"])")
_REST = rb"(?=(?:" + _NAME + rb"\n){2}[" + re.escape(_ANY) + rb"])"
_IMPORTS = re.compile(b"c" + _REST), re.compile(b"i" + _REST)
_TEXTS = tuple(
    re.compile(opcode + rb"[\x02-\x7f]" + rest + rb"(?=[A-Za-z_][A-Za-z0-9_.])")
    for opcode, rest in ((b"\x8c", b""), (b"U", b""), (b"X", rb"\0\0\0"))
)
_PROTO, _BINUNICODE = 0x80, ord("X")
_TEXT_OPCODES = frozenset(b"\x8cUX")
_STACK_GLOBAL = b"\x93"
_TWO_TEXTS = 600  # bytes at most from a module's name to the STACK_GLOBAL that takes it
_RECALLS = frozenset(b"ghj")  # GET, BINGET, LONG_BINGET


def read_buried(
    source: Source, member: str | None, start: int, end: int, effort: Effort
) -> Contents:
    """The pickles between bytes `start` and `end` (not included) that import something.

    Nothing else is in what it returns but gaps: where one breaks off, as ever, and if it would cost more
    `effort` to try all that begins like one.
    """
    search = _Search(source, member, effort)
    try:
        search.run(start, end)
    except OutOfReach as error:
        search.give_up(str(error))
    return search.found


def read_unasked(source: Source, member: str | None, effort: Effort) -> Contents:
    """The same of the first bytes of data that nobody takes for a pickle: they are at hand in any case.

    Of more than those, if they begin with a pickle. Two in 10,000 files of random numbers do.
    """
    head = MemorySource(source.read(0, HEAD_SIZE))
    end = MAX_UNASKED if interpret(head).complete else HEAD_SIZE
    return read_buried(source, member, 0, end, effort)


class _Search:
    def __init__(self, source: Source, member: str | None, effort: Effort) -> None:
        self.found = Contents(Format.PICKLE)
        self._source = source
        self._member = member
        self._effort = effort

    def give_up(self, why: str) -> None:
        self.found += Contents(Format.PICKLE, gaps=(Gap(self._member, why),))

    def run(self, start: int, end: int) -> None:
        known = start  # all before is read
        for at in range(start, end, _STEP):
            base = max(start, at - _BEFORE)
            data = self._source.read(base, min(end, at + _STEP + _LONG_LOOK) - base)
            self._effort.looks += _cost(data)
            self._effort.check()
            for place in _beginnings(data, at - base, at - base + _STEP):
                self._effort.check()
                begin = self._begin(data, place) if base + place >= known else None
                if begin is not None:
                    known = self._read(base + begin)
            if len(data) < at - base + _STEP:
                return

    def _begin(self, data: bytes, place: int) -> int | None:
        """Where in `data` the pickle begins of which something stands at `place`."""
        self._effort.looks += 1
        if data[place] in _TEXT_OPCODES and not _is_module(data, place):
            return None
        trace = self._try(data, place)
        if is_evident(trace):
            return place
        if data[place] == _PROTO:
            return None
        for before in _starts_before(data, place, _misses_memo(trace, data, place)):
            if is_evident(self._try(data, before)):
                return before
        return None

    def _try(self, data: bytes, place: int) -> Trace:
        """The trace of the next bytes, as if nothing came before them."""
        for length in (_LOOK, _LONG_LOOK):
            look = MemorySource(data[place : place + length])
            trace = interpret(look)
            self._effort.tries += 1
            self._effort.tried += trace.end
            if is_evident(trace) or trace.stop.kind is not StopKind.TRUNCATED or look.size < length:
                break
        return trace

    def _read(self, begin: int) -> int:
        """Reads what begins there, and what follows that. Returns where to search on."""
        read = read_pickles(self._source, self._member, start=begin)
        self.found += Contents(Format.PICKLE, read.pickles, (), read.gaps)
        self._effort.found += len(read.pickles)
        end = 1 + max(pickle.trace.stop.offset for pickle in read.pickles)
        if read.trailing:
            end = read.trailing[0].offset
        self._effort.tried += end - begin
        return end


def _cost(data: bytes) -> int:
    """Of going through `data`, in beginnings that could be looked at in that time."""
    return (data.count(b"c") + data.count(b"i")) // 8


def _beginnings(data: bytes, start: int, end: int) -> Iterator[int]:
    """Where a pickle may begin, or import something that was not preceded by a PROTO."""
    found = [pattern.finditer(data, start) for pattern in (_HEADER, *_IMPORTS, *_TEXTS)]
    for match in merge(*found, key=re.Match.start):
        if match.start() >= end:
            return
        yield match.start()


def _is_module(data: bytes, place: int) -> bool:
    """Whether the text there is a name, and a STACK_GLOBAL may be about to take it."""
    begin = place + (5 if data[place] == _BINUNICODE else 2)
    end = begin + data[place + 1]
    return bool(_IS_NAME(data, begin, end)) and data.find(_STACK_GLOBAL, end, end + _TWO_TEXTS) > 0


def _misses_memo(trace: Trace, data: bytes, place: int) -> bool:
    is_broken = trace.stop.kind is StopKind.BROKEN and bool(trace.imports)
    return is_broken and data[place + trace.stop.offset] in _RECALLS


def _starts_before(data: bytes, place: int, is_anything: bool) -> Iterator[int]:
    """Where else a pickle may begin: at a MARK, or at what is taken from the memo. The nearest first."""
    starts = _FIRST if is_anything else b"("
    for before in range(place - 1, max(0, place - _BEFORE) - 1, -1):
        if data[before] in starts:
            yield before
