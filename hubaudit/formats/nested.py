"""Pickles in the constants of a pickle, found by the machine (`pvm/embedded.py`) and read in their turn.

The outer unpickler does not run them. Whoever hands the constant to another one does: a function that the
pickle calls (`torch.storage._load_from_bytes` in every pickled tensor), or the code that loaded it.
"""

from __future__ import annotations

import base64

from hubaudit.formats.contents import Contents, Gap, together
from hubaudit.formats.place import Place, too_deep
from hubaudit.pvm.embedded import MOST, Embedded, is_text_of_bytes
from hubaudit.pvm.values import StopKind
from hubaudit.source import OutOfReach, Source
from hubaudit.source.memory import MemorySource
from hubaudit.source.window import WindowSource

_ONLY_ITS_BEGINNING = "of a pickle in a constant, only the beginning can be read here"
# Bytes of text that are turned into bytes in memory.
MOST_TEXT = 64 << 20


def read_nested(source: Source, outer: Contents, place: Place) -> Contents:
    """What `outer`, which was read from `source`, has in its constants: only what imports something.

    A constant that imports nothing is data, whether it is whole or not.
    """
    parts = []
    for pickle in outer.pickles:
        if len(pickle.trace.embedded) == MOST:
            gap = Gap(pickle.member, f"more than {MOST:,} pickles in its constants")
            parts.append(Contents(outer.format, gaps=(gap,)))
        for found in pickle.trace.embedded:
            inner = _open(source, found)
            if inner is not None:
                is_cut = found.spelling == "bytes" and _is_cut(inner, found)
                parts.append(_read(inner, outer, place.inside(f"@{found.offset}"), is_cut))
    return together(outer.format, parts)


def _is_cut(inner: Source, found: Embedded) -> bool:
    """Whether only the beginning of the constant is there to be read."""
    if is_text_of_bytes(found.head):
        return found.size > MOST_TEXT or (inner.size < len(found.head) < found.size)
    return inner.size < found.size


def _read(inner: Source, outer: Contents, place: Place, is_cut: bool) -> Contents:
    """What lies in `inner`, if it imports something, or if that cannot be ruled out."""
    if place.is_too_deep:
        return too_deep(outer.format, place)
    contents = place.read(inner, place)
    imports = any(pickle.trace.imports_anything for pickle in contents.pickles)
    unread_inside = any(gap.member != place.member for gap in contents.gaps)
    stops = {pickle.trace.stop.kind for pickle in contents.pickles}
    if imports or unread_inside or StopKind.LIMIT in stops:
        return contents
    gaps = (Gap(place.member, _ONLY_ITS_BEGINNING),)
    return Contents(outer.format, gaps=gaps if is_cut and StopKind.TRUNCATED in stops else ())


def _open(source: Source, found: Embedded) -> Source | None:
    if found.spelling == "bytes":
        opened = _open_bytes(source, found)
        return _bytes_of_text(opened) if is_text_of_bytes(found.head) else opened
    try:
        if found.spelling == "base64":
            text = found.head.rstrip(b"=")
            return MemorySource(base64.b64decode(text[: len(text) // 4 * 4] + _rest(text)))
        return MemorySource(bytes.fromhex(found.head[: found.size // 2 * 2].decode("ascii")))
    except ValueError:  # a long text that only begins like this
        return None


def _open_bytes(source: Source, found: Embedded) -> Source:
    if found.size == len(found.head):
        return MemorySource(found.head)
    try:
        source.read(found.offset, 1)
    except OutOfReach:
        return MemorySource(found.head)
    return WindowSource(source, found.offset, found.size)


def _bytes_of_text(source: Source) -> Source | None:
    """The bytes that `encode(text, "latin1")` makes: None of what is no such text.

    Of a very long one the beginning. What a pickle imports stands in front of its data.
    """
    text = source.read(0, MOST_TEXT)
    try:
        whole = text.decode("utf-8", "strict" if len(text) == source.size else "ignore")
        return MemorySource(whole.encode("latin-1"))
    except ValueError:
        return None


def _rest(text: bytes) -> bytes:
    """The last, incomplete group of base64 with the padding that belongs to it."""
    rest = text[len(text) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""
