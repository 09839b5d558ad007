"""Pickles inside a pickle: as bytes, or spelled out in base64 or hexadecimal digits.

They are data to the unpickler, and a program to whoever hands them to another one: a function that the
pickle calls, or the code that uses what was loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MOST = 1000  # of them are noted in one pickle; ordinary ones have none or a few
HEAD_SIZE = (
    16 * 1024
)  # bytes of each that are kept; what a pickle imports stands in front of its data

# PROTO 2 to 5: `80 02` to `80 05`. In base64 that is `gA` and a letter that depends on the next byte.
_BASE64 = re.compile(rb"gA[I-X][A-Za-z0-9+/]{13,}={0,2}")
_HEXADECIMAL = re.compile(rb"800[2-5](?:[0-9a-fA-F]{2}){6,}")
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
# Protocol 2 has no bytes: it writes the text that `encode(text, "latin1")` makes them of, in UTF-8.
_AS_TEXT = tuple(b"\xc2" + beginning for beginning in _PICKLES)
_BEGINNINGS = (*_PICKLES, *_AS_TEXT, b"PK\x03\x04")

Spelling = Literal["bytes", "base64", "hexadecimal"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """`size` bytes at `offset` of the source that spell a pickle, or an archive that may hold one.

    `head` is their beginning, for a source that cannot go back: a compressed one.
    """

    offset: int
    size: int
    spelling: Spelling
    head: bytes


def begins_as_file(payload: bytes) -> bool:
    """Whether bytes begin as a pickle that says its protocol, as text of one, or as a zip archive."""
    return payload.startswith(_BEGINNINGS)


def is_pickle(payload: bytes) -> bool:
    """Whether they begin as a pickle, as it is or as text."""
    return payload.startswith((*_PICKLES, *_AS_TEXT))


def is_text_of_bytes(payload: bytes) -> bool:
    """Whether they begin as a pickle does that is written as text, each byte one character."""
    return payload.startswith(_AS_TEXT)


def spelled_out(buffer: bytes) -> Iterator[tuple[int, int, Spelling]]:
    """Begin and end (not included) of each text in `buffer` that spells a pickle."""
    yield from ((*found, "base64") for found in _matches(_BASE64, b"gA", buffer))
    yield from ((*found, "hexadecimal") for found in _matches(_HEXADECIMAL, b"800", buffer))


def _matches(
    pattern: re.Pattern[bytes], beginning: bytes, buffer: bytes
) -> Iterator[tuple[int, int]]:
    """By `find` from one beginning to the next: on numbers that is far quicker than `finditer`."""
    at = buffer.find(beginning)
    while at >= 0:
        match = pattern.match(buffer, at)
        if match is not None:
            yield match.span()
        at = buffer.find(beginning, match.end() if match is not None else at + 1)
