"""Pickles behind other bytes: found where a name or a format makes somebody look there, and nowhere else."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import hubaudit
from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.demo.checkpoints import floats, state_dict, torch_legacy
from hubaudit.formats import buried, place
from hubaudit.formats.buried import read_buried
from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.place import MAX_SEARCHED_REMOTE, Effort
from hubaudit.formats.read import read_file, read_promised
from hubaudit.formats.sniff import HEAD_SIZE
from hubaudit.formats.torch_legacy import read_torch_legacy
from hubaudit.model import Verdict
from hubaudit.source.memory import MemorySource
from hubaudit.source.remote import RemoteSource
from tests.formats.containers import INERT, PAYLOAD, npy, zipped
from tests.formats.reading import imports

SYSTEM = ("os", "system")
# Each way to import and call, with and without a PROTO before it.
ATTACKS: dict[str, tuple[Instruction, ...]] = {
    "GLOBAL": (("GLOBAL", *SYSTEM), "MARK", ("STRING", "'true'"), "TUPLE", "REDUCE", "STOP"),
    "GLOBAL, no end": (("GLOBAL", *SYSTEM), "MARK", ("STRING", "'true'"), "TUPLE", "REDUCE"),
    "INST": ("MARK", ("STRING", "'(true)'"), ("INST", *SYSTEM), "STOP"),
    "OBJ": ("MARK", ("GLOBAL", *SYSTEM), ("STRING", "'true'"), "OBJ", "STOP"),
    "argument first": (
        *(("STRING", "'true'"), ("PUT", 0), "POP", ("GLOBAL", *SYSTEM), ("GET", 0)),
        *("TUPLE1", "REDUCE", "STOP"),
    ),
    "STACK_GLOBAL": (
        *(("SHORT_BINUNICODE", "os"), "MEMOIZE", ("SHORT_BINUNICODE", "system"), "STACK_GLOBAL"),
        *(("SHORT_BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP"),
    ),
    "STACK_GLOBAL, long texts": (
        *(("BINUNICODE", "os"), ("BINUNICODE", "system"), "STACK_GLOBAL", "EMPTY_TUPLE"),
        *("REDUCE", "STOP"),
    ),
    "PROTO": (("PROTO", 4), ("GLOBAL", *SYSTEM)),
    "PROTO, memo": (
        *(("PROTO", 4), ("SHORT_BINUNICODE", "system"), "MEMOIZE", ("SHORT_BINUNICODE", "os")),
        *("MEMOIZE", "EMPTY_LIST", ("BINGET", 1), ("BINGET", 0), "STACK_GLOBAL"),
    ),
}
GARBAGE = {
    "a blank line": b"\n",
    "a byte order mark": b"\xef\xbb\xbf",
    "HTML": b"<!doctype html>\n<html><body>\n",
    "a script": b"#!/usr/bin/env python\n",
    "zeros": bytes(5000),
    "noise": b"\xff" + Random(1).randbytes(5000),
    "an image": b"\x89PNG\r\n\x1a\n" + bytes(100),
}
NOT_OPCODES = b"\xff\xfe\xff"


def promised(data: bytes) -> Contents:
    return read_promised(MemorySource(data))


def searched(data: bytes) -> Contents:
    return read_buried(MemorySource(data), None, 0, len(data), Effort())


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_payload_behind_garbage_is_found_once(
    attack: tuple[Instruction, ...], garbage: bytes
) -> None:
    contents = promised(garbage + assemble(*attack) + NOT_OPCODES)
    assert SYSTEM in imports(contents)
    assert len(contents.pickles) == 1


BEFORE = {
    "a pickle and zeros": INERT + bytes(100),
    "a pickle and noise": INERT + NOT_OPCODES,
    "a pickle that breaks": assemble(("PROTO", 2), ("GLOBAL", "collections", "OrderedDict"))
    + NOT_OPCODES,
    "a pickle with a length that lies": b"\x80\x02X\xff\xff\xff\x7f",
    "a legacy checkpoint": torch_legacy(state_dict({"w": floats((3, 4), 1)})) + NOT_OPCODES,
    "an array": npy("'<f8'", (1,), bytes(8)) + NOT_OPCODES,
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_a_payload_behind_what_no_pickle_accounts_for_is_found_whatever_the_name(
    before: bytes,
) -> None:
    assert SYSTEM in imports(read_file(MemorySource(before + PAYLOAD)))


def test_what_is_found_fails_the_file_and_says_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"<html>\n" + PAYLOAD)
    report = hubaudit.scan(tmp_path)
    assert report.verdict is Verdict.FAIL
    call = 7 + PAYLOAD.index(b"R.")
    assert ("dangerous-import", call) in [(one.rule, one.offset) for one in report.findings]


def test_garbage_before_a_pickle_does_not_help_in_compressed_files_and_archives() -> None:
    for data in (gzip.compress(b"\n" + PAYLOAD), zipped({"m/data.pkl": b"\n" + PAYLOAD})):
        assert SYSTEM in imports(promised(data))


def test_what_is_found_may_be_of_several_pickles_and_lie_over_a_border() -> None:
    border = buried._STEP  # the bytes are gone through in steps
    for before in (border - 1, border - 5, border - len(PAYLOAD), border):
        data = bytes(before) + PAYLOAD + INERT + PAYLOAD + bytes(100) + PAYLOAD
        found = searched(data)
        assert [pickle.trace.start for pickle in found.pickles][:1] == [before]
        assert sum(SYSTEM in pickle.trace.imports for pickle in found.pickles) == 3


def test_a_long_pickle_behind_garbage_is_found_by_its_first_bytes() -> None:
    texts = (("SHORT_BINUNICODE", "system"), "MEMOIZE", ("SHORT_BINUNICODE", "os"), "MEMOIZE")
    filling = ("NONE", "POP") * 20_000
    data = assemble(("PROTO", 4), *texts, *filling, ("BINGET", 1), ("BINGET", 0), "STACK_GLOBAL")
    assert SYSTEM in imports(searched(NOT_OPCODES + data))


def ordinary() -> Iterator[tuple[str, bytes]]:
    noise = Random(2)
    yield "noise", noise.randbytes(3 << 20)
    yield "negative zeros", b"\x00\x80" * (1 << 20)
    yield "prose", b"the cat\ndog\nconfig\nvalue\nclass\nname\nimport\nsomething\n" * 300
    yield "base64", base64.encodebytes(noise.randbytes(1 << 18))
    yield "extension codes", b"\x80\x02\x82\x05." * 300
    yield "short numbers", b"".join(n.to_bytes(2, "little") for n in range(1 << 16))


def test_storages_of_random_numbers_are_numbers() -> None:
    """One in 2500 begins with an extension code, one in 40 with what might go on as a pickle."""
    noise = Random(3)
    storages = {f"m/data/{n}": noise.randbytes(9000) for n in range(3000)}
    small = b"\x80", b"\x80\x02", b"\x80\x02X\xff\xff\xff", b"\x83-\x9dB+\xde\x7f\xd1\xc8", b"N"
    storages |= {f"m/data/{4000 + n}": data for n, data in enumerate(small)}
    contents = promised(zipped({"m/data.pkl": INERT} | storages))
    assert [pickle.member for pickle in contents.pickles] == ["m/data.pkl"]
    assert not contents.gaps
    assert not contents.trailing


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in ordinary()])
def test_data_that_is_no_pickle_raises_no_alarm(data: bytes) -> None:
    assert searched(data) == Contents(Format.PICKLE)


def test_finding_nothing_leaves_what_was_said_before() -> None:
    contents = promised(INERT + b"\xff" + bytes(1000))
    assert len(contents.pickles) == 1
    assert [(one.offset, one.size) for one in contents.trailing] == [(len(INERT), 1001)]
    assert not contents.gaps
    assert [gap.why[:18] for gap in promised(b"\xff" * 100).gaps] == ["named like a pickl"]


def test_what_only_begins_like_an_archive_is_searched_too() -> None:
    for beginning in (b"\x1f\x8b\x08\x00", b"PK\x03\x04", b"\x5d\0\0\x80\0"):
        contents = promised(beginning + b"\xff" * 100 + PAYLOAD)
        assert SYSTEM in imports(contents), beginning


def test_of_data_whose_name_promises_nothing_the_first_bytes_are_searched() -> None:
    for before, is_found in ((b"\xff" * 100, True), (b"\xff" * HEAD_SIZE, False)):
        assert (SYSTEM in imports(read_file(MemorySource(before + PAYLOAD)))) is is_found


def test_a_text_that_shows_a_pickle_is_a_text() -> None:
    text = b"# How it works\n\n" + assemble(*ATTACKS["GLOBAL"]) + b"\n"
    assert read_file(MemorySource(text)) == Contents(Format.TEXT)


STORAGES = {
    "noise": b"\xff" * 1000,
    "a pickle and padding": b"N." + b"\xff\xfe" * 3000,
    "a pickle and zeros": b"N." + bytes(300_000),
    "pickles and a comment": b"N." + b"I1\n." * 1200 + b"#",
}


@pytest.mark.parametrize("before", STORAGES.values(), ids=STORAGES)
def test_a_payload_in_a_storage_of_torch_is_found_near_its_beginning(before: bytes) -> None:
    """No loader takes a storage for a pickle. Other scanners search it."""
    text = assemble(*ATTACKS["GLOBAL"])
    contents = promised(zipped({"m/data.pkl": INERT, "m/data/0": before + text}))
    assert SYSTEM in imports(contents)
    assert "m/data/0" in [pickle.member for pickle in contents.pickles]


def test_a_pickle_that_the_first_bytes_neither_show_nor_exclude_is_searched_for() -> None:
    uncertain = b"V" + b"a" * HEAD_SIZE
    assert read_file(MemorySource(uncertain + b"\n\xff")) == Contents(Format.TEXT)
    assert SYSTEM in imports(read_file(MemorySource(uncertain + b"\n\xff" + PAYLOAD)))


HOSTILE = {
    "headers": b"\x80\x02N" * 300_000,
    "MARKs": b"\x80\x02(" * 300_000,
    "opcodes": (b"\x80\x04" + b"N0" * 2000) * 1000,
    "imports": b"cab\n" * 300_000,
    "imports and marks": b"(cab\ncab\nh" * 100_000,
    "the letter": b"c" * 400_000,
    "texts": b"\x8c\x02os\x8c\x02ab\x93" * 100_000,
    "pickles": b"\x80\x02cos\nsystem\n\xff" * 100_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_of_what_begins_like_pickles_all_over_not_all_is_tried(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real limits, which are a hundred times these, that takes up to five seconds."""
    for limit in ("MAX_LOOKS", "MAX_TRIES", "MAX_TRIED"):
        monkeypatch.setattr(place, limit, getattr(place, limit) // 100)
    assert "too much of it begins like a pickle" in searched(data).gaps[-1].why


def test_more_than_is_searched_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Effort.__init__, "__defaults__", (1000,))
    assert not read_file(MemorySource(INERT + b"\xff" * 1000)).gaps
    gaps = read_file(MemorySource(INERT + b"\xff" * 1001)).gaps
    assert "only 1,000 of the bytes" in gaps[0].why


def test_all_members_of_an_archive_are_searched_with_one_effort(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, "MAX_TRIES", 50)
    junk = b"\xff" + b"\x80\x02N" * 30
    assert not searched(junk).gaps
    gaps = promised(zipped({f"{n}.pkl": junk for n in range(3)})).gaps
    assert [gap.member for gap in gaps if "too much" in gap.why][:2] == ["1.pkl", "2.pkl"]


def test_of_a_file_that_lies_elsewhere_less_is_searched() -> None:
    data = b"\xff" * MAX_SEARCHED_REMOTE + bytes(10) + PAYLOAD
    far = RemoteSource(len(data), lambda start, end: data[start:end])
    contents = read_promised(far)
    assert not contents.pickles
    assert any("8,388,608 of the bytes" in gap.why for gap in contents.gaps)
    assert SYSTEM in imports(promised(data))


@pytest.mark.parametrize(
    ("computed", "is_read"),
    [((("EXT1", 5), "EMPTY_TUPLE", "REDUCE"), True), ((("EXT1", 5),), False)],
)
def test_behind_a_legacy_checkpoint_a_computed_import_counts_if_it_is_called(
    computed: tuple[Instruction, ...], is_read: bool
) -> None:
    """By itself it is two bytes, that every 20,000th place of random data has."""
    checkpoint = torch_legacy(state_dict({"w": floats((3, 4), 1)}))
    contents = read_torch_legacy(MemorySource(checkpoint + assemble(*computed) + NOT_OPCODES))
    assert (len(contents.pickles) == 6) is is_read
    assert bool(contents.trailing) is not is_read


def test_a_named_pickle_that_computes_what_it_imports_is_read_as_one() -> None:
    call = assemble(("EXT1", 5), "EMPTY_TUPLE", "REDUCE")
    data = b"G" * 9 + b"0" + call + NOT_OPCODES
    assert promised(data).pickles[0].trace.computed
