"""Detours of functions that import, construct, load or decode what they are given."""

from __future__ import annotations

import re

from hubaudit.pvm import values
from hubaudit.pvm.values import Call, Global, Value
from hubaudit.rules import codings, gadgets
from hubaudit.rules.callers import performed, unpacked
from hubaudit.rules.meanings import (
    NOTHING,
    Detour,
    Effect,
    Instance,
    Meaning,
    Outcome,
    Reader,
    imported,
    module,
)
from hubaudit.rules.names import Use, canonical


def imported_module(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`importlib.import_module(name, package)`."""
    match [reader.see(value) for value in args]:
        case [str(name)]:
            return Outcome((), module(name), settled=False)
        case [str(name), str(package)]:
            path = package + name if name.startswith(".") else name
            return Outcome((), module(path), settled=False)
        case _:
            return None


def dunder_import(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`__import__(name, globals, locals, fromlist)` gives the first package unless there is a list."""
    match [reader.see(value) for value in args]:
        case [str(name), _, _, names, *_] if names:
            return Outcome((), module(name), settled=False)
        case [str(name), *_]:
            return Outcome((), module(name.partition(".")[0]), settled=False)
        case _:
            return None


def import_path(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`pydoc.locate("os.system")` and its like."""
    path = reader.see(args[0]) if args else None
    if not isinstance(path, str):
        return None
    found = imported(path)
    effects = (Effect(found, Use.NAMED),) if found.name else ()
    return Outcome(effects, found, settled=False)


def imported_by_text(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    """`_ufunc_reconstruct(module, name)` of numpy/_core/__init__.py imports what it is told to."""
    match args:
        case (str(place), str(name)):
            found = Global(place, name)
            return Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


def type_of_types(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    """`_builtin_type(name)` of cloudpickle is `getattr(types, name)`, and `type` for "ClassType"."""
    match args:
        case (str(name),):
            found = Global("builtins", "type") if name == "ClassType" else Global("types", name)
            return Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


def type_of_dill(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    """`_load_type(name)` of dill looks into a table of types, most of them of builtins and types."""
    match args:
        case (str(name),):
            found = gadgets.dill_type(name)
            return Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


def eval_of_dill(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`_eval_repr(text)` evaluates it: dill itself writes the name of a constant."""
    match args:
        case ("NotImplemented" | "Ellipsis" | "None",):
            return NOTHING
        case _:
            return runs("builtins", "eval")(args, reader)


def method_of_dill(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    """`_getattr(cls, name, repr)` evaluates a part of `repr`, which names a type of builtins."""
    match args:
        case (_, str(name), str(shown)):
            found = gadgets.dill_method(name, shown)
            return None if found is None else Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


def array_of_dill(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`_create_array(function, args, state, attributes)` of dill makes an array by `function(*args)`."""
    match args:
        case (
            Global(name="_reconstruct", module="numpy.core.multiarray" | "numpy._core.multiarray"),
            tuple() as arguments,
            tuple(),
            None | values.Mapping(),
        ):
            return performed(args[0], arguments, reader)
        case _:
            return None


def first(use: Use) -> Detour:
    """`use` is made of the first argument, which has to be a name."""

    def detour(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
        found = reader.see(args[0]) if args else None
        if not isinstance(found, Global):
            return None
        return reader.perform(found, None, use)

    return detour


def new_object(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`copyreg.__newobj__(cls, *args)` is `cls.__new__(cls, *args)`."""
    found = reader.see(args[0]) if args else None
    if not isinstance(found, Global):
        return None
    return reader.perform(found, args[1:], Use.CONSTRUCTED)


def zone_of_no_file(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`tzfile(None, name)` of dateutil opens nothing."""
    match [reader.see(value) for value in args]:
        case [None, str() | None]:
            return NOTHING
        case _:
            return None


def rebuild_from_type(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`_rebuild_from_type_v2(func, type, args, state)` of torch/_tensor.py calls `func(*args)`.

    Then it gives the state to the result, by the `__setstate__` of `type` or as attributes.
    """
    match args:
        case (function, cls, arguments, *states):
            done = performed(function, unpacked(arguments, reader), reader)
            made = reader.see(cls)
            if done is None:
                return None
            if not isinstance(made, Global):
                return Outcome(done.effects, settled=made is None)
            given = [effect for state in states for effect in reader.restored(made, state)]
            settled = _is_tensor_maker(reader.see(function))
            return Outcome((*done.effects, *given), Instance(made), settled)
        case _:
            return None


def _is_tensor_maker(function: Meaning) -> bool:
    """Whether it gives a new tensor: torch itself names only these there (torch 2.13)."""
    return (
        isinstance(function, Global)
        and function.module.partition(".")[0] == "torch"
        and function.name.startswith("_rebuild_")
        and not function.name.startswith("_rebuild_from_type")
    )


def parameter_with_state(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`_rebuild_parameter_with_state(data, requires_grad, hooks, state)` of torch/_utils.py."""
    match args:
        case (_, _, _, state):
            return Outcome(reader.restored(Global("torch.nn.parameter", "Parameter"), state))
        case _:
            return None


def attributes_of(module_name: str, name: str) -> Detour:
    """A class that makes attributes of the items of a dict that it is called with."""

    def detour(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
        match args:
            case (values.Mapping() as items,):
                return Outcome(reader.restored(Global(module_name, name), items))
            case ():
                return NOTHING
            case _:
                return None

    return detour


def zone_by_name(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`ZoneInfo._unpickle(key, from_cache)` and `pytz._p(name, …)` read the file of that zone."""
    match [reader.see(value) for value in args]:
        case [str(key), *_] if _ZONE.fullmatch(key):
            return NOTHING
        case _:
            return None


# Names in the IANA database: "America/Argentina/Buenos_Aires", "Etc/GMT+5". No name has a dot, so that
# none leads out of the folder.
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,40}(?:/[A-Za-z0-9_+-]{1,40}){0,3}", re.ASCII)


def reconstructor(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
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


def bit_generator(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`__bit_generator_ctor` of numpy/random/_pickle.py: a name from a list of its own, or a class."""
    match args:
        case () | (str(),):
            return NOTHING
        case (cls,):
            return CALLS_FIRST((cls,), reader)
        case _:
            return None


def generator(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`__generator_ctor` and `__randomstate_ctor` there: call the second on the first, if there is one.

    The first is a name or, since numpy 2, a generator that was made before.
    """
    match args:
        case () | (str() | Call(),):
            return NOTHING
        case (str(), Global(module="numpy.random._pickle", name="__bit_generator_ctor")):
            return NOTHING
        case (str() | Call(), constructor):
            return CALLS_FIRST((constructor,), reader)
        case _:
            return None


def nested_pickle(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`loads(b)`: `formats/nested.py` reads the bytes as a file of their own, which is judged as one.

    So does `torch.storage._load_from_bytes(b)`, in every pickled tensor. Bytes that are computed, or
    that do not say that they are a pickle, are interpreted here.
    """
    payload = reader.see(args[0]) if len(args) == 1 else None
    if reader.is_read(payload):
        return NOTHING
    return reader.load(payload) if isinstance(payload, bytes) else None


def nested_file(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`load(BytesIO(b))`, the same."""
    match args:
        case (Call(function=made, args=(payload,), state=()),) if _is_bytes_io(reader.see(made)):
            return nested_pickle((payload,), reader)
        case _:
            return None


def _is_bytes_io(made: Meaning) -> bool:
    return isinstance(made, Global) and (made.module, made.name) in (
        ("io", "BytesIO"),
        ("_io", "BytesIO"),
    )


def encode(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    return codings.convert(codings.ENCODERS, [reader.see(value) for value in args])


def decode(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    return codings.convert(codings.DECODERS, [reader.see(value) for value in args])


def decoded_by(codec: str) -> Detour:
    """A function that decodes by one codec: of constants, what it gives is known."""

    def detour(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
        return codings.convert(codings.DECODERS, [reader.see(args[0]), codec]) if args else None

    return detour


def runs(module_name: str, name: str) -> Detour:
    """A function that is another one under the hood, with the same arguments."""

    def detour(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
        done = reader.perform(Global(module_name, name), args)
        return Outcome(done.effects, done.value, settled=False)

    return detour


CONSTRUCTS_FIRST = first(Use.CONSTRUCTED)
CALLS_FIRST = first(Use.CALLED)
