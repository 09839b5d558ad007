"""Functions that do what their arguments say, and what they come down to if those are constants.

`getattr(module, "system")` is `module.system`, and `_new_Index(cls, …)` constructs `cls`. Such a call is
followed: the names at its end are judged in its place. One that cannot be followed is judged by the
function's own row in the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hubaudit.pvm.embedded import begins_as_file
from hubaudit.pvm.values import Call, Global, PersistentId, Skipped, Value
from hubaudit.rules.names import Use, canonical

Reached = tuple[tuple[Global, Use], ...]
Detour = Callable[[tuple[Value, ...]], Reached | None]

# `getattr` of `getattr` of …: each step is one more name, and published chains have four.
MAX_STEPS = 16


def follow(call: Call) -> Reached | None:
    """The names that `call` comes down to, with what it does to each; None if nobody can tell.

    An empty tuple is a call that comes down to nothing.
    """
    function = resolve(call.function)
    if function is None or not isinstance(call.args, tuple):
        return None
    detour = _DETOURS.get(canonical(function.module, function.name))
    return detour(call.args) if detour is not None else None


def resolve(value: Value, steps: int = MAX_STEPS) -> Global | None:
    """The name that `value` certainly is, if constants decide it.

    Follows `getattr(name, "attribute")`, `functools.partial(name, …)` and torch's persistent id of a
    module's class (`persistent_id` in `_legacy_save`, torch/serialization.py, 2.13).
    """
    if isinstance(value, Global) or steps == 0:
        return value if isinstance(value, Global) else None
    match value:
        case PersistentId(pid=("module", cls, *_)):
            return resolve(cls, steps - 1)
        case Call(args=(owner, str(attribute), *_)) if _is(value, "builtins", "getattr", steps):
            origin = resolve(owner, steps - 1)
            return origin and Global(origin.module, f"{origin.name}.{attribute}")
        case Call(args=(function, *_)) if _is(value, "functools", "partial", steps):
            return resolve(function, steps - 1)
        case _:
            return None


def _is(call: Call, module: str, name: str, steps: int) -> bool:
    function = resolve(call.function, steps - 1)
    return function is not None and canonical(function.module, function.name) == (module, name)


def _attribute(args: tuple[Value, ...]) -> Reached | None:
    match args:
        case (owner, str(attribute), *_):
            origin = resolve(owner)
            if origin is None:
                return None
            return ((Global(origin.module, f"{origin.name}.{attribute}"), Use.NAMED),)
        case _:
            return None


def _first(use: Use) -> Detour:
    """`use` is made of the first argument, which has to be a name."""

    def detour(args: tuple[Value, ...]) -> Reached | None:
        return _name(args[0], use) if args else None

    return detour


def _name(value: Value, use: Use) -> Reached | None:
    reached = resolve(value)
    return None if reached is None else ((reached, use),)


def _imported_by_text(args: tuple[Value, ...]) -> Reached | None:
    """`_ufunc_reconstruct(module, name)` of numpy/_core/__init__.py imports what it is told to."""
    match args:
        case (str(module), str(name)):
            return ((Global(module, name), Use.NAMED),)
        case _:
            return None


def _bit_generator(args: tuple[Value, ...]) -> Reached | None:
    """`__bit_generator_ctor` of numpy/random/_pickle.py: a name from a list of its own, or a class."""
    match args:
        case () | (str(),):
            return ()
        case (cls,):
            return _name(cls, Use.CALLED)
        case _:
            return None


def _generator(args: tuple[Value, ...]) -> Reached | None:
    """`__generator_ctor` and `__randomstate_ctor` there: call the second on the first, if there is one.

    The first is a name or, since numpy 2, a generator that was made before.
    """
    match args:
        case () | (str() | Call(),):
            return ()
        case (str(), Global(module="numpy.random._pickle", name="__bit_generator_ctor")):
            return ()
        case (str() | Call(), constructor):
            return _name(constructor, Use.CALLED)
        case _:
            return None


def _one_argument(args: tuple[Value, ...]) -> Reached | None:
    """`type(x)` and `iter(x)` do nothing with one argument; with more they make or call something."""
    return () if len(args) == 1 else None


def _typing_item(args: tuple[Value, ...]) -> Reached | None:
    """`getitem(typing.List, int)` is `List[int]` (`_GenericAlias.__reduce__` of Lib/typing.py)."""
    match args:
        case (Global(module="typing"), _):
            return ()
        case _:
            return None


def _nested_pickle(args: tuple[Value, ...]) -> Reached | None:
    """`_load_from_bytes(b)` of torch/storage.py is `torch.load` of the bytes, in every pickled tensor.

    `formats/nested.py` reads them as a file of their own, so that they are judged as one.
    """
    match args:
        case (bytes(payload),):
            return () if begins_as_file(payload) else None
        case (Skipped(kind="bytes", head=head),):
            return () if begins_as_file(head) else None
        case _:
            return None


def _reconstructor(args: tuple[Value, ...]) -> Reached | None:
    """`copyreg._reconstructor(cls, base, state)`: `base.__new__(cls, state)`, then `base.__init__`.

    Unless the base is `object`, that is as good as a call of it.
    """
    match args:
        case (cls, base, _):
            constructed, called = _name(cls, Use.CONSTRUCTED), _name(base, Use.CALLED)
            if constructed is None or called is None:
                return None
            plain = canonical(called[0][0].module, called[0][0].name) == ("builtins", "object")
            return constructed if plain else constructed + called
        case _:
            return None


_CONSTRUCTS_FIRST = _first(Use.CONSTRUCTED)
_CALLS_FIRST = _first(Use.CALLED)

_DETOURS: Mapping[tuple[str, str], Detour] = MappingProxyType(
    {
        ("builtins", "getattr"): _attribute,
        ("builtins", "type"): _one_argument,
        ("builtins", "iter"): _one_argument,
        ("torch.storage", "_load_from_bytes"): _nested_pickle,
        ("functools", "partial"): _first(Use.NAMED),
        ("operator", "getitem"): _typing_item,
        ("_operator", "getitem"): _typing_item,
        ("copyreg", "_reconstructor"): _reconstructor,
        ("copyreg", "__newobj__"): _CONSTRUCTS_FIRST,
        ("copyreg", "__newobj_ex__"): _CONSTRUCTS_FIRST,
        ("numpy.core", "_ufunc_reconstruct"): _imported_by_text,
        ("numpy._core", "_ufunc_reconstruct"): _imported_by_text,
        ("numpy.random._pickle", "__bit_generator_ctor"): _bit_generator,
        ("numpy.random._pickle", "__generator_ctor"): _generator,
        ("numpy.random._pickle", "__randomstate_ctor"): _generator,
        ("torch._tensor", "_rebuild_from_type"): _CALLS_FIRST,
        ("torch._tensor", "_rebuild_from_type_v2"): _CALLS_FIRST,
        # pandas makes an index by `_new_Index(cls, data)`, scikit-learn's Cython classes by `newObj(cls)`
        ("pandas.core.index", "_new_Index"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.base", "_new_Index"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.interval", "_new_IntervalIndex"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.period", "_new_PeriodIndex"): _CONSTRUCTS_FIRST,
        ("pandas.core.indexes.timedeltas", "_new_TimedeltaIndex"): _CONSTRUCTS_FIRST,
        ("pandas.indexes.base", "_new_Index"): _CONSTRUCTS_FIRST,
        ("pandas.tseries.index", "_new_DatetimeIndex"): _CONSTRUCTS_FIRST,
        ("sklearn.metrics._dist_metrics", "newObj"): _CONSTRUCTS_FIRST,
        ("sklearn.neighbors._ball_tree", "newObj"): _CONSTRUCTS_FIRST,
        ("sklearn.neighbors._dist_metrics", "newObj"): _CONSTRUCTS_FIRST,
        ("sklearn.neighbors._kd_tree", "newObj"): _CONSTRUCTS_FIRST,
        ("sklearn.neighbors.ball_tree", "newObj"): _CONSTRUCTS_FIRST,
        ("sklearn.neighbors.dist_metrics", "newObj"): _CONSTRUCTS_FIRST,
        ("sklearn.neighbors.kd_tree", "newObj"): _CONSTRUCTS_FIRST,
    }
)
