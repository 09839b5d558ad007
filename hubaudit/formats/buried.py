"""Pickles that begin somewhere in other bytes: behind garbage, behind what breaks, behind the end.

Loaders of libraries begin where the file does. Programs that seek load what lies further on, and whoever
put it there knows why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import merge

from hubaudit.formats.contents import Contents, Format, Gap
from hubaudit.formats.plausible import is_evident
from hubaudit.formats.raw import read_pickles
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.opcodes import OPCODES
from hubaudit.pvm.values import StopKind, Trace
from hubaudit.source import OutOfReach, Source
from hubaudit.source.memory import MemorySource

# Bytes that are searched: 1 to 3 s. No library is known to write so many that belong to nothing.
MAX_SEARCHED = 256 << 20
# Beginnings that are looked at: 2 s. In a gigabyte of random bytes there are 1,200,000.
MAX_LOOKS = 4_000_000
# Those of them that are tried: 4 s. In a gigabyte of random bytes there are 14,000.
MAX_TRIES = 100_000
MAX_TRIED = 16 << 20  # bytes that are interpreted in tries, and of what is found: 2 to 8 s
MAX_FOUND = 1000
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


def read_buried(source: Source, member: str | None, start: int, end: int) -> Contents:
    """The pickles between bytes `start` and `end` (not included) that import something.

    Nothing else is in what it returns but gaps: where one breaks off, as ever, and if not all of the bytes
    were searched.
    """
    search = _Search(source, member)
    try:
        search.run(start, min(end, start + MAX_SEARCHED))
        if end - start > MAX_SEARCHED and source.read(start + MAX_SEARCHED, 1):
            search.give_up(
                f"only {MAX_SEARCHED:,} of the bytes that belong to nothing are searched"
            )
    except OutOfReach as error:
        search.give_up(str(error))
    return search.found


class _Search:
    def __init__(self, source: Source, member: str | None) -> None:
        self.found = Contents(Format.PICKLE)
        self._source = source
        self._member = member
        self._looks = 0
        self._tries = 0
        self._tried = 0  # bytes

    def give_up(self, why: str) -> None:
        self.found += Contents(Format.PICKLE, gaps=(Gap(self._member, why),))

    def run(self, start: int, end: int) -> None:
        known = start  # all before is read
        for at in range(start, end, _STEP):
            base = max(start, at - _BEFORE)
            data = self._source.read(base, min(end, at + _STEP + _LONG_LOOK) - base)
            self._looks += _cost(data)
            self._check()
            for place in _beginnings(data, at - base, at - base + _STEP):
                self._check()
                begin = self._begin(data, place) if base + place >= known else None
                if begin is not None:
                    known = self._read(base + begin)
            if len(data) < at - base + _STEP:
                return

    def _check(self) -> None:
        """Raises OutOfReach when more was done than an honest file asks for."""
        tries = self._tries > MAX_TRIES or self._tried > MAX_TRIED
        if tries or self._looks > MAX_LOOKS or len(self.found.pickles) >= MAX_FOUND:
            raise OutOfReach("too much of it begins like a pickle to try all of that")

    def _begin(self, data: bytes, place: int) -> int | None:
        """Where in `data` the pickle begins of which something stands at `place`."""
        self._looks += 1
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
            self._tries += 1
            self._tried += trace.end
            if is_evident(trace) or trace.stop.kind is not StopKind.TRUNCATED or look.size < length:
                break
        return trace

    def _read(self, begin: int) -> int:
        """Reads what begins there, and what follows that. Returns where to search on."""
        read = read_pickles(self._source, self._member, start=begin)
        self.found += Contents(Format.PICKLE, read.pickles, (), read.gaps)
        end = 1 + max(pickle.trace.stop.offset for pickle in read.pickles)
        if read.trailing:
            end = read.trailing[0].offset
        self._tried += end - begin
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
