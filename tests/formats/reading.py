"""What is read of given bytes, for the tests of formats."""

from __future__ import annotations

from hubaudit.formats.contents import Contents
from hubaudit.formats.read import read_contents
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.source.memory import MemorySource


def read(data: bytes) -> Contents:
    """As an audit reads them: by what their first bytes show."""
    return read_contents(MemorySource(data), sniff(data[:HEAD_SIZE], len(data)))


def imports(contents: Contents) -> set[tuple[str, str]]:
    """What is imported by any pickle in there."""
    return {name for pickle in contents.pickles for name in pickle.trace.imports}
