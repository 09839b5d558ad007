"""Documents that were written to break the plan: none of them raises, none takes for ever."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hubaudit.loadpath import wanted
from hubaudit.model import RepoFile
from tests.loadpath.listings import BERT, CODE, FIRST, LOADED, SHARDED, messages, planned


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"model_type": ' + b"1" * 5000 + b"}",
    ],
    ids=["empty", "null", "cut", "utf-16", "bom", "deep", "deep-objects", "number"],
)
@pytest.mark.parametrize(
    "path", ["config.json", "model_index.json", "modules.json", "adapter_config.json", SHARDED]
)
def test_a_document_that_cannot_be_read_is_a_problem(path: str, data: bytes) -> None:
    found = planned("pytorch_model.bin other.pkl x.py", raw={path: data})
    assert {problem.path for problem in found.problems} == {path}
    assert found.roles["x.py"] is CODE


@pytest.mark.parametrize("value", [1, "x", True, [], [1], [[[]]], {}, {"a": None}, [None], [{}]])
@pytest.mark.parametrize(
    "path",
    [
        "config.json",
        "model_index.json",
        "modules.json",
        "adapter_config.json",
        "tokenizer_config.json",
        "open_clip_config.json",
        "router_config.json",
        SHARDED,
        "model.safetensors.index.json",
    ],
)
def test_documents_of_the_wrong_shape_do_not_raise(path: str, value: object) -> None:
    found = planned("pytorch_model.bin model.safetensors a.py", {path: value})
    assert found.roles.keys() == found.reasons.keys()


KEYS = (
    "model_type architectures auto_map custom_pipelines transformers_weights sklearn architecture "
    "pretrained_cfg hf_hub_filename base_model_name_or_path _attn_implementation _class_name "
    "_ignore_files unet weight_map types type path"
)


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, True, "../x", "", "\ud800", [], [[]], [None, 1], {}]
)
@pytest.mark.parametrize("key", KEYS.split())
def test_values_of_the_wrong_type_do_not_raise(key: str, value: object) -> None:
    document = {"model_type": "bert", key: value, "pretrained_cfg": {key: value}}
    names = ["config.json", "model_index.json", "adapter_config.json", SHARDED]
    found = planned(
        "unet/a.bin pytorch_model.bin",
        dict.fromkeys(names, document)
        | {"modules.json": [{"type": "x.Y", "path": "unet", key: value}]},
    )
    assert found.roles["pytorch_model.bin"] is LOADED


def test_of_duplicate_keys_the_last_counts_and_is_a_problem() -> None:
    text = f'{{"weight_map": {{"a": "{FIRST}", "a": "evil.bin"}}}}'.encode()
    found = planned([FIRST, "evil.bin"], BERT, raw={SHARDED: text})
    assert found.roles["evil.bin"] is LOADED
    assert "the key 'a' is there twice" in messages(found, SHARDED)


def test_a_million_weights_in_an_index_are_read() -> None:
    index = {"weight_map": {f"w{number}": FIRST for number in range(1_000_000)}}
    found = planned([FIRST], BERT | {SHARDED: index})
    assert found.problems == ()


def test_very_many_problems_are_cut_short() -> None:
    index = {"weight_map": {str(number): f"gone-{number}.bin" for number in range(50_000)}}
    auto_map = {str(number): f"gone{number}.Own" for number in range(20_000)}
    config = {"model_type": "own", "auto_map": auto_map}
    found = planned("", {SHARDED: index, "config.json": config})
    assert len(found.problems) <= 201


def test_routers_that_name_themselves_end() -> None:
    types = {"./" * number + ".": f"sentence_transformers.X{number}" for number in range(400)}
    documents = {
        "modules.json": [{"path": "", "type": "own.X"}],
        "router_config.json": {"types": types},
    }
    found = planned("a.pkl", documents)
    assert found.roles["a.pkl"] is LOADED
    assert any(problem.kind == "unread" for problem in found.problems)


@pytest.mark.timeout(20)
def test_very_many_files_and_parts_are_planned_in_seconds() -> None:
    folders = [f"part{number}" for number in range(20_000)]
    index = {folder: ["diffusers", "X"] for folder in folders}
    modules = [{"path": folder, "type": "own.X"} for folder in folders]
    names = [f"{folder}/diffusion_pytorch_model.bin" for folder in folders]
    names += [f"x{number}-00001-of-00002.bin" for number in range(20_000)]
    names += [f"x{number}.bin.index.json" for number in range(20_000)]
    found = planned(names, {"model_index.json": index, "modules.json": modules})
    assert found.roles["part7/diffusion_pytorch_model.bin"] is LOADED


KEYWORDS = st.sampled_from(
    [
        *KEYS.split(),
        "diffusers",
        "sentence_transformers.models.Dense",
        "own.Own",
        "org/repo--own.Own",
        "a/b.bin",
        "../a.bin",
        "unet",
        "",
        ".",
    ]
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | KEYWORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYWORDS | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
PATHS = (
    "config.json model_index.json modules.json adapter_config.json tokenizer_config.json "
    "unet/config.json unet/router_config.json model.safetensors.index.json "
    f"{SHARDED} unet/diffusion_pytorch_model.bin.index.json"
)


@given(st.dictionaries(st.sampled_from(PATHS.split()), DOCUMENTS, max_size=5))
def test_whatever_the_documents_say_every_file_has_a_role_and_nothing_raises(
    documents: dict[str, object],
) -> None:
    names = "pytorch_model.bin unet/a/b.bin unet/diffusion_pytorch_model.bin own.py x.pkl"
    found = planned(names, documents)
    assert {*names.split(), *documents} == found.roles.keys() == found.reasons.keys()
    assert all(json.dumps(value) for value in found.arguments.values())


@given(st.sampled_from([path for path in PATHS.split() if "/" not in path]), DOCUMENTS)
def test_a_document_of_the_model_that_is_unseen_never_makes_a_pickle_less_dangerous(
    path: str, document: object
) -> None:
    danger = ["never", "fallback", "code", "loaded"]
    names = f"{path} unet/a.bin own.py x.pkl pytorch_model.bin"
    seen, unseen = planned(names, BERT | {path: document}), planned(names, BERT)
    assume(path in wanted([RepoFile(name, 10) for name in names.split()]))
    if path == "config.json":
        unseen = planned(names)
    for file in ("own.py", "x.pkl", "pytorch_model.bin"):
        assert danger.index(unseen.roles[file]) >= danger.index(seen.roles[file]), file
