from __future__ import annotations

from itertools import product

import pytest

from hubaudit.formats.contents import Format
from hubaudit.formats.read import read_file, read_promised, read_promised_archive
from hubaudit.model import ReadHow
from hubaudit.selection import can_execute, how_to_read, promises_pickle, reader_for
from hubaudit.source.memory import MemorySource
from tests.formats.containers import PAYLOAD
from tests.formats.zips import Member, archive

PATHS = ("model.pkl", "model.pkl.gz", "model.bin", "pytorch_model.bin", "a/x.PT", "notes.txt", "x")


@pytest.mark.parametrize(("path", "format_"), list(product(PATHS, Format)))
def test_what_can_execute_is_read_and_nothing_else_but_what_may_prove_to(
    path: str, format_: Format
) -> None:
    is_read = how_to_read(path, format_) is not ReadHow.HEADER
    is_only_named = promises_pickle(path) and not is_read
    assert can_execute(path, format_) == (
        is_only_named or (is_read and (format_ is not Format.UNCERTAIN or promises_pickle(path)))
    )


@pytest.mark.parametrize(
    ("path", "reader"),
    [
        ("a/model.pkl.zip", read_promised),
        ("training_args.bin", read_promised),
        ("arrays.NPZ", read_promised_archive),
        ("model.skops", read_promised_archive),
        ("notes.txt", read_file),
        ("model.onnx", read_file),
    ],
)
def test_the_name_says_which_reader_a_file_needs(path: str, reader: object) -> None:
    assert reader_for(path) is reader


def test_an_archive_behind_other_bytes_is_read_if_the_name_promises_one() -> None:
    data = MemorySource(b"some text\n" * 1000 + archive([Member(data=PAYLOAD)]))
    assert read_promised_archive(data).pickles
    assert read_promised_archive(data).oddities
    assert not read_file(data).pickles


def test_a_file_that_is_named_like_an_archive_and_is_none_is_no_gap() -> None:
    assert not read_promised_archive(MemorySource(b"some text PK\x05\x06\n" * 1000)).gaps
