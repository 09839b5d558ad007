"""numpy's `.npy` headers, and the types in them."""

from __future__ import annotations

import pytest

from hubaudit.formats.contents import Contents
from hubaudit.formats.dtypes import OBJECT, Dtype, of_descr
from hubaudit.formats.numpy import MAX_HEADER, read_numpy
from hubaudit.source.memory import MemorySource
from tests.formats.containers import INERT, PAYLOAD, npy


def read(data: bytes) -> Contents:
    return read_numpy(MemorySource(data))


def test_numbers_are_passed_over() -> None:
    contents = read(npy("'<f8'", (2, 3), PAYLOAD[:1] * 48))
    assert not contents.pickles
    assert not contents.gaps
    assert not contents.trailing


def test_bytes_behind_an_array_are_trailing() -> None:
    data = npy("'<f8'", (1,), bytes(8))
    assert [(t.offset, t.size) for t in read(data + b"xyz").trailing] == [(len(data), 3)]


def test_objects_are_a_pickle() -> None:
    contents = read(npy("'|O'", (1,), INERT))
    assert contents.pickles[0].trace.complete
    assert not contents.gaps


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_header_of_python_2_has_long_numbers(version: int) -> None:
    data = npy("'<f8'", (1,), bytes(8), version).replace(b"(1,)", b"(1L,)").replace(b"} ", b"}", 1)
    assert not read(data).gaps


@pytest.mark.parametrize(
    "descr",
    ["'|O'", "'O8'", "'object'", "[('a', '<f8'), ('b', 'O')]", "[('a', [('b', 'O', (2,))])]"],
)
def test_an_object_anywhere_in_the_type_makes_it_a_pickle(descr: str) -> None:
    contents = read(npy(descr, (1,), PAYLOAD))
    assert ("os", "system") in contents.pickles[0].trace.imports
    assert not contents.gaps


@pytest.mark.parametrize(
    "descr", ["'f8,O'", "'Object0'", "('V8', 'O')", "('O', -1)", "{'names': ['a']}", "7", "'(2,)O'"]
)
def test_a_type_that_is_not_known_could_have_objects(descr: str) -> None:
    contents = read(npy(descr, (1,), PAYLOAD))
    assert ("os", "system") in contents.pickles[0].trace.imports
    assert contents.gaps


@pytest.mark.parametrize(
    ("descr", "dtype"),
    [
        ("<f8", Dtype(8)),
        ("|b1", Dtype(1)),
        ("<U7", Dtype(28)),
        ("|S7", Dtype(7)),
        ("|V3", Dtype(3)),
        ("<M8[ns]", Dtype(8)),
        ("<m8[25s]", Dtype(8)),
        ("<c16", Dtype(16)),
        ("|O", OBJECT),
        ([("a", "<f8"), ("", "|V4"), (("title", "b"), "<i4", (2, 2))], Dtype(28)),
        (("<f4", (3,)), Dtype(12)),
        ("<f7", None),
        ("T", None),
        ([("a",)], None),
        ([], Dtype(0)),
    ],
)
def test_types_have_their_sizes(descr: object, dtype: Dtype | None) -> None:
    assert of_descr(descr) == dtype


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[1]",
        b"{'descr': '<f8', 'shape': (1,)}",
        b"{'descr': '<f8', 'shape': (1,), 'fortran_order': 0}",
        b"{'descr': '<f8', 'shape': [1], 'fortran_order': False}",
        b"{'descr': '<f8', 'shape': (1,), 'fortran_order': False, 'x': 1}",
        b"{'descr': '<f8', 'shape': (-1,), 'fortran_order': False}",
        b"{'descr': f(), 'shape': (1,), 'fortran_order': False}",
        b"(" * 5000,
        b"-" * 60_000 + b"1",
        b"1+" * 30_000 + b"1",
        b"{'a': 1" + b"0" * 20_000 + b"}",
        b"\xff\xfe\x00",
        b"'\\d'",
    ],
)
def test_a_header_that_numpy_would_refuse_is_a_gap(header: bytes) -> None:
    data = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + bytes(8)
    assert read(data).gaps


def test_a_header_that_says_it_is_huge_is_not_read() -> None:
    data = b"\x93NUMPY\x02\x00" + (MAX_HEADER + 1).to_bytes(4, "little") + b" " * (MAX_HEADER + 1)
    assert "65,537" in read(data).gaps[0].why


@pytest.mark.parametrize("shape", [(1 << 62,), (1 << 40, 1 << 40), (10**30,)])
def test_an_array_larger_than_its_file_is_cut_off(shape: tuple[int, ...]) -> None:
    assert "cut off" in read(npy("'<f8'", shape, bytes(8))).gaps[0].why
