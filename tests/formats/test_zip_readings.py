"""Zip archives that two loaders read differently: a payload in any reading is found, and said so."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubaudit
from hubaudit.demo.checkpoints import floats, state_dict, torch_zip
from hubaudit.formats.contents import OddityKind
from hubaudit.model import Severity, Verdict
from tests.formats.containers import INERT, PAYLOAD, zipped
from tests.formats.reading import imports, read
from tests.formats.zips import Member, archive, end_record, zip64_records

STATE = state_dict({"w": floats((3, 4), 1), "b": floats((4,), 2)})
FIRST = Member("m/version", b"3\n")
# The harmless pickle as long as the other one: a tuple's worth of bytes in a constant.
HARMLESS = b"\x80\x02X" + struct.pack("<I", len(PAYLOAD) - 8) + b"a" * (len(PAYLOAD) - 8) + b"."


def details(data: bytes, kind: OddityKind = OddityKind.DISAGREEMENT) -> list[str]:
    return [odd.detail for odd in read(data).oddities if odd.kind is kind]


def deflated(data: bytes) -> bytes:
    return Member(data=data, method=8).packed


def hidden(data: bytes = PAYLOAD, **how: Any) -> Member:
    return Member("m/data.pkl", data, is_listed=False, **how)


def inside(at: int) -> list[Member]:
    """A member that the directory says begins at byte `at`."""
    return [Member("m/data.pkl", PAYLOAD, central={"header": at}), FIRST]


def two_ends() -> bytes:
    """The second end record, in the comment of the first, leads to a directory of its own."""
    body = Member("m/data.pkl", PAYLOAD).header() + PAYLOAD
    other = len(body)
    body += Member("m/data.pkl").header() + INERT
    one = Member("m/data.pkl", PAYLOAD).entry(0)
    two = Member("m/data.pkl").entry(other)
    last = end_record(1, len(two), len(body) + len(one))
    return body + one + two + end_record(1, len(one), len(body), last) + last


def two_directories(by: str) -> bytes:
    """The zip64 record leads to one directory, the end record or the locator to another."""
    bad, good = Member("m/data.pkl", PAYLOAD), Member("m/data.pkl")
    body = bad.header() + PAYLOAD
    entries = (bad.entry(0), good.entry(len(body)))
    body += good.header() + INERT
    one, two = len(body), len(body) + len(entries[0])
    if by == "end":
        last = zip64_records(two + len(entries[1]), 1, len(entries[1]), two)
        return body + b"".join(entries) + last + end_record(1, len(entries[0]), one)
    record = zip64_records(0, 1, len(entries[0]), one)[:56]
    at = two + len(entries[1])
    last = record + zip64_records(at + 56, 1, len(entries[1]), two, place=at)
    return body + b"".join(entries) + last + end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def zip64_sizes() -> bytes:
    """Sizes that nothing refers to: some readers take them all the same."""
    whole = HARMLESS[:-1] + b"0" + PAYLOAD
    extra = struct.pack("<HHQQ", 1, 16, len(whole), len(whole))
    said = {"packed": 3, "unpacked": 3, "extra": extra}
    return archive([FIRST, Member("m/data.pkl", whole, local=said, central=said)])


def unicode_path(name: str, other: str | bytes) -> bytes:
    """The extra field that gives `other` as the name of the member `name`."""
    text = other.encode() if isinstance(other, str) else other
    field = b"\x01" + zlib.crc32(name.encode()).to_bytes(4, "little") + text
    return struct.pack("<HH", 0x7075, len(field)) + field


AMBIGUOUS: dict[str, Callable[[], bytes]] = {
    "local name": lambda: archive([FIRST, Member(data=PAYLOAD, local={"name": b"m/data.txt"})]),
    "local method": lambda: archive([FIRST, Member(data=deflated(PAYLOAD), local={"method": 8})]),
    "directory's method": lambda: archive(
        [FIRST, Member(data=PAYLOAD, method=8, local={"method": 0})]
    ),
    "local size": lambda: archive(
        [FIRST, Member(data=b"(" + PAYLOAD, central={"packed": 1, "unpacked": 1})]
    ),
    "sizes of a stored member": lambda: archive(
        [
            FIRST,
            Member(data=PAYLOAD, local={"packed": 2}, central={"packed": 2}),
        ]
    ),
    "zip64 sizes": zip64_sizes,
    "checksum": lambda: archive(
        [FIRST, Member(data=PAYLOAD, local={"crc": 1}, central={"crc": 1})]
    ),
    "local checksum": lambda: archive([FIRST, Member(data=PAYLOAD, local={"crc": 1})]),
    "checksum behind the data": lambda: archive(
        [
            FIRST,
            Member(
                data=PAYLOAD,
                local={"flags": 8, "crc": 0, "packed": 0, "unpacked": 0},
                central={"flags": 8},
                behind=b"PK\x07\x08" + struct.pack("<III", zlib.crc32(PAYLOAD), 3, 3),
            ),
        ]
    ),
    "flag of encryption": lambda: archive([FIRST, Member(data=PAYLOAD, local={"flags": 1})]),
    "both flags of encryption": lambda: archive(
        [FIRST, Member(data=PAYLOAD, local={"flags": 1}, central={"flags": 1})]
    ),
    "flag of a patch": lambda: archive(
        [FIRST, Member(data=PAYLOAD, local={"flags": 32}, central={"flags": 32})]
    ),
    "flag of strong encryption": lambda: archive(
        [FIRST, Member(data=PAYLOAD, local={"flags": 64}, central={"flags": 64})]
    ),
    "zero in a name": lambda: archive(
        [
            FIRST,
            Member(
                data=PAYLOAD,
                local={"name": b"m/data.pkl\0.txt"},
                central={"name": b"m/data.pkl\0.txt"},
            ),
        ]
    ),
    "Unicode path": lambda: archive(
        [
            FIRST,
            Member(data=PAYLOAD, central={"extra": unicode_path("m/data.pkl", "m/readme.txt")}),
        ]
    ),
    "local Unicode path": lambda: archive(
        [FIRST, Member(data=PAYLOAD, local={"extra": unicode_path("m/data.pkl", "m/ü.txt")})]
    ),
    "Unicode path that is none": lambda: archive(
        [FIRST, Member(data=PAYLOAD, central={"extra": unicode_path("m/data.pkl", b"\xff\xff")})]
    ),
    "same name": lambda: archive([FIRST, Member(data=PAYLOAD), Member()]),
    "same name but for case": lambda: archive([FIRST, Member(), Member("m/DATA.pkl", PAYLOAD)]),
    "overlapping": lambda: archive([Member("m/a", hidden().header() + PAYLOAD), *inside(33)]),
    "an archive before": lambda: archive([Member(data=PAYLOAD)]) + archive([FIRST, Member()]),
    "bytes before": lambda: archive([FIRST, Member(data=PAYLOAD)], before=b"PK\x03\x04" + bytes(9)),
    "bytes after": lambda: archive([FIRST, Member(data=PAYLOAD)], after=b"more"),
    "two end records": two_ends,
    "end record and zip64 record": lambda: two_directories("end"),
    "zip64 record and locator": lambda: two_directories("locator"),
    "number of members": lambda: archive([FIRST, Member(data=PAYLOAD)], count=1),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_payload_in_either_reading_fails_and_so_does_the_difference(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "pytorch_model.bin"
    file.write_bytes(AMBIGUOUS[name]())
    report = hubaudit.scan(file)
    assert report.verdict is Verdict.FAIL
    found = {finding.rule: finding for finding in report.findings}
    assert "os.system('true')" in found["dangerous-import"].evidence
    assert found["container-disagreement"].severity is Severity.HIGH


HIDDEN: dict[str, Callable[[], bytes]] = {
    "before the first": lambda: archive([hidden(), FIRST, Member()]),
    "between": lambda: archive([FIRST, hidden(), Member()]),
    "behind the last": lambda: archive([FIRST, Member(), hidden()]),
    "between, deflated": lambda: archive([FIRST, hidden(method=8), Member()]),
    "between, sizes behind": lambda: archive(
        [FIRST, hidden(method=8, local={"flags": 8, "packed": 0, "unpacked": 0}), Member()]
    ),
    "stored, sizes behind": lambda: archive(
        [FIRST, hidden(local={"flags": 8, "packed": 0, "unpacked": 0}), Member()]
    ),
    "after the directory": lambda: archive([FIRST, Member()], after=hidden().header() + PAYLOAD),
    "in the comment": lambda: (
        archive([FIRST, Member()])[:-2]
        + struct.pack("<H", len(hidden().header() + PAYLOAD))
        + hidden().header()
        + PAYLOAD
    ),
    "behind the end of a member by its local header": lambda: archive(
        [FIRST, Member(data=INERT + hidden().header() + PAYLOAD, local={"packed": len(INERT)})]
    ),
    "another data.pkl": lambda: archive([FIRST, Member(), Member("n/data.pkl", PAYLOAD)]),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_payload_in_a_hidden_member_fails_and_so_does_the_hiding(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "pytorch_model.bin"
    file.write_bytes(HIDDEN[name]())
    report = hubaudit.scan(file)
    assert report.verdict is Verdict.FAIL
    found = {finding.rule: finding for finding in report.findings}
    assert "os.system('true')" in found["dangerous-import"].evidence
    assert found["hidden-member"].severity is Severity.HIGH


class Pipe(io.RawIOBase):
    """A file that cannot be sought in, such as a socket."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def streamed(how: int, *, zip64: bool = False) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", how) as file:
        for name in ("a/x.pkl", "a/ü.pkl", "a/empty"):
            with file.open(name, "w", force_zip64=zip64) as member:
                member.write(INERT if name.endswith("pkl") else b"")
    return pipe.data


def appended() -> bytes:
    file = io.BytesIO(zipped({"a.pkl": INERT}))
    with zipfile.ZipFile(file, "a") as more:
        more.writestr("b.pkl", INERT)
        more.comment = b"PK is what a comment may begin with"
    return file.getvalue()


ORDINARY: dict[str, Callable[[], bytes]] = {
    "torch": lambda: torch_zip(STATE),
    "torch without checksums": lambda: without_checksums(torch_zip(STATE)),
    "stored": lambda: zipped({"a/b.pkl": INERT, "a/ü": b"text", "a/": b""}),
    "deflated": lambda: zipped({"a.pkl": INERT, "b": bytes(99)}, zipfile.ZIP_DEFLATED),
    "bzip2": lambda: zipped({"a.pkl": INERT, "b": bytes(99)}, zipfile.ZIP_BZIP2),
    "lzma": lambda: zipped({"a.pkl": INERT, "b": bytes(99)}, zipfile.ZIP_LZMA),
    "empty": lambda: zipped({}),
    "streamed": lambda: streamed(zipfile.ZIP_STORED),
    "streamed, deflated": lambda: streamed(zipfile.ZIP_DEFLATED),
    "streamed, zip64": lambda: streamed(zipfile.ZIP_DEFLATED, zip64=True),
    "appended to": appended,
    "in one another": lambda: zipped({"a": zipped({"b": zipped({"c.pkl": INERT})})}),
    "Unicode paths": lambda: archive(
        [
            Member("#U00fc.txt", central={"extra": unicode_path("#U00fc.txt", "ü.txt")}),
            Member("a.txt", local={"extra": unicode_path("a.txt", "a.txt")}),
            Member("b.txt", local={"extra": unicode_path("of another name", "c.pkl")}),
        ]
    ),
    "names that differ by case": lambda: zipped({"W.npy": b"", "w.npy": b""}),
    "padded": lambda: archive([FIRST, Member()], after=bytes(100)),
    "once split": lambda: archive([FIRST, Member()], before=b"PK00"),
    "aligned": lambda: archive([Member("m/version", b"3\n", behind=bytes(60)), Member()]),
}


def without_checksums(data: bytes) -> bytes:
    """As torch writes it after `torch.serialization.set_crc32_options(False)` (seen with 2.13)."""
    changed = bytearray(data)
    for magic, at in ((b"PK\x07\x08", 4), (b"PK\x01\x02", 16)):
        place = data.find(magic)
        while place >= 0:
            changed[place + at : place + at + 4] = bytes(4)
            place = data.find(magic, place + 1)
    return bytes(changed)


@pytest.mark.parametrize("name", ORDINARY)
def test_what_ordinary_writers_write_is_not_odd(name: str) -> None:
    contents = read(ORDINARY[name]())
    assert not contents.oddities
    assert not contents.gaps
    assert not contents.trailing


def test_an_archive_without_a_directory_is_read_by_its_headers() -> None:
    contents = read(archive([FIRST, Member(data=PAYLOAD)])[:-60])
    assert ("os", "system") in imports(contents)
    assert "no end record" in contents.gaps[0].why
    assert not contents.oddities


def test_each_difference_is_named_with_both_sides() -> None:
    said = {"name": b"m/x", "method": 8, "crc": 1, "packed": 5, "unpacked": 7, "flags": 64}
    found = " ".join(details(archive([FIRST, Member(local=said)])))
    for word in ("the name m/x there, the name m/data.pkl in the directory", "method 8 there"):
        assert word in found
    for word in ("5 packed", "7 unpacked", "checksum 00000001", "flags 0x0040"):
        assert word in found


def test_an_encrypted_member_that_is_none_is_a_gap_and_no_broken_pickle() -> None:
    noise = bytes(range(256))
    said = {"flags": 1}
    contents = read(archive([FIRST, Member(data=noise, local=said, central=said)]))
    assert "encrypted" in contents.gaps[0].why
    assert not contents.pickles
    assert not contents.oddities


def test_bytes_that_no_member_accounts_for_are_trailing() -> None:
    data = archive([Member("m/version", b"3\n", behind=b"what"), Member()])
    assert [(t.offset, t.size) for t in read(data).trailing] == [(41, 4)]


@pytest.mark.parametrize("name", ["../x", "/x", "C:\\x", "a/..\\..\\x"])
def test_a_path_that_leads_out_is_said(name: str) -> None:
    assert "leads out" in details(archive([FIRST, Member(name)]), OddityKind.LEADS_OUT)[0]
    assert not read(archive([FIRST, Member("a..b/x")])).oddities


@pytest.mark.parametrize(
    ("target", "out"), [(b"../../x", 1), (b"/etc", 1), (b"../x", 0), (b"y", 0)]
)
def test_a_link_out_of_the_archive_is_said(target: bytes, out: int) -> None:
    link = Member("a/x", target, central={"attributes": 0o120777 << 16})
    assert len(details(archive([FIRST, link]), OddityKind.LEADS_OUT)) == out


def test_the_code_of_torchscript_and_of_packages_is_counted() -> None:
    script = {"m/data.pkl": INERT, "m/constants.pkl": INERT, "m/code/a.py": b"", "m/code/b.py": b""}
    assert details(zipped(script), OddityKind.TORCHSCRIPT_CODE) == ["2 files"]
    package = {"p/.data/extern_modules": b"torch\n", "p/a.py": b"", "p/model/model.pkl": INERT}
    assert details(zipped(package), OddityKind.PACKAGE_CODE) == ["1 file"]
    assert not read(zipped({"a.py": b"", "b.pkl": INERT})).oddities


def test_storages_are_numbers_only_beside_their_pickle() -> None:
    packed = zipped({"x.pkl": PAYLOAD}, zipfile.ZIP_DEFLATED)
    assert ("os", "system") in imports(read(zipped({"my/data/x.zip": packed})))
    assert not imports(read(zipped({"m/data.pkl": INERT, "m/data/0": packed})))


def test_a_thousand_hidden_members_are_counted_and_not_listed(tmp_path: Path) -> None:
    file = tmp_path / "model.zip"
    file.write_bytes(archive([FIRST, *[hidden(INERT)] * 1100, Member()]))
    report = hubaudit.scan(file)
    found = [finding for finding in report.findings if finding.rule == "hidden-member"]
    assert len(found) == 21
    assert found[-1].message == "980 more of this kind"
    assert any("too many bytes" in unread.why for unread in report.unread)


def test_members_over_each_other_are_read_again_up_to_a_limit() -> None:
    big = Member("m/0", INERT + bytes(3 << 20))
    others = [
        Member(f"m/{n}", b"", central={"header": 0, "packed": len(big.data)}) for n in range(1, 9)
    ]
    gaps = [gap.why for gap in read(archive([big, *others])).gaps]
    assert any("15 of its members are too much, together" in why for why in gaps)


@pytest.mark.parametrize(
    ("name", "before", "verdict"),
    [
        ("x.pkl.zip", b"some text\n" * 1000, Verdict.FAIL),
        ("x.txt", b"some text\n", Verdict.FAIL),  # all of it is at hand with its first bytes
        ("x.txt", b"some text\n" * 1000, Verdict.PASS),
    ],
)
def test_an_archive_behind_other_bytes_is_read_where_the_name_promises_a_pickle_or_it_costs_nothing(
    name: str, before: bytes, verdict: Verdict, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(before + archive([Member(data=PAYLOAD)]))
    report = hubaudit.scan(tmp_path / name)
    assert report.verdict is verdict
    assert bool(report.globals) == (verdict is Verdict.FAIL)


def test_a_text_that_only_speaks_of_end_records_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"An archive ends in PK\x05\x06 and more.\n")
    assert hubaudit.scan(tmp_path).verdict is Verdict.PASS


def test_of_a_great_many_members_with_pickles_not_all_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hubaudit.formats.zip.MAX_PICKLED", 5)
    contents = read(archive([Member(f"{n}") for n in range(9)]))
    assert len(contents.pickles) == 5
    assert "4 of its members are too much" in contents.gaps[0].why
