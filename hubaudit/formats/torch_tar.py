"""torch.save before 0.1.10: a tar archive in which pickles and raw numbers take turns.

Source: `legacy_load` of torch/serialization.py (2.13). `storages` is the pickle of a count, for each
storage a pickle of (key, location, class), an 8-byte count of elements and the elements, and at last
a pickle of the views. `tensors` is a count, and for each tensor a pickle of (key, storage, class)
and its geometry. `pickle`, the third member, is a plain pickle.
"""

from __future__ import annotations

from collections.abc import Callable

from hubaudit.formats.contents import Contents, Format, Gap, PickleRead
from hubaudit.formats.raw import why_stopped
from hubaudit.formats.torch_storage import ITEM_SIZES
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.values import Global, Trace, Value
from hubaudit.source import Source

MAX_ENTRIES = 10_000  # of storages or tensors; as many take 0.14 s


def read_torch_member(source: Source, name: str, member: str) -> Contents | None:
    """The pickles of `storages` or `tensors`; None if it does not begin as torch writes it.

    `name` is one of TORCH_MEMBERS.
    """
    first = interpret(source, 0)
    if type(first.result) is not int:
        return None
    size_of_entry, pickles_at_the_end = TORCH_MEMBERS[name]
    traces = [first]
    at = first.end
    for _ in range(min(first.result, MAX_ENTRIES)):
        traces.append(interpret(source, at))
        size = size_of_entry(source, traces[-1])
        if size is None:
            return _contents(member, traces, "an entry is not as torch writes it")
        at = traces[-1].end + size
    if first.result > MAX_ENTRIES:
        return _contents(member, traces, f"it has over {MAX_ENTRIES:,} entries")
    for _ in range(pickles_at_the_end):
        traces.append(interpret(source, at))
        at = traces[-1].end
    return _contents(member, traces, None if at == source.size else "it does not end as torch's do")


def _contents(member: str, traces: list[Trace], why: str | None) -> Contents:
    gaps = [Gap(member, why_stopped(trace.stop)) for trace in traces if not trace.complete]
    if why is not None:
        gaps.append(Gap(member, why))
    return Contents(
        Format.TAR, tuple(PickleRead(member, trace) for trace in traces), (), tuple(gaps)
    )


def _storage_size(source: Source, trace: Trace) -> int | None:
    """Bytes behind the pickle of a storage: the number of elements, and the elements."""
    match trace.result:
        case (_, _, Global() as cls) if trace.complete and cls.name in ITEM_SIZES:
            return 8 + int.from_bytes(source.read(trace.end, 8), "little") * ITEM_SIZES[cls.name]
        case _:
            return None


def _tensor_size(source: Source, trace: Trace) -> int | None:
    """Bytes behind the pickle of a tensor: dimensions (4, and 4 unused), shape, stride, offset."""
    if not trace.complete or not _is_triple(trace.result):
        return None
    dimensions = int.from_bytes(source.read(trace.end, 4), "little", signed=True)
    return 8 + 16 * dimensions + 8 if dimensions >= 0 else None


def _is_triple(value: Value) -> bool:
    return isinstance(value, tuple) and len(value) == 3


# Member → how many bytes follow each of its pickles, and how many pickles follow the last one.
TORCH_MEMBERS: dict[str, tuple[Callable[[Source, Trace], int | None], int]] = {
    "storages": (_storage_size, 1),
    "tensors": (_tensor_size, 0),
}
