"""joblib's pickles, which have the bytes of numpy arrays between their opcodes.

Source: `NumpyArrayWrapper.read_array` and `NumpyUnpickler.load_build` of joblib/numpy_pickle.py, and
joblib/numpy_pickle_compat.py (1.6; the same since 0.10). When BUILD has given a wrapper its
state, the loader reads the array from the file: a nested pickle if there are objects in it, else
(since 1.2) one byte that says how many bytes of padding follow, the padding, and the items.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from math import prod

from hubaudit.formats.dtypes import is_shape, of_pickled
from hubaudit.formats.plausible import is_call, is_name
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.render import render
from hubaudit.pvm.state import DEFAULT_LIMITS, Limits
from hubaudit.pvm.values import Call, Global, Mapping, StopKind, Trace, Value
from hubaudit.source import Source

NOWHERE = 1 << 63  # an offset beyond all data
_WRAPPER = "NumpyArrayWrapper"
# joblib before 0.10: the array is in a file of its own, in the same folder.
_SIDE_FILE_WRAPPERS = frozenset({"NDArrayWrapper", "ZNDArrayWrapper"})
_WRAPPERS = _SIDE_FILE_WRAPPERS | {_WRAPPER}
# Those that every wrapper brings into the memo: they are no text, so nothing is imported by them.
_CLASSES = _WRAPPERS | {"object", "ndarray", "dtype", "_reconstructor"}
_CALLS = ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "INST", "OBJ")
_TEXTS = frozenset({"str", "unicode"})
_FIELDS = frozenset(
    {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}
)


# How the pickle of an array of objects begins, up to the call of its dtype: `ndarray.__reduce__` by
# protocol 5 (numpy/_core/src/multiarray/methods.c, 2.4), which joblib writes since 1.6. `numpy` comes out
# of its own memo there; in the memo that `pickle.load` would use, item 3 is something else.
_SIZES = rb"(?:K.|M..|J....)"
_OWN_DTYPE = re.compile(
    rb"\x80[\x04\x05]\x95.{8}\x8c(?:\x15numpy\.core|\x16numpy\._core)\.multiarray\x94"
    rb"\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94"
    rb"K\x00\x85\x94C\x01b\x94\x87\x94R\x94\(K\x01"
    rb"(?:\)|(?:" + _SIZES + rb"{1,3}[\x85-\x87]|\(" + _SIZES + rb"{4,64}t)\x94)"
    rb"h\x03\x8c\x05dtype\x94(?P<named>\x93)\x94\x8c.[OV][0-9]{1,9}\x94\x89\x88\x87\x94(?P<called>R)",
    re.DOTALL,
)
_LONGEST_HEAD = 500  # bytes: an array has up to 64 dimensions
# What may be a module in which `dtype` is a function: a path, but for those known to have none; and of single
# words, which keys of dicts and short dtypes are, too, the packages that have one by their documentation.
_PATH = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)+")
_HAVE_NO_DTYPE = frozenset(
    "asyncio collections concurrent ctypes email html http importlib joblib json logging multiprocessing "
    "pathlib unittest urllib xml xmlrpc zipfile zoneinfo".split()
)
_HAVE_DTYPE = frozenset(
    "arkouda autograd cudf cunumeric cupy dask jax keras mlx mxnet ndonnx numpy paddle pandas pylab scipy "
    "tensorflow tinygrad torch".split()
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What loaders make of one pickle: the last of `traces` says where it ends.

    `unknown` says where a loader would do what cannot be followed.
    """

    traces: tuple[Trace, ...]
    unknown: tuple[str, ...] = ()


def read_one(source: Source, start: int, limits: Limits = DEFAULT_LIMITS) -> Reading:
    """The pickle at `start`, as `pickle.load` reads it and, if it has wrappers, as `joblib.load` does."""
    plain = interpret(source, start, limits)
    if not any(_last_part(name) in _WRAPPERS for _, name in plain.imports):
        return Reading((plain,))
    arrays = _Arrays(source, limits)
    trace = interpret(source, start, limits, arrays.step_over)
    own = set(_own_dtypes(source, arrays.nested))
    breaks = _raises_at(plain, own)
    if plain.stop.kind is StopKind.LIMIT and plain.stop.offset < breaks:
        arrays.unknown.append(plain.stop.detail)
    if not arrays.read:
        return Reading((*arrays.nested, plain), tuple(arrays.unknown))
    traces = (*arrays.nested, trace)
    if _does_more(plain, traces, range(arrays.first, breaks), own):
        traces = (plain, *traces)
    return Reading(traces, tuple(arrays.unknown))


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _own_dtypes(source: Source, nested: Iterable[Trace]) -> Iterator[int]:
    """Where arrays of objects name and call numpy's dtype, which for `pickle.load` is some `x.dtype`."""
    for trace in nested:
        head = _OWN_DTYPE.match(source.read(trace.start, _LONGEST_HEAD))
        if head is not None:
            yield from (trace.start + head.start("named"), trace.start + head.start("called"))


def _raises_at(plain: Trace, own: Container[int]) -> int:
    """Where `pickle.load` certainly raises, though the machine goes on: beyond all data if nowhere.

    In the pickle of an array of objects, read with the memo of the outer one, classes and their objects
    stand where STACK_GLOBAL needs texts.
    """
    for (module, _), found in plain.imports.items():
        if found.offset in own and not _may_have_dtype(module):
            return found.offset
    called = _called_in(plain) if plain.computed else {}
    for computed in plain.computed:
        for operand in (computed.module, computed.name):
            if _is_no_text(operand, called, computed.offset):
                return computed.offset
    return NOWHERE


def _may_have_dtype(module: str) -> bool:
    first = module.partition(".")[0]
    if _PATH.fullmatch(module) is None:
        return module in _HAVE_DTYPE
    return first not in _HAVE_NO_DTYPE


def _called_in(plain: Trace) -> dict[tuple[str, str], int]:
    """The names that were called, and since where: no text can be."""
    found: dict[tuple[str, str], int] = {}
    for call in plain.calls:
        if call.how in _CALLS and isinstance(call.function, Global):
            found.setdefault((call.function.module, call.function.name), call.offset)
    return found


def _is_no_text(operand: Value, called: dict[tuple[str, str], int], offset: int) -> bool:
    """Whether it is certainly not an exact `str`, which alone is taken for a name."""
    match operand:
        case Global(module=module, name=name):
            since = called.get((module, name), NOWHERE)
            return _last_part(name) in _CLASSES or since < offset
        case Call(how="NEWOBJ" | "NEWOBJ_EX", function=Global(name=name)):
            return _last_part(name) not in _TEXTS
        case _:
            return False


def _does_more(plain: Trace, joblibs: Iterable[Trace], where: range, own: Container[int]) -> bool:
    """Whether the array's bytes, taken for opcodes, do what `joblib.load` does not, but for `own`.

    Numbers break at once; the pickle of an array of objects begins with the same calls.
    """
    if any(one.offset in where and one.offset not in own for one in plain.computed):
        return True
    dtypes = {Global(*name) for name, found in plain.imports.items() if found.offset in own}
    made = [call for call in plain.calls if call.offset in where and call.offset not in own]
    made = [call for call in made if not _is_one_of(dtypes, call.function)]
    calls = {_key(call) for call in made if is_call(call)}
    if calls and calls - {_key(call) for trace in joblibs for call in trace.calls}:
        return True
    imported = {name for trace in joblibs for name in trace.imports}
    return any(
        found.offset in where and found.offset not in own and is_name(name)
        for name, found in plain.imports.items()
        if name not in imported
    )


def _is_one_of(names: Container[Global], function: Value) -> bool:
    return isinstance(function, Global) and function in names


def _key(call: Call) -> tuple[int, str]:
    return call.offset, render(call)


@dataclass(slots=True)
class _Arrays:
    """Asked by the machine after each BUILD; remembers what it met."""

    source: Source
    limits: Limits
    nested: list[Trace] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    read: int = 0  # arrays
    first: int = 0  # offset of the first
    is_lost: bool = False

    def step_over(self, value: Value, at: int, in_frame: bool) -> int | None:
        wrapper = _wrapper_name(value)
        if wrapper in _SIDE_FILE_WRAPPERS:
            self._note_side_file(value)
            return 0
        if wrapper != _WRAPPER or self.is_lost:
            return None
        size = None if in_frame else self._size(value, at)
        if size is None:
            self.is_lost = True  # and to try again would take quadratic time
            self.unknown.append(f"where the array at byte {at} ends cannot be told")
            return None
        self.first = self.first if self.read else at
        self.read += 1
        return size

    def _note_side_file(self, value: Value) -> None:
        name = _state_of(value).get("filename")
        if not isinstance(name, str) or "/" in name or "\\" in name or name == "..":
            self.unknown.append("an array is in a file elsewhere")

    def _size(self, value: Value, at: int) -> int | None:
        """Of the array at `at`, with its padding. None if that is not certain."""
        state = _state_of(value)
        dtype = of_pickled(state.get("dtype"))
        shape = state.get("shape")
        if dtype is None or not is_shape(shape) or not state.keys() <= _FIELDS:
            return None
        if dtype.objects:
            return self._size_of_pickle(at)
        padding = 0
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = 1 + int.from_bytes(self.source.read(at, 1), "little")
        return padding + prod(shape) * dtype.item_size

    def _size_of_pickle(self, at: int) -> int | None:
        trace = interpret(self.source, at, self.limits)
        self.nested.append(trace)
        return trace.end - at if trace.complete else None


def _wrapper_name(value: Value) -> str | None:
    """The name of the wrapper's class, by protocol 2 and by the older ones; None for other objects."""
    match value:
        case Call(
            how="REDUCE",
            function=Global(module="copyreg" | "copy_reg", name="_reconstructor"),
            args=(Global() as cls, *_),
        ):
            name = _last_part(cls.name)
        case Call(function=Global() as cls):
            name = _last_part(cls.name)
        case _:
            return None
    return name if name in _WRAPPERS else None


def _state_of(value: Value) -> dict[str, Value]:
    """The attributes, if one BUILD has set them all; else none."""
    match value:
        case Call(state=[Mapping() as state], args=() | (_, _, None)):
            pairs = list(state.pairs())
        case _:
            return {}
    if not all(isinstance(key, str) for key, _ in pairs):
        return {}
    return {key: item for key, item in pairs if isinstance(key, str)}
