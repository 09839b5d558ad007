"""What the symbolic machine computes with, and the trace that it leaves.

Constants are Python's own `None`, `bool`, `int`, `float`, `str` and `bytes`; sequences are `list`
and `tuple`. Everything else that a pickle can make is one of the classes below. None of them
compares or hashes by content, so that hostile data cannot make a comparison expensive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hubaudit.pvm.embedded import Embedded

Value = object


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """What `find_class(module, name)` would return. `name` may be dotted."""

    module: str
    name: str

    @property
    def qualified(self) -> str:
        return f"{self.module}.{self.name}"


class Mapping:
    """A dict: its keys and values in turn, in the order in which they were set, duplicates kept."""

    __slots__ = ("flat",)

    def __init__(self, flat: Sequence[Value] = ()) -> None:
        self.flat = flat

    def add_pairs(self, flat: Sequence[Value]) -> None:
        self.flat = _longer(self.flat, flat)

    def pairs(self) -> Iterator[tuple[Value, Value]]:
        return zip(self.flat[::2], self.flat[1::2], strict=True)


class SetOf:
    """A set or frozenset: its items in order, duplicates kept."""

    __slots__ = ("frozen", "items")

    def __init__(self, items: Sequence[Value], *, frozen: bool) -> None:
        self.items = items
        self.frozen = frozen

    def add_items(self, items: Sequence[Value]) -> None:
        self.items = _longer(self.items, items)


class Call:
    """The result of calling `function` with `args`, by the opcode `how`, at byte `offset`.

    `state` holds what BUILD gave it, `items` what was appended or added to it, `flat` the keys and
    values set on it in turn. For BUILD itself, `function` is the object and `args` is `(state,)`.
    """

    __slots__ = ("args", "flat", "function", "how", "items", "kwargs", "offset", "state")

    def __init__(
        self, how: str, function: Value, args: Value, offset: int, kwargs: Value = None
    ) -> None:
        self.how = how
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.offset = offset
        self.state: Sequence[Value] = ()
        self.items: Sequence[Value] = ()
        self.flat: Sequence[Value] = ()

    def add_state(self, state: Value) -> None:
        self.state = _longer(self.state, [state])

    def add_items(self, items: Sequence[Value]) -> None:
        self.items = _longer(self.items, items)

    def add_pairs(self, flat: Sequence[Value]) -> None:
        self.flat = _longer(self.flat, flat)


def _longer(values: Sequence[Value], more: Sequence[Value]) -> list[Value]:
    """A list only where there is something to hold: most objects stay empty, and there are many."""
    if isinstance(values, list):
        values += more
        return values
    return [*values, *more]


@dataclass(frozen=True, slots=True, eq=False)
class PersistentId:
    """What the loader's `persistent_load(pid)` would return: in torch files, a storage."""

    pid: Value


@dataclass(frozen=True, slots=True, eq=False)
class Skipped:
    """A constant too long to keep: `size` bytes of payload at `offset`, beginning with `head`."""

    kind: str  # str, bytes, bytearray, int
    size: int
    offset: int
    head: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Numbers in a row that were stepped over: `size` bytes of opcodes at byte `offset`."""

    size: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """A value that only the running process would know, and why."""

    why: str


class StopKind(StrEnum):
    """How the interpretation ended."""

    COMPLETE = "complete"  # at STOP, with a value to give
    TRUNCATED = "truncated"  # the data ends first
    BROKEN = "broken"  # the real unpickler raises here
    LIMIT = "limit"  # we gave up; the real unpickler would go on


@dataclass(frozen=True, slots=True)
class Stop:
    kind: StopKind
    offset: int  # of the opcode at which it happened
    detail: str


@dataclass(slots=True)
class GlobalCount:
    """How often a name is imported, and at which byte first."""

    offset: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class ComputedImport:
    """An import whose name only the running process would know."""

    offset: int
    module: Value
    name: Value
    why: str


@dataclass(slots=True, eq=False)
class Filled:
    """At byte `offset`, `count` values from `start` on were put into `call`.

    By SETITEM and SETITEMS into its `flat`, `how` is "SETITEMS"; by APPEND, APPENDS and ADDITEMS into its
    `items`, "APPENDS".
    """

    offset: int
    how: str
    call: Call
    start: int
    count: int


@dataclass(slots=True)
class Trace:
    """Everything one pickle does, in order. Offsets count from the start of the source.

    `imports` has every `(module, name)` that the unpickler would pass to `find_class`. `calls` has
    every REDUCE, OBJ, INST, NEWOBJ, NEWOBJ_EX and BUILD, and APPENDS and SETITEMS on what is neither
    list, set, dict nor made before; `filled` has those on what a call made. `embedded` are pickles in
    constants. `opcodes` has, by its code, the offset at which each kind of opcode was run first; not
    those of protocols 0 to 2 that the machine's loop does in place, nor a MEMOIZE that follows a
    SHORT_BINUNICODE. `end` is the offset after the last byte that was read.
    """

    start: int
    imports: dict[tuple[str, str], GlobalCount] = field(default_factory=dict)
    computed: list[ComputedImport] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    filled: list[Filled] = field(default_factory=list)
    persistent_ids: list[PersistentId] = field(default_factory=list)
    embedded: list[Embedded] = field(default_factory=list)
    opcodes: dict[int, int] = field(default_factory=dict)
    protocol: int = 0
    notes: list[str] = field(default_factory=list)
    result: Value = None
    stop: Stop = Stop(StopKind.BROKEN, 0, "not run")
    end: int = 0

    @property
    def complete(self) -> bool:
        return self.stop.kind is StopKind.COMPLETE

    @property
    def imports_anything(self) -> bool:
        """By a name that it spells out, or by one that it computes."""
        return bool(self.imports or self.computed)
