"""Interpret one pickle without importing or calling anything, and keep a trace of what it does.

The machine follows `Modules/_pickle.c` of CPython 3.11 to 3.13, not `pickletools`: it stops where
the C unpickler certainly raises, and goes on wherever a loader might (other encodings, the pure
Python unpickler, a `persistent_load`). So the trace's imports are a superset of the real ones.

The stack is split at each MARK, as in `Lib/pickle.py`: `stack` holds what lies above the last mark,
and `marks` the stacks below. What C calls the fence is then simply the bottom of `stack`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from hubaudit.pvm import text
from hubaudit.pvm.opcodes import HIGHEST_PROTOCOL, OPCODES
from hubaudit.pvm.values import (
    Call,
    ComputedImport,
    Global,
    GlobalCount,
    Mapping,
    PersistentId,
    Run,
    SetOf,
    Skipped,
    Stop,
    StopKind,
    Trace,
    Unknown,
    Value,
)
from hubaudit.source import OutOfReach, Source

WINDOW = 256 * 1024  # bytes read at a time; larger windows were not faster on local files
MARGIN = 16 * 1024  # a batch of 1000 floats, as the pickler writes them, is 9002 bytes
KEEP = 4096  # bytes of one constant that are kept: far above any name or shape, far below a tensor
HEAD = 64  # bytes of a longer constant that are kept, to be recognised by
MAX_LINE = 1 << 20  # bytes of a text argument that are kept; protocol 0 strings can be long
IN_PLACE = 257  # bytes: the longest argument that `_loop` reads itself, a counted text

_UINT2 = struct.Struct("<H").unpack_from
_UINT4 = struct.Struct("<I").unpack_from
_INT4 = struct.Struct("<i").unpack_from
_UINT8 = struct.Struct("<Q").unpack_from
_FLOAT8 = struct.Struct(">d").unpack_from

# A list of numbers is `MARK number… APPENDS`. Short lists are shapes, strides and arguments, and
# are kept; of long ones nobody needs the values, and one match steps over the whole batch.
_NUMBER_RUN = re.compile(rb"(?:(?:G.{8}){64,}+|(?:K.|M..|J.{4}){64,}+)e", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the machine gives up. The trace then says LIMIT, and the file is INCOMPLETE."""

    opcode_bytes: int = 256 << 20  # of opcodes and short arguments, skipped payloads not counted
    marks: int = 1_000_000  # nested; CPython's own structures die of recursion long before


# joblib reads an array's bytes after the BUILD of a placeholder. Asked after each BUILD: the object,
# the offset after the BUILD, and whether a frame goes on there. The answer is how many bytes the
# loader takes from there for the value that replaces the object, or None.
AfterBuild = Callable[[Value, int, bool], int | None]


class _Halt(Exception):
    def __init__(self, kind: StopKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def interpret(
    source: Source,
    start: int = 0,
    limits: Limits = Limits(),
    after_build: AfterBuild | None = None,
) -> Trace:
    """Run the pickle that begins at byte `start` of `source`, up to its STOP or to where it breaks.

    Never raises for what the bytes say; `Trace.stop` tells how it ended.
    """
    return _Machine(source, start, limits, after_build).run()


class _Machine:
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
        self.memo: dict[int, Value] = {}
        self.globals: dict[tuple[str, str], Global] = {}
        self.buffer = b""
        self.base = start
        self.pos = 0
        self.safe = 0  # from here in `buffer` on, `_advance` is to be asked
        self.edge = 0  # from here in `buffer` on, an opcode might not be in it as a whole
        self.frame_end = 0  # offset in the source; 0 outside of frames
        self.lost: Stop | None = None
        self.offset = start
        self.budget = limits.opcode_bytes

    def run(self) -> Trace:
        kind, detail = StopKind.BROKEN, ""
        try:
            self._loop()
        except _Halt as halt:
            kind, detail = halt.kind, str(halt)
        except struct.error:
            kind, detail = StopKind.TRUNCATED, "the data ends inside an opcode"
        except IndexError:
            if self.base + self.pos >= self.source.size:
                kind, detail = StopKind.TRUNCATED, "the data ends before STOP"
            else:
                detail = "the stack is empty"
        except UnicodeDecodeError as error:
            detail = f"text is not {error.encoding}"
        except OutOfReach as error:
            kind, detail = StopKind.LIMIT, str(error)
        if kind in (StopKind.BROKEN, StopKind.TRUNCATED):
            self._failed(kind)
        self.trace.stop = self.lost or Stop(kind, self.offset, detail)
        self.trace.end = min(self.base + self.pos, self.source.size)
        return self.trace

    def _loop(self) -> NoReturn:
        """Opcode after opcode, until one of them raises. The frequent ones are done in place."""
        stack, buffer, pos, safe, memo = self.stack, self.buffer, self.pos, self.safe, self.memo
        try:
            while True:
                if pos >= safe:
                    self.pos = pos
                    self._advance()
                    buffer, pos, safe = self.buffer, self.pos, self.safe
                code = buffer[pos]
                pos += 1
                if code == 0x8C:  # SHORT_BINUNICODE
                    size = buffer[pos]
                    payload = buffer[pos + 1 : pos + 1 + size]
                    if len(payload) < size:
                        raise _Halt(StopKind.TRUNCATED, "the data ends inside a string")
                    stack.append(str(payload, "utf-8", "surrogatepass"))
                    pos += 1 + size
                elif code == 0x94:  # MEMOIZE
                    memo[len(memo)] = stack[-1]
                elif code == 0x71:  # BINPUT
                    memo[buffer[pos]] = stack[-1]
                    pos += 1
                elif code == 0x4B:  # BININT1
                    stack.append(buffer[pos])
                    pos += 1
                elif code == 0x68:  # BINGET
                    stack.append(memo[buffer[pos]])
                    pos += 1
                elif code == 0x4A:  # BININT
                    stack.append(_INT4(buffer, pos)[0])
                    pos += 4
                elif code == 0x72:  # LONG_BINPUT
                    memo[_UINT4(buffer, pos)[0]] = stack[-1]
                    pos += 4
                elif code == 0x28:  # MARK
                    self.marks.append(stack)
                    stack = self.stack = []
                    if buffer[pos : pos + 1] in _NUMBERS:
                        pos = self._step_over_numbers(pos)
                        stack = self.stack
                else:
                    self.pos, self.offset = pos, self.base + pos - 1
                    _HANDLERS[code](self)
                    pos, stack, safe = self.pos, self.stack, self.safe
        except KeyError:
            raise _Halt(StopKind.BROKEN, "a memo entry is read that was never written") from None
        finally:
            if pos > self.pos:  # the failure was in one of the opcodes done in place
                self.pos, self.offset = pos, self.base + pos - 1

    def _advance(self) -> None:
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
            raise _Halt(StopKind.LIMIT, f"over {self.limits.opcode_bytes} bytes of opcodes")
        if len(self.marks) > self.limits.marks:
            raise _Halt(StopKind.LIMIT, f"over {self.limits.marks} nested marks")
        self.buffer = self.source.read(at, WINDOW)
        self.base, self.pos = at, 0
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

    def _failed(self, kind: StopKind) -> None:
        """The last opcode failed as `loads` reads it. Does it cross the end of a frame, too?

        How far it reached is not known exactly. That is no harm: nothing is read beyond it.
        """
        reached = self.base + self.pos + IN_PLACE
        if kind is StopKind.TRUNCATED or reached > self.source.size:
            reached = self.source.size
        if 0 < self.frame_end < reached:
            self.lose_track()

    def _step_over_numbers(self, pos: int) -> int:
        """After a MARK: past a long run of numbers and its APPENDS, if that is what follows."""
        run = _NUMBER_RUN.match(self.buffer, pos)
        if run is None or not self.marks[-1]:
            return pos
        self.stack = self.marks.pop()
        _extend(self.stack[-1], [Run(run.end() - pos - 1, self.base + pos)])
        return run.end()

    # What handlers are made of

    def broken(self, detail: str) -> NoReturn:
        raise _Halt(StopKind.BROKEN, detail)

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
                return b"".join(parts)
            if size > MAX_LINE:
                raise _Halt(StopKind.LIMIT, f"a text argument of over {MAX_LINE} bytes")
            at += len(chunk)
        self.pos += size
        raise _Halt(StopKind.TRUNCATED, "the data ends inside a line")

    def constant(self, kind: str, size: int) -> bytes | Skipped:
        """The next `size` bytes, or what stands for them if there are too many to keep."""
        at = self.base + self.pos
        if at + size > self.source.size:
            raise _Halt(StopKind.TRUNCATED, f"the data ends inside {size} bytes of {kind}")
        kept = self.source.read(at, size if size <= KEEP else HEAD)
        self.pos += size
        return kept if size <= KEEP else Skipped(kind, size, at, kept)

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
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        if index not in self.memo:
            self.broken(f"memo entry {index} was never written")
        self.stack.append(self.memo[index])


# Handlers: one opcode each. Their names are the opcodes' names.


def _stop(m: _Machine) -> None:
    m.trace.result = m.pop()
    raise _Halt(StopKind.COMPLETE, "")


def _invalid(m: _Machine) -> None:
    m.broken(f"{m.buffer[m.pos - 1]:#04x} is no opcode")


def _proto(m: _Machine) -> None:
    protocol = m.byte()
    if protocol > HIGHEST_PROTOCOL:
        m.broken(f"protocol {protocol} does not exist")
    m.trace.protocol = protocol


def _frame(m: _Machine) -> None:
    size = m.number(_UINT8, 8)
    if m.base + m.pos + size > m.source.size:
        # The C unpickler raises here, the pure Python one reads on.
        m.trace.notes.append(f"a frame at {m.offset} reaches beyond the end of the data")
    else:
        m.enter_frame(size)


def _pop(m: _Machine) -> None:
    if m.stack:
        m.stack.pop()
    elif m.marks:
        m.stack = m.marks.pop()
    else:
        m.broken("the stack is empty")


def _pop_mark(m: _Machine) -> None:
    m.pop_mark()


def _dup(m: _Machine) -> None:
    m.need(1)
    m.stack.append(m.stack[-1])


# Constants


def _none(m: _Machine) -> None:
    m.stack.append(None)


def _newtrue(m: _Machine) -> None:
    m.stack.append(True)


def _newfalse(m: _Machine) -> None:
    m.stack.append(False)


def _int(m: _Machine) -> None:
    m.stack.append(_parsed(m, text.parse_int))


def _long(m: _Machine) -> None:
    m.stack.append(_parsed(m, text.parse_long))


def _float(m: _Machine) -> None:
    m.stack.append(_parsed(m, text.parse_float))


def _string(m: _Machine) -> None:
    m.stack.append(_parsed(m, text.parse_string))


def _parsed(m: _Machine, parse: Callable[[bytes], Value]) -> Value:
    line = m.line()
    if len(line) > text.MAX_DIGITS and parse is not text.parse_string:
        return Skipped("number", len(line), m.offset + 1, line[:HEAD])
    try:
        return parse(line)
    except ValueError as error:
        m.broken(str(error))


def _unicode(m: _Machine) -> None:
    m.stack.append(str(m.line(), "raw-unicode-escape"))


def _binint2(m: _Machine) -> None:
    m.stack.append(m.number(_UINT2, 2))


def _long1(m: _Machine) -> None:
    m.push_integer(m.byte())


def _long4(m: _Machine) -> None:
    size = m.number(_INT4, 4)
    if size < 0:
        m.broken("a negative length")
    m.push_integer(size)


def _binfloat(m: _Machine) -> None:
    m.stack.append(_FLOAT8(m.buffer, m.pos)[0])
    m.pos += 8


def _binunicode(m: _Machine) -> None:
    m.push_text(m.number(_UINT4, 4))


def _binunicode8(m: _Machine) -> None:
    m.push_text(m.number(_UINT8, 8))


def _short_binstring(m: _Machine) -> None:
    m.push_string(m.byte())


def _binstring(m: _Machine) -> None:
    m.push_string(m.number(_UINT4, 4))  # unsigned in C, whatever pickletools says


def _short_binbytes(m: _Machine) -> None:
    m.stack.append(m.constant("bytes", m.byte()))


def _binbytes(m: _Machine) -> None:
    m.stack.append(m.constant("bytes", m.number(_UINT4, 4)))


def _binbytes8(m: _Machine) -> None:
    m.stack.append(m.constant("bytes", m.number(_UINT8, 8)))


def _bytearray8(m: _Machine) -> None:
    m.stack.append(m.constant("bytearray", m.number(_UINT8, 8)))


def _next_buffer(m: _Machine) -> None:
    m.stack.append(Unknown("an out-of-band buffer"))


def _readonly_buffer(m: _Machine) -> None:
    m.need(1)


# Containers


def _empty_tuple(m: _Machine) -> None:
    m.stack.append(())


def _tuple(m: _Machine) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


def _tuple_of(count: int) -> Callable[[_Machine], None]:
    def handler(m: _Machine) -> None:
        m.need(count)
        m.stack[-count:] = [tuple(m.stack[-count:])]

    return handler


def _empty_list(m: _Machine) -> None:
    m.stack.append([])


def _list(m: _Machine) -> None:
    items = m.pop_mark()
    m.stack.append(items)


def _append(m: _Machine) -> None:
    m.need(2)
    item = m.stack.pop()
    _extend(m.stack[-1], [item])


def _appends(m: _Machine) -> None:
    items = m.pop_mark()
    m.need(1)
    _extend(m.stack[-1], items)


def _extend(target: Value, items: list[Value]) -> None:
    """`target.extend(items)`. On anything but a list it is a method that we do not know."""
    if isinstance(target, list):
        target += items
    elif isinstance(target, Call | SetOf):
        target.items += items


def _empty_dict(m: _Machine) -> None:
    m.stack.append(Mapping())


def _dict(m: _Machine) -> None:
    items = m.pop_mark()
    m.stack.append(Mapping(_even(m, items)))


def _setitem(m: _Machine) -> None:
    m.need(3)
    items = m.stack[-2:]
    del m.stack[-2:]
    _set_items(m.stack[-1], items)


def _setitems(m: _Machine) -> None:
    items = _even(m, m.pop_mark())
    m.need(1)
    _set_items(m.stack[-1], items)


def _set_items(target: Value, flat: list[Value]) -> None:
    if isinstance(target, Mapping | Call):
        target.flat += flat


def _even(m: _Machine, items: list[Value]) -> list[Value]:
    if len(items) % 2:
        m.broken("a key without a value")
    return items


def _empty_set(m: _Machine) -> None:
    m.stack.append(SetOf([], frozen=False))


def _frozenset(m: _Machine) -> None:
    items = m.pop_mark()
    m.stack.append(SetOf(items, frozen=True))


# The memo


def _get(m: _Machine) -> None:
    m.recall(_memo_index(m))


def _put(m: _Machine) -> None:
    m.remember(_memo_index(m))


def _memo_index(m: _Machine) -> int:
    try:
        index = text.parse_index(m.line())
    except ValueError as error:
        m.broken(str(error))
    if index < 0:
        m.broken("a negative memo index")
    return index


def _long_binget(m: _Machine) -> None:
    m.recall(m.number(_UINT4, 4))


# Imports


def _global(m: _Machine) -> None:
    module, name = _two_lines(m)
    m.stack.append(m.find_class(module, name))


def _two_lines(m: _Machine) -> tuple[str, str]:
    module, name = m.line(), m.line()
    if not module or not name:
        m.broken("an empty name")
    return str(module, "utf-8"), str(name, "utf-8")


def _stack_global(m: _Machine) -> None:
    m.need(2)
    name, module = m.stack.pop(), m.stack.pop()
    if type(module) is str and type(name) is str:
        m.stack.append(m.find_class(module, name))
    elif _may_be_str(module) and _may_be_str(name):
        m.stack.append(m.computed_import(module, name, _why_computed(module, name)))
    else:
        m.broken("STACK_GLOBAL needs two strings")


def _why_computed(module: Value, name: Value) -> str:
    if isinstance(module, text.LegacyText) or isinstance(name, text.LegacyText):
        return "the loader's encoding decides on its name"
    return "its name is computed"


def _may_be_str(value: Value) -> bool:
    """Only an exact str is accepted. A global can be one: `os.name`, `string.digits`."""
    if isinstance(value, Skipped):
        return value.kind == "str"
    return isinstance(value, str | Global | Call | PersistentId | Unknown)


def _extension(code: int, m: _Machine) -> None:
    if code <= 0:
        m.broken("extension code 0")
    why = f"extension code {code} is looked up in the loading process"
    m.stack.append(m.computed_import("copyreg._inverted_registry", code, why))


def _ext1(m: _Machine) -> None:
    _extension(m.byte(), m)


def _ext2(m: _Machine) -> None:
    _extension(m.number(_UINT2, 2), m)


def _ext4(m: _Machine) -> None:
    _extension(m.number(_INT4, 4), m)


# Calls


def _reduce(m: _Machine) -> None:
    m.need(2)
    args, function = m.stack.pop(), m.stack.pop()
    m.stack.append(m.call("REDUCE", function, args))


def _newobj(m: _Machine) -> None:
    m.need(2)
    args, cls = m.stack.pop(), m.stack.pop()
    m.stack.append(m.call("NEWOBJ", cls, args))


def _newobj_ex(m: _Machine) -> None:
    m.need(3)
    kwargs, args, cls = m.stack.pop(), m.stack.pop(), m.stack.pop()
    m.stack.append(m.call("NEWOBJ_EX", cls, args, kwargs))


def _obj(m: _Machine) -> None:
    items = m.pop_mark()
    if not items:
        m.broken("OBJ without a class")
    m.stack.append(m.call("OBJ", items[0], tuple(items[1:])))


def _inst(m: _Machine) -> None:
    if not m.marks:
        m.broken("no MARK")
    module, name = _two_lines(m)
    cls = m.find_class(module, name)
    args = tuple(m.pop_mark())
    m.stack.append(m.call("INST", cls, args))


def _build(m: _Machine) -> None:
    m.need(2)
    state = m.stack.pop()
    target = m.stack[-1]
    m.call("BUILD", target, (state,))
    if isinstance(target, Call):
        target.state.append(state)
    if m.after_build is not None:
        m.ask_after_build(m.after_build)


def _persid(m: _Machine) -> None:
    _push_persistent(m, text.decode(m.line()))


def _binpersid(m: _Machine) -> None:
    _push_persistent(m, m.pop())


def _push_persistent(m: _Machine, pid: Value) -> None:
    persistent = PersistentId(pid)
    m.trace.persistent_ids.append(persistent)
    m.stack.append(persistent)


_BY_NAME: dict[str, Callable[[_Machine], None]] = {
    "STOP": _stop,
    "PROTO": _proto,
    "FRAME": _frame,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _dup,
    "NONE": _none,
    "NEWTRUE": _newtrue,
    "NEWFALSE": _newfalse,
    "INT": _int,
    "LONG": _long,
    "FLOAT": _float,
    "STRING": _string,
    "UNICODE": _unicode,
    "BININT2": _binint2,
    "LONG1": _long1,
    "LONG4": _long4,
    "BINFLOAT": _binfloat,
    "BINUNICODE": _binunicode,
    "BINUNICODE8": _binunicode8,
    "SHORT_BINSTRING": _short_binstring,
    "BINSTRING": _binstring,
    "SHORT_BINBYTES": _short_binbytes,
    "BINBYTES": _binbytes,
    "BINBYTES8": _binbytes8,
    "BYTEARRAY8": _bytearray8,
    "NEXT_BUFFER": _next_buffer,
    "READONLY_BUFFER": _readonly_buffer,
    "EMPTY_TUPLE": _empty_tuple,
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "EMPTY_LIST": _empty_list,
    "LIST": _list,
    "APPEND": _append,
    "APPENDS": _appends,
    "EMPTY_DICT": _empty_dict,
    "DICT": _dict,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "EMPTY_SET": _empty_set,
    "ADDITEMS": _appends,
    "FROZENSET": _frozenset,
    "GET": _get,
    "PUT": _put,
    "LONG_BINGET": _long_binget,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "EXT1": _ext1,
    "EXT2": _ext2,
    "EXT4": _ext4,
    "REDUCE": _reduce,
    "NEWOBJ": _newobj,
    "NEWOBJ_EX": _newobj_ex,
    "OBJ": _obj,
    "INST": _inst,
    "BUILD": _build,
    "PERSID": _persid,
    "BINPERSID": _binpersid,
}

# Done in `_loop` itself, because real files are made of them.
_IN_PLACE = frozenset(
    {"SHORT_BINUNICODE", "MEMOIZE", "BINPUT", "BININT1", "BINGET", "BININT", "LONG_BINPUT", "MARK"}
)

_HANDLERS: list[Callable[[_Machine], None]] = [_invalid] * 256
for _opcode in OPCODES:
    if _opcode.name not in _IN_PLACE:
        _HANDLERS[_opcode.code[0]] = _BY_NAME[_opcode.name]

_NUMBERS = (b"G", b"K", b"M", b"J")
