"""Which values of an object graph have tensors in them, each looked at once however often it is reached."""

from __future__ import annotations

from collections.abc import Iterator

from hubaudit.pvm.values import Call, Mapping, PersistentId, SetOf, Value
from hubaudit.tensors.rebuild import is_tensor


def holders(top: Value) -> frozenset[int]:
    """The ids of `top` and what it reaches, as far as there are tensors or storages in it.

    They are valid as long as the graph lives. Takes time and memory as the graph has references.
    """
    above: dict[int, list[int]] = {id(top): []}
    found: list[int] = []
    stack = [top]
    while stack:
        one = stack.pop()
        for inner in inside(one):
            if inner is None or isinstance(inner, str | bytes | int | float):
                continue
            if isinstance(inner, PersistentId) or is_tensor(inner):
                found.append(id(one))
            elif id(inner) in above:
                above[id(inner)].append(id(one))
            else:
                above[id(inner)] = [id(one)]
                stack.append(inner)
    return _upwards(found, above)


def _upwards(found: list[int], above: dict[int, list[int]]) -> frozenset[int]:
    held: set[int] = set()
    while found:
        one = found.pop()
        if one not in held:
            held.add(one)
            found += above[one]
    return frozenset(held)


def inside(value: Value) -> Iterator[Value]:
    """What `value` is made of, one level down."""
    match value:
        case tuple() | list():
            yield from value
        case Mapping():
            yield from value.flat
        case SetOf():
            yield from value.items
        case Call():
            yield from (value.function, value.args, value.kwargs)
            for more in (value.state, value.items, value.flat):
                yield from more
