from __future__ import annotations

import bz2
import json
import lzma
import pickle
import tarfile
import zlib

import pytest

from hubaudit.demo.assemble import assemble
from hubaudit.demo.checkpoints import floats, safetensors, state_dict, torch_legacy, torch_zip
from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.read import read_file, read_promised
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.source.memory import MemorySource

WEIGHTS = {"w": floats((2, 2), 1)}
CALL = assemble(("GLOBAL", "os", "system"), "MARK", ("STRING", "'true'"), "TUPLE", "REDUCE")


def of(data: bytes) -> Format:
    return sniff(data[:HEAD_SIZE], len(data))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [{"a": [1, 2.5, None]}, ["x" * 20] * 3, list(range(10_000))])
def test_pickles_of_every_protocol_are_recognised(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    found = of(data)
    # a long one of protocol 0 or 1 does not say in its first bytes what it is, and 0 is text
    assert found in (Format.PICKLE, Format.UNCERTAIN, Format.TEXT)
    assert found is not Format.TEXT or protocol == 0
    assert found is Format.PICKLE or protocol < 2
    assert read_promised(MemorySource(data)).format is Format.PICKLE


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (b"", Format.EMPTY),
        (torch_zip(state_dict(WEIGHTS)), Format.ZIP),
        (torch_legacy(state_dict(WEIGHTS)), Format.TORCH_LEGACY),
        (safetensors(WEIGHTS), Format.SAFETENSORS),
        (safetensors({}), Format.SAFETENSORS),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", Format.NUMPY),
        (b"\x1f\x8b\x08\x00abc", Format.GZIP),
        (b"\x78\x9cabc", Format.ZLIB),
        (b"GGUF\x03\x00\x00\x00", Format.GGUF),
        (tarfile.TarInfo("a").tobuf(), Format.TAR),
        (bytes(lzma.compress(b"abc", lzma.FORMAT_ALONE)), Format.LZMA),
        (bz2.compress(b"abc" * 10_000), Format.BZIP2),
        (b"ZF" + b"0x3".ljust(19) + zlib.compress(b"abc"), Format.ZFILE),
        (b"\x20\x00\x00\x00TFL3", Format.TFLITE),
        (b"\x08\x07\x12\x07pytorch\x1a", Format.DATA),
        ("# Modell für alle\n".encode(), Format.TEXT),
        (b'{"a": 1}', Format.TEXT),
        (b"[1, 2, 3]\n", Format.TEXT),
    ],
)
def test_formats_are_told_by_their_first_bytes(data: bytes, format_: Format) -> None:
    assert of(data) is format_


def test_a_call_before_a_broken_opcode_is_a_pickle_in_any_protocol() -> None:
    assert of(CALL + b"\xff" * 100) is Format.PICKLE
    assert of(assemble(("PROTO", 4)) + CALL + b"\xff" * 100) is Format.PICKLE


@pytest.mark.parametrize(
    "text",
    [
        "config\nvalue\nother\n",  # a GLOBAL of two plausible names, then no opcode
        "cat\ndog\nfish\n",
        "I am a README\n",
        "(see below)\n",
        "N.B. nothing\n",
        "Vocabulary\nof words\n",
        "S is for snake\n",
        "0.5\n",
        "1\n2\n3\n",
        "Gradients, as is known\nfrom\nhistory\n",
        "license: mit\n",
        "]\n",
        ".",
        "N.",
        "].",
        "I1\n.",
        "Very short.\n.",
        json.dumps({"a": "b" * 20_000}),
    ],
)
def test_prose_that_begins_with_an_opcode_is_text(text: str) -> None:
    assert of(text.encode()) is Format.TEXT


def test_a_number_in_json_that_is_also_a_pickle_is_text() -> None:
    assert of(b"NaN") is Format.TEXT


def test_numbers_that_begin_with_an_opcode_are_data() -> None:
    for first in range(256):
        tensor = bytes([first]) + bytes((first * 7 + n * 31) % 251 for n in range(2000))
        assert of(tensor) in (Format.DATA, Format.TEXT, Format.ZLIB), first
    for extension in (b"\x82\x70\xc6\x00" * 100, b"\x82\x21.6", b"\x83-\x9dB+\xde\x7f\xd1\xc8"):
        assert read_file(MemorySource(extension)) == Contents(Format.DATA)


def test_a_call_of_an_extension_is_a_pickle() -> None:
    assert of(b"\x82\x70)R" + b"\xff" * 100) is Format.PICKLE
    assert of(b"\x80\x02\x82\x70" + b"\xff" * 100) is Format.PICKLE
    assert of(b"\x82\x21." + CALL) is Format.PICKLE


def test_a_text_with_a_very_long_line_has_to_be_read_further() -> None:
    assert of(b"V" + b"a" * 20_000) is Format.UNCERTAIN


@pytest.mark.parametrize("start", [b"GGUF\x03\x00\x00\x00\x01", b"GIF89aabc", b"U\x06..TFL3"])
def test_a_pickle_that_begins_like_another_format_is_a_pickle(start: bytes) -> None:
    assert of(start + b"0" + CALL + b".") is Format.PICKLE


def test_an_import_that_makes_no_sense_hides_none_that_does() -> None:
    assert of(assemble(("PROTO", 4)) + CALL + assemble(("GLOBAL", "a b", "c d"))) is Format.PICKLE
    assert of(assemble(("GLOBAL", "a b", "c d")) + CALL + b"\xff") is Format.PICKLE
