"""Object graphs as values, and the protocol-2 pickle that CPython's pickler writes for them.

torch.save uses protocol 2, so this is all that a checkpoint needs. The order of opcodes, the memo
and the choice between APPEND and APPENDS follow CPython 3.13's `Modules/_pickle.c`; tests hold the
bytes against the pickler's and torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hubaudit.demo.assemble import Instruction, assemble

# _pickle.c, BATCHSIZE
BATCH = 1000


@dataclass(frozen=True)
class Global:
    """An imported name, spelled as protocol 2 does: `__builtin__`, not `builtins`."""

    module: str
    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """What `__reduce__` says: `function(*args)`, then its items, then its state."""

    function: Global
    args: tuple[Any, ...] = ()
    items: tuple[tuple[Any, Any], ...] = ()
    state: Any = None


@dataclass(frozen=True, eq=False)
class New:
    """An ordinary object: `cls.__new__(cls, *args)`, then its state (by BUILD) if it has one."""

    cls: Global
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True, eq=False)
class Persistent:
    """An object that stays outside of the pickle, known to the loader by `pid`."""

    pid: Any


@dataclass(frozen=True, eq=False)
class Unshared:
    """A text that is written out although an equal one is in the memo: not the same object."""

    text: str


def unknown(value: Any) -> Any:
    """The `lower` of a pickle that has no objects of its own kind. Raises TypeError."""
    raise TypeError(f"no pickle for {type(value).__name__}")


def pickle_of(value: Any, lower: Callable[[Any], Any] = unknown) -> bytes:
    """The protocol-2 pickle of `value`, from PROTO to STOP.

    `value` is made of None, bool, int, float, str, bytes, tuple, list, dict and the classes above.
    For anything else, `lower` is asked once for what to write in its place, or raises TypeError.
    An object that is met again comes from the memo; so does an equal text, because the texts of
    real pickles (attribute names, keys) are interned.
    """
    writer = _Writer(lower)
    writer.write(value)
    return assemble(("PROTO", 2), *writer.program, "STOP")


class _Writer:
    def __init__(self, lower: Callable[[Any], Any]) -> None:
        self.program: list[Instruction] = []
        self._lower = lower
        self._lowered: dict[int, Any] = {}
        self._memo: dict[object, int] = {}
        self._kept: list[object] = []  # an id in the memo must not be given to a new object

    def write(self, value: Any) -> None:
        if self._recall(value):
            return
        match value:
            case None:
                self._emit("NONE")
            case bool():
                self._emit("NEWTRUE" if value else "NEWFALSE")
            case int():
                self._emit(_int(value))
            case float():
                self._emit(("BINFLOAT", value))
            case str():
                self._emit(("BINUNICODE", value))
                self._memoize(value)
            case bytes():
                self._bytes(value)
            case tuple():
                self._tuple(value)
            case list():
                self._emit("EMPTY_LIST")
                self._memoize(value)
                self._fill(value, 1, "APPEND", "APPENDS")
            case dict():
                self._emit("EMPTY_DICT")
                self._memoize(value)
                self._fill(value.items(), 2, "SETITEM", "SETITEMS")
            case _:
                self._object(value)

    def _object(self, value: Any) -> None:
        match value:
            case Global(module, name):
                self._emit(("GLOBAL", module, name))
                self._memoize(value)
            case Unshared(text):
                self._emit(("BINUNICODE", text))
                self._memoize(value)
            case Persistent(pid):
                self.write(pid)
                self._emit("BINPERSID")
            case New(cls, args, state):
                self._made(value, cls, args, "NEWOBJ")
                self._build(state)
            case Call(function, args, items, state):
                self._made(value, function, args, "REDUCE")
                self._fill(items, 2, "SETITEM", "SETITEMS")
                self._build(state)
            case _:
                if id(value) not in self._lowered:
                    self._lowered[id(value)] = self._lower(value)
                self.write(self._lowered[id(value)])

    def _made(self, value: object, function: Global, args: tuple[Any, ...], how: str) -> None:
        self.write(function)
        self.write(args)
        self._emit(how)
        self._memoize(value)

    def _build(self, state: Any) -> None:
        if state is not None:
            self.write(state)
            self._emit("BUILD")

    def _bytes(self, value: bytes) -> None:
        # protocol 2 has no opcode for bytes: _pickle.c, save_bytes
        if value:
            call = Call(Global("_codecs", "encode"), (Unshared(value.decode("latin-1")), "latin1"))
        else:
            call = Call(Global("__builtin__", "bytes"))
        self._made(value, call.function, call.args, "REDUCE")

    def _tuple(self, value: tuple[Any, ...]) -> None:
        if not value:
            self._emit("EMPTY_TUPLE")
            return
        if len(value) > 3:
            self._emit("MARK")
        for element in value:
            self.write(element)
        self._emit("TUPLE" if len(value) > 3 else f"TUPLE{len(value)}")
        self._memoize(value)

    def _fill(self, elements: Iterable[Any], width: int, one: str, many: str) -> None:
        rest = list(elements)
        for start in range(0, len(rest), BATCH):
            batch = rest[start : start + BATCH]
            if len(batch) > 1:
                self._emit("MARK")
            for element in batch:
                for part in element if width == 2 else (element,):
                    self.write(part)
            self._emit(many if len(batch) > 1 else one)

    def _recall(self, value: Any) -> bool:
        slot = self._memo.get(_identity(value))
        if slot is None:
            return False
        self._emit(("BINGET", slot) if slot < 256 else ("LONG_BINGET", slot))
        return True

    def _memoize(self, value: object) -> None:
        slot = self._memo[_identity(value)] = len(self._memo)
        self._kept.append(value)
        self._emit(("BINPUT", slot) if slot < 256 else ("LONG_BINPUT", slot))

    def _emit(self, instruction: Instruction) -> None:
        self.program.append(instruction)


def _identity(value: Any) -> object:
    return value if isinstance(value, str | Global) else id(value)


def _int(value: int) -> Instruction:
    if 0 <= value < 256:
        return ("BININT1", value)
    if 0 <= value < 65536:
        return ("BININT2", value)
    if -(2**31) <= value < 2**31:
        return ("BININT", value)
    return ("LONG1", value)


def mapping(name: str, items: Sequence[tuple[Any, Any]] = ()) -> Call:
    """A `collections` mapping that pickles as a call without arguments, then its items."""
    return Call(Global("collections", name), (), tuple(items))
