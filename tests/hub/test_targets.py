from __future__ import annotations

import pytest
from huggingface_hub import constants

from hubaudit.errors import MalformedTarget
from hubaudit.hub.targets import parse_target
from hubaudit.model import Target

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt2", Target("gpt2")),
        (" org/model\n", Target("org/model")),
        ("org/model@v1", Target("org/model", revision="v1")),
        (f"org/model@{SHA}", Target("org/model", revision=SHA)),
        ("org/model@refs/pr/1", Target("org/model", revision="refs/pr/1")),
        ("org/model@refs%2Fpr%2F1", Target("org/model", revision="refs/pr/1")),
        ("org/model@feature/x", Target("org/model", revision="feature/x")),
        ("models/org/model", Target("org/model")),
        ("datasets/org/name@main", Target("org/name", "dataset", "main")),
        ("datasets/squad", Target("squad", "dataset")),
        ("spaces/org/name", Target("org/name", "space")),
        ("hf://org/model@v1", Target("org/model", revision="v1")),
        ("hf://datasets/org/name@refs/pr/3/a.json", Target("org/name", "dataset", "refs/pr/3")),
        ("https://huggingface.co/org/model", Target("org/model")),
        ("huggingface.co/org/model", Target("org/model")),
        ("https://huggingface.co/org/model/tree/v1", Target("org/model", revision="v1")),
        (f"https://huggingface.co/org/model/commit/{SHA}", Target("org/model", revision=SHA)),
        (
            "https://huggingface.co/datasets/org/name/blob/main/a%20b.bin?download=true",
            Target("org/name", "dataset", "main"),
        ),
        ("https://huggingface.co/spaces/org/name", Target("org/name", "space")),
    ],
)
def test_each_way_to_name_a_repository_is_understood(text: str, expected: Target) -> None:
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        ".",
        "/etc",
        "./model",
        "../model",
        "~/model",
        "a b",
        "a--b",
        "org/model/file.bin",
        "org/model@",
        "@main",
        "org/",
        "dataset/org/name",
        "org/model@a..b",
        "org/model@../../x",
        "org/model@-x",
        "org/model@a b",
        "org/model@a\x00b",
        "hf://gpt2",
        "hf://buckets/org/name",
        "https://github.com/org/model",
        "https://huggingface.co/org",
        "https://huggingface.co/org/model/settings",
        "https://[broken",
        "org/model.git",
        "org/\x1b[31mmodel",
    ],
)
def test_anything_else_is_malformed_and_says_what_to_write(text: str) -> None:
    with pytest.raises(MalformedTarget) as caught:
        parse_target(text)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_options_say_what_the_text_leaves_open() -> None:
    assert parse_target("org/n", repo_type="dataset", revision="v1") == Target(
        "org/n", "dataset", "v1"
    )
    assert parse_target("hf://org/n", repo_type="space") == Target("org/n", "space")
    assert parse_target("org/n@v1", revision="v1") == Target("org/n", revision="v1")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("datasets/org/n", {"repo_type": "model"}),
        ("https://huggingface.co/org/n", {"repo_type": "dataset"}),
        ("org/n@v1", {"revision": "v2"}),
        ("org/n", {"revision": ""}),
        ("org/n", {"revision": "a:b"}),
        ("org/n", {"repo_type": "kernel"}),
    ],
)
def test_options_that_contradict_the_text_are_refused(text: str, options: dict[str, str]) -> None:
    with pytest.raises(MalformedTarget):
        parse_target(text, **options)


def test_urls_of_the_configured_endpoint_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example.org:8080/hf")
    url = "http://hub.example.org:8080/hf/datasets/org/name/tree/v1"
    assert parse_target(url) == Target("org/name", "dataset", "v1")
