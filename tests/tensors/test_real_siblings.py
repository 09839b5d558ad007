"""Pairs that the real libraries wrote, read and compared from their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hubaudit.formats.read import read_file
from hubaudit.formats.safetensors import read_header
from hubaudit.model import Comparison, RepoFile
from hubaudit.source import Source
from hubaudit.source.local import LocalSource
from hubaudit.source.memory import MemorySource
from hubaudit.tensors.compare import compare
from hubaudit.tensors.pairs import pairs
from hubaudit.tensors.safetensors import safetensors_table
from hubaudit.tensors.sample import Depth, Full, Sampling
from hubaudit.tensors.table import Table
from hubaudit.tensors.torch import torch_table
from hubaudit.tensors.twins import Part

ROOT = Path(__file__).parents[1] / "fixtures" / "siblings"
DTYPES = {
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "int64": "I64",
    "int32": "I32",
}


def table(path: str, source: Source) -> Table:
    if path.endswith(".safetensors"):
        return safetensors_table(source, read_header(source))
    return torch_table(source, read_file(source))


def compared(folder: str, depth: Depth) -> Iterator[Comparison]:
    """Every pair of the folder."""
    root = ROOT / folder
    files = [RepoFile(path.name, path.stat().st_size) for path in sorted(root.iterdir())]
    indexes = {path.name: path.read_bytes() for path in root.glob("*.index.json")}
    for pair in pairs(files, indexes):
        with ExitStack() as opened:

            def parts(paths: tuple[str, ...], stack: ExitStack = opened) -> list[Part]:
                sources = [(path, stack.enter_context(LocalSource(root / path))) for path in paths]
                return [Part(path, source, table(path, source)) for path, source in sources]

            yield compare(parts(pair.pickles), parts(pair.safetensors), depth)


def only(folder: str, depth: Depth) -> Comparison:
    (one,) = compared(folder, depth)
    return one


def test_every_layout_in_both_torch_formats_is_equal_by_value() -> None:
    found = list(compared("layouts", Full()))
    assert [one.pickle for one in found] == ["legacy.pt", "zip.pt"]
    for one in found:
        assert (one.result, one.tensors, one.notes) == ("equal", 9, ())
        assert one.bytes_read == one.bytes_total


def test_every_cast_that_torch_made_is_one() -> None:
    found = list(compared("casts", Full()))
    assert len(found) == 9
    for one in found:
        wide, narrow = one.pickle.removesuffix(".pt").split("-")
        assert one.result == "equal", one
        assert one.notes == (f"cast {DTYPES[wide]}→{DTYPES[narrow]}: 1 tensor",)


@pytest.mark.parametrize("depth", [Sampling(), Full()])
def test_a_model_in_other_shards_with_tied_tensors_in_two_of_them_is_equal(depth: Depth) -> None:
    one = only("shards", depth)
    assert (one.result, len(one.pickle_files), one.missing, one.extra) == ("equal", 2, (), ())
    assert len(one.safetensors_files) > 2
    assert "lm_head.weight equals transformer.wte.weight (tied)" in one.notes


@pytest.mark.parametrize("depth", [Sampling(), Full()])
def test_a_tied_tensor_that_save_pretrained_left_out_is_explained(depth: Depth) -> None:
    one = only("tied", depth)
    assert one.result == "equal"
    assert any("(tied): lm_head.weight" in note for note in one.notes)


@pytest.mark.parametrize("depth", [Sampling(), Full()])
def test_a_model_of_another_training_run_differs(depth: Depth) -> None:
    one = only("other", depth)
    assert one.result == "differs"
    assert "transformer.wte.weight" in one.differing


def test_any_flipped_bit_of_the_tensors_is_found() -> None:
    """In every byte of the file that belongs to a tensor, one bit: the next in each byte."""
    pickle, safetensors = (ROOT / "layouts" / name for name in ("zip.pt", "zip.safetensors"))
    source = MemorySource(pickle.read_bytes())
    here = Part("zip.pt", source, table("zip.pt", source))
    data = bytearray(safetensors.read_bytes())
    original = MemorySource(bytes(data))
    held = table("a.safetensors", original)
    begin = min(tensor.begin for tensor in held.tensors)
    for at in range(begin, len(data)):
        data[at] ^= 1 << at % 8
        there = Part("zip.safetensors", MemorySource(bytes(data)), held)
        one = compare([here], [there], Full())
        (owner,) = (t.name for t in held.tensors if t.storage[0] <= at < t.storage[1])
        assert one.differing == (owner,), at
        data[at] ^= 1 << at % 8
