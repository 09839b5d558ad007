from __future__ import annotations

import json
from typing import Any

import pytest

from hubaudit.demo.checkpoints import floats, safetensors
from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.read import read_file
from hubaudit.formats.safetensors import BadHeader, TensorEntry, read_header, read_safetensors
from hubaudit.source.memory import MemorySource

DATA = safetensors({"a": floats((2, 3), 1), "b": floats((4,), 2)}, {"format": "pt"})


def with_header(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def read(data: bytes) -> Contents:
    return read_safetensors(MemorySource(data))


def test_the_header_names_every_tensor() -> None:
    header = read_header(MemorySource(DATA))
    assert header.tensors == (
        TensorEntry("a", "F32", (2, 3), 0, 24),
        TensorEntry("b", "F32", (4,), 24, 40),
    )
    assert header.size + 40 == len(DATA)
    assert read(DATA).gaps == ()


def test_bytes_behind_the_tensors_are_trailing() -> None:
    assert [(t.offset, t.size) for t in read(DATA + b"xyz").trailing] == [(len(DATA), 3)]


@pytest.mark.parametrize("end", [0, 4, 8, 20, len(DATA) - 1])
def test_a_file_that_is_cut_off_is_a_gap(end: int) -> None:
    assert read(DATA[:end]).gaps


def tensor(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        {"a": 1},
        {"a": tensor(dtype="F33")},
        {"a": tensor(shape=[3])},
        {"a": tensor(shape=[-2])},
        {"a": tensor(shape=[True, 2])},
        {"a": tensor(shape="2")},
        {"a": tensor(data_offsets=[0])},
        {"a": tensor(data_offsets=[4, 12])},
        {"a": tensor(data_offsets=[8, 0])},
        {"a": tensor(), "b": tensor()},
        b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, "a": {}}',
    ],
)
def test_a_header_that_the_library_would_refuse_is_refused(header: Any) -> None:
    data = with_header(header, b"\x00" * 8)
    with pytest.raises(BadHeader, match=r".+"):
        read_header(MemorySource(data))
    assert read(data).oddities
    assert not read(data).gaps


def test_a_header_that_says_it_is_huge_is_not_read() -> None:
    with pytest.raises(BadHeader, match="bytes"):
        read_header(MemorySource((1 << 40).to_bytes(8, "little") + b"{}"))


@pytest.mark.parametrize("first", range(40, 296))
def test_a_header_of_any_length_is_no_pickle(first: int) -> None:
    size = 3_000_000
    fields = {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    header = json.dumps(fields).encode()
    header += b" " * ((first - len(header)) % 256)
    contents = read_file(MemorySource(with_header(header, b"\0" * size)))
    assert contents.format is Format.SAFETENSORS
    assert not contents.gaps
    assert not contents.pickles
