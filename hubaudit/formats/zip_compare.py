"""What a zip archive's directory and its local headers say of the same member, and where they differ.

zipfile refuses a member whose name differs, and takes all else from the directory; miniz, and so
torch, takes all from the directory; what unpacks a stream takes all from the local headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from hubaudit.formats.zip_records import SIZES_FOLLOW, Entry, read_descriptor
from hubaudit.source import Source

STORED = 0
# Flag bits (4.4.4): encrypted, patch data, strong encryption, headers that are encrypted.
UNREADABLE_BITS = 0x1 | 0x20 | 0x40 | 0x2000
_NOT_SAID = (0, 0xFFFFFFFF)  # in a local header whose sizes follow the data


@dataclass(frozen=True, slots=True)
class Compared:
    """`readings` are the ways to read the member, first the directory's; `end` is behind its bytes."""

    readings: tuple[Entry, ...]
    differences: tuple[str, ...]
    end: int


def compare(archive: Source, entry: Entry, local: Entry) -> Compared:
    """The directory's `entry` beside the `local` header that it refers to."""
    assert local.data is not None
    own = replace(entry, data=local.data)
    follows = local.flags & SIZES_FOLLOW
    sizes = "packed", "unpacked", "crc"
    differences = [
        _said(name, local, entry) for name in ("path", "method") if _differs(name, local, entry)
    ]
    differences += [
        _said(name, local, entry)
        for name in sizes
        if _differs(name, local, entry) and not (follows and getattr(local, name) in _NOT_SAID)
    ]
    if (local.flags ^ entry.flags) & UNREADABLE_BITS:
        differences.append(f"flags {local.flags:#06x} there, {entry.flags:#06x} in the directory")
    behind = 0
    if (local.flags | entry.flags) & SIZES_FOLLOW:
        behind, contradicts = read_descriptor(archive, local.data + entry.packed, entry)
        if contradicts:
            differences.append("other sizes or another checksum behind the data")
    packed = entry.packed if follows and local.packed in _NOT_SAID else local.packed
    readings = [own]
    if (local.name, local.method, packed) != (entry.name, entry.method, entry.packed):
        readings.append(replace(local, packed=packed))
    if _has_two_sizes(entry):
        differences.append(f"stored, but of {entry.packed:,} bytes and of {entry.unpacked:,}")
        readings.append(replace(own, packed=entry.unpacked))  # miniz reads as many
    if b"\0" in entry.name:
        differences.append("a name with a zero in it, at which some readers end it")
    differences += [
        f"the Unicode path, by which some call it {other}" for other in _other_names(local, entry)
    ]
    end = local.data + (entry.packed + behind if packed >= entry.packed else packed)
    return Compared(tuple(dict.fromkeys(readings)), tuple(dict.fromkeys(differences)), end)


def _differs(name: str, local: Entry, entry: Entry) -> bool:
    if name == "path" and local.name == entry.name:
        return not local.name.isascii() and local.path != entry.path
    return bool(getattr(local, name) != getattr(entry, name))


def _other_names(*headers: Entry) -> Iterator[str]:
    """Of the Unicode path, which Info-ZIP and zipfile (3.12) take for the name, and miniz does not.

    Writers add it to a name that is not ASCII, and that they spell in the other place as well as they can:
    the suffix is the same.
    """
    for header in headers:
        other = header.unicode_name.decode("utf-8", "replace")
        is_honest = not other.isascii() and _suffix(other) == _suffix(header.path)
        if other not in ("", header.path) and not is_honest:
            yield other


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix


_WORDS = {
    "path": "the name {}",
    "method": "compression method {}",
    "packed": "{:,} packed bytes",
    "unpacked": "{:,} unpacked bytes",
    "crc": "checksum {:08x}",
}


def _said(name: str, local: Entry, entry: Entry) -> str:
    word = _WORDS[name]
    there, here = word.format(getattr(local, name)), word.format(getattr(entry, name))
    return f"{there} there, {here} in the directory"


def _has_two_sizes(entry: Entry) -> bool:
    is_stored = entry.method == STORED and not entry.flags & UNREADABLE_BITS
    return is_stored and entry.packed != entry.unpacked
