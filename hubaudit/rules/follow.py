"""Follow the calls of a pickle, in order, to what they come down to: the names used, and how.

`getattr(import_module("os"), "system")("true")` uses `os.system`. Each call is looked at once; what it
yields is remembered for the calls that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, Trace, Value
from hubaudit.rules.detours import detour_of, if_dangerous, item, on_some_object
from hubaudit.rules.gadgets import judge_state
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
    bind,
)
from hubaudit.rules.names import Use

# Calls of calls that one call is followed through (`operator.call(operator.call, …)`), and all of those
# in one pickle: published chains have four steps. Beyond them a call is judged by its name alone.
_MOST_NESTED = 16
_MOST_STEPS = 100_000

# Attributes that are set on a class and looked at: a replaced method or two are enough to run code.
_MOST_SET = 64

# What unpicklers call on an object: these may be attributes that the pickle itself has set.
_HOOKS = ("__setstate__", "append", "extend", "add")


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
        value: Meaning = found[0] if len(found) == 1 else tuple(found)
        return Outcome(effects, NOBODY_KNOWS if value is None else value)

    def _get_item(self, getter: ItemGetter, args: Arguments) -> Outcome:
        if not args or len(getter.keys) != 1:
            return Outcome()
        return item(self.see(args[0]), getter.keys[0], self) or Outcome()

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
        for name, value in _attributes(state):
            if name in _HOOKS:
                self._hooks.setdefault(id(call.function), {})[name] = (call, value)

    def _appended(self, hooks: dict[str, tuple[Call, Value]]) -> Iterator[tuple[Call, Effect]]:
        """APPENDS and ADDITEMS on an object call these, and leave no call of their own in a trace."""
        for name, (build, hook) in hooks.items():
            target = build.function
            if name != "__setstate__" and isinstance(target, Call) and target.items:
                shown = Call("APPENDS", build, (target.items,), build.offset)
                outcome = self.perform(self.see(hook), (target.items,))
                yield from ((shown, effect) for effect in outcome.effects)

    def _change(self, call: Call) -> Iterator[tuple[Call, Effect]]:
        target = self.see(call.function)
        if isinstance(target, Global):
            yield call, Effect(target, Use.CALLED)


def _has_keywords(call: Call) -> bool:
    return call.kwargs is not None and not (
        isinstance(call.kwargs, Mapping) and not call.kwargs.flat
    )


def _attributes(state: Value) -> Iterator[tuple[str, Value]]:
    """What BUILD without a `__setstate__` sets: of a dict, or of two, the second for slots."""
    for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
        if isinstance(part, Mapping):
            yield from ((key, value) for key, value in part.pairs() if isinstance(key, str))
