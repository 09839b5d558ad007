"""The state of the pickle machine, and the primitives that its opcodes are made of.

The stack is split at each MARK, as in `Lib/pickle.py`: `stack` holds what lies above the last mark,
and `marks` the stacks below. What C calls the fence is then simply the bottom of `stack`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from hubaudit.pvm import text
from hubaudit.pvm.embedded import HEAD_SIZE, MOST, Embedded, Spelling, begins_as_file, spelled_out
from hubaudit.pvm.opcodes import OPCODES, Argument
from hubaudit.pvm.values import (
    Call,
    ComputedImport,
    Global,
    GlobalCount,
    Skipped,
    Stop,
    StopKind,
    Trace,
    Unknown,
    Value,
)
from hubaudit.source import Source

WINDOW = 256 * 1024  # bytes read at a time; larger windows were not faster on local files
MARGIN = 16 * 1024  # a batch of 1000 floats, as the pickler writes them, is 9002 bytes
KEEP = 4096  # bytes of one constant that are kept: far above any name or shape, far below a tensor
HEAD = 64  # bytes of a longer constant that are kept, to be recognised by
MAX_LINE = 1 << 20  # bytes of a text argument that are kept; protocol 0 strings can be long
IN_PLACE = 257  # bytes: the longest argument that `_loop` reads itself, a counted text

UINT2 = struct.Struct("<H").unpack_from
UINT4 = struct.Struct("<I").unpack_from
INT4 = struct.Struct("<i").unpack_from
UINT8 = struct.Struct("<Q").unpack_from
FLOAT8 = struct.Struct(">d").unpack_from


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the machine gives up. The trace then says LIMIT, and the file is INCOMPLETE.

    The costliest opcodes make objects of about 70 bytes, so that no input takes more than about 300 MB:
    see `tests/pvm/test_limits.py`. Payloads and runs of numbers that are stepped over do not count.
    """

    opcodes: int = 2_200_000
    opcode_bytes: int = 64 << 20  # of opcodes and of the arguments that are kept


DEFAULT_LIMITS = Limits()
_BYTES_AN_OPCODE = 32  # what dicts of short texts and numbers take, doubled


def limits_of(opcodes: int) -> Limits:
    """Limits for another number of opcodes, with as many bytes as these may ask for."""
    return Limits(opcodes, max(DEFAULT_LIMITS.opcode_bytes, opcodes * _BYTES_AN_OPCODE))


_WITHOUT_ARGUMENT = frozenset(op.code for op in OPCODES if op.argument is Argument.NONE)

# joblib reads an array's bytes after the BUILD of a placeholder. Asked after each BUILD: the object,
# the offset after the BUILD, and whether a frame goes on there. The answer is how many bytes the
# loader takes from there for the value that replaces the object, or None.
AfterBuild = Callable[[Value, int, bool], int | None]


class Halt(Exception):
    def __init__(self, kind: StopKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class SparseMemo(dict[int, Value]):
    """A memo with holes. Like C's, it counts its entries: MEMOIZE writes to that index."""

    def append(self, value: Value) -> None:
        self[len(self)] = value


class Machine:
    """The state of one interpretation. `pos` counts in `buffer`, which begins at byte `base`."""

    def __init__(
        self, source: Source, start: int, limits: Limits, after_build: AfterBuild | None
    ) -> None:
        self.source = source
        self.after_build = after_build
        self.limits = limits
        self.trace = Trace(start)
        self.stack: list[Value] = []
        self.marks: list[list[Value]] = []
        self.memo: list[Value] | SparseMemo = []
        self.globals: dict[tuple[str, str], Global] = {}
        self.buffer = b""
        self.base = start
        self.pos = 0
        self.safe = 0  # from here in `buffer` on, `advance` is to be asked
        self.edge = 0  # from here in `buffer` on, an opcode might not be in it as a whole
        self.frame_end = 0  # offset in the source; 0 outside of frames
        self.lost: Stop | None = None
        self.offset = start
        self.budget = limits.opcode_bytes

    def advance(self) -> None:
        """Between two opcodes: past the end of a frame, or of the window, or both."""
        at = self.base + self.pos
        if 0 < self.frame_end <= at:
            if self.frame_end < at:
                self.lose_track()
            self.frame_end = 0
        if self.pos >= self.edge:
            self._refill()
        self.safe = self.edge
        if self.frame_end:
            self.safe = min(self.edge, self.frame_end - self.base)

    def _refill(self) -> None:
        at = self.base + self.pos
        self.budget -= min(self.pos, len(self.buffer))
        if self.budget < 0:
            raise Halt(StopKind.LIMIT, f"over {self.limits.opcode_bytes} bytes of opcodes")
        self.buffer = self.source.read(at, WINDOW)
        self.base, self.pos = at, 0
        for begin, end, spelling in spelled_out(self.buffer):
            self.embed(at + begin, end - begin, spelling)
        is_last = at + len(self.buffer) >= self.source.size
        self.edge = len(self.buffer) if is_last else len(self.buffer) - MARGIN

    def enter_frame(self, size: int) -> None:
        """The next `size` bytes are a frame, which the C unpickler reads in one piece.

        `loads` has everything in its buffer, and a frame changes nothing. Reading from a file, the
        buffer is the frame: an opcode that needs more than is left of it *drops* the rest, and
        reads on behind the frame (`_Unpickler_ReadImpl` and `_Unpickler_Readline`). No pickler
        writes such a frame, and one pickle would be two.
        """
        at = self.base + self.pos
        if at < self.frame_end and at + size <= self.frame_end:
            return  # already in the buffer
        if self.frame_end and at != self.frame_end:
            self.lose_track()
        self.frame_end = at + size
        self.safe = min(self.edge, self.frame_end - self.base)

    def lose_track(self) -> None:
        if self.lost is None:
            detail = "an opcode crosses the end of a frame: it is read in two ways"
            self.lost = Stop(StopKind.LIMIT, self.frame_end, detail)

    def failed(self, kind: StopKind) -> None:
        """The last opcode failed as `loads` reads it. Does it cross the end of a frame, too?

        How far it reached is not known exactly. That is no harm: nothing is read beyond it.
        """
        reached = self.base + self.pos
        if self.source.read(self.offset, 1) not in _WITHOUT_ARGUMENT:
            reached += IN_PLACE
        if kind is StopKind.TRUNCATED or reached > self.source.size:
            reached = self.source.size
        if 0 < self.frame_end < reached:
            self.lose_track()

    # What handlers are made of

    def broken(self, detail: str) -> NoReturn:
        raise Halt(StopKind.BROKEN, detail)

    def need(self, count: int) -> None:
        if len(self.stack) < count:
            self.broken("the stack is empty")

    def pop(self) -> Value:
        self.need(1)
        return self.stack.pop()

    def pop_mark(self) -> list[Value]:
        """The values above the last mark, which is taken away."""
        if not self.marks:
            self.broken("no MARK")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def byte(self) -> int:
        value = self.buffer[self.pos]
        self.pos += 1
        return value

    def number(self, unpack: Callable[[bytes, int], tuple[int, ...]], width: int) -> int:
        value = unpack(self.buffer, self.pos)[0]
        self.pos += width
        return value

    def line(self) -> bytes:
        """The text argument without its newline."""
        end = self.buffer.find(b"\n", self.pos)
        if end < 0:
            return self._line_beyond_the_window()
        line = self.buffer[self.pos : end]
        self.pos = end + 1
        return line

    def _line_beyond_the_window(self) -> bytes:
        parts, at, size = [], self.base + self.pos, 0
        while chunk := self.source.read(at, WINDOW):
            end = chunk.find(b"\n")
            parts.append(chunk if end < 0 else chunk[:end])
            size += len(parts[-1])
            if end >= 0:
                self.pos += size + 1
                self.budget -= size  # `_refill` counts no more than the window, but this is kept
                return b"".join(parts)
            if size > MAX_LINE:
                raise Halt(StopKind.LIMIT, f"a text argument of over {MAX_LINE} bytes")
            at += len(chunk)
        self.pos += size
        raise Halt(StopKind.TRUNCATED, "the data ends inside a line")

    def constant(self, kind: str, size: int) -> bytes | Skipped:
        """The next `size` bytes, or what stands for them if there are too many to keep."""
        at = self.base + self.pos
        if at + size > self.source.size:
            raise Halt(StopKind.TRUNCATED, f"the data ends inside {size} bytes of {kind}")
        kept = self.source.read(at, size if size <= KEEP else HEAD)
        self.pos += size
        if begins_as_file(kept):
            self.embed(at, size, "bytes")
        elif size > KEEP:  # not in any window
            for begin, _, spelling in spelled_out(kept):
                self.embed(at + begin, size - begin, spelling)
        return kept if size <= KEEP else Skipped(kind, size, at, kept)

    def embed(self, offset: int, size: int, spelling: Spelling) -> None:
        """Note a pickle in a constant. Windows overlap, so that one may be seen twice."""
        known = self.trace.embedded
        if len(known) < MOST and not any(one.offset == offset for one in known[-8:]):
            head = self.source.read(offset, min(size, HEAD_SIZE))
            known.append(Embedded(offset, size, spelling, head))

    def push_text(self, size: int) -> None:
        payload = self.constant("str", size)
        if isinstance(payload, bytes):
            self.stack.append(str(payload, "utf-8", "surrogatepass"))
        else:
            self.stack.append(payload)

    def push_string(self, size: int) -> None:
        """A Python 2 str. The loader's `encoding` decides what it becomes, unless it is ASCII."""
        payload = self.constant("str", size)
        self.stack.append(text.decode(payload) if isinstance(payload, bytes) else payload)

    def push_integer(self, size: int) -> None:
        payload = self.constant("int", size)
        if isinstance(payload, bytes):
            self.stack.append(int.from_bytes(payload, "little", signed=True))
        else:
            self.stack.append(payload)

    def find_class(self, module: str, name: str) -> Global:
        key = (module, name)
        seen = self.trace.imports.get(key)
        if seen is None:
            self.trace.imports[key] = GlobalCount(self.offset)
            self.globals[key] = Global(module, name)
        else:
            seen.count += 1
        return self.globals[key]

    def computed_import(self, module: Value, name: Value, why: str) -> Unknown:
        self.trace.computed.append(ComputedImport(self.offset, module, name, why))
        return Unknown(why)

    def call(self, how: str, function: Value, args: Value, kwargs: Value = None) -> Call:
        made = Call(how, function, args, self.offset, kwargs)
        self.trace.calls.append(made)
        return made

    def ask_after_build(self, after_build: AfterBuild) -> None:
        at = self.base + self.pos
        # The pure Python unpickler takes a frame that is too long for one up to the end of the data.
        in_frame = bool(self.trace.notes) or self.frame_end > at
        size = after_build(self.stack[-1], at, in_frame)
        if size is not None:
            self.frame_end = 0
            self.pos += size
            self.stack[-1] = Unknown(f"what the loader makes of {size:,} bytes after the BUILD")

    def remember(self, index: int) -> None:
        self.need(1)
        if index > len(self.memo) and isinstance(self.memo, list):
            self.memo = SparseMemo(enumerate(self.memo))
        if index == len(self.memo):
            self.memo.append(self.stack[-1])
        else:
            self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        self.stack.append(self.memo[index])
