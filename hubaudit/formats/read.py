"""A file's bytes and format → its contents. The one place that knows which reader reads what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from hubaudit.formats.buried import MAX_UNASKED, read_buried, read_unasked
from hubaudit.formats.compressed import INSIDE, compressed
from hubaudit.formats.contents import Contents, Format, Gap, Oddity, OddityKind, together
from hubaudit.formats.extras import read_7z
from hubaudit.formats.hdf5 import read_hdf5
from hubaudit.formats.nested import read_nested
from hubaudit.formats.numpy import read_numpy
from hubaudit.formats.place import MAX_DEPTH, MAX_SEARCHED_REMOTE, Budget, Effort, Place
from hubaudit.formats.plausible import is_evident
from hubaudit.formats.programs import MODEL_NAMES, hold, read_member_programs, read_programs
from hubaudit.formats.raw import read_pickles, read_uncertain
from hubaudit.formats.safetensors import read_safetensors
from hubaudit.formats.sniff import HEAD_SIZE, sniff, sniff_other
from hubaudit.formats.tar import read_tar
from hubaudit.formats.torch_legacy import read_torch_legacy
from hubaudit.formats.zip import read_zip
from hubaudit.formats.zip_index import read_index
from hubaudit.pvm.state import DEFAULT_LIMITS, Limits
from hubaudit.pvm.values import StopKind
from hubaudit.source import OutOfReach, Source
from hubaudit.source.remote import RemoteSource


# Formats with nothing but pickles and numbers in them.
class _Reader(Protocol):
    def __call__(self, source: Source, member: str | None, *, limits: Limits) -> Contents: ...


def _read_safetensors(source: Source, member: str | None, *, limits: Limits) -> Contents:  # noqa: ARG001
    return read_safetensors(source, member)


READERS: dict[Format, _Reader] = {
    Format.PICKLE: read_pickles,
    Format.UNCERTAIN: read_uncertain,
    Format.TORCH_LEGACY: read_torch_legacy,
    Format.NUMPY: read_numpy,
    Format.SAFETENSORS: _read_safetensors,
}

# Formats with other files in them, which are read in their turn.
CONTAINERS: dict[Format, Callable[[Source, Place], Contents]] = {
    Format.ZIP: read_zip,
    Format.TAR: read_tar,
    Format.GZIP: compressed(Format.GZIP),
    Format.BZIP2: compressed(Format.BZIP2),
    Format.XZ: compressed(Format.XZ),
    Format.LZMA: compressed(Format.LZMA),
    Format.ZLIB: compressed(Format.ZLIB),
    Format.ZFILE: compressed(Format.ZFILE),
    Format.ZSTD: compressed(Format.ZSTD),
    Format.LZ4: compressed(Format.LZ4),
    Format.SEVEN_ZIP: read_7z,
}

# Bytes of a zip's end record with the longest comment.
ZIP_END = 22 + 0xFFFF
_NAMED_PICKLES = (".pkl", ".pickle")
_INERT = frozenset(Format) - {*READERS, *CONTAINERS, Format.TORCH_ZIP, Format.TORCHSCRIPT}


def read_file(source: Source, depth: int = MAX_DEPTH, limits: Limits = DEFAULT_LIMITS) -> Contents:
    """What is in a file, by its bytes alone. Never raises for what they say.

    Archives and compressed files are opened in one another up to `depth`; `limits` are of each pickle.
    """
    return read_contents(source, sniff(source.read(0, HEAD_SIZE), source.size), depth, limits)


def read_contents(
    source: Source, format_: Format, depth: int = MAX_DEPTH, limits: Limits = DEFAULT_LIMITS
) -> Contents:
    """What is in a file that `sniff` took for `format_`."""
    return _read_whole(
        source, format_, Place(_read_member, _budget(source, depth, limits)), _read_as
    )


def read_promised(
    source: Source, depth: int = MAX_DEPTH, limits: Limits = DEFAULT_LIMITS
) -> Contents:
    """What is in a file whose name promises a pickle, so that somebody will unpickle it."""
    place = Place(_read_promised_member, _budget(source, depth, limits))
    format_ = sniff(source.read(0, HEAD_SIZE), source.size)
    return _read_whole(source, format_, place, _read_promising)


def read_promised_archive(
    source: Source, depth: int = MAX_DEPTH, limits: Limits = DEFAULT_LIMITS
) -> Contents:
    """What is in a file whose name promises a zip archive, also if other bytes come before that."""
    contents = read_file(source, depth, limits)
    if contents.format in _INERT and source.size > HEAD_SIZE:  # else it is known
        contents += _archive_behind(source, Place(_read_member, _budget(source, depth, limits)))
    return contents


_WholeReader = Callable[[Source, int, Limits], Contents]


def _with_programs(name: str) -> _WholeReader:
    """How a file that is called or ends in `name` is read: also as the model that this says it is."""
    read_rest = read_promised_archive if name == ".keras" else read_file

    def read(source: Source, depth: int = MAX_DEPTH, limits: Limits = DEFAULT_LIMITS) -> Contents:
        contents = read_rest(source, depth, limits)
        effort = _budget(source, depth, limits).effort
        if contents.format is not Format.HDF5:  # that was read so already
            contents += read_programs(source, name, contents.format, effort)
        return contents

    read.__name__ = f"{read_rest.__name__} {name}"
    return read


# By the name of a file, or its ending.
PROGRAMS: dict[str, _WholeReader] = {name: _with_programs(name) for name in MODEL_NAMES}


def _budget(source: Source, depth: int, limits: Limits) -> Budget:
    budget = Budget(depth=depth, limits=limits)
    if isinstance(source, RemoteSource):
        budget.effort = Effort(MAX_SEARCHED_REMOTE)
    return budget


def _read_whole(
    source: Source,
    format_: Format,
    place: Place,
    read: Callable[[Source, Format, Place], Contents],
) -> Contents:
    contents = read(source, format_, place)
    if contents.format in _INERT and source.size <= HEAD_SIZE:  # its end is at hand, too
        contents += _archive_behind(source, place)
    budget = place.budget
    if not budget.is_spent:
        return contents
    oddity = Oddity(OddityKind.EXPANSION, None, None, f"it unpacks to over {budget.most:,} bytes")
    return contents + Contents(format_, oddities=(oddity,))


def _archive_behind(source: Source, place: Place) -> Contents:
    """The archive that a file ends in which begins as something else. zipfile and torch.jit open it."""
    if _ends_as_zip(source) and read_index(source).entries:
        return read_zip(source, place)
    return Contents(Format.ZIP)


def _read_member(source: Source, place: Place) -> Contents:
    """What is in a member of a container, by its bytes; pickles also by their name."""
    return _read_named(source, place, _NAMED_PICKLES)


def _read_promised_member(source: Source, place: Place) -> Contents:
    """The same in a file that promises a pickle. If that is compressed, so does what is unpacked."""
    return _read_named(source, place, (*_NAMED_PICKLES, INSIDE))


def _read_named(source: Source, place: Place, promises: tuple[str, ...]) -> Contents:
    try:
        found = sniff(source.read(0, HEAD_SIZE), source.size)
    except OutOfReach as error:
        return Contents(Format.DATA, gaps=(Gap(place.member, str(error)),))
    named = place.member is not None and place.member.endswith(promises)
    source = hold(source, place.member)
    contents = (_read_promising if named else _read_as)(source, found, place)
    if contents.format is Format.HDF5:
        return contents
    return contents + read_member_programs(source, place.member, found, place.budget.effort)


def _read_promising(source: Source, format_: Format, place: Place) -> Contents:
    """What is in a file or member with the bytes of `format_`, that is named like a pickle."""
    contents = Contents(format_) if format_ is Format.DATA else _read_as(source, format_, place)
    if contents.format in (Format.DATA, Format.TEXT):
        return _as_promised(source, contents, place)
    if contents.format in _INERT:
        return contents + _buried(source, place, 0, MAX_UNASKED)
    if contents.format in CONTAINERS and contents.gaps and not contents.pickles:
        # it may be no archive or compressed file at all, for all that it begins like one
        return contents + _buried(source, place, 0, source.size)
    return contents


def _as_promised(source: Source, contents: Contents, place: Place) -> Contents:
    """What is named like a pickle and does not begin like one, as `contents` say."""
    if _ends_as_zip(source):  # pandas and torch.package pass over what comes before an archive
        return _read_as(source, Format.ZIP, place)
    found = read_pickles(source, place.member, limits=place.budget.limits)
    traces = [pickle.trace for pickle in found.pickles]
    if not found.gaps or any(trace.imports or is_evident(trace) for trace in traces):
        return _with_buried(source, found, place)
    why = "named like a pickle, but its first bytes are those of no format that is known"
    gap = Contents(contents.format, gaps=(Gap(place.member, why),))
    return gap + _buried(source, place, 0, source.size)


def _read_as(source: Source, format_: Format, place: Place) -> Contents:
    try:
        if (reader := READERS.get(format_)) is not None:
            # before the rest: afterwards it may be out of reach
            other = sniff_other(source.read(0, HEAD_SIZE), source.size)
            return _with_other(
                source, reader(source, place.member, limits=place.budget.limits), other, place
            )
        if (container := CONTAINERS.get(format_)) is not None:
            return container(source, place)
    except OutOfReach as error:
        return _gap(format_, place, str(error))
    if format_ is Format.HDF5:
        return read_hdf5(source, place.member, place.budget.effort)
    if format_ is not Format.DATA:
        return Contents(format_)
    found = read_unasked(source, place.member, place.budget.effort)
    return Contents(format_) + found + read_nested(source, found, place)


def _with_other(source: Source, contents: Contents, other: Format, place: Place) -> Contents:
    """Some loaders see another format first: torch.load a tar, and zip's readers begin at the end."""
    if contents.format is Format.DATA:
        if other in _INERT and place.member is None:
            return Contents(other) + _buried(source, place, 0, MAX_UNASKED)
        return _read_as(source, other, place)
    if _is_rather_safetensors(contents, other):
        return _read_as(source, other, place)
    if contents.format is Format.PICKLE and other is Format.TAR:
        nested = read_nested(source, contents, place)
        return contents + nested + _read_as(source, other, place)
    return _with_buried(source, contents, place)


def _with_buried(source: Source, contents: Contents, place: Place) -> Contents:
    """With what is in constants, and in bytes that no pickle accounts for: an archive, or pickles."""
    nested = read_nested(source, contents, place)
    if contents.format is Format.SAFETENSORS:
        return contents + nested
    spans = list(_unaccounted(source, contents))
    if spans and _ends_as_zip(source):
        return contents + nested + read_zip(source, place)
    return together(
        contents.format, [contents, nested, *(_buried(source, place, *span) for span in spans)]
    )


def _unaccounted(source: Source, contents: Contents) -> Iterator[tuple[int, int]]:
    """Begin and end of the bytes behind the last pickle, or behind where it breaks."""
    for trailing in contents.trailing:
        yield trailing.offset, trailing.offset + trailing.size
    if contents.pickles and not contents.trailing:
        stop = contents.pickles[-1].trace.stop
        if stop.kind in (StopKind.BROKEN, StopKind.TRUNCATED):
            yield stop.offset + 1, source.size


def _buried(source: Source, place: Place, start: int, end: int) -> Contents:
    """The pickles in these bytes, as far as it is worth the effort to search."""
    effort = place.budget.effort
    reached = min(end, start + effort.left)
    found = read_buried(source, place.member, start, reached, effort)
    # compressed data has a size now, if that was all of it
    effort.left -= max(0, min(reached, source.size) - start)
    if reached < end and source.read(reached, 1):
        why = f"only {effort.most:,} of the bytes that belong to nothing are searched"
        found += _gap(found.format, place, why)
    return found + read_nested(source, found, place)


def _is_rather_safetensors(contents: Contents, other: Format) -> bool:
    """The length of a safetensors header may begin like a text argument that does not end for long."""
    if other is not Format.SAFETENSORS or contents.format is not Format.PICKLE:
        return False
    return not any(pickle.trace.imports_anything for pickle in contents.pickles)


def _ends_as_zip(source: Source) -> bool:
    """Whether there is an end record in the last bytes, where readers look for it (4.3.16)."""
    tail = source.read(max(0, source.size - ZIP_END), ZIP_END)
    return b"PK\x05\x06" in tail


def _gap(format_: Format, place: Place, why: str) -> Contents:
    return Contents(format_, gaps=(Gap(place.member, why),))
