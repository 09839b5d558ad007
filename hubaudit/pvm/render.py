"""Print what a pickle would do as pseudo-Python: the evidence that people read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a value is shown. Whatever the value: cyclic, shared a billion times, or huge."""

    depth: int = 8  # calls inside calls: gadget chains that people have published are five deep
    items: int = 8  # of one sequence or argument list
    text: int = 200  # characters of one string: a shell command is readable, a tensor is not
    length: int = 4000  # characters in all, roughly; a screen has 2000


EVIDENCE = Bounds()

# What a call made before is called, or None if it is to be shown as the call.
Named = Callable[[Call], str | None]


def _nameless(_call: Call) -> None:
    return None


def render(value: Value, bounds: Bounds = EVIDENCE, named: Named = _nameless) -> str:
    """`value` on one line, within `bounds`; a call inside it as `named` says.

    It may have lone surrogates and what `repr` takes for printable: see `report.escape` for people.
    """
    writer = _Writer(bounds, named)
    if isinstance(value, Call):  # itself never by its name
        return writer.call(value, bounds.depth)
    return writer.value(value, bounds.depth)


def spelled(name: str, most: int = EVIDENCE.text) -> str:
    """A module or a name, quoted unless it is a dotted name, so that it cannot look like code."""
    if len(name) <= most and all(part.isidentifier() for part in name.split(".")):
        return name
    return _quoted(name, most)


class _Writer:
    """`left` counts down from the bound on the length: shared values would multiply otherwise."""

    def __init__(self, bounds: Bounds, named: Named) -> None:
        self.bounds = bounds
        self.named = named
        self.left = bounds.length

    def value(self, value: Value, depth: int) -> str:
        self.left -= 3  # of an ellipsis, or of brackets and a comma
        if depth <= 0 or self.left <= 0:
            return "…"
        match value:
            case Call():
                name = self.named(value)
                return self.call(value, depth) if name is None else self._leaf(name)
            case list():
                return f"[{self._items(value, depth)}]"
            case tuple():
                return f"({self._items(value, depth)}{',' if len(value) == 1 else ''})"
            case Mapping():
                return "{" + self._pairs(value.flat, depth) + "}"
            case SetOf():
                inside = "{" + self._items(value.items, depth) + "}"
                return f"frozenset({inside})" if value.frozen else inside
            case PersistentId():
                return f"persistent_load({self.value(value.pid, depth - 1)})"
            case _:
                return self._leaf(_constant(value, self.bounds.text))

    def call(self, call: Call, depth: int) -> str:
        target = self.value(call.function, depth - 1)
        match call.how:
            case "BUILD":
                return f"{target}.__setstate__({self._arguments(call, depth)})"
            case "APPENDS":
                return f"{target}.extend({self._arguments(call, depth)})"
            case "SETITEMS":
                return f"{target}.update({self._arguments(call, depth)})"
            case "NEWOBJ" | "NEWOBJ_EX":
                separator = ", " if call.args not in ((), None) or call.kwargs else ""
                return f"{target}.__new__({target}{separator}{self._arguments(call, depth)})"
            case _:
                return f"{target}({self._arguments(call, depth)})"

    def _arguments(self, call: Call, depth: int) -> str:
        if isinstance(call.args, tuple):
            args = self._items(call.args, depth)
        else:
            args = f"*{self.value(call.args, depth - 1)}"
        if call.kwargs is None:
            return args
        return f"{args}, **{self.value(call.kwargs, depth - 1)}".removeprefix(", ")

    def _items(self, values: Iterable[Value], depth: int) -> str:
        shown = []
        for index, value in enumerate(values):
            if index == self.bounds.items or self.left <= 0:
                shown.append("…")
                break
            shown.append(self.value(value, depth - 1))
        return ", ".join(shown)

    def _pairs(self, flat: Sequence[Value], depth: int) -> str:
        shown = []
        for at in range(0, len(flat), 2):
            if at == 2 * self.bounds.items or self.left <= 0:
                shown.append("…")
                break
            key, value = flat[at : at + 2]
            shown.append(f"{self.value(key, depth - 1)}: {self.value(value, depth - 1)}")
        return ", ".join(shown)

    def _leaf(self, text: str) -> str:
        self.left -= len(text)
        return text


def _constant(value: Value, most: int) -> str:
    match value:
        case Global():
            return _global(value, most)
        case str() | bytes():
            return _quoted(value, most)
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


def _global(found: Global, most: int) -> str:
    """As people write it: `posix` and `nt` are what `os` is made of, and nobody imports them."""
    module = "os" if found.module in ("posix", "nt") else found.module
    parts = spelled(module, most), spelled(found.name, most)
    if parts == (module, found.name):
        return f"{module}.{found.name}"
    return f"find_class({', '.join(_quoted(part, most) for part in (module, found.name))})"


def _quoted(text: str | bytes, most: int) -> str:
    shown = repr(text[: most + 1])  # cut first: texts of protocol 0 may have a megabyte
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
