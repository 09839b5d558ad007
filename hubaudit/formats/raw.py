"""Pickles that lie in a file or member one after the other."""

from __future__ import annotations

from hubaudit.formats.contents import Contents, Format, Gap, PickleRead, Trailing
from hubaudit.formats.joblib import Reading, read_one
from hubaudit.formats.plausible import imports_plausibly
from hubaudit.formats.unpacked import length_of
from hubaudit.pvm.state import DEFAULT_LIMITS, Limits
from hubaudit.pvm.values import Stop, StopKind
from hubaudit.source import OutOfReach, Source

# A loader calls `load` as often as it likes; files of more pickles than this were not met.
MAX_PICKLES = 10_000


def read_pickles(
    source: Source,
    member: str | None = None,
    *,
    start: int = 0,
    limits: Limits = DEFAULT_LIMITS,
) -> Contents:
    """Every pickle from byte `start` on, also those after a STOP, until one breaks off or the end.

    What follows the last pickle and is none itself is `trailing`; a first pickle that does not reach
    its STOP is a gap.
    """
    readings, end = _readings(source, start, limits)
    pickles = [PickleRead(member, trace) for reading in readings for trace in reading.traces]
    gaps = [Gap(member, why) for reading in readings for why in reading.unknown]
    last = readings[-1].traces[-1] if readings else None
    if last is not None and not last.complete:
        is_noise = not imports_plausibly(last) and last.stop.kind is not StopKind.LIMIT
        if len(readings) > 1 and is_noise:
            pickles.pop()
            end = last.start
        else:
            gaps.append(Gap(member, why_stopped(last.stop)))
            return Contents(Format.PICKLE, tuple(pickles), (), tuple(gaps))
    if len(readings) == MAX_PICKLES:
        gaps.append(Gap(member, f"only the first {MAX_PICKLES:,} pickles are read"))
    if not _goes_on(source, end):
        return Contents(Format.PICKLE, tuple(pickles), (), tuple(gaps))
    try:
        trailing = [Trailing(member, end, length_of(source) - end)]
    except OutOfReach as error:
        gaps.append(Gap(member, str(error)))
        trailing = []
    return Contents(Format.PICKLE, tuple(pickles), tuple(trailing), tuple(gaps))


def read_uncertain(
    source: Source, member: str | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> Contents:
    """Pickles, if that is what it turns out to be; else nothing that an unpickler would act on."""
    contents = read_pickles(source, member, limits=limits)
    traces = [pickle.trace for pickle in contents.pickles]
    accounts_for_all = not contents.trailing and not contents.gaps
    gave_up = any(trace.stop.kind is StopKind.LIMIT for trace in traces)
    if accounts_for_all or gave_up or any(map(imports_plausibly, traces)):
        return contents
    return Contents(Format.DATA)


def _readings(source: Source, start: int, limits: Limits) -> tuple[list[Reading], int]:
    readings: list[Reading] = []
    end = start
    while _goes_on(source, end) and len(readings) < MAX_PICKLES:
        readings.append(read_one(source, end, limits))
        last = readings[-1].traces[-1]
        end = last.end
        if not last.complete:
            break
    return readings, end


def _goes_on(source: Source, end: int) -> bool:
    """Whether there are bytes at `end`: the size of compressed data is not known beforehand."""
    try:
        return end < source.size and source.read(end, 1) != b""
    except OutOfReach:
        return True


def why_stopped(stop: Stop) -> str:
    """The reason for an `Unread` entry."""
    match stop.kind:
        case StopKind.TRUNCATED:
            return f"the pickle is cut off: {stop.detail} (byte {stop.offset})"
        case StopKind.LIMIT:
            return f"not read to its end: {stop.detail} (byte {stop.offset})"
        case _:
            return f"the pickle breaks at byte {stop.offset}: {stop.detail}"
