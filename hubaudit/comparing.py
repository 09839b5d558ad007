"""Step 8 of an audit: pickle checkpoints against the safetensors files that should hold the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from hubaudit.errors import FileUnavailable
from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.safetensors import BadHeader, read_header
from hubaudit.model import Comparison, ReadHow, RepoFile
from hubaudit.opening import Files
from hubaudit.source import OutOfReach, Source
from hubaudit.source.remote import RemoteSource
from hubaudit.tensors.compare import compare
from hubaudit.tensors.confirmed import ConfirmedCounts, ConfirmedSource, data_start
from hubaudit.tensors.fetched import Run
from hubaudit.tensors.pairs import Pair
from hubaudit.tensors.safetensors import safetensors_table
from hubaudit.tensors.sample import Depth, Full, MetadataOnly, Sampling
from hubaudit.tensors.table import NotComparable, Table
from hubaudit.tensors.torch import torch_table
from hubaudit.tensors.twins import Part

__all__ = [
    "TORCH_CHECKPOINTS",
    "Depth",
    "Full",
    "Known",
    "MetadataOnly",
    "Sampling",
    "compare_pairs",
    "names_in",
    "table_of",
]


TORCH_CHECKPOINTS = frozenset({Format.TORCH_ZIP, Format.TORCH_LEGACY})

# Blocks that all files of a pair keep in memory, in bytes: samples are read once, and what is near a header
# together with it, so a file needs no more than one such read.
_KEPT = 24 << 20
_KEPT_OF_ONE = 128 << 10


@dataclass(frozen=True, slots=True)
class Known:
    """What the audit knows of a file: how it was read, what it is, and of a pickle the tensors."""

    file: RepoFile
    how: ReadHow
    format: str
    table: Table | None


def table_of(source: Source, contents: Contents) -> Table:
    """The tensors of a checkpoint. Whatever keeps them from being told is in the table."""
    try:
        if contents.format is Format.SAFETENSORS:
            return safetensors_table(source, read_header(source))
        return torch_table(source, contents, data_start(source, contents))
    except (OutOfReach, BadHeader) as error:
        return _nothing(str(error))


def names_in(table: Table) -> tuple[str, ...] | None:
    """The names of the tensors in a file; None where not all of them are known."""
    if any(not one.name for one in table.not_comparable):
        return None
    return (*(one.name for one in table.tensors), *(one.name for one in table.not_comparable))


def compare_pairs(
    files: Files, pairs: Sequence[Pair], known: Mapping[str, Known], depth: Depth, run: Run
) -> Iterator[Comparison]:
    """Each pair compared. What cannot be read makes a comparison that says so."""
    for pair in pairs:
        about = [known[path] for path in (*pair.pickles, *pair.safetensors)]
        told = ", ".join(f"{one.file.path} {one.format} {one.how.value}" for one in about)
        question = f"{len(pair.pickles)} pickles compared, {depth!r}: {told}"
        answer = partial(_compared, files, pair, known, depth, run)
        try:
            yield files.memory.recall(question, [one.file for one in about], answer)
        except _OfThisTime as error:
            yield error.comparison


class _OfThisTime(Exception):
    """A comparison that does not tell of the content: a file of it could not be had."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self.comparison = comparison


def _compared(
    files: Files, pair: Pair, known: Mapping[str, Known], depth: Depth, run: Run
) -> Comparison:
    room = max(_KEPT // (len(pair.pickles) + len(pair.safetensors)), _KEPT_OF_ONE)
    with ExitStack() as opened:
        pickles = [_pickle(files, known[path], opened, room) for path in pair.pickles]
        safetensors = [_safetensors(files, known[path], opened, room) for path in pair.safetensors]
        found = compare(pickles, safetensors, depth, run=run)
    was_read = all(known[path].table is not None for path in pair.pickles)
    if not was_read or any(isinstance(part.source, _Missing) for part in (*pickles, *safetensors)):
        raise _OfThisTime(found)
    return found


def _pickle(files: Files, known: Known, opened: ExitStack, room: int) -> Part:
    """`room`: bytes of it to keep in memory. Raises a HubError; what concerns this file alone is in
    its table."""
    path, table = known.file.path, known.table or _nothing("it was not read")
    try:
        source = opened.enter_context(files.open(known.file, known.how))
    except FileUnavailable as error:
        return Part(path, _Missing(str(error)), _nothing(str(error)))
    if isinstance(source, RemoteSource):
        is_zip = known.format == Format.TORCH_ZIP
        confirmed = ConfirmedSource(source) if is_zip else ConfirmedCounts(source, table)
        source.keep(room)  # the archive's directory is read by now
        return Part(path, confirmed, table)
    return Part(path, source, table)


def _safetensors(files: Files, known: Known, opened: ExitStack, room: int) -> Part:
    path = known.file.path
    try:
        source = opened.enter_context(files.open(known.file, ReadHow.HEADER))
        table = safetensors_table(source, read_header(source))
    except (FileUnavailable, OutOfReach, BadHeader) as error:
        return Part(path, _Missing(str(error)), _nothing(str(error)))
    if isinstance(source, RemoteSource):
        source.keep(room)  # the header is read by now
    return Part(path, source, table)


def _nothing(why: str) -> Table:
    return Table((), (NotComparable("", why),))


@dataclass(frozen=True, slots=True)
class _Missing:
    """The source of a file that cannot be opened."""

    why: str
    size: int = 0

    def read(self, _offset: int, _length: int) -> bytes:
        raise FileUnavailable(self.why)
