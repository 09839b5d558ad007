"""Keys that name a repository, in YAML, JSON and TOML, and the revision beside them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.pins import FINDERS, Form, Found, Reference, State
from hubaudit.pins.jsontext import Array, Json, Leaf, Members, read_json

SHA = "0123456789abcdef0123456789abcdef01234567"


def find(suffix: str, text: str, *local: str) -> Found:
    return FINDERS[suffix](text, local.__contains__)


def told(suffix: str, text: str, *local: str) -> list[tuple[str | None, str]]:
    found = find(suffix, text, *local)
    assert not found.unparsed
    return [(one.repo_id, one.state.value) for one in found.references]


def only(suffix: str, text: str) -> Reference:
    (reference,) = find(suffix, text).references
    return reference


@pytest.mark.parametrize(
    "key",
    [
        "model_id",
        "model_name_or_path",
        "pretrained_model_name_or_path",
        "repo_id",
        "base_model",
        "base_model_name_or_path",
        "tokenizer_name_or_path",
        "dataset_name",
        "MODEL_ID",
        "modelId",
        "model-id",
        "--model-id",
    ],
)
def test_a_key_that_names_a_repository_is_a_reference(key: str) -> None:
    for suffix, text in (
        (".yaml", f"{key}: org/m"),
        (".json", json.dumps({key: "org/m"})),
        (".toml", f'"{key}" = "org/m"'),
    ):
        assert told(suffix, text) == [("org/m", "unpinned")]
        assert told(suffix, text, "org/m") == []


@pytest.mark.parametrize(
    "value",
    [
        *(
            "./out/model",
            "../x/y",
            "/a/b",
            "~/a",
            "gpt2",
            "",
            "a/b/c",
            "out/model.bin",
            "data/x.json",
        ),
        *("https://example.org/x", "{{ model }}", "$MODEL/x", "org/", "/m", "a b/c", "true", "12"),
    ],
)
def test_only_the_shape_of_a_repository_counts(value: str) -> None:
    assert told(".yaml", f"model_id: {json.dumps(value)}") == []


@pytest.mark.parametrize(
    "key", ["model", "name", "path", "hub_model_id", "output_dir", "id", "repo"]
)
def test_a_key_that_means_something_else_as_often_is_none(key: str) -> None:
    assert told(".yaml", f"{key}: openai/gpt-4") == []


def test_a_plain_model_with_a_revision_beside_it_is_one() -> None:
    assert told(".yaml", "model: org/m\nrevision: main") == [("org/m", "unpinned")]
    assert told(".yaml", f"model: org/m\nrevision: {SHA}") == [("org/m", "pinned")]


@pytest.mark.parametrize(
    "revision",
    ["main", "v1.0", "0123456", SHA[:-1], SHA.upper(), "", "~", "null", f"{SHA}0", "1.0", "2024"],
)
def test_a_branch_a_tag_or_a_prefix_does_not_pin(revision: str) -> None:
    assert told(".yaml", f"repo_id: org/m\nrevision: {revision}") == [("org/m", "unpinned")]


@pytest.mark.parametrize(
    "beside",
    ["revision", "model_revision", "repo_revision", "commit_hash", "REVISION", "modelRevision"],
)
def test_the_revision_stands_beside_the_repository(beside: str) -> None:
    assert told(".yaml", f"a:\n  model_id: org/m\n  {beside}: {SHA}") == [("org/m", "pinned")]
    assert told(".yaml", f"{beside}: {SHA}\na:\n  model_id: org/m") == [("org/m", "unpinned")]
    assert told(".json", json.dumps({beside: SHA, "model_id": "org/m"})) == [("org/m", "pinned")]
    assert told(".toml", f'model_id = "org/m"\n{beside} = "{SHA}"') == [("org/m", "pinned")]


def test_a_hash_beside_the_branch_that_it_was_found_on_pins() -> None:
    report = {"repo_id": "org/m", "revision": "main", "commit_hash": SHA}
    assert told(".json", json.dumps(report)) == [("org/m", "pinned")]
    assert told(".json", json.dumps(report | {"commit_hash": None})) == [("org/m", "unpinned")]


def test_a_hash_of_digits_only_is_no_number() -> None:
    digits = "0123456789" * 4
    assert told(".yaml", f"model_id: org/m\nrevision: {digits}") == [("org/m", "pinned")]


def test_a_model_and_a_dataset_have_revisions_of_their_own() -> None:
    text = f"model_id: org/m\nrevision: {SHA}\ndataset_name: org/d\n"
    assert told(".yaml", text) == [("org/m", "pinned"), ("org/d", "unpinned")]
    pinned = f"{text}dataset_revision: {SHA}"
    assert told(".yaml", pinned) == [("org/m", "pinned"), ("org/d", "pinned")]
    assert only(".yaml", "dataset_name: org/d").repo_type == "dataset"
    assert only(".yaml", "repo_id: org/d\nrepo_type: dataset").repo_type == "dataset"


def test_a_placeholder_cannot_be_told() -> None:
    for placeholder in ("${REVISION}", "$REVISION", "{{ revision }}"):
        assert told(".yaml", f"model_id: org/m\nrevision: '{placeholder}'") == [
            ("org/m", "unknown")
        ]


def test_lists_aliases_merges_tags_and_documents_are_read() -> None:
    text = f"""
base: &base {{revision: {SHA}}}
models:
  - {{model_id: a/one, <<: *base}}
  - &two
    model_id: b/two
  - *two
  - !Custom {{model_id: c/three}}
---
model_id: d/four
"""
    assert told(".yaml", text) == [
        ("a/one", "pinned"),
        ("b/two", "unpinned"),
        ("c/three", "unpinned"),
        ("d/four", "unpinned"),
    ]


def test_variables_of_containers_are_keys() -> None:
    listed = f"env:\n- name: MODEL_ID\n  value: org/m\n- name: REVISION\n  value: {SHA}\n"
    assert told(".yaml", listed) == [("org/m", "pinned")]
    assert told(".yaml", "environment:\n- MODEL_ID=org/m\n- X=y") == [("org/m", "unpinned")]


def test_addresses_count_under_any_key() -> None:
    assert told(".yaml", "x: [hf://datasets/org/d/x.csv]") == [("org/d", "unpinned")]
    assert told(".json", f'["hf://org/m@{SHA}/x"]') == [("org/m", "pinned")]
    assert told(".toml", 'u = "https://huggingface.co/org/m/resolve/main/x"') == [
        ("org/m", "unpinned")
    ]


def test_the_place_is_that_of_the_value() -> None:
    yaml_place = only(".yaml", "a:\n  model_id: org/m").place
    assert (yaml_place.line, yaml_place.column) == (2, 13)
    json_place = only(".json", '{"é": 1,\n "model_id": "org/m"}').place
    assert (json_place.line, json_place.column) == (2, 14)
    first, second = find(".toml", '[a]\nrepo_id = "org/m"\n[b]\nrepo_id = "org/m"\n').references
    assert (first.place.line, first.place.column) == (2, 11)
    assert (second.place.line, second.place.column) == (4, 11)


def test_a_comment_with_a_reason_lets_a_reference_pass() -> None:
    assert only(".yaml", "repo_id: org/m # hubaudit: ignore[pin] ours").state is State.IGNORED
    assert only(".yaml", "repo_id: org/m # hubaudit: ignore[pin]").state is State.UNPINNED
    assert only(".toml", 'repo_id = "org/m" # hubaudit: ignore[pin] ours').state is State.IGNORED
    assert (
        only(".json", '{"repo_id": "org/m"} // hubaudit: ignore[pin] ours').state is State.IGNORED
    )


def test_a_pin_is_pasted_in_the_way_of_the_file() -> None:
    assert (only(".json", '{"repo_id": "org/m"}').form) is Form.JSON
    key = only(".yaml", "model_id: org/m\nmodel_revision: main").key
    assert key == "model_revision"
    assert only(".yaml", "MODEL_ID: org/m").key == "REVISION"


@pytest.mark.parametrize(
    ("suffix", "text", "line"),
    [
        (".yaml", "a: 1\nb: [", 2),
        (".yaml", "a: {{ x }}\n  b: c", 2),
        (".yaml", "a: *nothing", 1),
        (".yaml", "\x00", 1),
        (".json", '{"a": 1,\n "b"', 2),
        (".json", '{"a": 1} {}', 1),
        (".json", "[" * 5000, 1),
        (".toml", "a = 1\nb = ", 2),
        (".toml", "a = " + "[" * 5000, 1),
        (".yaml", "[" * 100_000, 1),
    ],
)
def test_what_cannot_be_parsed_is_said(suffix: str, text: str, line: int) -> None:
    found = find(suffix, text)
    assert not found.references
    (unparsed,) = found.unparsed
    assert unparsed.place.line >= line


def test_a_bomb_of_aliases_is_read_once() -> None:
    levels = ["a0: &a0 [x, x]"]
    levels += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    levels += ["b0: &b0 {x: y}"]
    levels += [f"b{n}: &b{n} {{<<: [*b{n - 1}, *b{n - 1}], y{n}: z}}" for n in range(1, 40)]
    assert told(".yaml", "\n".join([*levels, "model_id: org/m"])) == [("org/m", "unpinned")]


def test_comments_and_trailing_commas_in_json_are_taken() -> None:
    assert told(".json", '// x\n{"repo_id": "org/m", /* y */ "a": [1,],}') == [
        ("org/m", "unpinned")
    ]
    assert told(".json", "") == []


def plain(node: Json) -> object:
    match node:
        case Members(members):
            return {key.text: plain(value) for key, value in members}
        case Array(items):
            return [plain(item) for item in items]
        case Leaf(text):
            return text


_DOCUMENTS = st.recursive(
    st.text() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_DOCUMENTS, st.booleans(), st.sampled_from([None, 1]))
def test_json_is_read_as_json_reads_it(document: object, ascii_: bool, indent: int | None) -> None:
    text = json.dumps(document, ensure_ascii=ascii_, indent=indent)
    assert plain(read_json(text)) == document


@given(st.sampled_from([".yaml", ".json", ".toml", ".ipynb", ".py"]), st.text())
def test_no_text_makes_a_finder_fail(suffix: str, text: str) -> None:
    found = find(suffix, text)
    assert all(one.place.line >= 1 for one in found.references)
    assert all(one.place.line >= 1 for one in found.unparsed)
