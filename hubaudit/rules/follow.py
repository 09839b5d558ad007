"""Follow the calls of a pickle, in order, to what they come down to: the names used, and how.

`getattr(import_module("os"), "system")("true")` uses `os.system`. Each call is looked at once; what it
yields is remembered for the calls that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from hubaudit.pvm.machine import interpret
from hubaudit.pvm.state import Limits
from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, Skipped, Trace, Unknown, Value
from hubaudit.rules.attributes import item, on_some_object
from hubaudit.rules.changes import SETS_SOMETHING, Changes
from hubaudit.rules.detours import detour_of
from hubaudit.rules.loaders import CONSTRUCTS_FIRST
from hubaudit.rules.meanings import (
    NOBODY_KNOWS,
    Arguments,
    Bound,
    Effect,
    Getter,
    Instance,
    ItemGetter,
    Judged,
    Meaning,
    MethodCaller,
    Outcome,
    attribute,
    class_made_by,
)
from hubaudit.rules.names import Catalogue, Use
from hubaudit.rules.natures import asked, goes_through, is_namespace
from hubaudit.rules.objects import States, is_live, method_of
from hubaudit.source.memory import MemorySource

# Calls of calls that one call is followed through (`operator.call(operator.call, …)`), and all of those
# in one pickle: published chains have four steps. Beyond them a call is judged by its name alone.
_MOST_NESTED = 16
_MOST_STEPS = 100_000

# Arguments of one call that are looked at, and characters of what is computed in one pickle, by
# `codecs.decode` or as paths of attributes: beyond them, a call is judged by its name alone, too.
_MOST_ARGUMENTS = 64
_MOST_TEXT = 16 << 20
_ORDINARY = 64  # the longest name of an attribute in the files of real libraries has 45 characters

# A pickle that is given in computed bytes: what following it costs of those steps, and where it ends.
_LOAD_STEPS = 1000
_LOAD_LIMITS = Limits(opcodes=20_000)

_ATTRGETTER = Global("operator", "attrgetter")
_ITEMGETTER = Global("operator", "itemgetter")
_METHODCALLER = Global("operator", "methodcaller")

# What is done where nobody can tell to what: their rows are dangerous.
_CALLS_SOMETHING = Effect(Global("builtins", "apply"), Use.CALLED)
_MAKES_A_CLASS = Effect(Global("builtins", "__build_class__"), Use.CALLED)


class Follower:
    """Follows the calls of one trace.

    `is_read` says of a constant whether it was read as a pickle of its own, in which nothing bad was
    found.
    """

    def __init__(
        self, trace: Trace, is_read: Callable[[Value], bool], catalogue: Catalogue
    ) -> None:
        self._trace = trace
        self._is_read = is_read
        self._catalogue = catalogue
        self._changed = {
            id(call.function): call.function
            for call in trace.calls
            if call.how in ("APPENDS", "SETITEMS") and not isinstance(call.function, Global)
        }
        # a bytearray, which the machine keeps as bytes
        self._bytes_changed = any(
            isinstance(value, bytes | Skipped) for value in self._changed.values()
        )
        # all by id: a trace keeps its calls
        self._meanings: dict[int, Meaning] = {}
        self._states = States(self.see)
        self._changes = Changes(self, trace, catalogue, self._states)
        self._current: Call | None = None
        # by the id of what is handed to a call, and whether its arguments settle it: the first such call
        self._handed: dict[tuple[int, bool], tuple[Call, Call]] = {}
        self._steps_left = _MOST_STEPS
        self._nested = 0
        self._text_left = _MOST_TEXT

    def effects(self) -> Iterator[tuple[Call, Effect]]:
        """Every effect of every call, with the call that shows it."""
        for call in self._trace.calls:
            match call.how:
                case "BUILD":
                    yield from self._changes.build(call)
                case "APPENDS" | "SETITEMS":
                    yield from self._changes.change(call)
                case _:
                    yield from self._call(call)
        yield from self._changes.filled()
        yield from self._asked_in_passing()

    # What detours ask

    def see(self, value: Value) -> Meaning:
        """What `value` means. Never deeper than one step: the calls in it were seen before."""
        match value:
            case Call():
                known = self._meanings.get(id(value))
                if known is None and isinstance(value.function, Global):
                    return Instance(value.function)
                return NOBODY_KNOWS if known is None else known
            case PersistentId(pid=("module", cls, *_)):
                # of a module's class, torch's `persistent_id` in `_legacy_save`, 2.13
                return cls if isinstance(cls, Global) else self.see(cls)
            case list() if id(value) in self._changed:
                return NOBODY_KNOWS
            case _:
                return value

    def is_read(self, payload: Value) -> bool:
        """Whether the constant was read as a pickle of its own, and is what was read."""
        return not self._bytes_changed and self._is_read(payload)

    def load(self, payload: bytes) -> Outcome | None:
        """What loading `payload` as a pickle does; settled if that is all."""
        if self._bytes_changed or self._steps_left < _LOAD_STEPS:
            return None
        self._steps_left -= _LOAD_STEPS
        trace = interpret(MemorySource(payload), limits=_LOAD_LIMITS)
        inner = Follower(trace, lambda _: False, self._catalogue)
        inner._steps_left = self._steps_left // 2
        named = [Effect(Global(*name), Use.NAMED) for name in trace.imports]
        done = [effect for _, effect in inner.effects()]
        settled = trace.complete and not trace.computed
        return Outcome((*named, *done), NOBODY_KNOWS, settled)

    def restored(self, cls: Global, state: Value) -> tuple[Effect, ...]:
        """What giving `state` to a new object of `cls` does, by BUILD or a function that does the same."""
        return self._changes.restored(cls, state)

    def rebind(self, made: Value, meaning: Meaning) -> None:
        """From here on `made` means something else."""
        self._meanings[id(made)] = meaning

    def perform(self, function: Meaning, args: Arguments, use: Use = Use.CALLED) -> Outcome:
        """What calling `function`, a meaning, with `args` comes down to."""
        if self._nested >= _MOST_NESTED or self._steps_left <= 0:
            args = None
        self._nested += 1
        self._steps_left -= self._nested > 1
        try:
            return self._perform(function, args, use)
        finally:
            self._nested -= 1

    def _perform(self, function: Meaning, args: Arguments, use: Use) -> Outcome:
        match function:
            case Global():
                return self._call_name(function, args, use)
            case Bound(args=first):
                both = None if first is None or args is None else (*first, *args)
                return self.perform(function.function, both)
            case Getter():
                return self._get_attributes(function, args)
            case ItemGetter():
                return self._get_item(function, args)
            case MethodCaller():
                return self._call_method(function, args)
            case Instance():
                called = attribute(function, "__call__")
                if called is None:
                    return Outcome()
                return Outcome((Effect(called, use),), Instance(called))
            case PersistentId() | Unknown():
                return Outcome((Effect(on_some_object("__call__"), use),))
            case _:
                return Outcome()

    def _call_name(self, name: Global, args: Arguments, use: Use) -> Outcome:
        made = self._made_by(name, args)
        if made is not None:
            return made
        detour = detour_of(name)
        if detour is not None:
            use = Use.CALLED  # of these, `__new__` does what a call does
        known = args is not None and len(args) <= _MOST_ARGUMENTS and self._text_left > 0
        found = detour(args, self) if detour is not None and known else None  # type: ignore[arg-type]
        more = tuple(self._asked(name, args)) if use is Use.CALLED else ()
        is_settled = use is Use.CONSTRUCTED or (found is not None and found.settled)
        is_settled = is_settled and detour is not CONSTRUCTS_FIRST  # whose `__new__` asks for more
        self._hand_on(args or (), is_settled=is_settled)
        if found is None:
            return Outcome((Effect(name, use), *more), Instance(name))
        self._text_left -= _cost(found)
        value = Instance(name) if found.value is NOBODY_KNOWS else found.value
        judged = Judged.BY_ARGUMENT if found.settled else Judged.BY_ROW
        return Outcome((Effect(name, use, judged), *more, *found.effects), value)

    def _asked(self, name: Global, args: Arguments) -> Iterator[Effect]:
        """What a call does besides, by methods of what it is given."""
        row = self._catalogue.find(name.module, name.name)
        if row is not None and row.enum and (args is None or len(args) != 1):
            yield _MAKES_A_CLASS  # of an enum without members: Lib/enum.py `EnumType.__call__`
        if args is None and is_namespace(name):
            yield SETS_SOMETHING  # by keywords
        if goes_through(name):
            if args is None:
                yield _CALLS_SOMETHING
            for maker in asked(name, args or (), self.see):
                yield Effect(Global(maker.module, f"{maker.name}.__iter__"), Use.CALLED)

    def _hand_on(self, args: Iterable[Value], *, is_settled: bool) -> None:
        for arg in args:
            held = arg.flat[1:_MOST_ARGUMENTS:2] if isinstance(arg, Mapping) else (arg,)
            for one in held:
                if self._current is not None and isinstance(one, Call):
                    self._handed.setdefault((id(one), is_settled), (self._current, one))

    def _asked_in_passing(self) -> Iterator[tuple[Call, Effect]]:
        """Calls of what asks an object for methods that were put into it, perhaps later.

        What is settled by its arguments asks for none, unless there is nothing else to such an object.
        """
        for (_, is_settled), (call, arg) in self._handed.items():
            if self._states.is_disguised(arg) if is_settled else self._states.is_armed(arg):
                yield call, _CALLS_SOMETHING

    def _made_by(self, name: Global, args: Arguments) -> Outcome | None:
        """`X.__new__(X, …)` constructs X, as NEWOBJ does; so `copyreg` has it done below protocol 4.

        Of another class than its own, `X.__new__` makes that one, by what X does.
        """
        owner = class_made_by(name)
        made = self.see(args[0]) if owner is not None and args else None
        if owner is None or not isinstance(made, Global):
            return None
        both = dict.fromkeys((owner, made))
        outcomes = [self.perform(cls, None, Use.CONSTRUCTED) for cls in both]
        effects = tuple(effect for outcome in outcomes for effect in outcome.effects)
        return Outcome(effects, Instance(made))

    def _get_attributes(self, getter: Getter, args: Arguments) -> Outcome:
        owner = self.see(args[0]) if args else NOBODY_KNOWS
        found = [attribute(owner, name) for name in getter.names]
        if None in found:
            return Outcome((Effect(_ATTRGETTER, Use.CALLED),), Instance(_ATTRGETTER))
        effects = tuple(Effect(path, Use.NAMED) for path in found if path is not None)
        one = found[0] if len(found) == 1 else None
        return Outcome(effects, Instance(_ATTRGETTER) if one is None else one)

    def _get_item(self, getter: ItemGetter, args: Arguments) -> Outcome:
        if not args:
            return Outcome(
                (Effect(on_some_object("__getitem__"), Use.CALLED),), Instance(_ITEMGETTER)
            )
        owner = self.see(args[0])
        found = item(owner, getter.keys[0], self) if len(getter.keys) == 1 else None
        if found is not None:
            return found
        is_plain = isinstance(owner, list | tuple | str | bytes | Mapping)
        asks = () if is_plain else (Effect(method_of(owner, "__getitem__"), Use.CALLED),)
        return Outcome(asks, Instance(_ITEMGETTER))

    def _call_method(self, caller: MethodCaller, args: Arguments) -> Outcome:
        if args is None:
            return Outcome((Effect(_METHODCALLER, Use.CALLED),), Instance(_METHODCALLER))
        owner = self.see(args[0]) if args else NOBODY_KNOWS
        method = attribute(owner, caller.name) or on_some_object(caller.name)
        return self.perform(method, caller.args)

    # What opcodes do

    def _call(self, call: Call) -> Iterator[tuple[Call, Effect]]:
        function = self.see(call.function)
        use = Use.CONSTRUCTED if call.how in ("NEWOBJ", "NEWOBJ_EX") else Use.CALLED
        plain = isinstance(call.args, tuple) and not _has_keywords(call)
        self._current = call
        if isinstance(call.function, Call) and call.function.state:
            self._hand_on((call.function,), is_settled=False)  # a partial, and its keywords
        if isinstance(call.kwargs, Mapping):
            given = call.args if isinstance(call.args, tuple) else ()
            self._hand_on((*given, *call.kwargs.flat[1::2]), is_settled=False)
        outcome = self.perform(function, call.args if plain else None, use)  # type: ignore[arg-type]
        self._remember(call, outcome.value)
        if is_live(call.args):  # `function(*args)` of what nobody knows
            yield call, _CALLS_SOMETHING
        if isinstance(function, Bound) and function.origin is not None:
            call = Call(call.how, function.origin, call.args, call.offset, call.kwargs)
        yield from ((call, effect) for effect in outcome.effects)

    def _remember(self, call: Call, value: Meaning) -> None:
        """What `call` yields, unless that is what `see` says anyway."""
        if not (isinstance(value, Instance) and value.maker is call.function):
            self._meanings[id(call)] = value


def _cost(outcome: Outcome) -> int:
    """Characters that are kept of what was computed. Names of ordinary length do not count."""
    text = len(outcome.value) if isinstance(outcome.value, str | bytes) else 0
    names = (len(effect.name.name) for effect in outcome.effects)
    return text + sum(length for length in names if length > _ORDINARY)


def _has_keywords(call: Call) -> bool:
    return call.kwargs is not None and not (
        isinstance(call.kwargs, Mapping) and not call.kwargs.flat
    )
