"""Tar archives: what tarfile sees, what it passes over, and what leads out."""

from __future__ import annotations

import io
import tarfile

import pytest

from hubaudit.demo.assemble import assemble
from hubaudit.formats.contents import Contents, Format, OddityKind
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from tests.formats.containers import INERT, PAYLOAD, tarred, torch_tar
from tests.formats.reading import imports, read


def one(kind: bytes, name: str = "a", link: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        archive.addfile(info)
    return file.getvalue()


def test_members_have_their_paths() -> None:
    contents = read(tarred({"a/b": INERT, "inner.tar": tarred({"c": INERT})}))
    assert [pickle.member for pickle in contents.pickles] == ["a/b", "inner.tar/c"]
    assert not contents.gaps
    assert not contents.trailing


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "C:/x", "a\\..\\x", "\\\\host\\x"])
def test_a_path_that_leads_out_is_odd_and_its_member_is_read(name: str) -> None:
    contents = read(tarred({name: PAYLOAD}))
    assert [odd.kind for odd in contents.oddities] == [OddityKind.LEADS_OUT]
    assert ("os", "system") in imports(contents)


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_devices_are_gaps(kind: bytes) -> None:
    assert len(read(one(kind)).gaps) == 1


@pytest.mark.parametrize(
    ("kind", "name", "link"),
    [
        (tarfile.SYMTYPE, "a", "/etc/passwd"),
        (tarfile.SYMTYPE, "a/b", "../../x"),
        (tarfile.SYMTYPE, "a", "C:\\x"),
        (tarfile.LNKTYPE, "a/b", "../x"),
    ],
)
def test_a_link_out_of_the_archive_is_odd(kind: bytes, name: str, link: str) -> None:
    contents = read(one(kind, name, link))
    assert [odd.member for odd in contents.oddities] == [name]
    assert not contents.gaps


@pytest.mark.parametrize(
    ("kind", "name", "link"),
    [
        (tarfile.SYMTYPE, "a", "b"),
        (tarfile.SYMTYPE, "a/b", "../x"),
        (tarfile.LNKTYPE, "a/b", "x"),
    ],
)
def test_a_link_inside_the_archive_is_nothing(kind: bytes, name: str, link: str) -> None:
    assert read(one(kind, name, link)) == Contents(Format.TAR)


def test_a_path_through_a_link_of_the_archive_is_odd() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, kind in (("a", tarfile.SYMTYPE), ("./a/b", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "."
            archive.addfile(info)
    assert "goes through a link" in read(file.getvalue()).oddities[0].detail


def test_a_link_with_data_is_a_gap() -> None:
    data = bytearray(one(tarfile.LNKTYPE, "a", "b"))
    data[124:136] = b"00000000010\0"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert "link with data" in read(bytes(data)).gaps[0].why


def test_folders_are_nothing() -> None:
    assert read(one(tarfile.DIRTYPE)) == Contents(Format.TAR)


def test_a_member_of_an_unknown_type_is_a_file_as_it_is_for_tarfile() -> None:
    data = bytearray(tarred({"a": PAYLOAD}, tarfile.USTAR_FORMAT))
    data[156] = ord("Z")
    info = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    data[148:156] = b"%06o\0 " % info
    assert ("os", "system") in imports(read(bytes(data)))


def test_what_follows_the_end_of_an_archive_is_a_gap() -> None:
    data = tarred({"a": INERT})
    assert "behind its end" in read(data + tarred({"b": PAYLOAD})).gaps[0].why


def test_an_archive_without_an_end_is_cut_off() -> None:
    assert "no end" in read(tarred({"a": INERT})[:1024]).gaps[0].why


def test_a_header_that_is_none_hides_nothing() -> None:
    data = bytearray(tarred({"a": INERT, "b": PAYLOAD}))
    data[1024 + 150] ^= 1
    assert read(bytes(data)).gaps


@pytest.mark.parametrize("size", [b"\x80" + bytes(3) + b"\x7f" * 8, b"\xff" * 12, b"77777777777\0"])
def test_a_size_that_cannot_be_is_a_gap(size: bytes) -> None:
    data = bytearray(tarred({"a": PAYLOAD}, tarfile.USTAR_FORMAT))
    data[124:136] = size
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert read(bytes(data)).gaps


def test_headers_that_lead_to_headers_for_ever_are_a_gap() -> None:
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 3
    block = long_name.tobuf(tarfile.GNU_FORMAT) + b"ab\0".ljust(512, b"\0")
    assert read(block * 5000).gaps


def test_a_tar_that_is_a_pickle_as_well_is_read_as_both() -> None:
    """torch.load takes it for a tar, pickle.load for a pickle."""
    name = assemble(("PROTO", 2), "NONE", "STOP").decode("latin-1")
    data = bytearray(tarred({"x": b"", "pickle": PAYLOAD}, tarfile.USTAR_FORMAT))
    data[: len(name)] = name.encode("latin-1")
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert sniff(bytes(data[:HEAD_SIZE]), len(data)) is Format.PICKLE
    assert ("os", "system") in imports(read(bytes(data)))


def test_a_pickle_in_the_name_of_a_member_is_found() -> None:
    name = "cos\nsystem\n(S'true'\ntR."
    assert ("os", "system") in imports(read(tarred({name: b"text"}, tarfile.USTAR_FORMAT)))


def test_the_oldest_torch_format_is_pickles_with_numbers_between_them() -> None:
    contents = read(torch_tar())
    members = [pickle.member for pickle in contents.pickles]
    assert members == ["storages"] * 3 + ["tensors"] * 2 + ["pickle"]
    assert not contents.gaps
    assert not contents.trailing


def test_a_payload_behind_the_storages_is_found() -> None:
    storage = assemble(
        *(("BININT1", 7), ("BINUNICODE", "cpu"), ("GLOBAL", "torch", "ByteStorage"), "TUPLE3"),
        *("STOP", (1 << 40).to_bytes(8, "little")),
    )
    assert read(torch_tar(storage=storage)).gaps
