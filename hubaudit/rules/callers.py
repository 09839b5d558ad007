"""Detours of functions that call another one: `partial`, `map`, `reduce` and their like."""

from __future__ import annotations

from collections.abc import Sequence

from hubaudit.pvm import values
from hubaudit.pvm.values import Global, Skipped, Value
from hubaudit.rules.meanings import (
    NOBODY_KNOWS,
    NOTHING,
    Arguments,
    Bound,
    Effect,
    Instance,
    Meaning,
    Outcome,
    Reader,
    bind,
    class_made_by,
)
from hubaudit.rules.names import Use, canonical

# Calls that `map`, `reduce` and their like make of constants, and that are followed one by one.
_MOST_ITEMS = 16
# An exponent, or the length of a text that is repeated, which is computed at once.
_LARGEST = 100_000


def partial(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`partial(function, *args)`, and a method that is bound to its object."""
    if not args:
        return None
    function = reader.see(args[0])
    if isinstance(function, Global):
        named = () if class_made_by(function) else (Effect(function, Use.NAMED),)
        return Outcome(named, bind(function, args[1:]))
    if function is NOBODY_KNOWS or isinstance(function, values.PersistentId | values.Unknown):
        return None
    return Outcome((), bind(function, args[1:]))


def call_first(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`operator.call(function, *args)`."""
    return performed(args[0], args[1:], reader) if args else None


def apply_first(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """Python 2's `apply(function, args)`."""
    match args:
        case (function, arguments):
            return performed(function, unpacked(arguments, reader), reader)
        case _:
            return None


def unpacked(arguments: Value, reader: Reader) -> Arguments:
    """What `*arguments` hands over, if it is a list or tuple that nobody changes."""
    items = reader.see(arguments)
    return tuple(items) if isinstance(items, list | tuple) else None


def performed(function: Value, args: Arguments, reader: Reader) -> Outcome | None:
    """A call of `function`, if that is something that can be followed."""
    meaning = reader.see(function)
    if isinstance(meaning, values.PersistentId | values.Unknown):
        return None
    return reader.perform(meaning, args)


def mapped(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`map(function, *iterables)` calls it once for each item, sooner or later."""
    if len(args) < 2:
        return None
    rows = [unpacked(iterable, reader) for iterable in args[1:]]
    if any(row is None or len(row) > _MOST_ITEMS for row in rows):
        return _yielding_itself(performed(args[0], None, reader))
    each = list(zip(*(row for row in rows if row is not None), strict=False))
    return _for_each(args[0], each, reader)


def starmap(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`starmap(function, rows)` calls it with the items of each row."""
    if len(args) != 2:
        return None
    rows = unpacked(args[1], reader)
    if rows is None or len(rows) > _MOST_ITEMS:
        return _yielding_itself(performed(args[0], None, reader))
    return _for_each(args[0], [unpacked(row, reader) for row in rows], reader)


def filtered(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`filter(function, iterable)`: without a function, the truth of each item is asked."""
    match args:
        case (None, _):
            return NOTHING
        case (_, _):
            return mapped(args, reader)
        case _:
            return None


def _for_each(function: Value, each: Sequence[Arguments], reader: Reader) -> Outcome | None:
    outcomes = [performed(function, row, reader) for row in each]
    if not outcomes:
        return _yielding_itself(performed(function, None, reader))
    effects: list[Effect] = []
    for outcome in outcomes:
        if outcome is None:
            return None
        effects += outcome.effects
    return Outcome(tuple(effects))


def _yielding_itself(outcome: Outcome | None) -> Outcome | None:
    """The effects, of a function that yields an iterator and not what the call gives."""
    return None if outcome is None else Outcome(outcome.effects)


def reduced(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`reduce(function, items, initial)`: a chain of calls, each of the last one's result."""
    if len(args) < 2:
        return None
    function, items = args[0], unpacked(args[1], reader)
    if items is None or len(items) > _MOST_ITEMS:
        return _yielding_itself(performed(function, None, reader))
    chain = [*args[2:], *items]
    if len(chain) < 2:
        return NOTHING
    effects: list[Effect] = []
    result: Value = chain[0]
    for following in chain[1:]:
        outcome = performed(function, (result, following), reader)
        if outcome is None:
            return None
        effects += outcome.effects
        result = outcome.value
    return Outcome(tuple(effects), result)


def second(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`accumulate(items, function)`, `groupby(items, function)`: without the second, nothing."""
    match args:
        case (_,) | (_, None):
            return NOTHING
        case (_, function, *_):
            return _yielding_itself(performed(function, None, reader))
        case _:
            return None


def substitute(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`re.sub(pattern, replacement, string)`: a replacement that is no text is called."""
    match args:
        case (_, str() | bytes() | Skipped(), _, *_):
            return NOTHING
        case (_, function, _, *_):
            return _yielding_itself(performed(function, None, reader))
        case _:
            return None


def alias(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`types.GenericAlias(list, int)`: calling it calls the first."""
    return Outcome((), bind(reader.see(args[0]), ())) if args else None


def iterate(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`iter(x)` goes through x; with two arguments it will call the first."""
    match args:
        case (one,):
            return Outcome((), reader.see(one))
        case (function, _):
            return _yielding_itself(performed(function, (), reader))
        case _:
            return None


def following(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    """`next(iterator)`, perhaps with a default."""
    return NOTHING if len(args) in (1, 2) else None


def same(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """Copies and wrappers: calling what they yield calls their argument."""
    return Outcome((), reader.see(args[0]), settled=False) if args else None


def given_back(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`restore_type_tag(value, type)` of torch/jit/_pickle.py yields its first argument."""
    return Outcome((), reader.see(args[0])) if args else None


def held_object(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`scalar(dtype, value)` of numpy yields the value itself, of a dtype of objects; `object_` always does.

    Of bytes, as numpy writes them, it makes a number (numpy 2.4, multiarraymodule.c `array_scalar`).
    """
    match [reader.see(value) for value in args]:
        case [_, bytes() | Skipped()]:
            return NOTHING
        case [*_, held]:
            return Outcome((), held)
        case _:
            return NOTHING


def compute(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """Arithmetic, comparisons and the like: of constants they only compute, slowly if these are large."""
    return NOTHING if all(_is_plain(reader.see(value)) for value in args) else None


def either(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`or_(int, str)` is the type `int | str`, as `types.UnionType` is pickled (Lib/copyreg.py, 3.13)."""
    if len(args) == 2 and all(_is_type(reader.see(value)) for value in args):
        return Outcome((), Instance(Global("operator", "or_")))
    return compute(args, reader)


def _is_type(value: Meaning) -> bool:
    match value:
        case Global(module=module, name=name):
            return canonical(module, name)[0] in _OF_TYPES
        case Instance(maker):
            is_type = canonical(maker.module, maker.name)[0] in _OF_TYPES
            return is_type or maker == Global("operator", "or_")
        case Bound(function=function):  # `list[str]`
            return _is_type(function)
        case _:
            return value is None


# Modules whose types are combined as those of annotations: their metaclasses have no `|` of their own.
_OF_TYPES = frozenset(
    "builtins collections collections.abc datetime decimal fractions numpy pathlib types typing uuid".split()
)


def _is_plain(value: Meaning, depth: int = 2) -> bool:
    match value:
        case int():
            return abs(value) <= _LARGEST
        case str() | bytes() | float() | None:
            return True
        case list() | tuple():
            few = depth > 0 and len(value) <= _MOST_ITEMS
            return few and all(_is_plain(one, depth - 1) for one in value)
        case Instance(maker):
            return maker.name in COMPUTES.get(maker.module.removeprefix("_"), ())
        case _:
            return False


COMPUTES = {
    "builtins": (
        *("all", "any", "ascii", "divmod", "format", "hash", "max", "min", "pow", "repr"),
        *("sorted", "sum"),
    ),
    "operator": (
        *("add", "and_", "concat", "contains", "eq", "floordiv", "ge", "gt", "index", "invert"),
        *("le", "lt", "matmul", "mod", "mul", "ne", "neg", "not_", "or_", "pos", "pow", "sub"),
        *("truediv", "truth", "xor"),
    ),
    "math": ("pow",),
}
