"""Print what a pickle would do as pseudo-Python: the evidence that people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hubaudit.pvm.values import (
    Call,
    Global,
    Mapping,
    PersistentId,
    Run,
    SetOf,
    Skipped,
    Unknown,
    Value,
)

MAX_DEPTH = 8  # calls inside calls: gadget chains that people have published are at most five deep
MAX_ITEMS = 8  # of one sequence or argument list
MAX_TEXT = 200  # characters of one string: a shell command is readable, a tensor is not


def render(value: Value, depth: int = MAX_DEPTH) -> str:
    """`value` on one line. Bounded in length for any value, also for cyclic and shared ones."""
    if depth == 0:
        return "…"
    match value:
        case Global():
            return _spelled(value)
        case Call():
            return _call(value, depth)
        case str() | bytes():
            return _shortened(repr(value))
        case list():
            return f"[{_items(value, depth)}]"
        case tuple():
            return f"({_items(value, depth)}{',' if len(value) == 1 else ''})"
        case Mapping():
            return "{" + _pairs(value.flat, depth) + "}"
        case SetOf():
            inside = "{" + _items(value.items, depth) + "}"
            return f"frozenset({inside})" if value.frozen else inside
        case PersistentId():
            return f"persistent_load({render(value.pid, depth - 1)})"
        case Skipped():
            return f"<{value.kind} of {value.size:,} bytes: {value.head[:16]!r}…>"
        case Run():
            return f"<{value.size:,} bytes of numbers>"
        case Unknown():
            return f"<{value.why}>"
        case int() if abs(value) >= 10**30:
            return f"<int of {value.bit_length():,} bits>"
        case _:
            return repr(value)


def _spelled(found: Global) -> str:
    """As people write it: `posix` and `nt` are what `os` is made of, and nobody imports them."""
    module = "os" if found.module in ("posix", "nt") else found.module
    return f"{module}.{found.name}"


def _call(call: Call, depth: int) -> str:
    target = render(call.function, depth - 1)
    match call.how:
        case "BUILD":
            return f"{target}.__setstate__({_arguments(call, depth)})"
        case "APPENDS":
            return f"{target}.extend({_arguments(call, depth)})"
        case "SETITEMS":
            return f"{target}.update({_arguments(call, depth)})"
        case "NEWOBJ" | "NEWOBJ_EX":
            separator = ", " if call.args not in ((), None) or call.kwargs else ""
            return f"{target}.__new__({target}{separator}{_arguments(call, depth)})"
        case _:
            return f"{target}({_arguments(call, depth)})"


def _arguments(call: Call, depth: int) -> str:
    args = _items(call.args, depth) if isinstance(call.args, tuple) else f"*{_inner(call, depth)}"
    if call.kwargs is None:
        return args
    return f"{args}, **{render(call.kwargs, depth - 1)}".removeprefix(", ")


def _inner(call: Call, depth: int) -> str:
    return render(call.args, depth - 1)


def _items(values: Iterable[Value], depth: int) -> str:
    shown = []
    for index, value in enumerate(values):
        if index == MAX_ITEMS:
            shown.append("…")
            break
        shown.append(render(value, depth - 1))
    return ", ".join(shown)


def _pairs(flat: Sequence[Value], depth: int) -> str:
    shown = [
        f"{render(key, depth - 1)}: {render(value, depth - 1)}"
        for key, value in zip(flat[: 2 * MAX_ITEMS : 2], flat[1 : 2 * MAX_ITEMS : 2], strict=True)
    ]
    return ", ".join([*shown, "…"] if len(flat) > 2 * MAX_ITEMS else shown)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
