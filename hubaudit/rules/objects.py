"""What a pickle can put into objects to be called later: attributes, items and states with functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, SetOf, Skipped, Unknown, Value
from hubaudit.rules.attributes import on_some_object
from hubaudit.rules.meanings import (
    NOBODY_KNOWS,
    Bound,
    Getter,
    Instance,
    ItemGetter,
    Meaning,
    MethodCaller,
    attribute,
)
from hubaudit.rules.names import canonical
from hubaudit.rules.natures import hands_out, is_namespace

See = Callable[[Value], Meaning]

# Values of a state that are looked at for functions, before it counts as holding one. It is asked only
# where no library's file comes: 25,000 files of 30 libraries build no object twice.
_MOST_VALUES = 2000
_MOST_SEARCHED = 1_000_000  # objects that are looked into because they are handed to a call
_MOST_DEPTH = 3  # dicts as keys `__dict__` in each other: libraries write one

_MOST_PARTS = 16  # values of a tuple that is a state: torch's quantized layers have 15

# What unpicklers and copies look up on an object, and on its class only if the object has none.
HOOKS = ("__setstate__", "append", "extend", "add", "keys")
# Of annotations and decorators: they hold functions in files of fastai and typing, and nobody calls them.
_HOLDERS = frozenset(("__wrapped__", "__signature__", "__orig_class__", "__func__", "__self__"))
# What listed classes call while they are loaded, on what is in their states or on themselves: methods of
# dicts, arrays, text and zones, and some of their own. Nobody's state has functions by these names:
# attributes of 4,600 files of 30 libraries were looked at.
_CALLED_IN_PASSING = frozenset(
    name
    for names in (
        # states: torch 2.13 torch/optim/optimizer.py, adagrad.py; sklearn 1.9 `TreePredictor`,
        # `IsotonicRegression`; pandas 3.1 `SingleBlockManager`, `extract_array`
        "get items pop setdefault update values _patch_step_function astype _build_f",
        "_post_setstate to_numpy",
        # arguments: torch 2.13 `Parameter.__new__`, `_rebuild_device_tensor_from_cpu_tensor`; Lib/uuid.py
        "detach to replace",
        # items: scipy 1.17 `Rotation.__setitem__`, pandas 3.1 `StringArray`, Lib/http/cookies.py `Morsel`
        "as_matrix as_quat copy lower",
        # attributes that are set or looked for: torch 2.13 `Module`, `RNNBase`, `DTensorSpec`; numpy 2.4
        # `recarray`; transformers 5.23 `PreTrainedTokenizerBase`
        "register_buffer register_parameter index _verify_shard_order setfield convert_ids_to_tokens",
        "convert_tokens_to_ids",
        # what joblib 1.6 puts an array in place of
        "read read_array read_mmap",
        # hashes: of a datetime, which asks its zone (dateutil 2.9 dateutil/tz/_common.py); torch 2.13
        # `DeviceMesh`, `DTensorSpec`; transformers 5.23 `GenerationConfig`; sympy 1.14 `Basic`
        "dst fromutc tzname utcoffset _isdst transitions",
        "_hash_key _hash_impl to_json_string _hashable_content",
        # destructors: lightgbm 4.7 `Booster`, transformers 5.23 `MLflowCallback`, `NeptuneCallback`, fastai
        # 2.8 `DynamicUnet`, and those of files and pools
        "free_dataset free_network active_run end_run _stop_run_if_exists remove",
        "cleanup close release shutdown",
    )
    for name in names.split()
)

# Hooks in one dict or on one object. Ordinary objects have at most one.
MOST_HOOKS = 4
# What is called in place of the one that is hidden among many: no row is inert for that.
ONE_OF_MANY = Instance(Global("builtins", "object"))


def is_live(value: Value) -> bool:
    """Whether it may be something that can be called, by itself: no container is."""
    return isinstance(value, Global | Call | PersistentId | Unknown)


def holds_live(values: Iterable[Value], see: See) -> bool:
    """Whether something that can be called is in there, at any depth."""
    todo, visited, left = [values], set(), _MOST_VALUES
    while todo:
        for value in todo.pop():
            left -= 1
            meant = see(value) if isinstance(value, Call) else value
            if left < 0 or is_live(meant) or is_made(meant) or isinstance(meant, Instance):
                return True
            if isinstance(value, list | tuple | Mapping | SetOf) and id(value) not in visited:
                visited.add(id(value))
                todo.append(inside(value))
    return False


def is_made(meant: Meaning) -> bool:
    """Whether it is a function that a call has made."""
    return isinstance(meant, Bound | Getter | ItemGetter | MethodCaller)


def inside(container: Value) -> Iterable[Value]:
    """What is in a list, tuple, dict or set: of a dict its keys and values in turn."""
    match container:
        case Mapping():
            return container.flat
        case SetOf():
            return container.items
        case list() | tuple():
            return container
        case _:
            return ()


# --- states -------------------------------------------------------------------------------------

_DICTS = frozenset(
    (("builtins", "dict"), *(("collections", n) for n in ("OrderedDict", "defaultdict", "Counter")))
)


def is_plain_dict(maker: Global) -> bool:
    """Whether its items are nothing but items."""
    return canonical(maker.module, maker.name) in _DICTS


def _pairs_of(made: Call) -> Sequence[Value] | None:
    """Keys and values in turn that a dict was made of, or None if they cannot be read."""
    match made.args:
        case () | (Mapping(flat=()),):
            return ()
        case (Mapping(flat=flat),):
            return flat
        case ((list() | tuple()) as pairs,) if all(_is_pair(pair) for pair in pairs):
            return [value for pair in pairs for value in pair]
        case (None | Global(),) | (Call(),) if _is_default(made):
            return ()
        case _:
            return None


def _is_default(made: Call) -> bool:
    return isinstance(made.function, Global) and made.function.name == "defaultdict"


def _is_pair(value: Value) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


# Classes whose `__setstate__` calls methods of whatever is in the state: lightgbm 4.7 `_c_str`.
_ASKING = frozenset((("lightgbm.basic", "Booster"),))


def asks_its_state(meant: Meaning) -> bool:
    """Whether BUILD of such an object calls methods of what it is given."""
    return isinstance(meant, Instance) and (meant.maker.module, meant.maker.name) in _ASKING


class Scanned:
    """What was seen of a dict.

    Which of two values of a key it held when, a trace does not tell: both count. `hooks` are the
    attributes that unpicklers call, `inner` what is set as `__dict__`; `sets_specials`: one of Python's
    own methods, or one that libraries call in passing, is set to what may be called;
    `has_computed_names`: something is, by a name that only the running process knows;
    `holds_functions`: a function is a value; `passing`: objects by names that libraries call in passing.
    """

    __slots__ = (
        *("_part", "_sets_hooks", "has_computed_names", "holds_functions", "hooks", "inner"),
        *("passing", "sets_specials"),
    )

    def __init__(self, part: Mapping, may_be_function: Callable[[Value], bool]) -> None:
        self._part = part  # which keeps its id
        self.hooks: list[tuple[str, Value]] = []
        self.inner: list[Value] = []
        self.passing: list[Call] = []
        self.has_computed_names = self.sets_specials = self.holds_functions = False
        self._sets_hooks = False
        for name, value in part.pairs():
            if isinstance(name, str) and name in HOOKS:
                self.hooks.append((name, value))
            if isinstance(name, str) and name == "__dict__":
                self.inner.append(value)
            if is_live(value):
                self._note(name, value, may_be_function(value))
        if len(self.hooks) > MOST_HOOKS:
            self.hooks = [("keys", ONE_OF_MANY)]
        if len(self.inner) > MOST_HOOKS:
            self.inner = [_UNREAD]

    def _note(self, name: Value, value: Value, is_function: bool) -> None:
        self.holds_functions |= is_function
        if isinstance(name, Call | Unknown):
            self.has_computed_names = True
        elif isinstance(name, str):
            self.sets_specials |= name[:2] == name[-2:] == "__" and name not in _HOLDERS
            self._sets_hooks |= name in HOOKS
            if name in _CALLED_IN_PASSING:
                self.sets_specials |= is_function
                self.passing += [value] if isinstance(value, Call) else []

    @property
    def sets_methods(self) -> bool:
        """Whether one of all these is set to what may be called."""
        return self.sets_specials or self._sets_hooks or self.has_computed_names


class States:
    """What is found in the states of one trace. Each is looked at once: one may be that of many objects."""

    def __init__(self, see: See) -> None:
        self._see = see
        # all by id: a trace keeps its values, and what is made here is kept by what it was made of
        self._parts: dict[int, tuple[Value, ...]] = {}
        self._dicts: dict[int, Mapping | Unknown | None] = {}
        self._scanned: dict[int, Scanned] = {}
        self._lively: dict[int, bool] = {}
        self._armed: dict[int, bool] = {}
        self._searched = 0

    def parts_of(self, state: Value) -> tuple[Value, ...]:
        """The dicts of attributes in a state: a dict, or those in a tuple, as of slots; and `__dict__`.

        Of two the second is for slots; `BytesIO` has its own at the end of three, `partial` of four.

        A `Mapping` each, or an `Unknown` for one that cannot be read.
        """
        known = self._parts.get(id(state))
        if known is None:
            known = self._parts[id(state)] = tuple(self._read(state, _MOST_DEPTH))
        return known

    def _read(self, state: Value, depth: int) -> Iterator[Value]:
        for one in state[:_MOST_PARTS] if isinstance(state, tuple) else (state,):
            part = self._dict_of(one, whole=one is state)
            if part is not None:
                yield part
            for inner in self.scan(part).inner if isinstance(part, Mapping) else ():
                yield from self._read((inner, None), depth - 1) if depth else (_UNREAD,)

    def _dict_of(self, state: Value, *, whole: bool) -> Mapping | Unknown | None:
        if isinstance(state, Mapping):
            return state
        if not isinstance(state, Call):
            return _UNREAD if whole and is_live(state) else None
        if id(state) not in self._dicts:
            self._dicts[id(state)] = _dict_of(state, self._see(state))
        found = self._dicts[id(state)]
        return _UNREAD if found is None and whole and _is_object(self._see(state)) else found

    def scan(self, part: Mapping) -> Scanned:
        """What is set in a dict."""
        known = self._scanned.get(id(part))
        if known is None:
            known = self._scanned[id(part)] = Scanned(part, self._may_be_function)
        return known

    def _may_be_function(self, value: Value) -> bool:
        """Whether it is one, or nobody knows. Arrays that loaders put in are known to be none."""
        meant = self._see(value)
        if isinstance(meant, Instance):
            return hands_out(meant.maker)
        return isinstance(meant, Global) or is_made(meant) or meant is NOBODY_KNOWS

    def is_lively(self, state: Value) -> bool:
        """Whether a state holds anything that may be called."""
        known = self._lively.get(id(state))
        if known is None:
            known = self._lively[id(state)] = holds_live([state], self._see)
        return known

    def is_disguised(self, value: Call) -> bool:
        """Whether it is an object without methods of its own in which functions were put."""
        meant = self._see(value)
        if not isinstance(meant, Instance):
            return False
        return is_namespace(meant.maker) and self.is_armed(value)

    def is_armed(self, value: Call) -> bool:
        """Whether functions were put into an object as its attributes, or into one that it holds.

        To be asked when all calls were seen: each object is looked into once.
        """
        if id(value) not in self._armed:
            found, seen = self._search(value)
            # where there are none, there are none in what was found there either
            self._armed |= dict.fromkeys([id(value)] if found else seen, found)
        return self._armed[id(value)]

    def _search(self, first: Call) -> tuple[bool, set[int]]:
        todo: list[Call | Mapping] = [first]
        seen = {id(first)}
        while todo:
            one = todo.pop()
            if self._armed.get(id(one)) is False:
                continue
            if self._has_functions(one):
                return True, seen
            for held in self._held_by(one, is_data=one is first):
                if isinstance(held, Call | Mapping) and id(held) not in seen:
                    seen.add(id(held))
                    todo.append(held)
        return False, seen

    def _has_functions(self, one: Call | Mapping) -> bool:
        self._searched += 1
        if isinstance(one, Mapping):
            return self.scan(one).holds_functions or self._searched > _MOST_SEARCHED
        unread = (part for state in one.state for part in self.parts_of(state))
        return len(one.state) > MOST_HOOKS or any(isinstance(part, Unknown) for part in unread)

    def _held_by(self, one: Call | Mapping, *, is_data: bool) -> Iterator[Value]:
        """What may be attributes; of a call also its function, if that is a `partial` with keywords."""
        if isinstance(one, Mapping):
            yield from one.flat[1::2]
            return
        for state in one.state:
            yield from self.parts_of(state)
        yield from (one.function, one.kwargs)
        yield from one.args if isinstance(one.args, tuple) else ()
        is_data = is_data and isinstance(one.function, Global) and is_plain_dict(one.function)
        if one.flat and not is_data:
            yield Mapping(one.flat)


_UNREAD = Unknown("a state that is computed")


def _is_object(meant: Meaning) -> bool:
    return not isinstance(meant, str | bytes | int | None | Skipped)


def _dict_of(state: Call, meant: Meaning) -> Mapping | Unknown | None:
    """The dict that a call has made, or None if it made something else."""
    match meant:
        case Instance(maker) if is_plain_dict(maker):
            given = _pairs_of(state)
            return _UNREAD if given is None else Mapping((*given, *state.flat))
        case Instance() if state.how.startswith("NEWOBJ"):
            return Mapping(state.flat)  # statsmodels' `Bunch` is its own state
        case Mapping():
            return meant
        case _:
            return None


def is_class(meant: Meaning) -> bool:
    """Whether it is what `type(x)` gives of what nobody knows."""
    return isinstance(meant, Instance) and canonical(meant.maker.module, meant.maker.name) == (
        "builtins",
        "type",
    )


def method_of(owner: Meaning, name: str) -> Global:
    """A method of what may be anything: no row has it, so that calling it is high."""
    return attribute(owner, name) or on_some_object(name)


def with_states(call: Call) -> Call:
    """The call with what was put into the object before, to be shown."""
    shown = call
    for state in call.state[:MOST_HOOKS]:
        if isinstance(state, Call) and state.flat:
            state = Call("SETITEMS", state, (Mapping(state.flat),), state.offset)
        shown = Call("BUILD", shown, (state,), call.offset)
    return Call("SETITEMS", shown, (Mapping(call.flat),), call.offset) if call.flat else shown
