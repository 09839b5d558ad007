"""What the extra `archives` opens, and what is said without it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import py7zr
import pytest
from backports import zstd

import hubaudit
from hubaudit.demo.assemble import assemble
from hubaudit.model import RepoReport, Verdict

ARMED = assemble(
    *(("PROTO", 2), ("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP")
)
HARMLESS = assemble(("PROTO", 4), ("BINBYTES", b"ab" * 50_000), "STOP")


def seven_zip(data: bytes, name: str = "a.pkl") -> bytes:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w") as archive:
        archive.writestr(data, name)
    return file.getvalue()


Pack = Callable[[bytes], bytes]
PACKED: dict[str, Pack] = {"zst": zstd.compress, "lz4": lz4.frame.compress, "7z": seven_zip}
KINDS = pytest.mark.parametrize("kind", PACKED)


def scan(tmp_path: Path, data: bytes, name: str = "model.bin") -> RepoReport:
    path = tmp_path / name
    path.write_bytes(data)
    return hubaudit.scan(path)


@KINDS
def test_a_payload_inside_fails_and_is_shown(tmp_path: Path, kind: str) -> None:
    report = scan(tmp_path, PACKED[kind](ARMED))
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].evidence == "os.system('true')"


@KINDS
def test_an_ordinary_pickle_inside_passes(tmp_path: Path, kind: str) -> None:
    assert scan(tmp_path, PACKED[kind](HARMLESS)).verdict is Verdict.PASS


@KINDS
def test_cut_anywhere_it_never_passes(tmp_path: Path, kind: str) -> None:
    data = PACKED[kind](HARMLESS)
    for end in range(8, len(data) - 1, max(1, len(data) // 40)):
        assert scan(tmp_path, data[:end]).verdict is not Verdict.PASS, end


@KINDS
def test_damaged_anywhere_it_ends_in_a_verdict(tmp_path: Path, kind: str) -> None:
    data = PACKED[kind](ARMED)
    for place in range(6, len(data), max(1, len(data) // 60)):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        assert scan(tmp_path, bytes(damaged)).verdict in Verdict


@KINDS
def test_without_the_extra_it_is_incomplete_and_the_extra_is_named(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("backports.zstd", "backports", "lz4", "lz4.frame", "py7zr", "py7zr.io"):
        monkeypatch.setitem(sys.modules, module, None)
    report = scan(tmp_path, PACKED[kind](ARMED))
    assert report.verdict is Verdict.INCOMPLETE
    assert "hubaudit[archives]" in report.unread[0].why


@KINDS
def test_a_bomb_is_not_unpacked(tmp_path: Path, kind: str) -> None:
    zeros = assemble(("PROTO", 4), ("BINBYTES8", b"\0" * (80 << 20)), "STOP")
    report = scan(tmp_path, PACKED[kind](zeros))
    assert report.verdict is (Verdict.INCOMPLETE if kind == "7z" else Verdict.PASS)


def test_every_member_of_a_7z_is_read_and_named(tmp_path: Path) -> None:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w") as archive:
        archive.writestr(b"hello", "readme.txt")
        archive.writestr(ARMED, "deep/b.pkl")
    report = scan(tmp_path, file.getvalue(), "x.7z")
    assert report.findings[0].member == "deep/b.pkl"


def test_an_encrypted_7z_is_incomplete(tmp_path: Path) -> None:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w", password="secret") as archive:
        archive.writestr(ARMED, "a.pkl")
    assert scan(tmp_path, file.getvalue()).verdict is Verdict.INCOMPLETE
