"""The tensor table of a torch checkpoint: from the trace of its pickle and the places of its storages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.torch_legacy import PICKLES
from hubaudit.formats.torch_storage import as_storage
from hubaudit.formats.zip_index import read_index
from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, Run, SetOf, Trace, Value
from hubaudit.source import Source
from hubaudit.tensors.holders import holders, inside
from hubaudit.tensors.rebuild import OtherKind, is_tensor, view_of
from hubaudit.tensors.storages import (
    DataStart,
    LegacyStorages,
    NoBytes,
    Storages,
    ZipStorages,
    by_local_header,
)
from hubaudit.tensors.table import SEVERAL, NotComparable, Table, Tensor

# Entries of containers that were reached before, each time again. What is reached once is bounded by the
# pickle's opcodes, but with sharing it can have more than any machine could list. A module of 100 layers
# that are one object, as ALBERT's, has some 6,000.
MAX_REPEATED = 20_000
# Bytes of names that have several parts. The largest models on the Hub have below 2^24.
MAX_NAMES = 32 << 20
MAX_DEPTH = 100  # containers in one another; whole modules take two a level


def torch_table(
    source: Source, contents: Contents, data_start: DataStart = by_local_header
) -> Table:
    """Every tensor that `torch.load` would give for the file `source`, of which `contents` was read.

    Names are the keys on the way to a tensor, joined by dots; a tensor that was saved by itself has the
    name "". In a whole module they are those of its `state_dict()`. A file of which nothing can be told
    has one `NotComparable` of the name "". Where several entries come out under one name, all of them are
    there, and a `NotComparable` of this name with `SEVERAL`. What is too deep or reached too often is one
    `NotComparable` for its branch. `others` are the entries without tensors, those with nothing but such
    in them as one. Reads the directory of a zip and what `data_start` does, no storages.
    """
    try:
        trace, storages = _opened(source, contents, data_start)
        return _Walk(storages, _meddled(trace)).table(trace.result)
    except NoBytes as error:
        return Table((), (NotComparable("", str(error)),))


def _opened(source: Source, contents: Contents, data_start: DataStart) -> tuple[Trace, Storages]:
    """The trace of the pickle that has the tensors, and where their storages are. Raises NoBytes."""
    match contents.format:
        case Format.TORCH_ZIP:
            return _opened_zip(source, contents, data_start)
        case Format.TORCH_LEGACY:
            return _opened_legacy(source, contents)
        case Format.TORCHSCRIPT:
            raise NoBytes("it is TorchScript, which torch.load does not unpickle")
        case Format.TAR:
            raise NoBytes("it is a tar archive, as torch wrote before 0.1.10")
        case other:
            raise NoBytes(f"it is no torch checkpoint, but {other.value}")


def _opened_zip(
    archive: Source, contents: Contents, data_start: DataStart
) -> tuple[Trace, Storages]:
    index = read_index(archive)
    if index.disagreements or index.problems:
        why = (*index.disagreements, *index.problems)[0]
        raise NoBytes(f"loaders read the archive differently: {why}")
    root = index.first.partition("/")[0]  # `archive_name_` of caffe2/serialize/inline_container.cc
    path = f"{root}/data.pkl"
    traces = [pickle.trace for pickle in contents.pickles if pickle.member == path]
    if not traces:
        raise NoBytes(f"the archive has no pickle {path}")
    _check_complete(traces[:1])
    return traces[0], ZipStorages(archive, index, root, traces[0], data_start)


def _opened_legacy(source: Source, contents: Contents) -> tuple[Trace, Storages]:
    traces = [pickle.trace for pickle in contents.pickles if pickle.member is None][:PICKLES]
    _check_complete(traces)
    if len(traces) < PICKLES:
        raise NoBytes(f"it has only {len(traces)} of torch's {PICKLES} pickles")
    return traces[3], LegacyStorages(source, traces)


def _check_complete(traces: Iterable[Trace]) -> None:
    for trace in traces:
        if not trace.complete:
            raise NoBytes(f"its pickle was not read to its end: {trace.stop.detail}")


# Functions that make a value of their arguments and leave these as they are.
_MAKERS = frozenset(
    {
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("collections", "deque"),
        ("torch", "Size"),
        ("copyreg", "_reconstructor"),
        ("copy_reg", "_reconstructor"),
        *(
            (module, name)
            for module in ("builtins", "__builtin__")
            for name in ("dict", "list", "set")
        ),
    }
)
_DICTS = frozenset({("collections", "OrderedDict"), ("builtins", "dict"), ("__builtin__", "dict")})
_CALLED = frozenset({"REDUCE", "OBJ", "INST"})
_CUT = 100  # characters of a name of which no more is told
_TOO_LONG = f"the names of the file have over {MAX_NAMES:,} bytes"


def _meddled(trace: Trace) -> dict[str, str]:
    """The storages that the pickle hands to functions which may write into them, by key, and why."""
    found: dict[str, str] = {}
    search = _Search()
    for call in trace.calls:
        function = call.function
        if isinstance(function, PersistentId):  # BUILD, APPENDS or SETITEMS on a storage
            handed: Iterator[Value] = iter((function,))
        elif call.how in _CALLED and not is_tensor(call) and not _is_maker(function):
            handed = search.tensors_in(call.args)
        else:
            continue
        name = function.qualified if isinstance(function, Global) else "a function of its own"
        for value in handed:
            if (storage := _storage_key(value)) is not None:
                found.setdefault(storage, f"the pickle hands it to {name}, which may change it")
    return found


def _is_maker(function: Value) -> bool:
    return isinstance(function, Global) and (function.module, function.name) in _MAKERS


def _storage_key(value: Value) -> str | None:
    storage = as_storage(value) if isinstance(value, PersistentId) else None
    return None if storage is None else storage.key


class _Search:
    """Looks for storages in values. What was searched once is not searched again."""

    def __init__(self) -> None:
        self._seen: dict[int, Value] = {}  # with the values: an id is one's own as long as it lives

    def tensors_in(self, value: Value) -> Iterator[PersistentId]:
        """The storages in `value` that no search before has come by."""
        stack = [value]
        while stack:
            one = stack.pop()
            if isinstance(one, str | bytes | int | float | None) or id(one) in self._seen:
                continue
            self._seen[id(one)] = one
            if isinstance(one, PersistentId):
                yield one
            stack += inside(one)


class _Walk:
    """One object graph, from its top to its tensors."""

    def __init__(self, storages: Storages, meddled: dict[str, str]) -> None:
        self._storages = storages
        self._meddled = meddled
        self._tensors: list[Tensor] = []
        self._untold: list[NotComparable] = []
        self._others: list[str] = []
        self._named: dict[str, int] = {}  # how many entries have the name
        self._cut: set[str] = set()
        self._holders: frozenset[int] = frozenset()
        self._met: set[int] = set()
        self._on_the_way: set[int] = set()
        self._repeats_left = MAX_REPEATED
        self._names_left = MAX_NAMES

    def table(self, top: Value) -> Table:
        self._holders = holders(top)
        if not self._visit((), top):
            self._others = [self._name((key,)) for key, _ in _entries(top) or ()] or [""]
        several = [NotComparable(name, SEVERAL) for name, n in self._named.items() if n > 1]
        return Table(tuple(self._tensors), (*self._untold, *several), tuple(self._others))

    def _visit(self, path: tuple[str, ...], value: Value) -> bool:
        """Whether there are tensors in `value`, which are in the table then."""
        if value is None or isinstance(value, bool | int | float | str | bytes):
            return False
        if isinstance(value, Call) and is_tensor(value):
            self._add(path, value)
            return True
        if not isinstance(value, PersistentId) and id(value) not in self._holders:
            return False
        why = self._why_not_into(path, value)
        entries = None if why else _entries(value)
        if entries is None:
            self._add_untold(path, NotComparable("", why or _why_not(value)))
            return True
        if id(value) in self._met:
            self._repeats_left -= len(entries)
        return self._visit_entries(path, value, entries)

    def _why_not_into(self, path: tuple[str, ...], value: Value) -> str:
        """Of a container with tensors in it, where an end has to be made."""
        if id(value) in self._on_the_way:
            return "it is inside of itself"
        if len(path) > MAX_DEPTH:
            return f"it has containers in one another, over {MAX_DEPTH} deep"
        if id(value) in self._met and self._repeats_left <= 0:
            return f"what is in it is reached again and again, over {MAX_REPEATED:,} times"
        return ""

    def _visit_entries(
        self, path: tuple[str, ...], value: Value, entries: list[tuple[str, Value]]
    ) -> bool:
        self._met.add(id(value))
        self._on_the_way.add(id(value))
        without = [key for key, one in entries if not self._visit((*path, key), one)]
        self._on_the_way.discard(id(value))
        if len(without) == len(entries):
            return False
        self._others += (self._name((*path, key)) for key in without)
        return True

    def _add(self, path: tuple[str, ...], call: Call) -> None:
        try:
            self._check_meddled(call)
            view = view_of(call, self._storages)
        except NoBytes as error:
            known = isinstance(error, OtherKind)
            self._add_untold(path, NotComparable("", str(error), known))
            return
        name = self._name(path)
        if name in self._cut:
            self._add_untold(path, NotComparable("", _TOO_LONG))
            return
        self._named[name] = self._named.get(name, 0) + 1
        self._tensors.append(
            Tensor(name, view.dtype, view.shape, view.stride, view.begin, view.storage)
        )

    def _check_meddled(self, call: Call) -> None:
        if not self._meddled:
            return
        for storage in _Search().tensors_in(call):
            if (why := self._meddled.get(_storage_key(storage) or "")) is not None:
                raise NoBytes(why)

    def _add_untold(self, path: tuple[str, ...], row: NotComparable) -> None:
        name = self._name(path)
        if name in self._cut:
            if name in self._named:  # once for all that have their names cut to this one
                return
            row = replace(row, why=_TOO_LONG, is_known_kind=False)
        self._named[name] = self._named.get(name, 0) + 1
        self._untold.append(replace(row, name=name))

    def _name(self, path: tuple[str, ...]) -> str:
        """Once there are too many names, only the beginning of those that have several parts."""
        if len(path) < 2:
            return "".join(path)
        self._names_left -= sum(len(part) if part.isascii() else 4 * len(part) for part in path)
        if self._names_left > 0:
            return ".".join(path)
        cut = f"{path[0][:_CUT]}.…"
        self._cut.add(cut)
        return cut


def _entries(value: Value) -> list[tuple[str, Value]] | None:
    """Keys and values of what is a dict, list, tuple or module for certain; None of anything else."""
    match value:
        case Mapping(flat=flat):
            return _of_pairs(flat)
        case list() | tuple():
            return None if _has_run(value) else [(str(at), one) for at, one in enumerate(value)]
        case Call():
            pairs = _pairs_of(value)
            return _of_module(value) if pairs is None else _of_pairs(pairs)
        case _:
            return None


def _has_run(values: Iterable[Value]) -> bool:
    """Behind numbers that were stepped over nobody knows which index an item has."""
    return any(isinstance(value, Run) for value in values)


def _pairs_of(call: Call) -> list[Value] | None:
    """Keys and values in turn, of a call that makes a dict."""
    function = call.function
    if not isinstance(function, Global) or call.how == "NEWOBJ_EX" or call.items:
        return None
    name = function.module, function.name
    args = call.args
    if not isinstance(args, tuple):
        return None
    if name == ("collections", "defaultdict"):
        args = args[1:]
    elif name not in _DICTS:
        return None
    if call.how == "NEWOBJ":
        args = ()  # `__new__` of a dict takes no notice of them
    first = _pairs_in(args)
    return None if first is None else [*first, *call.flat]


def _pairs_in(args: tuple[Value, ...]) -> list[Value] | None:
    """What `dict(*args)` begins with."""
    match args:
        case ():
            return []
        case (Mapping(flat=flat),):
            return list(flat)
        case (list() | tuple() as pairs,):
            if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
                return [one for pair in pairs for one in pair]
    return None


def _of_pairs(flat: Iterable[Value]) -> list[tuple[str, Value]]:
    """As a dict keeps them: the first of equal keys, with the value of the last."""
    items = iter(flat)
    kept: dict[tuple[str, str], tuple[str, Value]] = {}
    for at, (key, value) in enumerate(zip(items, items, strict=True)):
        identity, text = _key(key, at)
        first_text, _ = kept.get(identity, (text, None))
        kept[identity] = (first_text, value)
    return list(kept.values())


def _key(key: Value, at: int) -> tuple[tuple[str, str], str]:
    """What a key is equal to, and how it is written in a name."""
    match key:
        case str():
            return ("text", key), key
        case bool():
            return ("number", str(int(key))), str(key)
        case float() if key.is_integer():
            return ("number", f"{int(key)}"), str(key)
        case float():
            return ("number", str(key)), str(key)
        case int():
            text = str(key) if key.bit_length() < 64 else f"{key:#x}"
            return ("number", text), text
        case None:
            return ("none", ""), "None"
        case _:
            return ("place", str(at)), f"<{type(key).__name__.lower()} {at}>"


_MODULE_PARTS = "_parameters", "_buffers", "_modules"


def _of_module(call: Call) -> list[tuple[str, Value]] | None:
    """What `state_dict()` of a pickled module has; None if it is no module for certain.

    (`Module.state_dict` of torch/nn/modules/module.py, 2.13: parameters, buffers that are persistent,
    then the modules in it.)
    """
    if len(call.state) != 1 or not isinstance(call.state[0], Mapping) or call.items or call.flat:
        return None
    state = dict(_of_pairs(call.state[0].flat))
    if not all(part in state for part in _MODULE_PARTS):
        return None
    unsaved = state.get("_non_persistent_buffers_set")
    skipped = (
        {one for one in unsaved.items if isinstance(one, str)}
        if isinstance(unsaved, SetOf)
        else set()
    )
    found: list[tuple[str, Value]] = []
    for part in _MODULE_PARTS:
        entries = _entries(state[part])
        if entries is None:
            return None
        left_out = skipped if part == "_buffers" else ()
        found += ((key, one) for key, one in entries if one is not None and key not in left_out)
    return found


def _why_not(value: Value) -> str:
    """Of something with storages in it."""
    match value:
        case PersistentId():
            return "it is a storage, not a tensor"
        case Call(function=Global() as cls):
            return f"it is inside of a {cls.qualified}"
        case _:
            return "it is inside of something else than a dict, a list or a module"
