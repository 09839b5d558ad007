"""Follow the calls of a pickle, in order, to what they come down to: the names used, and how.

`getattr(import_module("os"), "system")("true")` uses `os.system`. Each call is looked at once; what it
yields is remembered for the calls that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, Trace, Value
from hubaudit.rules.detours import detour_of, if_dangerous, item, on_some_object
from hubaudit.rules.gadgets import judge_state
from hubaudit.rules.meanings import (
    MOST_BOUND,
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
    bind,
)
from hubaudit.rules.names import Use

# Calls of calls that one call is followed through (`operator.call(operator.call, …)`), and all of those
# in one pickle: published chains have four steps. Beyond them a call is judged by its name alone.
_MOST_NESTED = 16
_MOST_STEPS = 100_000

# Attributes that are set on a class and looked at: a replaced method or two are enough to run code.
_MOST_SET = 64

# What unpicklers call on an object, and `dict(…)`: these may be attributes that the pickle itself has set.
_HOOKS = ("__setstate__", "append", "extend", "add", "keys")


_ATTRGETTER = Global("operator", "attrgetter")
_ITEMGETTER = Global("operator", "itemgetter")


class Follower:
    """Follows the calls of one trace.

    `is_read` says of a constant whether it was read as a pickle of its own, in which nothing bad was
    found.
    """

    def __init__(self, trace: Trace, is_read: Callable[[Value], bool]) -> None:
        self._trace = trace
        self.is_read = is_read
        # both by id: a trace keeps its calls
        self._meanings: dict[int, Meaning] = {}
        self._hooks: dict[int, dict[str, tuple[Call, Value]]] = {}
        self._scanned: dict[int, _Scanned] = {}
        self._steps_left = _MOST_STEPS
        self._nested = 0

    def effects(self) -> Iterator[tuple[Call, Effect]]:
        """Every effect of every call, with the call that shows it."""
        for call in self._trace.calls:
            match call.how:
                case "BUILD":
                    yield from self._build(call)
                case "APPENDS" | "SETITEMS":
                    yield from self._change(call)
                case _:
                    yield from self._call(call)
        for hooks in self._hooks.values():
            yield from self._appended(hooks)

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
            case _:
                return value

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
            case _:
                return Outcome()

    def _call_name(self, name: Global, args: Arguments, use: Use) -> Outcome:
        detour = detour_of(name)
        if args is not None and len(args) > MOST_BOUND:
            args = None
        if detour is not None:
            use = Use.CALLED  # of these, `__new__` does what a call does
        found = detour(args, self) if detour is not None and args is not None else None
        if found is None:
            return Outcome((Effect(name, use),), Instance(name))
        value = Instance(name) if found.value is NOBODY_KNOWS else found.value
        judged = Judged.BY_ARGUMENT if found.settled else Judged.BY_ROW
        return Outcome((Effect(name, use, judged), *found.effects), value)

    def _get_attributes(self, getter: Getter, args: Arguments) -> Outcome:
        owner = self.see(args[0]) if args else NOBODY_KNOWS
        found = [attribute(owner, name) for name in getter.names]
        effects = tuple(
            if_dangerous(name) if path is None else Effect(path, Use.NAMED)
            for name, path in zip(getter.names, found, strict=True)
        )
        one = found[0] if len(found) == 1 else None
        return Outcome(effects, Instance(_ATTRGETTER) if one is None else one)

    def _get_item(self, getter: ItemGetter, args: Arguments) -> Outcome:
        known = args and len(getter.keys) == 1
        found = item(self.see(args[0]), getter.keys[0], self) if args and known else None
        return found or Outcome((), Instance(_ITEMGETTER))

    def _call_method(self, caller: MethodCaller, args: Arguments) -> Outcome:
        owner = self.see(args[0]) if args else NOBODY_KNOWS
        method = attribute(owner, caller.name) or on_some_object(caller.name)
        return self.perform(method, caller.args)

    # What opcodes do

    def _call(self, call: Call) -> Iterator[tuple[Call, Effect]]:
        function = self.see(call.function)
        use = Use.CONSTRUCTED if call.how in ("NEWOBJ", "NEWOBJ_EX") else Use.CALLED
        plain = isinstance(call.args, tuple) and not _has_keywords(call)
        outcome = self.perform(function, call.args if plain else None, use)  # type: ignore[arg-type]
        self._remember(call, outcome.value)
        if isinstance(function, Bound) and function.origin is not None:
            call = Call(call.how, function.origin, call.args, call.offset, call.kwargs)
        yield from ((call, effect) for effect in outcome.effects)

    def _remember(self, call: Call, value: Meaning) -> None:
        """What `call` yields, unless that is what `see` says anyway."""
        if not (isinstance(value, Instance) and value.maker is call.function):
            self._meanings[id(call)] = value

    def _build(self, call: Call) -> Iterator[tuple[Call, Effect]]:
        target = self.see(call.function)
        state = call.args[0] if isinstance(call.args, tuple) else NOBODY_KNOWS
        match target:
            case Global():
                yield from self._change_name(call, target, state)
            case Bound():
                yield from self._rebind(call, state)
            case Instance(maker):
                judged = judge_state(maker, state)
                if judged is not None:
                    yield call, judged
                yield from self._set_attributes(call, state)

    def _change_name(
        self, call: Call, target: Global, state: Value
    ) -> Iterator[tuple[Call, Effect]]:
        """BUILD of a class or module itself changes it for all that use it: they call what is set."""
        if target.name:
            yield call, Effect(target, Use.CALLED)
        yield call, Effect(Global("builtins", "setattr"), Use.CALLED)
        for _, value in islice(_attributes(state), _MOST_SET):
            yield from ((call, effect) for effect in self.perform(self.see(value), None).effects)

    def _rebind(self, call: Call, state: Value) -> Iterator[tuple[Call, Effect]]:
        """`partial.__setstate__((function, args, keywords, dict))` replaces all that it holds."""
        match state:
            case (function, args, keywords, _):
                bare = isinstance(args, tuple) and not (
                    isinstance(keywords, Mapping) and keywords.flat
                )
                held = self.see(function)
                if isinstance(held, Global):
                    yield call, Effect(held, Use.NAMED)
                bound = bind(held, args if bare else None, call)  # type: ignore[arg-type]
                self._meanings[id(call.function)] = bound
            case _:
                self._meanings[id(call.function)] = Instance(Global("functools", "partial"))

    def _set_attributes(self, call: Call, state: Value) -> Iterator[tuple[Call, Effect]]:
        """The attributes that unpicklers will call, and `__setstate__` if it was set before."""
        hooks = self._hooks.get(id(call.function), {})
        if "__setstate__" in hooks:
            before, hook = hooks["__setstate__"]
            shown = Call("BUILD", before, (state,), call.offset)
            yield from (
                (shown, effect) for effect in self.perform(self.see(hook), (state,)).effects
            )
        for part in _parts(state):
            scanned = self._scanned.setdefault(id(part), _Scanned())
            for name, value in scanned.hooks_of(part):
                self._hooks.setdefault(id(call.function), {})[name] = (call, value)

    def _appended(self, hooks: dict[str, tuple[Call, Value]]) -> Iterator[tuple[Call, Effect]]:
        """APPENDS and ADDITEMS on an object call these, and leave no call of their own in a trace.

        Nor does `dict(object)`, which calls its `keys`.
        """
        for name, (build, hook) in hooks.items():
            items = build.function.items if isinstance(build.function, Call) else ()
            if name == "keys":
                outcome, shown = self.perform(self.see(hook), ()), build
            elif name != "__setstate__" and items:
                outcome = self.perform(self.see(hook), (items,))
                shown = Call("APPENDS", build, (items,), build.offset)
            else:
                continue
            yield from ((shown, effect) for effect in outcome.effects)

    def _change(self, call: Call) -> Iterator[tuple[Call, Effect]]:
        target = self.see(call.function)
        if isinstance(target, Global):
            yield call, Effect(target, Use.CALLED)


def _has_keywords(call: Call) -> bool:
    return call.kwargs is not None and not (
        isinstance(call.kwargs, Mapping) and not call.kwargs.flat
    )


class _Scanned:
    """What was seen of a dict: one may be the state of many objects, and grow in between."""

    __slots__ = ("_hooks", "_upto")

    def __init__(self) -> None:
        self._upto = 0
        self._hooks: dict[str, Value] = {}

    def hooks_of(self, part: Mapping) -> Iterable[tuple[str, Value]]:
        for at in range(self._upto, len(part.flat), 2):
            name = part.flat[at]
            if isinstance(name, str) and name in _HOOKS:
                self._hooks[name] = part.flat[at + 1]
        self._upto = len(part.flat)
        return self._hooks.items()


def _attributes(state: Value) -> Iterator[tuple[str, Value]]:
    """What BUILD without a `__setstate__` sets: of a dict, or of two, the second for slots."""
    for part in _parts(state):
        yield from ((key, value) for key, value in part.pairs() if isinstance(key, str))


def _parts(state: Value) -> Iterator[Mapping]:
    for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
        if isinstance(part, Mapping):
            yield part
