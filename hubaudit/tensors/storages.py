"""Where the storages that a torch pickle names lie in its file.

Source: `_load` and `_legacy_load` of torch/serialization.py (2.13). A storage is named by its key. The
first name decides on its type and size; where a later one says otherwise, torch goes on with the first
and writes no such files, so nothing is told of it here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hubaudit.formats.torch_storage import Storage, as_storage
from hubaudit.formats.zip_compare import STORED, UNREADABLE_BITS
from hubaudit.formats.zip_index import Index
from hubaudit.formats.zip_records import Entry, read_local, torch_data_start
from hubaudit.pvm.values import PersistentId, Trace
from hubaudit.source import Source
from hubaudit.source.remote import RemoteSource


class NoBytes(ValueError):
    """Which bytes a tensor has cannot be told; the message says why."""


@dataclass(frozen=True, slots=True)
class Placed:
    """`kind` is the storage class's name; `begin` and `end` count from the start of the file."""

    kind: str
    begin: int
    end: int


class Storages(Protocol):
    def place(self, persistent: PersistentId) -> Placed:
        """Raises NoBytes."""
        ...


# Where a stored member's data begins; None if there is no header where the directory says.
DataStart = Callable[[Source, Entry], int | None]


def by_local_header(archive: Source, entry: Entry) -> int | None:
    """What loaders go by. Reads the header: over a network, a request for each storage."""
    local = read_local(archive, entry.header)
    return None if local is None or local.name != entry.name else local.data


def by_torch_layout(_archive: Source, entry: Entry) -> int | None:
    """Where torch's own writer puts it, without a look: for comparing all but bytes.

    Before bytes are read from there, `by_local_header` has to give the same.
    """
    return torch_data_start(entry)


class ZipStorages:
    """Of an archive that torch.save wrote since 1.6: the members `root/data/KEY`."""

    def __init__(
        self, archive: Source, index: Index, root: str, trace: Trace, data_start: DataStart
    ) -> None:
        self._archive = archive
        self._root = root
        self._data_start = data_start
        self._named = _Named(trace)
        self._members: dict[str, list[Entry]] = {}
        for entry in index.entries:
            # miniz of older versions of torch looks for a name in upper or lower case alike
            self._members.setdefault(entry.path.lower(), []).append(entry)
        self._starts: dict[str, int] = {}
        self._problem = self._why_not()

    def place(self, persistent: PersistentId) -> Placed:
        storage = self._named.storage(persistent)
        if self._problem:
            raise NoBytes(self._problem)
        if len(_fields(persistent)) != 5:
            raise NoBytes("its storage is not named as torch names it in an archive")
        size = storage.count * storage.item_size
        entry = self._entry(f"{self._root}/data/{storage.key}")
        if size > entry.unpacked:
            raise NoBytes(f"its storage {storage.key} has only {entry.unpacked:,} bytes")
        begin = self._start(entry)
        return Placed(storage.kind, begin, begin + size)

    def _why_not(self) -> str:
        """Why no storage can be read as it stands; empty if there is no reason."""
        name = f"{self._root}/byteorder"
        if name.lower() not in self._members:
            return ""
        try:
            entry = self._entry(name)
            order = self._archive.read(self._start(entry), min(entry.unpacked, 16))
        except NoBytes as error:
            return f"its byte order is not known: {error}"
        return (
            "" if order == b"little" else "the archive says that its numbers are not little-endian"
        )

    def _entry(self, path: str) -> Entry:
        found = self._members.get(path.lower(), [])
        if not found or found[0].path != path:
            raise NoBytes(f"the archive has no member {path}")
        if len(found) > 1:
            raise NoBytes(f"the archive has several members {path}")
        (entry,) = found
        if entry.flags & UNREADABLE_BITS:
            raise NoBytes(f"the member {path} is encrypted")
        if entry.method != STORED:
            raise NoBytes(f"the member {path} is compressed")
        if entry.packed != entry.unpacked:
            raise NoBytes(f"the member {path} has two sizes")
        return entry

    def _start(self, entry: Entry) -> int:
        if entry.path not in self._starts:
            start = self._data_start(self._archive, entry)
            if start is None:
                raise NoBytes(f"there is no header of {entry.path} where the directory says")
            if start + entry.unpacked > self._archive.size:
                raise NoBytes(f"the member {entry.path} is cut off")
            self._starts[entry.path] = start
        return self._starts[entry.path]


class LegacyStorages:
    """Of a file that torch.save wrote before 1.6: behind the fifth pickle, in the order of its keys."""

    def __init__(self, source: Source, traces: Sequence[Trace]) -> None:
        """`traces`: of the five pickles, complete."""
        self._named = _Named(traces[3])
        self._views: dict[str, tuple[object, ...]] = {}
        self._begins: dict[str, int] = {}
        self._problem = self._find(source, traces[4])

    def _find(self, source: Source, keys: Trace) -> str:
        """Fills `_begins`; gives why it stopped before the last key."""
        if not isinstance(keys.result, list):
            return "the storage keys are no list"
        at = keys.end
        for key in keys.result:
            storage = self._named.first.get(key) if isinstance(key, str) else None
            if storage is None or storage.key in self._begins:
                return "what its storage keys say is not as torch writes it"
            if not isinstance(
                source, RemoteSource
            ):  # there `ConfirmedCounts` looks when it matters
                count = int.from_bytes(source.read(at, 8), "little", signed=True)
                if count != storage.count:
                    return f"storage {storage.key} has {count:,} elements, not {storage.count:,}"
            end = at + 8 + storage.count * storage.item_size
            if end > source.size:
                return "the storages are cut off"
            self._begins[storage.key] = at + 8
            at = end
        return ""

    def place(self, persistent: PersistentId) -> Placed:
        storage = self._named.storage(persistent)
        if storage.key not in self._begins:
            raise NoBytes(self._problem or "its storage is not in the file")
        begin = self._begins[storage.key]
        whole = Placed(storage.kind, begin, begin + storage.count * storage.item_size)
        match _fields(persistent):
            case (_, _, _, _, _, None):
                return whole
            case (_, _, _, _, _, (str() as key, int() as offset, int() as count)):
                return self._view(key, whole, offset, count, storage.item_size)
            case _:
                raise NoBytes("its storage is not named as torch names it in a legacy file")

    def _view(self, key: str, whole: Placed, offset: int, count: int, item_size: int) -> Placed:
        """The storage that torch 0.x saved as a part of another."""
        if self._views.setdefault(key, (whole, offset, count)) != (whole, offset, count):
            raise NoBytes("its storage is named as two different parts of another")
        begin = whole.begin + offset * item_size
        end = begin + count * item_size
        if not whole.begin <= begin <= end <= whole.end:
            raise NoBytes("its storage leads out of the one that it is a part of")
        return Placed(whole.kind, begin, end)


class _Named:
    """The storages of a pickle by their keys, as the first that names each describes it."""

    def __init__(self, trace: Trace) -> None:
        self.first: dict[str, Storage] = {}
        self._contradicted: set[str] = set()
        for persistent in trace.persistent_ids:
            storage = as_storage(persistent)
            if storage is not None and self.first.setdefault(storage.key, storage) != storage:
                self._contradicted.add(storage.key)

    def storage(self, persistent: PersistentId) -> Storage:
        """Raises NoBytes."""
        storage = as_storage(persistent)
        if storage is None:
            raise NoBytes("its storage is of no known type")
        if storage.key in self._contradicted:
            raise NoBytes(f"storage {storage.key} is named with different types or sizes")
        if storage.count < 0:
            raise NoBytes("its storage has a negative size")
        return storage


def _fields(persistent: PersistentId) -> tuple[object, ...]:
    return persistent.pid if isinstance(persistent.pid, tuple) else ()
