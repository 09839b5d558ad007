"""What was read of which content, kept as JSON: judged again under other rules, and read once in all forks.

An audit asks its files through a `Memory`. What was found in a content is kept whole, down to the traces
of its pickles, so that rules that did not exist yet can look at it. Nothing here is ever loaded by running
it: the classes are those of an explicit table, and their fields are set, not called.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from importlib.util import find_spec
from threading import Condition, Lock
from typing import Any, Protocol, TypeVar, cast

from hubaudit.formats.contents import (
    Contents,
    Format,
    Gap,
    Oddity,
    OddityKind,
    PickleRead,
    Trailing,
)
from hubaudit.model import Comparison, RepoFile, RepoRef, TensorDifference
from hubaudit.pvm import values
from hubaudit.pvm.embedded import Embedded
from hubaudit.tensors.table import NotComparable, Table, Tensor

_T = TypeVar("_T")

# Rows of one file's evidence, some 70 MB while they are made. The largest of 564 real files has 1,153, a
# checkpoint about 10 a tensor; what has more is read again.
MOST_NODES = 200_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file's bytes gave: what the rules see, whether they are the listed ones, and the tensors."""

    contents: Contents
    verified: bool | None
    digest: str | None
    table: Table | None


class Shelf(Protocol):
    """Where it is kept: `store.Store`, or a dict."""

    def find_evidence(self, key: str, /) -> bytes | None: ...

    def put_evidence(self, key: str, value: bytes, /) -> None: ...


class Memory(Protocol):
    """Answers a question about the content of files from what is kept, or has it answered."""

    def recall(self, question: str, about: Sequence[RepoFile], answer: Callable[[], _T], /) -> _T:
        """What `answer` gives, or gave for the same content. What it raises goes through."""
        ...

    def turn(self, files: Sequence[RepoFile], /) -> AbstractContextManager[None]:
        """To audit `files` in: entered when no other audit reads a content of theirs for the first time."""
        ...


class Forgetful:
    """The memory that keeps nothing."""

    def turn(self, _files: Sequence[RepoFile]) -> AbstractContextManager[None]:
        return nullcontext()

    def recall(self, _question: str, _about: Sequence[RepoFile], answer: Callable[[], _T]) -> _T:
        return answer()


NO_MEMORY: Memory = Forgetful()


@dataclass(slots=True)
class Turns:
    """Whose turn it is, of the threads of a sweep: with a content, and with a question about some."""

    _locks: dict[str, tuple[Lock, list[int]]] = field(default_factory=dict)
    _guard: Lock = field(default_factory=Lock)
    _reading: set[int] = field(default_factory=set)
    _read: set[int] = field(default_factory=set)
    _ended: Condition = field(default_factory=Condition)

    @contextmanager
    def with_contents(self, names: set[int]) -> Iterator[None]:
        """One audit after the other, as long as they have contents in common that none was through with.

        All contents are taken at once, and none is held while others are waited for: so nobody waits in a
        circle. What an audit was through with is never waited for again, though it failed: then it takes
        turns by the question only. Otherwise a file that many have would keep them all in a row.
        """
        with self._ended:
            self._ended.wait_for(lambda: self._reading.isdisjoint(names))
            own = names - self._read
            self._reading |= own
        try:
            yield
        finally:
            with self._ended:
                self._reading -= own
                self._read |= own
                self._ended.notify_all()

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """One thread after the other with the question `key`."""
        with self._guard:
            lock, waiting = self._locks.setdefault(key, (Lock(), []))
            waiting.append(1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                waiting.pop()
                if not waiting:
                    self._locks.pop(key, None)


@dataclass(frozen=True, slots=True)
class Remembering:
    """The memory of one audit on a `Shelf` that others share.

    Content is known by its sha256 in every repository of the Hub, by git's sha1, which can be forged,
    in its own repository only.
    """

    shelf: Shelf
    repo: RepoRef
    turns: Turns = field(default_factory=Turns)

    def recall(self, question: str, about: Sequence[RepoFile], answer: Callable[[], _T]) -> _T:
        names = [self._name(file) for file in about]
        if None in names:
            return answer()
        said = json.dumps([reader_digest(), self.repo.endpoint, question, names])
        key = hashlib.sha256(said.encode()).hexdigest()
        with self.turns.of(key):
            kept = self.shelf.find_evidence(key)
            if kept is not None:
                try:
                    return cast(_T, thawed(kept))
                except Unfit:
                    pass  # it was damaged, and is put anew
            found = answer()
            if _is_worth_keeping(found):
                with suppress(Unfit):  # too large: then it is read again
                    self.shelf.put_evidence(key, frozen(found))
            return found

    def turn(self, files: Sequence[RepoFile]) -> AbstractContextManager[None]:
        # hashes, for a sweep of a hundred thousand repositories keeps them all: if two are one, one waits
        return self.turns.with_contents({hash(one.sha256) for one in files if one.sha256})

    def _name(self, file: RepoFile) -> str | None:
        if file.sha256 is not None:
            return f"sha256:{file.sha256}:{file.size}"
        if file.blob_id is None:
            return None
        return f"git:{self.repo.repo_type}:{self.repo.repo_id}:{file.blob_id}:{file.size}"


def _is_worth_keeping(found: object) -> bool:
    """Not what is about other bytes than the listed ones, nor what could not be read to its end."""
    match found:
        case Reading():
            return found.verified is not False
        case Comparison():
            return not found.broken_off
        case _:
            return found is not None


@cache
def reader_digest() -> str:
    """sha256 over the code that reads, and the extras that are there: others' answers may be others."""
    digest = hashlib.sha256()
    for package in ("source", "pvm", "formats", "tensors"):
        folder = resources.files(f"hubaudit.{package}")
        for file in sorted(folder.iterdir(), key=lambda one: one.name):
            if file.name.endswith((".py", ".toml")):
                digest.update(f"{package}/{file.name}\0".encode() + file.read_bytes())
    for name in ("comparing.py", "remembering.py"):
        digest.update(resources.files("hubaudit").joinpath(name).read_bytes())
    there = [name for name in ("zstandard", "lz4", "py7zr", "backports", "h5py") if find_spec(name)]
    digest.update(json.dumps(there).encode())
    return digest.hexdigest()


class Unfit(ValueError):
    """It cannot be kept, or what is kept cannot be used."""


def frozen(value: object) -> bytes:
    """`value` as compressed JSON. Raises Unfit for a class not in the table, and for what is too large."""
    return zlib.compress(json.dumps(_Freezer().freeze(value), separators=(",", ":")).encode(), 6)


def thawed(kept: bytes) -> object:
    """The value again, equal in every part, and the same where parts were the same. Raises Unfit."""
    try:
        return _thaw(json.loads(zlib.decompress(kept)))
    except (
        zlib.error,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise Unfit(str(error)) from error


# Only ever added to at its end: the places are what is written.
_CLASSES: tuple[type, ...] = (
    Reading,
    Contents,
    PickleRead,
    Trailing,
    Gap,
    Oddity,
    Embedded,
    values.Trace,
    values.GlobalCount,
    values.ComputedImport,
    values.Stop,
    values.Global,
    values.Mapping,
    values.SetOf,
    values.Call,
    values.PersistentId,
    values.Skipped,
    values.Run,
    values.Unknown,
    Table,
    Tensor,
    NotComparable,
    Comparison,
    TensorDifference,
    values.Filled,
)
_NUMBER = {cls: number for number, cls in enumerate(_CLASSES)}
_ENUMS: dict[str, type[StrEnum]] = {
    "Format": Format,
    "OddityKind": OddityKind,
    "StopKind": values.StopKind,
}
_LIST, _TUPLE, _DICT, _BYTES, _NUMBER_TEXT, _TEXT, _ENUM = (-1, -2, -3, -4, -5, -6, -7)
_SAFE_INT = 2**53


def _slots_of(cls: type) -> tuple[str, ...]:
    if is_dataclass(cls):
        return tuple(one.name for one in fields(cls))
    return tuple(cls.__slots__)  # type: ignore[attr-defined]


_SLOTS = {cls: _slots_of(cls) for cls in _CLASSES}


class _Freezer:
    """Rows, one a container or object, that refer to each other by `[row]`; plain constants as they are.

    A tuple stands behind what is in it, as far as that are tuples: it cannot be made before. Everything
    else can be made empty, so that cycles are no trouble. No recursion: pickles nest as deep as they like.
    """

    def __init__(self) -> None:
        self._rows: list[list[Any]] = []
        self._places: dict[int, int] = {}
        self._kept: list[object] = []  # so that no id is given twice

    def freeze(self, value: object) -> dict[str, Any]:
        todo = [value]
        while todo:
            self._add(todo.pop(), todo)
        for place, kept in enumerate(self._kept):
            if not isinstance(kept, tuple):
                self._rows[place] += [self._spelled(part) for part in _parts(kept)]
        return {"rows": self._rows, "top": self._spelled(value)}

    def _add(self, value: object, todo: list[object]) -> None:
        """A row for `value` and, of tuples in tuples, for the inner ones before."""
        if _is_plain(value) or id(value) in self._places:
            return
        if not isinstance(value, tuple):
            self._place(value, [_kind(value)])
            todo += [part for part in _parts(value) if not _is_plain(part)]
            return
        inner: list[tuple[tuple[object, ...], Iterator[object]]] = [(value, iter(value))]
        while inner:
            whole, parts = inner[-1]
            part = next(parts, _END)
            if part is _END:
                inner.pop()
                if id(whole) not in self._places:
                    self._place(whole, [_TUPLE, *(self._spelled_early(one, todo) for one in whole)])
            elif isinstance(part, tuple) and id(part) not in self._places:
                inner.append((part, iter(part)))

    def _spelled_early(self, value: object, todo: list[object]) -> Any:
        """For a part of a tuple: its row may have to be begun for it."""
        if not _is_plain(value) and id(value) not in self._places:
            self._place(value, [_kind(value)])
            todo += [part for part in _parts(value) if not _is_plain(part)]
        return self._spelled(value)

    def _place(self, value: object, row: list[Any]) -> None:
        if len(self._rows) >= MOST_NODES:
            raise Unfit("too much to keep")
        self._places[id(value)] = len(self._rows)
        self._rows.append(row)
        self._kept.append(value)

    def _spelled(self, value: object) -> Any:
        if not _is_plain(value):
            return [self._places[id(value)]]
        return _plain(value)


_END = object()


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bytes | bytearray)


def _plain(value: object) -> Any:
    match value:
        case StrEnum():
            name = type(value).__name__
            if _ENUMS.get(name) is not type(value):
                raise Unfit(f"{name} is not in the table")
            return [_ENUM, name, value.value]
        case str():
            if value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value):
                return value
            return [_TEXT, value.encode("utf-32-le", "surrogatepass").hex()]
        case bool() | None:
            return value
        case int():
            return value if -_SAFE_INT < value < _SAFE_INT else [_NUMBER_TEXT, hex(value)]
        case float():
            return value if math.isfinite(value) else [_NUMBER_TEXT, repr(value)]
        case bytes():
            return [_BYTES, value.decode("latin-1")]
        case _:
            raise Unfit(f"{type(value).__name__} is not in the table")


def _kind(value: object) -> int:
    match value:
        case list():
            return _LIST
        case dict():
            return _DICT
    number = _NUMBER.get(type(value))
    if number is None:
        raise Unfit(f"{type(value).__name__} is not in the table")
    return number


def _parts(value: object) -> Iterator[object]:
    match value:
        case list() | tuple():
            yield from value
        case dict():
            for key, item in value.items():
                yield key
                yield item
        case _:
            for name in _SLOTS[type(value)]:
                yield getattr(value, name)


def _thaw(kept: Any) -> object:
    rows = kept["rows"]
    made: list[Any] = [None] * len(rows)
    for place, row in enumerate(rows):
        made[place] = _empty(row[0])
    for place, row in enumerate(rows):
        if row[0] == _TUPLE:
            made[place] = tuple(_thawed_part(part, made) for part in row[1:])
    for place, row in enumerate(rows):
        if row[0] != _TUPLE:
            _fill(made[place], [_thawed_part(part, made) for part in row[1:]])
    return _thawed_part(kept["top"], made)


def _empty(kind: int) -> Any:
    match kind:
        case -1:
            return []
        case -2:
            return None
        case -3:
            return {}
        case _ if kind >= 0:
            return object.__new__(_CLASSES[kind])
        case _:
            raise Unfit(f"no kind {kind}")


def _fill(made: Any, parts: list[Any]) -> None:
    match made:
        case list():
            made += parts
        case dict():
            made.update(zip(parts[::2], parts[1::2], strict=True))
        case _:
            for name, part in zip(_SLOTS[type(made)], parts, strict=True):
                object.__setattr__(made, name, part)


def _thawed_part(part: Any, made: list[Any]) -> Any:
    if not isinstance(part, list):
        return part
    match part:
        case [int(place)]:
            return made[place]
        case [-4, str(text)]:
            return text.encode("latin-1")
        case [-5, str(text)]:
            return int(text, 16) if "x" in text else float(text)
        case [-6, str(text)]:
            return bytes.fromhex(text).decode("utf-32-le", "surrogatepass")
        case [-7, str(name), str(value)]:
            return _ENUMS[name](value)
        case _:
            raise Unfit(f"no part {part!r}")
