"""A stand-in Hub, a client that loses patience quickly, and caches of the test's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.events import Event
from hubaudit.hub.client import HubClient
from hubaudit.hub.wire import Patience
from hubaudit.model import RepoFile, RepoRef, Target

SHORT = Patience(timeout=0.8, pauses=(0.01, 0.01))
WEIGHTS = random.Random(7).randbytes(300_000)
FILES = {
    "config.json": b'{"a": 1}',
    "pytorch_model.bin": WEIGHTS,
    "sub/dir/weird name+é#%[1].pkl": b"\x80\x04N.",
    "empty.pt": b"",
    "README.md": b"# hello",
}

Connect = Callable[..., HubClient]
Read = Callable[[HubClient, RepoRef, RepoFile], bytes]


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache and no token of whoever runs the tests, and the client's own time-outs short."""
    monkeypatch.setenv("HUBAUDIT_CACHE", str(tmp_path / "hubaudit"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.8)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.8)


@pytest.fixture
def repo() -> HubRepo:
    return HubRepo("org/model", dict(FILES))


@pytest.fixture
def hub(repo: HubRepo) -> Iterator[StandInHub]:
    repos = [
        repo,
        HubRepo("org/data", {"d.bin": b"data"}, repo_type="dataset"),
        HubRepo("org/app", {"a.bin": b"space"}, repo_type="space"),
        HubRepo("org/secret", {"a.bin": b"secret"}, private=True),
        HubRepo("org/gated", {"a.bin": b"gated"}, gated="manual"),
        HubRepo("org/off", {"a.bin": b"1"}, disabled=True),
        HubRepo("openai-community/gpt2", {"a.bin": b"1"}),
        HubRepo("new-org/moved", {"a.bin": b"1"}),
    ]
    renames = {"gpt2": "openai-community/gpt2", "org/old": "new-org/moved"}
    with StandInHub(repos, renames=renames) as hub:
        yield hub


@pytest.fixture
def connect(hub: StandInHub) -> Iterator[Connect]:
    """Entered clients of the stand-in Hub, closed when the test ends."""
    with ExitStack() as stack:

        def enter(**options: Any) -> HubClient:
            settings = {"endpoint": hub.endpoint, "token": False, "patience": SHORT, **options}
            return stack.enter_context(HubClient(**settings))

        yield enter


@pytest.fixture
def events() -> list[Event]:
    return []


def pinned(client: HubClient, repo_id: str = "org/model", **target: Any) -> RepoRef:
    return client.pin(Target(repo_id, **target))


def listed(client: HubClient, path: str, **target: Any) -> tuple[RepoRef, RepoFile]:
    """A file of the pinned repository, by its path."""
    repo = pinned(client, **target)
    return repo, {f.path: f for f in client.list_files(repo).files}[path]


def whole(client: HubClient, repo: RepoRef, file: RepoFile) -> bytes:
    return client.download(repo, file).read_bytes()


def part(client: HubClient, repo: RepoRef, file: RepoFile) -> bytes:
    return client.open_range(repo, file).read(0, file.size)
