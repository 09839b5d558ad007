"""The repository and the stand-in Hub that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from tests.demo.hubclient import FILES


@pytest.fixture
def repo() -> HubRepo:
    repo = HubRepo("org/model", FILES, tags=["pytorch"])
    repo.commit(FILES | {"new.txt": b"new"}, "second\n\nits body")
    repo.tag("v1")
    repo.branch("dev", repo.history(repo.sha)[1].sha)
    repo.refs["refs/convert/parquet"] = repo.sha
    repo.pull_request(1, FILES | {"pr.txt": b"pr"})
    return repo


@pytest.fixture
def hub(repo: HubRepo) -> Iterator[StandInHub]:
    repos = [
        repo,
        HubRepo("org/data", {"d.csv": b"1"}, repo_type="dataset"),
        HubRepo("org/app", {"app.py": b"1"}, repo_type="space"),
        HubRepo("org/secret", {"a.bin": b"1"}, private=True),
        HubRepo("org/gated", {"a.bin": b"1", "b.txt": b"2"}, gated="manual"),
        HubRepo("org/off", {"a.bin": b"1"}, disabled=True),
        HubRepo("openai-community/gpt2", {"a.txt": b"1"}),
    ]
    collections = {
        "org/approved-0123456789abcdef01234567": {"items": [{"type": "model", "id": "org/model"}]}
    }
    with StandInHub(
        repos, renames={"gpt2": "openai-community/gpt2"}, collections=collections
    ) as hub:
        yield hub
