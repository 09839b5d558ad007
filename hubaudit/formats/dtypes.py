"""numpy's dtypes, as `.npy` headers and pickles spell them: bytes an item, and whether it is an object.

Sources: `descr_to_dtype` of numpy/lib/_format_impl.py (2.4); `arraydescr_reduce` and
`arraydescr_setstate` of numpy/_core/src/multiarray/descriptor.c (2.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TypeGuard

from hubaudit.pvm.values import Call, Global, Mapping, Value

_HAS_OBJECT = 0x01  # NPY_ITEM_HASOBJECT of numpy/ndarraytypes.h

# What dtype.str and dtype.descr give for dtypes without objects. An `O` in any spelling is none of them.
_PLAIN = re.compile(r"[<>|=]?(?:([?bBiufcSVaUmM])(\d{0,9})(?:\[[\w/]{1,20}\])?)")
_ONE_BYTE = "?bB"
_UNITS_OF_FOUR = "U"  # UCS-4
_TIMES = "mM"  # always 8 bytes, with or without the 8
_OBJECT = re.compile(r"[<>|=]?O[48]?|object")


@dataclass(frozen=True, slots=True)
class Dtype:
    """`item_size` in bytes. Items with `objects` in them are pickled instead."""

    item_size: int
    objects: bool = False


OBJECT = Dtype(8, objects=True)


def of_descr(descr: object, depth: int = 8) -> Dtype | None:
    """What a `.npy` header's `descr` describes; None if that is not certain."""
    match descr:
        case str():
            return _of_text(descr)
        case (base, shape) if isinstance(descr, tuple):
            return _repeated(of_descr(base, depth - 1) if depth else None, shape)
        case list() if depth:
            return _joined([_of_field(field, depth - 1) for field in descr])
        case _:
            return None


def _of_field(field: object, depth: int) -> Dtype | None:
    match field:
        case (_, descr):
            return of_descr(descr, depth)
        case (_, descr, shape):
            return _repeated(of_descr(descr, depth), shape)
        case _:
            return None


def _of_text(text: str) -> Dtype | None:
    if _OBJECT.fullmatch(text):
        return OBJECT
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    kind, size = match[1], int(match[2] or 0)
    if kind in _ONE_BYTE:
        return Dtype(1) if size in (0, 1) else None
    if kind in _TIMES:
        return Dtype(8)
    if kind in "iufc" and size not in (1, 2, 4, 8, 12, 16, 24, 32):
        return None
    return Dtype(4 * size if kind in _UNITS_OF_FOUR else size)


def _repeated(base: Dtype | None, shape: object) -> Dtype | None:
    sizes = (shape,) if isinstance(shape, int) else shape
    if base is None or not is_shape(sizes):
        return None
    return Dtype(base.item_size * prod(sizes), base.objects)


def is_shape(value: object) -> TypeGuard[tuple[int, ...]]:
    """A tuple of numbers that are not negative."""
    return isinstance(value, tuple) and all(isinstance(n, int) and n >= 0 for n in value)


def _joined(fields: list[Dtype | None]) -> Dtype | None:
    known = [field for field in fields if field is not None]
    if len(known) < len(fields):
        return None
    return Dtype(sum(field.item_size for field in known), any(field.objects for field in known))


def of_pickled(value: Value, depth: int = 8) -> Dtype | None:
    """What a pickled dtype is: `numpy.dtype(text, False, True)` and its state; None if not certain."""
    match value:
        case Call(
            how="REDUCE", function=Global(module="numpy", name="dtype"), args=(str() as text, *_)
        ):
            base = _of_text(text)
        case Call(
            how="REDUCE",
            function=Global(module="numpy._core._internal", name="_convert_to_stringdtype_kwargs"),
            state=(),
        ):
            return (
                OBJECT  # numpy.dtypes.StringDType: `hasobject` is true of it, so joblib pickles it
            )
        case _:
            return None
    if base is None or depth == 0 or len(value.state) > 1:
        return None
    return _with_state(base, value.state[0], depth) if value.state else base


def _with_state(base: Dtype, state: Value, depth: int) -> Dtype | None:
    """State: version, byte order, (base, shape), names, fields, item size, alignment, flags[, metadata].

    The flags decide whether there are objects, whatever the fields are. Where they disagree with
    the fields, nothing is certain.
    """
    match state:
        case (3 | 4, _, inner, _, fields, int() as size, int(), int() as flags, *_):
            pass
        case _:
            return None
    inside = [base]
    if fields is not None:
        inside = _in_fields(fields, depth - 1)
    elif isinstance(inner, tuple) and len(inner) == 2:
        inside = _known([of_pickled(inner[0], depth - 1)])
    elif inner is not None:
        return None
    objects = bool(flags & _HAS_OBJECT)
    if not inside or objects != any(dtype.objects for dtype in inside):
        return None
    return Dtype(base.item_size if size == -1 else size, objects) if size >= -1 else None


def _in_fields(fields: Value, depth: int) -> list[Dtype]:
    """The dtypes of `{name: (dtype, offset[, title])}`; none if one of them is not known."""
    if not isinstance(fields, Mapping):
        return []
    found = [
        of_pickled(value[0], depth) if isinstance(value, tuple) and value else None
        for _, value in fields.pairs()
    ]
    return _known(found)


def _known(found: list[Dtype | None]) -> list[Dtype]:
    known = [dtype for dtype in found if dtype is not None]
    return known if len(known) == len(found) else []
