"""A file's bytes and format → its contents. The one place that knows which reader reads what."""

from __future__ import annotations

from collections.abc import Callable

from hubaudit.formats.compressed import compressed
from hubaudit.formats.contents import Contents, Format, Gap, Oddity, OddityKind
from hubaudit.formats.extras import read_7z
from hubaudit.formats.nested import read_nested
from hubaudit.formats.numpy import read_numpy
from hubaudit.formats.place import MAX_DEPTH, Budget, Place
from hubaudit.formats.raw import read_pickles, read_uncertain
from hubaudit.formats.safetensors import read_safetensors
from hubaudit.formats.sniff import HEAD_SIZE, sniff, sniff_other
from hubaudit.formats.tar import read_tar
from hubaudit.formats.torch_legacy import read_torch_legacy
from hubaudit.formats.zip import read_zip
from hubaudit.source import OutOfReach, Source

# Formats with nothing but pickles and numbers in them.
READERS: dict[Format, Callable[[Source, str | None], Contents]] = {
    Format.PICKLE: read_pickles,
    Format.UNCERTAIN: read_uncertain,
    Format.TORCH_LEGACY: read_torch_legacy,
    Format.NUMPY: read_numpy,
    Format.SAFETENSORS: read_safetensors,
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


def read_file(source: Source, depth: int = MAX_DEPTH) -> Contents:
    """What is in a file, by its bytes alone. Never raises for what they say.

    Archives and compressed files are opened in one another up to `depth`.
    """
    return read_contents(source, sniff(source.read(0, HEAD_SIZE), source.size), depth)


def read_contents(source: Source, format_: Format, depth: int = MAX_DEPTH) -> Contents:
    """What is in a file that `sniff` took for `format_`."""
    budget = Budget(depth=depth)
    contents = _read_as(source, format_, Place(_read_member, budget))
    if not budget.is_spent:
        return contents
    oddity = Oddity(OddityKind.EXPANSION, None, None, f"it unpacks to over {budget.most:,} bytes")
    return contents + Contents(format_, oddities=(oddity,))


def read_promised(source: Source, depth: int = MAX_DEPTH) -> Contents:
    """What is in a file whose name promises a pickle, so that somebody will unpickle it."""
    contents = read_file(source, depth)
    if contents.format not in (Format.DATA, Format.TEXT):
        return contents
    if _ends_as_zip(source):  # pandas and torch.package pass over what comes before an archive
        return read_contents(source, Format.ZIP, depth)
    as_pickle = read_pickles(source)
    if as_pickle.pickles[0].trace.imports or not as_pickle.gaps:
        return as_pickle
    why = "named like a pickle, but its first bytes are those of no format that is known"
    return Contents(contents.format, gaps=(Gap(None, why),))


def _read_member(source: Source, place: Place) -> Contents:
    """What is in a member of a container, by its bytes; pickles also by their name."""
    try:
        found = sniff(source.read(0, HEAD_SIZE), source.size)
    except OutOfReach as error:
        return Contents(Format.DATA, gaps=(Gap(place.member, str(error)),))
    contents = _read_as(source, found, place)
    named = place.member is not None and place.member.endswith(_NAMED_PICKLES)
    if named and contents.format in (Format.DATA, Format.TEXT):
        return read_pickles(source, place.member)
    return contents


def _read_as(source: Source, format_: Format, place: Place) -> Contents:
    try:
        if (reader := READERS.get(format_)) is not None:
            # before the rest: afterwards it may be out of reach
            other = sniff_other(source.read(0, HEAD_SIZE), source.size)
            contents = reader(source, place.member)
            contents += read_nested(source, contents, place)
            return _with_other(source, contents, other, place)
        if (container := CONTAINERS.get(format_)) is not None:
            return container(source, place)
    except OutOfReach as error:
        return _gap(format_, place, str(error))
    return Contents(format_)


def _with_other(source: Source, contents: Contents, other: Format, place: Place) -> Contents:
    """Some loaders see another format first: torch.load a tar, and zip's readers begin at the end."""
    if contents.format is Format.DATA or _is_rather_safetensors(contents, other):
        return _read_as(source, other, place)
    if contents.format is Format.PICKLE and other is Format.TAR:
        return contents + _read_as(source, other, place)
    if contents.trailing and _ends_as_zip(source):
        return contents + read_zip(source, place)
    return contents


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
