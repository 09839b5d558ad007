"""The storages that a torch pickle refers to by persistent ids.

Source: `persistent_id` in `_save` and `_legacy_save` of torch/serialization.py (2.13): a tuple
`("storage", storage class, key, location, number of elements[, view metadata])`; element sizes from the
storage classes of torch/__init__.py and torch/storage.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hubaudit.pvm.values import Global, PersistentId, Trace

ITEM_SIZES = {
    "UntypedStorage": 1,
    "ByteStorage": 1,
    "CharStorage": 1,
    "BoolStorage": 1,
    "QInt8Storage": 1,
    "QUInt8Storage": 1,
    "QUInt4x2Storage": 1,
    "QUInt2x4Storage": 1,
    "ShortStorage": 2,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "IntStorage": 4,
    "FloatStorage": 4,
    "QInt32Storage": 4,
    "LongStorage": 8,
    "DoubleStorage": 8,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}


@dataclass(frozen=True, slots=True)
class Storage:
    """One storage: `count` elements of `item_size` bytes."""

    key: str
    kind: str  # the storage class's name
    item_size: int
    count: int


def storages_of(trace: Trace) -> Iterator[Storage]:
    """The storages that `trace` refers to, as often as it does. Other persistent ids are left out."""
    for persistent in trace.persistent_ids:
        if (storage := as_storage(persistent)) is not None:
            yield storage


def as_storage(persistent: PersistentId) -> Storage | None:
    match persistent.pid:
        case ("storage", Global() as cls, str() as key, _, int() as count, *_) if (
            cls.name in ITEM_SIZES
        ):
            return Storage(key, cls.name, ITEM_SIZES[cls.name], count)
        case _:
            return None
