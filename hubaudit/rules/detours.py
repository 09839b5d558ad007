"""Functions that do what their arguments say, and what they come down to if those are constants.

`getattr(module, "system")` is `module.system`, and `_new_Index(cls, …)` constructs `cls`. Such a call is
followed: the names at its end are judged in its place. One that cannot be followed is judged by the
function's own row in the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from hubaudit.pvm import values
from hubaudit.pvm.values import Call, Global, Skipped, Value
from hubaudit.rules import codings, gadgets
from hubaudit.rules.meanings import (
    NOBODY_KNOWS,
    NOTHING,
    Arguments,
    Effect,
    Getter,
    Instance,
    ItemGetter,
    Judged,
    Meaning,
    MethodCaller,
    Outcome,
    attribute,
    bind,
    imported,
    module,
    sequence,
    type_of,
)
from hubaudit.rules.names import Use, canonical

# Keys and values of a dict that is asked for a key: those in which names are kept are small.
_MOST_PAIRS = 200
# Calls that `map`, `reduce` and their like make of constants, and that are followed one by one.
_MOST_ITEMS = 16


class Reader(Protocol):
    """What a detour may ask: `rules.follow` answers."""

    def see(self, value: Value) -> Meaning:
        """What `value` means."""
        ...

    def is_read(self, payload: Value) -> bool:
        """Whether a constant was read as a pickle of its own, in which nothing bad was found."""
        ...

    def perform(self, function: Meaning, args: Arguments, use: Use = Use.CALLED) -> Outcome:
        """What calling a meaning does, or constructing it; None for arguments that nobody can tell."""
        ...


Detour = Callable[[tuple[Value, ...], Reader], Outcome | None]


def detour_of(name: Global) -> Detour | None:
    """How a call of `name` is followed, or None if only its row in the catalogue counts."""
    found, place = canonical(name.module, name.name), _PUBLIC.get(name.module)
    return _DETOURS.get(found if place is None else (place, name.name))


# The C halves of modules: the same functions by another name.
_PUBLIC = {
    "_codecs": "codecs",
    "_functools": "functools",
    "_operator": "operator",
    "_pickle": "pickle",
}

# --- attributes and items ----------------------------------------------------------------------


def _attribute(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`getattr(owner, name)`, with or without a default."""
    match args:
        case (owner, name, *_):
            text = reader.see(name)
            found = attribute(reader.see(owner), text) if isinstance(text, str) else None
            return None if found is None else Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


def on_some_object(name: str) -> Global:
    """The method `name` of an object that nobody knows: `builtins.object` has rows for such names."""
    return Global("builtins", f"object.{name}")


def if_dangerous(name: str) -> Effect:
    """An attribute of an object that nobody knows: data, unless `object` has a row for it."""
    return Effect(Global("object", name), Use.NAMED, Judged.IF_DANGEROUS)


def _attrgetter(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    names = [name for name in args if isinstance(name, str)]
    if len(names) < len(args) or not names:
        return None
    return Outcome(tuple(map(if_dangerous, names)), Getter(tuple(names)))


def _methodcaller(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    match args:
        case (str(name), *rest):
            effect = Effect(on_some_object(name), Use.NAMED)
            return Outcome((effect,), MethodCaller(name, tuple(rest)))
        case _:
            return None


def _itemgetter(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    return Outcome((), ItemGetter(args)) if args else None


def _getitem(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    return item(reader.see(args[0]), args[1], reader) if len(args) == 2 else None


def item(owner: Meaning, key: Value, reader: Reader) -> Outcome | None:
    """`owner[key]`, or None if nobody can tell."""
    match owner, key:
        case Global(module="typing"), _:
            # `getitem(typing.List, int)` is `List[int]` (`_GenericAlias.__reduce__` of Lib/typing.py)
            return Outcome((), owner)
        case Global(name=path), str() if path.endswith("modules") and _is_sys(owner):
            return Outcome((Effect(owner, Use.NAMED),), module(key))
        case Global(), str():  # a namespace
            found = attribute(owner, key)
            return None if found is None else Outcome((Effect(found, Use.NAMED),), found)
        case ((list() | tuple()), int()) if -len(owner) <= key < len(owner):
            return Outcome((), reader.see(owner[key]))
        case values.Mapping(flat=flat), _ if isinstance(key, str | int) and len(flat) < _MOST_PAIRS:
            held = [value for one, value in owner.pairs() if type(one) is type(key) and one == key]
            return Outcome((), reader.see(held[-1])) if held else None
        case _:
            return None


def _get(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`dict.get(owner, key)`, with or without a default."""
    return _getitem(args[:2], reader)


def _is_sys(found: Global) -> bool:
    return f".{found.qualified}".endswith(".sys.modules")


def _type(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`type(x)` does nothing with one argument; with more it makes a class."""
    if len(args) != 1:
        return None
    found = type_of(reader.see(args[0]))
    return Outcome() if found is None else Outcome((), found)


# --- functions that call another one -----------------------------------------------------------


def _partial(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`partial(function, *args)`, and a method that is bound to its object."""
    if not args:
        return None
    function = reader.see(args[0])
    if isinstance(function, Global):
        return Outcome((Effect(function, Use.NAMED),), bind(function, args[1:]))
    if function is NOBODY_KNOWS or isinstance(function, values.PersistentId | values.Unknown):
        return None
    return Outcome((), bind(function, args[1:]))


def _call(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`operator.call(function, *args)`."""
    return _performed(args[0], args[1:], reader) if args else None


def _apply(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """Python 2's `apply(function, args)`."""
    match args:
        case (function, arguments):
            items = sequence(arguments)
            return _performed(function, None if items is None else tuple(items), reader)
        case _:
            return None


def _performed(function: Value, args: Arguments, reader: Reader) -> Outcome | None:
    """A call of `function`, if that is something that can be followed."""
    meaning = reader.see(function)
    if isinstance(meaning, values.PersistentId | values.Unknown):
        return None
    return reader.perform(meaning, args)


def _map(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`map(function, *iterables)` calls it once for each item, sooner or later."""
    if len(args) < 2:
        return None
    rows = [sequence(iterable) for iterable in args[1:]]
    if any(row is None or len(row) > _MOST_ITEMS for row in rows):
        return _yielding_itself(_performed(args[0], None, reader))
    each = list(zip(*(row for row in rows if row is not None), strict=False))
    return _for_each(args[0], each, reader)


def _starmap(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    match args:
        case (function, (list() | tuple()) as rows) if len(rows) <= _MOST_ITEMS:
            each = [row for row in map(sequence, rows) if row is not None]
            if len(each) == len(rows):
                return _for_each(function, [tuple(row) for row in each], reader)
    return _yielding_itself(_performed(args[0], None, reader)) if args else None


def _filter(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    match args:
        case (None, _):
            return NOTHING
        case (_, _):
            return _map(args, reader)
        case _:
            return None


def _for_each(function: Value, each: list[tuple[Value, ...]], reader: Reader) -> Outcome | None:
    outcomes = [_performed(function, row, reader) for row in each]
    if not outcomes:
        return _yielding_itself(_performed(function, None, reader))
    effects: list[Effect] = []
    for outcome in outcomes:
        if outcome is None:
            return None
        effects += outcome.effects
    return Outcome(tuple(effects))


def _yielding_itself(outcome: Outcome | None) -> Outcome | None:
    """The effects, of a function that yields an iterator and not what the call gives."""
    return None if outcome is None else Outcome(outcome.effects)


def _reduce(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`reduce(function, items, initial)`: a chain of calls, each of the last one's result."""
    match args:
        case (function, (list() | tuple()) as items, *initial) if len(items) <= _MOST_ITEMS:
            chain = [*initial, *items]
        case (function, *_):
            return _yielding_itself(_performed(function, None, reader))
        case _:
            return None
    if len(chain) < 2:
        return NOTHING
    effects: list[Effect] = []
    result: Value = chain[0]
    for following in chain[1:]:
        outcome = _performed(function, (result, following), reader)
        if outcome is None:
            return None
        effects += outcome.effects
        result = outcome.value
    return Outcome(tuple(effects), result)


def _second(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`accumulate(items, function)`, `groupby(items, function)`: without the second, nothing."""
    match args:
        case (_,) | (_, None):
            return NOTHING
        case (_, function, *_):
            return _yielding_itself(_performed(function, None, reader))
        case _:
            return None


def _substitute(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`re.sub(pattern, replacement, string)`: a replacement that is no text is called."""
    match args:
        case (_, str() | bytes() | Skipped(), _, *_):
            return NOTHING
        case (_, function, _, *_):
            return _yielding_itself(_performed(function, None, reader))
        case _:
            return None


def _alias(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`types.GenericAlias(list, int)`: calling it calls the first."""
    return Outcome((), bind(reader.see(args[0]), ())) if args else None


def _iterate(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`iter(x)` does nothing with one argument; with two it will call the first."""
    match args:
        case (_,):
            return NOTHING
        case (function, _):
            return _yielding_itself(_performed(function, (), reader))
        case _:
            return None


def _same(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """Copies and wrappers: calling what they yield calls their argument."""
    return Outcome((), reader.see(args[0]), settled=False) if args else None


# --- functions that import ---------------------------------------------------------------------


def _import_module(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`importlib.import_module(name, package)`."""
    match [reader.see(value) for value in args]:
        case [str(name)]:
            return Outcome((), module(name), settled=False)
        case [str(name), str(package)]:
            path = package + name if name.startswith(".") else name
            return Outcome((), module(path), settled=False)
        case _:
            return None


def _dunder_import(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`__import__(name, globals, locals, fromlist)` gives the first package unless there is a list."""
    match [reader.see(value) for value in args]:
        case [str(name), _, _, names, *_] if names:
            return Outcome((), module(name), settled=False)
        case [str(name), *_]:
            return Outcome((), module(name.partition(".")[0]), settled=False)
        case _:
            return None


def _import_path(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`pydoc.locate("os.system")` and its like."""
    path = reader.see(args[0]) if args else None
    if not isinstance(path, str):
        return None
    found = imported(path)
    effects = (Effect(found, Use.NAMED),) if found.name else ()
    return Outcome(effects, found, settled=False)


def _imported_by_text(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    """`_ufunc_reconstruct(module, name)` of numpy/_core/__init__.py imports what it is told to."""
    match args:
        case (str(place), str(name)):
            found = Global(place, name)
            return Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


def _type_of_types(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    """`_builtin_type(name)` of cloudpickle is `getattr(types, name)`, and `type` for "ClassType"."""
    match args:
        case (str(name),):
            found = Global("builtins", "type") if name == "ClassType" else Global("types", name)
            return Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


def _type_of_dill(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    """`_load_type(name)` of dill looks into a table of types, most of them of builtins and types."""
    match args:
        case (str(name),):
            found = gadgets.dill_type(name)
            return Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


# --- functions that construct or load ----------------------------------------------------------


def _first(use: Use) -> Detour:
    """`use` is made of the first argument, which has to be a name."""

    def detour(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
        found = reader.see(args[0]) if args else None
        if not isinstance(found, Global):
            return None
        return reader.perform(found, None, use)

    return detour


def _new_object(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`copyreg.__newobj__(cls, *args)` is `cls.__new__(cls, *args)`."""
    found = reader.see(args[0]) if args else None
    if not isinstance(found, Global):
        return None
    return reader.perform(found, args[1:], Use.CONSTRUCTED)


def _rebuild_from_type(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`_rebuild_from_type_v2(func, type, args, state)` of torch/_tensor.py calls `func(*args)`."""
    match args:
        case (function, cls, arguments, *_):
            items = sequence(arguments)
            done = _performed(function, None if items is None else tuple(items), reader)
            made = reader.see(cls)
            if done is None or not isinstance(reader.see(function), Global):
                return None
            return Outcome(
                done.effects, Instance(made) if isinstance(made, Global) else NOBODY_KNOWS
            )
        case _:
            return None


def _reconstructor(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`copyreg._reconstructor(cls, base, state)`: `base.__new__(cls, state)`, then `base.__init__`.

    Unless the base is `object`, that is as good as a call of it.
    """
    match [reader.see(value) for value in args]:
        case [Global() as cls, Global() as base, _]:
            made = reader.perform(cls, None, Use.CONSTRUCTED)
            if canonical(base.module, base.name) == ("builtins", "object"):
                return made
            return Outcome((*made.effects, Effect(base, Use.CALLED)), made.value)
        case _:
            return None


def _bit_generator(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`__bit_generator_ctor` of numpy/random/_pickle.py: a name from a list of its own, or a class."""
    match args:
        case () | (str(),):
            return NOTHING
        case (cls,):
            return _CALLS_FIRST((cls,), reader)
        case _:
            return None


def _generator(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`__generator_ctor` and `__randomstate_ctor` there: call the second on the first, if there is one.

    The first is a name or, since numpy 2, a generator that was made before.
    """
    match args:
        case () | (str() | Call(),):
            return NOTHING
        case (str(), Global(module="numpy.random._pickle", name="__bit_generator_ctor")):
            return NOTHING
        case (str() | Call(), constructor):
            return _CALLS_FIRST((constructor,), reader)
        case _:
            return None


def _nested_pickle(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`loads(b)`: `formats/nested.py` reads the bytes as a file of their own, which is judged as one.

    So does `torch.storage._load_from_bytes(b)`, in every pickled tensor.
    """
    payload = reader.see(args[0]) if len(args) == 1 else None
    return NOTHING if reader.is_read(payload) else None


def _nested_file(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`load(BytesIO(b))`, the same."""
    match args:
        case (Call(function=made, args=(payload,), state=()),) if _is_bytes_io(reader.see(made)):
            return _nested_pickle((payload,), reader)
        case _:
            return None


def _is_bytes_io(made: Meaning) -> bool:
    return isinstance(made, Global) and (made.module, made.name) in (
        ("io", "BytesIO"),
        ("_io", "BytesIO"),
    )


def _encode(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    return codings.convert(codings.ENCODERS, [reader.see(value) for value in args])


def _decode(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    return codings.convert(codings.DECODERS, [reader.see(value) for value in args])


def _decoded_by(codec: str) -> Detour:
    """A function that decodes by one codec: of constants, what it gives is known."""

    def detour(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
        return codings.convert(codings.DECODERS, [reader.see(args[0]), codec]) if args else None

    return detour


def _runs(module_name: str, name: str) -> Detour:
    """A function that is another one under the hood, with the same arguments."""

    def detour(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
        done = reader.perform(Global(module_name, name), args)
        return Outcome(done.effects, done.value, settled=False)

    return detour


_CONSTRUCTS_FIRST = _first(Use.CONSTRUCTED)
_CALLS_FIRST = _first(Use.CALLED)

_SKLEARN_NEW_OBJECT = (
    "sklearn.metrics._dist_metrics",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors._dist_metrics",
    "sklearn.neighbors._kd_tree",
    "sklearn.neighbors.ball_tree",
    "sklearn.neighbors.dist_metrics",
    "sklearn.neighbors.kd_tree",
)

# What each yields or does, by the name that Python 3 knows it by.
_DETOURS: Mapping[tuple[str, str], Detour] = MappingProxyType(
    {
        ("builtins", "getattr"): _attribute,
        ("inspect", "getattr_static"): _attribute,
        ("operator", "attrgetter"): _attrgetter,
        ("operator", "methodcaller"): _methodcaller,
        ("operator", "itemgetter"): _itemgetter,
        ("operator", "getitem"): _getitem,
        ("operator", "__getitem__"): _getitem,
        ("builtins", "dict.get"): _get,
        ("builtins", "dict.pop"): _get,
        ("builtins", "dict.__getitem__"): _getitem,
        ("builtins", "list.__getitem__"): _getitem,
        ("builtins", "type"): _type,
        ("builtins", "iter"): _iterate,
        ("builtins", "next"): _iterate,
        # call another one
        ("functools", "partial"): _partial,
        ("types", "MethodType"): _partial,
        ("types", "GenericAlias"): _alias,
        ("operator", "call"): _call,
        ("operator", "__call__"): _call,
        ("builtins", "apply"): _apply,
        ("builtins", "map"): _map,
        ("builtins", "filter"): _filter,
        ("itertools", "filterfalse"): _filter,
        ("itertools", "takewhile"): _filter,
        ("itertools", "dropwhile"): _filter,
        ("itertools", "starmap"): _starmap,
        ("itertools", "accumulate"): _second,
        ("itertools", "groupby"): _second,
        ("functools", "reduce"): _reduce,
        ("re", "sub"): _substitute,
        ("re", "subn"): _substitute,
        ("copy", "copy"): _same,
        ("copy", "deepcopy"): _same,
        ("functools", "cache"): _same,
        ("functools", "lru_cache"): _same,
        ("functools", "singledispatch"): _same,
        # import
        ("importlib", "import_module"): _import_module,
        ("builtins", "__import__"): _dunder_import,
        ("importlib", "__import__"): _dunder_import,
        ("importlib._bootstrap", "_gcd_import"): _import_module,
        ("pydoc", "locate"): _import_path,
        ("pydoc", "safeimport"): _import_path,
        ("pkgutil", "resolve_name"): _import_path,
        ("dill._dill", "_import_module"): _import_path,
        ("dill.dill", "_import_module"): _import_path,
        ("torch._utils", "_import_dotted_name"): _import_path,
        ("cloudpickle.cloudpickle", "subimport"): _import_module,
        ("joblib.externals.cloudpickle.cloudpickle", "subimport"): _import_module,
        ("cloudpickle.cloudpickle", "_builtin_type"): _type_of_types,
        ("joblib.externals.cloudpickle.cloudpickle", "_builtin_type"): _type_of_types,
        ("dill._dill", "_load_type"): _type_of_dill,
        ("dill.dill", "_load_type"): _type_of_dill,
        ("dill._dill", "_get_attr"): _attribute,
        ("dill._dill", "_getattribute"): _attribute,
        ("numpy.core", "_ufunc_reconstruct"): _imported_by_text,
        ("numpy._core", "_ufunc_reconstruct"): _imported_by_text,
        ("scipy._lib._uarray._backend", "unpickle_function"): _imported_by_text,
        # run something else
        ("dill._dill", "_eval_repr"): _runs("builtins", "eval"),
        ("dill._dill", "_create_function"): _runs("types", "FunctionType"),
        ("dill._dill", "_create_code"): _runs("types", "CodeType"),
        ("dill._dill", "_create_type"): _call,
        ("cloudpickle.cloudpickle", "_make_function"): _runs("types", "FunctionType"),
        # construct
        ("copyreg", "_reconstructor"): _reconstructor,
        ("copyreg", "__newobj__"): _new_object,
        ("copyreg", "__newobj_ex__"): _CONSTRUCTS_FIRST,
        ("numpy.random._pickle", "__bit_generator_ctor"): _bit_generator,
        ("numpy.random._pickle", "__generator_ctor"): _generator,
        ("numpy.random._pickle", "__randomstate_ctor"): _generator,
        ("torch._tensor", "_rebuild_from_type"): _rebuild_from_type,
        ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
        # pandas makes an index by `_new_Index(cls, data)`, scikit-learn's Cython classes by `newObj(cls)`
        ("pandas.core.index", "_new_Index"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.base", "_new_Index"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.interval", "_new_IntervalIndex"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.period", "_new_PeriodIndex"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.timedeltas", "_new_TimedeltaIndex"): _CONSTRUCTS_FIRST,
        ("pandas.indexes.base", "_new_Index"): _CONSTRUCTS_FIRST,
        ("pandas.tseries.index", "_new_DatetimeIndex"): _CONSTRUCTS_FIRST,
        **{(place, "newObj"): _CONSTRUCTS_FIRST for place in _SKLEARN_NEW_OBJECT},
        # load another pickle
        ("torch.storage", "_load_from_bytes"): _nested_pickle,
        ("pickle", "loads"): _nested_pickle,
        ("pickle", "_loads"): _nested_pickle,
        ("dill", "loads"): _nested_pickle,
        ("dill._dill", "loads"): _nested_pickle,
        ("cloudpickle", "loads"): _nested_pickle,
        ("pickle", "load"): _nested_file,
        ("pickle", "_load"): _nested_file,
        ("torch", "load"): _nested_file,
        ("torch.serialization", "load"): _nested_file,
        ("joblib", "load"): _nested_file,
        ("joblib.numpy_pickle", "load"): _nested_file,
        ("sklearn.externals.joblib", "load"): _nested_file,
        ("numpy", "load"): _nested_file,
        ("pandas", "read_pickle"): _nested_file,
        ("pandas.io.pickle", "read_pickle"): _nested_file,
        # decode
        ("codecs", "encode"): _encode,
        ("codecs", "decode"): _decode,
        ("base64", "b64decode"): _decoded_by("base64"),
        ("base64", "standard_b64decode"): _decoded_by("base64"),
        ("base64", "decodebytes"): _decoded_by("base64"),
        ("base64", "urlsafe_b64decode"): _decoded_by("urlsafe-base64"),
        ("base64", "b32decode"): _decoded_by("base32"),
        ("base64", "b85decode"): _decoded_by("base85"),
        ("base64", "b16decode"): _decoded_by("hex"),
        ("binascii", "unhexlify"): _decoded_by("hex"),
        ("binascii", "a2b_hex"): _decoded_by("hex"),
        ("binascii", "a2b_base64"): _decoded_by("base64"),
    }
)
