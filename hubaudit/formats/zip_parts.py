"""Archives of torch one after the other in one file, as torch.distributed.checkpoint writes them.

Source: `_write_item` of torch/distributed/checkpoint/filesystem.py (2.13): each item is a `torch.save` to
the same stream, and a loader opens it at the offset that `.metadata` gives. A `.distcp` has as many as its
process has shards of tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hubaudit.formats.zip_index import directories_of, places_of_ends
from hubaudit.formats.zip_records import (
    END_SIZE,
    ENTRY_MAGIC,
    comment_size,
    read_ends,
    read_local,
)
from hubaudit.source import Source

# Archives in one file: 1.4 ms each, so 8 s. The largest models have some 2,000 tensors, and optimizers two
# for each of them.
MAX_PARTS = 6_000


@dataclass(frozen=True, slots=True)
class Part:
    """An archive of its own, from byte `start` to before `end`. `directory`: where that begins."""

    start: int
    directory: int
    end: int


def parts_of(archive: Source) -> list[Part]:
    """Each archive, in their order; none unless there are several and nothing between them.

    Nor if a loader that counts from the file's beginning would find a directory that is no part's own.
    """
    parts = list(_from_behind(archive))
    if len(parts) < 2 or parts[-1].start != 0 or _is_read_otherwise(archive, parts):
        return []
    return parts[::-1]


def _from_behind(archive: Source) -> Iterator[Part]:
    end = archive.size
    for _ in range(MAX_PARTS):
        part = _part_before(archive, end)
        if part is None:
            return
        yield part
        end = part.start


def _part_before(archive: Source, end: int) -> Part | None:
    """The archive that ends before byte `end`, by its end record, if that is as torch writes it.

    Without a comment, its directory right before its end records, and `data.pkl` first.
    """
    at = end - END_SIZE
    ends = read_ends(archive, at) if at >= 0 else None
    if not ends or comment_size(archive, at) != 0:
        return None
    directory = ends[0].at - ends[0].size
    start = directory - ends[0].offset
    if not 0 <= start < directory or archive.read(directory, 4) != ENTRY_MAGIC:
        return None
    first = read_local(archive, start)
    if first is None or not first.name.endswith(b"/data.pkl"):
        return None
    return Part(start, directory, end)


def _is_read_otherwise(archive: Source, parts: list[Part]) -> bool:
    """Whether an end record in the last bytes leads to a directory that is none of the parts'."""
    own = {(part.start, part.directory) for part in parts}
    return any(
        (directory.base, directory.start) not in own
        for at in places_of_ends(archive)
        for directory in directories_of(archive, at)
    )
