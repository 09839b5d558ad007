from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from hubaudit import pipeline
from hubaudit.cli.app import main
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repos import demo_repos
from hubaudit.errors import RepositoryMissing
from hubaudit.events import Listener, ignore
from hubaudit.model import RepoReport

ROOT = Path(__file__).parents[2]
Outcome = RepoReport | BaseException
ORDINARY = next(one.repo for one in demo_repos() if one.repo.repo_id == "demo/ordinary").files
ARMED = next(one.repo for one in demo_repos() if one.repo.repo_id == "demo/os-system").files


@dataclass
class FakePipeline:
    """What audits and scans end with, by target, and what they were asked."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tell: Callable[[Listener], None] = ignore  # type: ignore[assignment]

    def __call__(self, target: object, *, listener: Listener, **how: Any) -> RepoReport:
        self.asked.append((str(target), how))
        self.tell(listener)
        outcome = self.outcomes.get(str(target))
        if outcome is None:
            raise RepositoryMissing(f"{target} is missing", hint="check the spelling")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    fake = FakePipeline()
    monkeypatch.setattr(pipeline, "audit", fake)
    monkeypatch.setattr(pipeline, "scan", fake)
    return fake


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def repo() -> HubRepo:
    return HubRepo("org/model", dict(ORDINARY))


@pytest.fixture
def hub(repo: HubRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A stand-in Hub that the command line takes for the Hub; what is kept lies in `tmp_path`."""
    with StandInHub([repo]) as hub:
        # what HF_ENDPOINT sets when huggingface_hub is imported
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("HUBAUDIT_CACHE", str(tmp_path / "hubaudit"))
        monkeypatch.setenv("HUBAUDIT_STORE", str(tmp_path / "store.sqlite3"))
        yield hub


@pytest.fixture
def run(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """The command line in this process, in an empty folder."""
    before = dict(os.environ)
    for name in ("HUBAUDIT_DEBUG", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ran:
        code = main(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    yield run
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


def python(*arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
    """A Python of its own that finds the package."""
    environ = {**os.environ, **how.pop("env", {}), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        env=environ,
        **how,
    )
