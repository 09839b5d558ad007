"""torch.save before 1.6: five pickles, then the storages' bytes.

Source: `_legacy_save` and `_legacy_load` of torch/serialization.py (2.13). The pickles are the magic
number, the protocol version, the system information, the object, and the list of storage keys. For
each key an 8-byte little-endian number of elements follows, and then the elements.
"""

from __future__ import annotations

from collections.abc import Iterator

from hubaudit.formats.contents import Contents, Format, Gap, PickleRead, Trailing
from hubaudit.formats.plausible import imports_plausibly
from hubaudit.formats.raw import read_pickles, why_stopped
from hubaudit.formats.torch_storage import storages_of
from hubaudit.formats.unpacked import length_of
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.state import DEFAULT_LIMITS, Limits
from hubaudit.pvm.values import Trace
from hubaudit.source import OutOfReach, Source
from hubaudit.source.remote import RemoteSource

PICKLES = 5


def read_torch_legacy(
    source: Source, member: str | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> Contents:
    """The five pickles. Fewer, or one that breaks off, is a gap; so are storages that are cut off."""
    traces = list(_traces(source, limits))
    pickles = tuple(PickleRead(member, trace) for trace in traces)
    broken = [Gap(member, why_stopped(trace.stop)) for trace in traces if not trace.complete]
    if broken:
        return Contents(Format.TORCH_LEGACY, pickles, gaps=tuple(broken))
    try:
        end = _end_of_storages(source, traces)
        size = length_of(source)
    except (_Unclear, OutOfReach) as error:
        return Contents(Format.TORCH_LEGACY, pickles, gaps=(Gap(member, str(error)),))
    if end > size:
        gap = Gap(member, f"the storages are cut off at byte {size}")
        return Contents(Format.TORCH_LEGACY, pickles, gaps=(gap,))
    contents = Contents(Format.TORCH_LEGACY, pickles)
    return contents if end == size else contents + _behind(source, member, end, size)


def _behind(source: Source, member: str | None, end: int, size: int) -> Contents:
    """What a second `torch.load` of the same open file would read: more pickles, or no pickle at all."""
    more = read_pickles(source, member, start=end)
    if any(pickle.trace.complete or imports_plausibly(pickle.trace) for pickle in more.pickles):
        return more
    return Contents(Format.TORCH_LEGACY, trailing=(Trailing(member, end, size - end),))


def _traces(source: Source, limits: Limits) -> Iterator[Trace]:
    end = 0
    for _ in range(PICKLES):
        trace = interpret(source, end, limits)
        yield trace
        if not trace.complete:
            return
        end = trace.end


class _Unclear(Exception):
    """Where the storages end cannot be told."""


def _end_of_storages(source: Source, traces: list[Trace]) -> int:
    """The storages hold no code, but what hides behind them, or in place of them, might.

    Over a network the counts of the pickle are believed where they come out at the end of the file: to
    read those of the storages is a request for each. Raises _Unclear.
    """
    end = traces[-1].end
    keys = traces[-1].result
    if not isinstance(keys, list):
        raise _Unclear("the storage keys are no list")
    by_key = {storage.key: storage for storage in storages_of(traces[-2])}
    storages = [by_key.get(key) if isinstance(key, str) else None for key in keys]
    known = [storage for storage in storages if storage is not None]
    if len(known) < len(storages):
        raise _Unclear("a storage is of no known type, so what follows it cannot be told")
    if isinstance(source, RemoteSource):
        said = end + sum(8 + storage.count * storage.item_size for storage in known)
        if said == source.size:
            return said
    for storage in known:
        count = int.from_bytes(source.read(end, 8), "little")
        end += 8 + count * storage.item_size
    return end
