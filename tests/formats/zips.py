"""Zip archives in which every record says what a test wants it to say."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.formats.containers import INERT


@dataclass
class Member:
    """A stored or, by `method` 8, deflated member. `local` and `central` replace what its headers say.

    Keys: name, flags, method, crc, packed, unpacked, extra; in `central` also header and attributes.
    """

    name: str = "m/data.pkl"
    data: bytes = INERT
    method: int = 0
    local: dict[str, Any] = field(default_factory=dict)
    central: dict[str, Any] = field(default_factory=dict)
    behind: bytes = b""  # its data
    is_listed: bool = True

    @property
    def packed(self) -> bytes:
        if self.method != 8:
            return self.data
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()

    def said(self, what: dict[str, Any]) -> dict[str, Any]:
        honest = {
            "name": self.name.encode(),
            "flags": 0,
            "method": self.method,
            "crc": zlib.crc32(self.data),
            "packed": len(self.packed),
            "unpacked": len(self.data),
            "extra": b"",
            "attributes": 0,
        }
        return honest | what

    def header(self) -> bytes:
        says = self.said(self.local)
        numbers = (
            says["flags"],
            says["method"],
            0,
            0,
            says["crc"],
            says["packed"],
            says["unpacked"],
        )
        sizes = (len(says["name"]), len(says["extra"]))
        fixed = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, *numbers, *sizes)
        return fixed + bytes(says["name"]) + bytes(says["extra"])

    def entry(self, at: int) -> bytes:
        says = {"header": at} | self.said(self.central)
        numbers = (
            says["flags"],
            says["method"],
            0,
            0,
            says["crc"],
            says["packed"],
            says["unpacked"],
        )
        rest = (len(says["name"]), len(says["extra"]), 0, 0, 0, says["attributes"], says["header"])
        fixed = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 788, 20, *numbers, *rest)
        return fixed + bytes(says["name"]) + bytes(says["extra"])


def archive(
    members: Sequence[Member], *, before: bytes = b"", after: bytes = b"", count: int | None = None
) -> bytes:
    """`before` and `after` the archive: its offsets do not count them. `count`: its end record's."""
    body, directory = b"", b""
    for member in members:
        if member.is_listed:
            directory += member.entry(len(body))
        body += member.header() + member.packed + member.behind
    said = sum(member.is_listed for member in members) if count is None else count
    return before + body + directory + end_record(said, len(directory), len(body)) + after


def end_record(count: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    numbers = (count, count, size, offset, len(comment))
    return b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, *numbers) + comment


def zip64_records(at: int, count: int, size: int, offset: int, place: int | None = None) -> bytes:
    """For a directory that ends at byte `at`. `place` is where the locator says they are."""
    record = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<IQI", 0, at if place is None else place, 1)
    return b"PK\x06\x06" + record + b"PK\x06\x07" + locator
