"""Compressed streams: read in any order, damaged, too large, and one after the other."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from random import Random

import pytest

from hubaudit.demo.assemble import assemble
from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.place import Budget
from hubaudit.formats.unpacked import (
    CHUNK,
    KEPT,
    UNKNOWN,
    Decoder,
    UnpackedSource,
    bzip2_decoder,
    gzip_decoder,
    length_of,
    lzma_decoder,
    xz_decoder,
    zlib_decoder,
)
from hubaudit.pvm.state import DEFAULT_LIMITS
from hubaudit.pvm.values import StopKind
from hubaudit.source import OutOfReach
from hubaudit.source.memory import MemorySource
from tests.formats.containers import CALL, INERT, PAYLOAD, tarred, zipped
from tests.formats.reading import imports, read

# Larger than what is kept, and not of one sort of bytes.
DATA = Random(1).randbytes(1000) * 9000

WAYS: list[tuple[Callable[[bytes], bytes], Callable[[], Decoder]]] = [
    (gzip.compress, gzip_decoder),
    (zlib.compress, zlib_decoder),
    (bz2.compress, bzip2_decoder),
    (lzma.compress, xz_decoder),
    (lambda data: lzma.compress(data, lzma.FORMAT_ALONE), lzma_decoder),
]


def unpacked(data: bytes, decoder: Callable[[], Decoder], most: int = 1 << 30) -> UnpackedSource:
    return UnpackedSource(MemorySource(data), decoder, Budget(most))


@pytest.mark.parametrize(("compress", "decoder"), WAYS)
def test_it_reads_like_the_data_itself(
    compress: Callable[[bytes], bytes], decoder: Callable[[], Decoder]
) -> None:
    source = unpacked(compress(DATA), decoder)
    random = Random(2)
    for _ in range(30):
        at, length = random.randrange(len(DATA)), random.choice((1, 100, CHUNK, 3 * CHUNK))
        assert source.read(at, length) == DATA[at : at + length]
    assert source.read(len(DATA) - 3, 10) == DATA[-3:]
    assert source.read(len(DATA) + 10, 10) == b""
    assert source.size == len(DATA)
    assert source.problem is None


def test_the_size_is_not_known_before_the_end() -> None:
    source = unpacked(gzip.compress(DATA), gzip_decoder)
    assert source.size == UNKNOWN
    assert source.read(0, 10) == DATA[:10]
    assert source.size == UNKNOWN
    assert length_of(source) == len(DATA)


@pytest.mark.parametrize(("compress", "decoder"), WAYS)
def test_streams_in_a_row_are_one(
    compress: Callable[[bytes], bytes], decoder: Callable[[], Decoder]
) -> None:
    source = unpacked(compress(b"abc") + bytes(7) + compress(b"def"), decoder)
    assert source.read(0, 100) == b"abcdef"
    assert source.problem is None


@pytest.mark.parametrize(("compress", "decoder"), WAYS)
def test_garbage_behind_a_stream_is_a_problem(
    compress: Callable[[bytes], bytes], decoder: Callable[[], Decoder]
) -> None:
    source = unpacked(compress(b"abc") + b"garbage", decoder)
    assert source.read(0, 100) == b"abc"
    assert source.problem is not None


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_all_that_comes_before_damage_is_had(compress: Callable[[bytes], bytes]) -> None:
    """zlib keeps back what it unpacked in a call that fails, but loaders take smaller steps."""
    noise = Random(3).randbytes(5000)
    data = compress(PAYLOAD + noise)
    damaged = data[:2000] + b"\xff" * 200 + data[2200:]
    contents = read(damaged)
    assert ("os", "system") in imports(contents)
    assert contents.gaps


def test_memory_stays_small_whatever_a_file_unpacks_to() -> None:
    data = gzip.compress(assemble(("PROTO", 3), ("BINBYTES", bytes(100 << 20)), *CALL, "STOP"))
    tracemalloc.start()
    contents = read(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ("os", "system") in imports(contents)
    assert not contents.gaps
    assert peak < 3 * KEPT


def test_over_the_limit_the_pickle_is_not_called_cut_off() -> None:
    program = assemble(("PROTO", 3), *CALL, ("BINBYTES", bytes(1000)), "TUPLE2", "STOP")
    source = unpacked(gzip.compress(program + bytes(CHUNK)), gzip_decoder, CHUNK // 2)
    with pytest.raises(OutOfReach, match="unpacks to more than"):
        source.read(0, 10)


def test_a_bomb_is_a_gap_and_what_comes_before_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget.__init__, "__defaults__", (1 << 20, 3, DEFAULT_LIMITS))
    contents = read(gzip.compress(assemble(*CALL, ("BINBYTES", bytes(5 << 20)), "TUPLE2", "STOP")))
    assert ("os", "system") in imports(contents)
    assert contents.pickles[0].trace.stop.kind is StopKind.LIMIT
    assert any("unpacks to more than 1,048,576 bytes" in gap.why for gap in contents.gaps)


def test_bombs_in_a_zip_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget.__init__, "__defaults__", (1 << 20, 3, DEFAULT_LIMITS))
    bomb = gzip.compress(assemble(("BINBYTES", bytes(700_000)), "STOP"))
    contents = read(zipped({"a.gz": bomb, "b.gz": bomb}))
    assert {(gap.member or "").partition("/")[0] for gap in contents.gaps} == {"b.gz"}


@pytest.mark.parametrize("text", [b'{"a": 1}\n', b"a,b,c\n"])
def test_compressed_text_of_any_size_is_text(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget.__init__, "__defaults__", (1 << 20, 3, DEFAULT_LIMITS))
    contents = read(gzip.compress(text * 1_000_000))
    assert contents == Contents(Format.GZIP)


MATLAB = struct.pack("<5i2s2d", 0, 2, 1, 0, 2, b"a", 1.5, 2.5)  # version 4, a vector
NUMBERS = (b"\x78\x9c" + b"\xff" * 100, b"\x5d" + bytes(12) + bytes(100), MATLAB)


@pytest.mark.parametrize("data", NUMBERS)
def test_data_that_only_begins_like_a_compressed_stream_is_data(data: bytes) -> None:
    assert read(data) == Contents(Format.DATA)


def test_a_dictionary_of_gigabytes_is_not_allocated() -> None:
    header = b"\x5d" + (1 << 31).to_bytes(4, "little") + b"\xff" * 8
    packed = lzma.compress(PAYLOAD, lzma.FORMAT_ALONE)
    assert "unpacking needs over" in read(header + packed[13:]).gaps[0].why


def test_an_archive_in_a_compressed_file_is_held_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = gzip.compress(zipped({"a": PAYLOAD, "b": bytes(1000)}))
    assert ("os", "system") in imports(read(data))
    monkeypatch.setattr("hubaudit.formats.zip.MAX_HELD", 500)
    contents = read(data)
    assert "500 bytes" in contents.gaps[0].why


def test_a_compressed_tar_need_not_be_held() -> None:
    members = {f"{n}": bytes(1 << 20) for n in range(20)} | {"z": PAYLOAD}
    data = gzip.compress(tarred(members))
    tracemalloc.start()
    contents = read(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [pickle.member for pickle in contents.pickles] == ["unpacked/z"]
    assert not contents.gaps
    assert peak < 3 * KEPT


def test_compressed_layers_count_as_depth() -> None:
    data = INERT
    for _ in range(3):
        data = gzip.compress(data)
    assert read(data).pickles
    assert not read(data).gaps
    assert read(gzip.compress(data)).gaps


def test_data_of_zeros_is_not_too_deep_for_anything() -> None:
    data = bytes(100)
    for _ in range(3):
        data = zipped({"a": data})
    assert not read(data).gaps
