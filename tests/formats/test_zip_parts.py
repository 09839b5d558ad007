"""Archives one after the other: each is read as its own, and only where nobody reads them otherwise."""

from __future__ import annotations

import struct
from pathlib import Path

import hubaudit
from hubaudit.demo.checkpoints import floats, state_dict, torch_zip
from hubaudit.formats.contents import Contents, Format, OddityKind
from hubaudit.formats.read import read_file
from hubaudit.model import Verdict
from hubaudit.source.memory import MemorySource
from tests.formats.containers import PAYLOAD
from tests.formats.zips import Member, archive

FIRST = torch_zip(state_dict({"w": floats((3, 4), 1)}))
SECOND = torch_zip(state_dict({"b": floats((400,), 2)}))
EVIL = archive([Member("m/data.pkl", PAYLOAD), Member("m/version", b"3\n")])


def read(*parts: bytes) -> Contents:
    return read_file(MemorySource(b"".join(parts)))


def kinds(contents: Contents) -> set[OddityKind]:
    return {odd.kind for odd in contents.oddities}


def test_each_archive_is_read_at_its_own_offset() -> None:
    found = read(FIRST, SECOND, FIRST)
    starts = 0, len(FIRST), len(FIRST) + len(SECOND)
    members = [f"@{start}/archive/data.pkl" for start in starts]
    assert [pickle.member for pickle in found.pickles] == members
    assert all(pickle.trace.complete for pickle in found.pickles)
    assert found.format is Format.TORCH_ZIP
    assert kinds(found) == {OddityKind.SEVERAL}
    assert not found.gaps


def test_hundreds_of_archives_are_read_though_their_end_records_stand_close_together() -> None:
    found = read(*[FIRST] * 300)
    assert len(found.pickles) == 300
    assert kinds(found) == {OddityKind.SEVERAL}
    assert not found.gaps


def test_a_payload_in_any_of_the_archives_is_found(tmp_path: Path) -> None:
    path = tmp_path / "__0_0.distcp"
    for parts in ((EVIL, FIRST), (FIRST, EVIL, SECOND), (FIRST, EVIL)):
        path.write_bytes(b"".join(parts))
        assert hubaudit.scan(path).verdict is Verdict.FAIL


def test_archives_with_anything_between_them_are_one_that_loaders_read_differently() -> None:
    for between in (PAYLOAD, b"\0"):
        found = read(FIRST, between, SECOND)
        assert OddityKind.DISAGREEMENT in kinds(found)
        assert OddityKind.SEVERAL not in kinds(found)


def test_only_a_distributed_checkpoint_may_hold_several_archives(tmp_path: Path) -> None:
    shard, model = tmp_path / "__0_0.distcp", tmp_path / "pytorch_model.bin"
    for path in (shard, model):
        path.write_bytes(FIRST + SECOND)
    assert hubaudit.scan(shard).verdict is Verdict.PASS
    found = hubaudit.scan(model)
    assert found.verdict is Verdict.FAIL
    assert "container-disagreement" in {finding.rule for finding in found.findings}


def test_a_directory_that_only_the_whole_file_has_is_no_part() -> None:
    """The last end record's offset, counted from the file's beginning, leads into the first archive."""
    last = archive([Member("m/data.pkl"), Member("m/version", b"3\n")])
    (offset,) = struct.unpack("<I", last[-6:-2])
    hidden = Member("m/data.pkl", PAYLOAD)
    room = 200
    header = Member("m/data.pkl", b"", local={"name": b"m/data.pkl"}).header()
    assert offset + room > len(header)
    listed = hidden.entry(offset + room)
    body = hidden.header() + PAYLOAD
    storage = b"\0" * (offset - len(header)) + listed.ljust(room, b"\0") + body
    # one member, whose data begins right behind its header: byte `offset` is in the storage
    first = archive([Member("m/data.pkl", storage)])
    assert first[offset : offset + 4] == b"PK\x01\x02"
    found = read(first, last)
    assert OddityKind.SEVERAL not in kinds(found)
    assert OddityKind.DISAGREEMENT in kinds(found)
    assert any(("os", "system") in pickle.trace.imports for pickle in found.pickles)
