"""Pairs: which pickle has which safetensors sibling, by the names that libraries write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.model import RepoFile
from hubaudit.tensors.pairs import Pair, alone, pairs


def files(*paths: str) -> list[RepoFile]:
    return [RepoFile(path, 1) for path in paths]


def index(*shards: str) -> bytes:
    return json.dumps({"weight_map": {f"w{n}": name for n, name in enumerate(shards)}}).encode()


@pytest.mark.parametrize(
    ("pickle", "safetensors"),
    [
        ("pytorch_model.bin", "model.safetensors"),
        ("pytorch_model.bin", "pytorch_model.safetensors"),
        ("pytorch_model.fp16.bin", "model.fp16.safetensors"),
        ("adapter_model.bin", "adapter_model.safetensors"),
        ("unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.safetensors"),
        ("unet/diffusion_pytorch_model.fp16.bin", "unet/diffusion_pytorch_model.fp16.safetensors"),
        ("text_encoder/pytorch_model.bin", "text_encoder/model.safetensors"),
        ("2_Dense/pytorch_model.bin", "2_Dense/model.safetensors"),
        ("v1-5-pruned-emaonly.ckpt", "v1-5-pruned-emaonly.safetensors"),
        ("best.pt", "best.safetensors"),
        ("weights/RealESRGAN.PTH", "weights/RealESRGAN.safetensors"),
        ("learned_embeds.bin", "learned_embeds.safetensors"),
        ("pytorch_lora_weights.bin", "pytorch_lora_weights.safetensors"),
        ("flux1.dev.pt", "flux1.dev.safetensors"),
    ],
)
def test_the_names_that_libraries_write_are_a_pair(pickle: str, safetensors: str) -> None:
    assert pairs(files(pickle, safetensors, "config.json"), {}) == (
        Pair((pickle,), (safetensors,)),
    )


@pytest.mark.parametrize(
    ("pickle", "safetensors"),
    [
        ("pytorch_model.bin", "model.fp16.safetensors"),
        ("pytorch_model.fp16.bin", "model.safetensors"),
        ("pytorch_model.bin", "unet/model.safetensors"),
        ("a/pytorch_model.bin", "b/model.safetensors"),
        ("consolidated.00.pth", "model.safetensors"),
        ("training_args.bin", "training_args.safetensors"),
        ("optimizer.pt", "optimizer.safetensors"),
        ("diffusion_pytorch_model.bin", "model.safetensors"),
        ("adapter_model.bin", "model.safetensors"),
        ("best.pt", "last.safetensors"),
        ("model.onnx", "model.safetensors"),
    ],
)
def test_other_names_are_none(pickle: str, safetensors: str) -> None:
    assert pairs(files(pickle, safetensors), {}) == ()


def test_shards_are_paired_with_shards_of_another_splitting() -> None:
    here = [f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
    there = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert pairs(files(*there, *here), {}) == (Pair(tuple(here), tuple(there)),)


def test_a_single_file_is_paired_with_shards() -> None:
    there = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    assert pairs(files("pytorch_model.bin", *there), {}) == (
        Pair(("pytorch_model.bin",), tuple(there)),
    )


@pytest.mark.parametrize(
    "name", ["{}.fp16-0000{}-of-00002{}", "{}-0000{}-of-00002.fp16{}"], ids=["new", "old"]
)
def test_shards_of_a_variant_are_another_checkpoint(name: str) -> None:
    stem = "diffusion_pytorch_model"
    here = tuple(name.format(stem, n, ".bin") for n in (1, 2))
    there = tuple(f"{stem}.fp16-0000{n}-of-00003.safetensors" for n in (1, 2, 3))
    plain = f"{stem}.safetensors"
    assert pairs(files(*here, *there, plain), {}) == (Pair(here, there),)


def test_an_index_names_shards_of_any_name() -> None:
    documents = {
        "m/pytorch_model.bin.index.json": index("first.bin", "second.bin", "first.bin"),
        "m/model.safetensors.index.json": index("x.safetensors", "y.safetensors"),
    }
    listed = ["m/first.bin", "m/second.bin", "m/x.safetensors", "m/y.safetensors", *documents]
    assert pairs(files(*listed), documents) == (
        Pair(("m/first.bin", "m/second.bin"), ("m/x.safetensors", "m/y.safetensors")),
    )


def test_an_index_decides_which_of_two_splittings_is_meant() -> None:
    stale = [f"pytorch_model-0000{n}-of-00003.bin" for n in (1, 2, 3)]
    meant = [f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
    documents = {"pytorch_model.bin.index.json": index(*meant)}
    found = pairs(files(*stale, *meant, *documents, "model.safetensors"), documents)
    assert found == (
        Pair(tuple(meant), ("model.safetensors",)),
        Pair(tuple(stale), ("model.safetensors",)),
    )


def test_an_index_of_a_variant_belongs_to_the_variant() -> None:
    documents = {
        "pytorch_model.bin.index.fp16.json": index("a.bin"),
        "model.safetensors.index.fp16.json": index("b.safetensors"),
    }
    assert pairs(files("a.bin", "b.safetensors", *documents), documents) == (
        Pair(("a.bin",), ("b.safetensors",)),
    )


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        b'{"weight_map": []}',
        b'{"weight_map": {"w": 3, "v": null}}',
        b'{"weight_map": {"w": "../../etc/passwd", "v": "/a.bin", "u": "a\\u0000.bin"}}',
        b'{"weight_map": {"w": "missing.bin"}}',
    ],
)
def test_an_index_that_makes_no_sense_is_as_good_as_none(document: bytes) -> None:
    name = "pytorch_model.bin.index.json"
    listed = files(name, "pytorch_model-1-of-1.bin", "model.safetensors")
    assert pairs(listed, {name: document}) == (
        Pair(("pytorch_model-1-of-1.bin",), ("model.safetensors",)),
    )


@given(
    st.lists(st.text("pytorch_model-01of.bin/safetensors", max_size=30), max_size=8),
    st.dictionaries(st.sampled_from(["a.bin.index.json"]), st.binary(max_size=40)),
)
def test_whatever_is_listed_a_pair_has_listed_files_only(
    paths: list[str], documents: dict[str, bytes]
) -> None:
    for pair in pairs(files(*paths, *documents), documents):
        assert {*pair.pickles, *pair.safetensors} <= set(paths)
        assert pair.pickles
        assert pair.safetensors


def test_checkpoints_without_a_sibling_are_told_apart() -> None:
    shards = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
    listed = files(*shards, "best.pt", "best.safetensors", "last.pt", "notes.bin")
    torch = [*shards, "best.pt", "last.pt"]
    assert alone(listed, {}, torch) == (("last.pt",), shards)


def test_a_checkpoint_of_any_name_may_be_alone_and_an_optimizers_state_is_none() -> None:
    listed = files("model.pkl", "weights", "optimizer.pt", "training_args.bin")
    assert alone(listed, {}, [file.path for file in listed]) == (("model.pkl",), ("weights",))
