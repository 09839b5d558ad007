"""The tensors of a weight file, and how many of them have other bytes than those of another."""

from __future__ import annotations

from hubaudit.comparing import TORCH_CHECKPOINTS, table_of
from hubaudit.config import Policy
from hubaudit.formats.contents import Format
from hubaudit.formats.safetensors import BadHeader, read_header
from hubaudit.pvm.state import limits_of
from hubaudit.selection import reader_for
from hubaudit.source import OutOfReach, Source
from hubaudit.source.remote import RemoteSource
from hubaudit.tensors.compare import compare
from hubaudit.tensors.confirmed import ConfirmedSource
from hubaudit.tensors.safetensors import safetensors_table
from hubaudit.tensors.sample import Sampling
from hubaudit.tensors.table import Table
from hubaudit.tensors.twins import Part
from hubaudit.watch.weights import Replaced


def tensors_of(path: str, source: Source, format_: Format, policy: Policy) -> Table | None:
    """The table of a file that an audit took for `format_`; None where it is no checkpoint.

    Also None where nothing can be told of it. Raises FileUnavailable, and a HubError.
    """
    try:
        if format_ is Format.SAFETENSORS:
            return safetensors_table(source, read_header(source))
        if format_ not in TORCH_CHECKPOINTS:
            return None
        limits = limits_of(policy.max_opcodes)
        table = table_of(source, reader_for(path)(source, policy.max_archive_depth, limits))
    except (BadHeader, OutOfReach):
        return None
    untold = not table.tensors and any(one.name == "" for one in table.not_comparable)
    return None if untold else table


def compared(
    path: str, format_: Format, before: Source, after: Source, policy: Policy
) -> Replaced | None:
    """What samples of both files say. None where they could not be compared.

    At most some 16 ranges of each. Raises FileUnavailable, and a HubError.
    """
    parts = []
    for source in (before, after):
        table = tensors_of(path, source, format_, policy)
        if table is None:
            return None
        confirmed = isinstance(source, RemoteSource) and format_ is Format.TORCH_ZIP
        parts.append(Part(path, _confirmed(source) if confirmed else source, table))
    found = compare(parts[:1], parts[1:], Sampling())
    if found.broken_off:
        return None
    return Replaced(found.tensors_read, len(found.differing))


def _confirmed(source: Source) -> Source:
    assert isinstance(source, RemoteSource)
    return ConfirmedSource(source)
