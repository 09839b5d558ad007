"""What opcodes put into objects, and what runs by it: BUILD, APPENDS, ADDITEMS and SETITEMS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Protocol

from hubaudit.model import NameClass
from hubaudit.pvm.values import Call, Global, Mapping, Trace, Value
from hubaudit.rules.gadgets import is_its_own, only_makes, runs_its_state
from hubaudit.rules.meanings import (
    NOBODY_KNOWS,
    Bound,
    Effect,
    Instance,
    Judged,
    Meaning,
    Reader,
    bind,
    class_made_by,
)
from hubaudit.rules.names import Catalogue, Use
from hubaudit.rules.natures import is_list, is_no_dict, makes_new
from hubaudit.rules.objects import (
    MOST_HOOKS,
    ONE_OF_MANY,
    States,
    asks_its_state,
    is_class,
    is_plain_dict,
    method_of,
    with_states,
)

# Attributes that are set on a class and looked at: a replaced method or two are enough to run code.
_MOST_SET = 64

# What is done where nobody can tell to what: its row is dangerous.
SETS_SOMETHING = Effect(Global("builtins", "setattr"), Use.CALLED)

# Whose `__setstate__` takes a number and is its own (`iter([1]).__reduce__()`, CPython 3.13).
_COUNTS = frozenset("iter reversed range xrange bytearray islice cycle chain count".split())


class Asked(Reader, Protocol):
    """What `Changes` asks, besides what detours ask."""

    def rebind(self, made: Value, meaning: Meaning) -> None:
        """From here on `made` means something else."""
        ...


class Changes:
    """What is put into the objects of one trace, by its opcodes in their order."""

    def __init__(self, reader: Asked, trace: Trace, catalogue: Catalogue, states: States) -> None:
        self._reader = reader
        self._trace = trace
        self._catalogue = catalogue
        self._states = states
        # all by id: a trace keeps its calls
        self._hooks: dict[int, list[_Hook]] = {}
        self._own_states: dict[tuple[int, Global], bool] = {}
        self._built: dict[int, bool] = {}  # and whether a state held what may be called
        # Which BUILD gave it the first such state, and where items were last put into it. Picklers fill
        # an object and give it its state after that (Lib/pickle.py `save_reduce`).
        self._armed_at: dict[int, int] = {}
        self._last_filled: dict[int, int] = {}
        self._passing: list[tuple[Call, Call]] = []

    def build(self, call: Call) -> Iterator[tuple[Call, Effect]]:
        """What BUILD does."""
        target = self._reader.see(call.function)
        state = call.args[0] if isinstance(call.args, tuple) else NOBODY_KNOWS
        match target:
            case Global():
                yield from self._change_name(call, target, state)
            case Bound():
                yield from self._rebind(call, state)
            case Instance(maker):
                if runs_its_state(maker):
                    yield call, self._run_state(maker, state)
                yield from self._set_attributes(call, state)
            case _ if not isinstance(state, int):
                yield call, SETS_SOMETHING
        if isinstance(call.function, Call):
            yield from self._build_anew(call, call.function, state)

    def _build_anew(self, call: Call, made: Call, state: Value) -> Iterator[tuple[Call, Effect]]:
        """BUILD of an object that may have a `__setstate__` of its own, or may be another one."""
        origin = self._reader.see(made.function)
        name = origin.name.rpartition(".")[2] if isinstance(origin, Global) else ""
        counts = isinstance(state, int) and name in _COUNTS
        is_new = counts or makes_new(origin, self._catalogue, self._trace.protocol)
        if not is_new or is_class(self._reader.see(made)) or self._built.get(id(made)):
            yield call, Effect(method_of(self._reader.see(made), "__setstate__"), Use.CALLED)
        if (made.flat or made.items) and self._states.is_lively(state):
            self._armed_at.setdefault(id(made), call.offset)
        if len(made.state) > 1:
            self._built[id(made)] = self._built.get(id(made)) or self._states.is_lively(state)

    def filled(self) -> Iterator[tuple[Call, Effect]]:
        """What APPENDS, ADDITEMS and SETITEMS do: they leave no calls. All others were seen before."""
        self._last_filled = {id(one.call): one.offset for one in self._trace.filled}
        for hooks in self._hooks.values():
            yield from self._appended(hooks)
        for call in self._trace.calls:
            if call.items or call.flat:
                yield from self._fill(call)
        for call, value in self._passing:
            if self._states.is_armed(value):
                yield call, SETS_SOMETHING

    def _fill(self, call: Call) -> Iterator[tuple[Call, Effect]]:
        """APPENDS, ADDITEMS and SETITEMS on what a call made."""
        made = self._reader.see(call)
        maker = made.maker if isinstance(made, Instance) else None
        is_late = self._last_filled.get(id(call), 0) >= self._armed_at.get(id(call), inf)
        if call.items and (is_late or not self._is_filled_as_a_list(call, maker)):
            shown = Call("APPENDS", with_states(call), (call.items,), call.offset)
            yield shown, Effect(method_of(made, "append"), Use.CALLED)
        if call.flat and (maker is None or not is_plain_dict(maker)):
            part = Mapping(call.flat)
            shown = Call("SETITEMS", call, (part,), call.offset)
            scanned = self._states.scan(part)
            if scanned.sets_specials or scanned.has_computed_names:
                yield shown, SETS_SOMETHING
            if is_late or maker is None or not self._is_filled_as_a_dict(call, maker):
                yield with_states(call), Effect(method_of(made, "__setitem__"), Use.CALLED)

    def _is_filled_as_a_list(self, call: Call, maker: Global | None) -> bool:
        """Whether its `append` and `extend` are those of its class, and that is a list or nobody's."""
        if maker is None or not makes_new(
            self._reader.see(call.function), self._catalogue, self._trace.protocol
        ):
            return False
        row = self._catalogue.find(maker.module, maker.name, self._trace.protocol)
        if not is_list(maker) and row is not None and row.name_class is NameClass.INERT:
            return False
        parts = [part for state in call.state for part in self._states.parts_of(state)]
        return all(isinstance(part, Mapping) for part in parts)

    def _is_filled_as_a_dict(self, call: Call, maker: Global) -> bool:
        """Whether it may be a dict, and is new."""
        origin = self._reader.see(call.function)
        return not is_no_dict(maker) and makes_new(origin, self._catalogue, self._trace.protocol)

    def _change_name(
        self, call: Call, target: Global, state: Value
    ) -> Iterator[tuple[Call, Effect]]:
        """BUILD of a class or module itself changes it for all that use it: they call what is set."""
        if target.name:
            yield call, Effect(target, Use.CALLED)
        yield call, Effect(Global("builtins", "setattr"), Use.CALLED)
        for part in self._states.parts_of(state):
            values = part.flat[1::2] if isinstance(part, Mapping) else ()
            for value in values[:_MOST_SET]:
                done = self._reader.perform(self._reader.see(value), None)
                yield from ((call, effect) for effect in done.effects)

    def _run_state(self, maker: Global, state: Value) -> Effect:
        judged = id(state), maker
        known = self._own_states.get(judged)
        if known is None:
            known = self._own_states[judged] = is_its_own(maker, state)
        if known:
            return Effect(maker, Use.CONSTRUCTED, Judged.BY_ARGUMENT)
        return Effect(maker, Use.CALLED)

    def _rebind(self, call: Call, state: Value) -> Iterator[tuple[Call, Effect]]:
        """`partial.__setstate__((function, args, keywords, dict))` replaces all that it holds."""
        match state:
            case (function, args, keywords, attributes):
                yield from self._set_attributes(call, attributes)
                held = self._reader.see(function)
                told = isinstance(keywords, Mapping) and not keywords.flat
                # with keywords, a methodcaller is pickled as a partial of its class
                told = told or keywords is None or _takes_any(held, args)
                if isinstance(held, Global) and class_made_by(held) is None:
                    yield call, Effect(held, Use.NAMED)
                bound = args if told and isinstance(args, tuple) else None
                self._reader.rebind(call.function, bind(held, bound, call))
            case _:
                self._reader.rebind(call.function, Instance(Global("functools", "partial")))

    def _set_attributes(self, call: Call, state: Value) -> Iterator[tuple[Call, Effect]]:
        """The attributes that unpicklers will call, and `__setstate__` if it was set before."""
        for hook in self._hooks.get(id(call.function), ()):
            if hook.name == "__setstate__":
                shown = Call("BUILD", hook.build, (state,), call.offset)
                done = self._reader.perform(self._reader.see(hook.value), (state,))
                yield from ((shown, effect) for effect in done.effects)
        for part in self._states.parts_of(state):
            if not isinstance(part, Mapping):
                yield call, SETS_SOMETHING
                continue
            scanned = self._states.scan(part)
            if scanned.sets_specials or scanned.has_computed_names:
                yield call, SETS_SOMETHING
            asked = part.flat[1::2] if asks_its_state(self._reader.see(call.function)) else ()
            asked = (*scanned.passing, *asked)
            self._passing += [(call, value) for value in asked if isinstance(value, Call)]
            hooks = [_Hook(name, value, call) for name, value in scanned.hooks]
            if hooks:
                known = self._hooks.setdefault(id(call.function), [])
                if known and all(known[-1].is_like(hook) for hook in hooks):
                    continue
                if len(known) < MOST_HOOKS:
                    known += hooks
                else:
                    known[-1] = _Hook("keys", ONE_OF_MANY, call)

    def _appended(self, hooks: list[_Hook]) -> Iterator[tuple[Call, Effect]]:
        """APPENDS and ADDITEMS on an object call these, and leave no call of their own in a trace.

        Nor does `dict(object)`, which calls its `keys`.
        """
        for hook in hooks:
            build = hook.build
            items = build.function.items if isinstance(build.function, Call) else ()
            if hook.name == "keys":
                outcome, shown = self._reader.perform(self._reader.see(hook.value), ()), build
            elif hook.name != "__setstate__" and items:
                outcome = self._reader.perform(self._reader.see(hook.value), (items,))
                made = build.function
                target = with_states(made) if isinstance(made, Call) else build
                shown = Call("APPENDS", target, (items,), build.offset)
            else:
                continue
            yield from ((shown, effect) for effect in outcome.effects)

    def change(self, call: Call) -> Iterator[tuple[Call, Effect]]:
        """What filling something does that no call has made."""
        target = self._reader.see(call.function)
        if isinstance(target, Global):
            yield call, Effect(target, Use.CALLED)

    def restored(self, cls: Global, state: Value) -> tuple[Effect, ...]:
        """What giving `state` to a new object of `cls` does, by BUILD or a function that does the same."""
        parts = self._states.parts_of(state)
        odd = [
            one
            for one in parts
            if not isinstance(one, Mapping) or self._states.scan(one).sets_methods
        ]
        own = (self._run_state(cls, state),) if runs_its_state(cls) else ()
        return (*own, *([SETS_SOMETHING] if odd else ()))


def _takes_any(held: Meaning, args: Value) -> bool:
    """Whether keywords do not change what is known of a call of it."""
    if not isinstance(held, Global):
        return False
    if isinstance(args, tuple) and args and args[0] in ("replace", "copy"):
        return False
    return only_makes(held) or class_made_by(held) is not None


@dataclass(frozen=True, slots=True)
class _Hook:
    """`value` is the attribute `name` of an object since `build`."""

    name: str
    value: Value
    build: Call

    def is_like(self, other: _Hook) -> bool:
        return self.name == other.name and self.value is other.value
