"""torch's own containers: the zip archive and what came before it."""

from __future__ import annotations

import io
import pickle
import zipfile

import pytest

from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.demo.checkpoints import floats, state_dict, torch_legacy, torch_zip
from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.read import read_contents
from hubaudit.formats.sniff import sniff
from hubaudit.formats.torch_legacy import read_torch_legacy
from hubaudit.formats.torch_storage import storages_of
from hubaudit.source.memory import MemorySource
from tests.formats.containers import zipped
from tests.formats.reading import imports

MAGICS = (
    b"\x1f\x8b\x08\x00",
    b"PK\x03\x04",
    b"\x93NUMPY\x01\x00",
    b"\x78\x9c",
    b"7z\xbc\xaf\x27\x1c",
)
STATE = state_dict({"w": floats((3, 4), 1), "b": floats((4,), 2)})
PAYLOAD: tuple[Instruction, ...] = (
    ("PROTO", 2),
    ("GLOBAL", "os", "system"),
    ("BINUNICODE", "true"),
    "TUPLE1",
    "REDUCE",
    "STOP",
)


def unzip(data: bytes) -> Contents:
    return read_contents(MemorySource(data), Format.ZIP)


def test_a_torch_checkpoint_is_one_pickle_and_its_storages() -> None:
    contents = unzip(torch_zip(STATE))
    assert contents.format is Format.TORCH_ZIP
    assert [pickle.member for pickle in contents.pickles] == ["archive/data.pkl"]
    trace = contents.pickles[0].trace
    assert [(s.key, s.kind, s.count) for s in storages_of(trace)] == [
        ("0", "FloatStorage", 12),
        ("1", "FloatStorage", 4),
    ]
    assert not contents.gaps
    assert not contents.trailing


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@pytest.mark.parametrize(
    "name", ["archive/data.pkl", "a/b/data.pkl", "notes.txt", "archive/data/0"]
)
def test_a_pickle_is_found_in_any_member_by_any_compression(name: str, how: int) -> None:
    contents = unzip(zipped({"readme": b"hello", name: assemble(*PAYLOAD)}, how))
    assert ("os", "system") in imports(contents)


def test_constants_make_it_torchscript() -> None:
    empty = assemble(("PROTO", 2), "EMPTY_TUPLE", "STOP")
    contents = unzip(zipped({"m/data.pkl": empty, "m/constants.pkl": empty}))
    assert contents.format is Format.TORCHSCRIPT
    assert len(contents.pickles) == 2


def test_a_zip_that_is_cut_off_is_a_gap() -> None:
    data = torch_zip(STATE)
    assert unzip(data[: len(data) // 2]).gaps


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_but_for_case_are_odd() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", assemble("NONE", "STOP"))
        archive.writestr("archive/DATA.pkl", assemble(*PAYLOAD))
    contents = unzip(file.getvalue())
    assert [odd.member for odd in contents.oddities] == ["archive/data.pkl"]
    assert ("os", "system") in imports(contents)


def test_an_encrypted_member_is_a_gap() -> None:
    data = bytearray(zipped({"archive/data.pkl": assemble(*PAYLOAD)}))
    central = data.rfind(b"PK\x01\x02")
    data[6] |= 1
    data[central + 8] |= 1
    assert "encrypted" in unzip(bytes(data)).gaps[0].why


def test_an_archive_in_an_archive_is_read() -> None:
    contents = unzip(zipped({"inner.zip": zipped({"a.pkl": assemble(*PAYLOAD)})}))
    assert [pickle.member for pickle in contents.pickles] == ["inner.zip/a.pkl"]
    assert not contents.gaps


def test_archives_are_read_three_deep() -> None:
    data = assemble(*PAYLOAD)
    for depth in range(1, 5):
        data = zipped({f"{depth}": data})
        contents = unzip(data)
        assert bool(contents.pickles) == (depth <= 3)
        assert bool(contents.gaps) == (depth > 3)
    assert contents.gaps[0].member == "4/3/2"


def test_a_member_that_unpacks_to_another_size_than_said_is_a_gap() -> None:
    data = bytearray(zipped({"a.pkl": assemble("NONE", "STOP")}, zipfile.ZIP_DEFLATED))
    central = data.rfind(b"PK\x01\x02")
    data[central + 24 : central + 28] = (4_000_000_000).to_bytes(4, "little")
    assert "4,000,000,000" in unzip(bytes(data)).gaps[0].why


def test_members_that_overlap_are_odd_and_all_are_read() -> None:
    data = bytearray(zipped({"a.pkl": assemble(*PAYLOAD), "b.pkl": assemble("NONE", "STOP")}))
    central = data.rfind(b"PK\x01\x02")
    data[central + 42 : central + 46] = bytes(4)
    contents = unzip(bytes(data))
    assert "1 of its members begin inside others" in [odd.detail for odd in contents.oddities]
    assert ("os", "system") in imports(contents)


@pytest.mark.parametrize("name", ["a.npy", "b.gz", "c.7z", "d.lz4", "e.zst"])
def test_a_member_of_a_format_that_can_hold_a_pickle_is_read_or_a_gap(name: str) -> None:
    magic = {
        "a.npy": b"\x93NUMPY\x01\x00",
        "b.gz": b"\x1f\x8b\x08\x00",
        "c.7z": b"7z\xbc\xaf\x27\x1c",
        "d.lz4": b"\x04\x22\x4d\x18",
        "e.zst": b"\x28\xb5\x2f\xfd",
    }
    contents = unzip(zipped({name: magic[name] + b"\xff" * 50}))
    assert [(gap.member or "").partition("/")[0] for gap in contents.gaps] == [name]


def test_storages_that_begin_like_archives_are_numbers_all_the_same() -> None:
    empty = assemble(("PROTO", 2), "EMPTY_TUPLE", "STOP")
    storages = {f"m/data/{n}": data + b"\xff" * 50 for n, data in enumerate(MAGICS)}
    assert not unzip(zipped({"m/data.pkl": empty, **storages})).gaps


def test_a_member_that_reaches_beyond_the_file_is_a_gap() -> None:
    data = bytearray(zipped({"a.pkl": b"\x00" * 1000}))
    central = data.rfind(b"PK\x01\x02")
    data[central + 20 : central + 28] = (100_000).to_bytes(4, "little") * 2
    assert unzip(bytes(data)).gaps


def test_a_legacy_checkpoint_is_five_pickles_and_its_storages() -> None:
    contents = read_torch_legacy(MemorySource(torch_legacy(STATE)))
    assert len(contents.pickles) == 5
    assert not contents.gaps
    assert not contents.trailing


def test_what_hides_behind_the_storages_of_a_legacy_checkpoint_is_trailing() -> None:
    data = torch_legacy(STATE)
    contents = read_torch_legacy(MemorySource(data + b"\xff" * 5))
    assert [(t.offset, t.size) for t in contents.trailing] == [(len(data), 5)]


def test_a_second_checkpoint_behind_the_storages_is_read_too() -> None:
    contents = read_torch_legacy(MemorySource(torch_legacy(STATE) + torch_legacy(STATE)))
    assert len(contents.pickles) == 10
    armed = read_torch_legacy(MemorySource(torch_legacy(STATE) + assemble(*PAYLOAD)))
    assert ("os", "system") in imports(armed)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_the_magic_number_is_known_in_every_protocol(protocol: int) -> None:
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol)
    assert sniff(magic + b"rest", 1000) is Format.TORCH_LEGACY


def test_a_legacy_checkpoint_cut_off_anywhere_is_a_gap() -> None:
    data = torch_legacy(STATE)
    for end in range(16, len(data), 7):
        assert read_torch_legacy(MemorySource(data[:end])).gaps, end


def test_an_archive_behind_a_pickle_is_read_too() -> None:
    data = assemble(("PROTO", 2), "NONE", "STOP") + zipped({"a.pkl": assemble(*PAYLOAD)})
    contents = read_contents(MemorySource(data), Format.PICKLE)
    assert ("os", "system") in imports(contents)


@pytest.mark.parametrize("properties", [44, 224, 255])
def test_lzma_properties_that_liblzma_refuses_are_a_gap(properties: int) -> None:
    data = bytearray(zipped({"a.pkl": assemble(*PAYLOAD)}, zipfile.ZIP_LZMA))
    data[30 + 5 + 4] = properties
    assert "damaged" in unzip(bytes(data)).gaps[0].why
