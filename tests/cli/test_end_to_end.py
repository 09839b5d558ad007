"""The command as a user types it, in a process of its own, against a stand-in Hub."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hubaudit.demo.hub import StandInHub
from hubaudit.demo.repos import RENAMES, demo_repos
from hubaudit.report.json import schema
from tests.cli.conftest import ROOT


@dataclass(frozen=True)
class User:
    """Somebody with a home and a working folder, whose Hub is the stand-in."""

    hub: StandInHub
    home: Path

    def types(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hubaudit", *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
            cwd=self.home,
            env={**self.hub.env(self.home), "PYTHONPATH": str(ROOT)},
        )


@pytest.fixture(scope="module")
def hub() -> Iterator[StandInHub]:
    with StandInHub([demo.repo for demo in demo_repos()], renames=RENAMES) as hub:
        yield hub


@pytest.fixture
def user(hub: StandInHub, tmp_path: Path) -> User:
    return User(hub, tmp_path)


def test_a_repository_that_would_run_something_fails_and_shows_the_call(user: User) -> None:
    ran = user.types("demo/os-system")
    assert ran.returncode == 1
    assert ran.stdout.startswith("FAIL  demo/os-system at ")
    assert "os.system('true')" in ran.stdout
    assert "from_pretrained" not in ran.stdout


def test_an_ordinary_repository_passes_twice_with_the_same_bytes(user: User) -> None:
    first = user.types("demo/ordinary")
    assert first.returncode == 0
    (kept,) = (user.home / "reports/demo/ordinary").iterdir()
    assert (
        f'from_pretrained("demo/ordinary", revision="{kept.stem}", use_safetensors=True)'
        in first.stdout
    )
    bytes_then = kept.read_bytes()
    again = user.types("demo/ordinary", "--format", "json")
    assert again.stdout.encode() == kept.read_bytes() == bytes_then
    Draft202012Validator(schema()).validate(json.loads(again.stdout))


def test_hostile_names_print_harmlessly_everywhere(user: User) -> None:
    ran = user.types("demo/hostile-names", "-v")
    assert ran.returncode == 1
    for text in (ran.stdout, ran.stderr):
        assert text.replace("\n", "").isprintable()
        assert "\nPASS" not in text
        assert "[bold green]PASS[/bold green] [link=x]model[/link].bin" in text.replace("\n  ", " ")


def test_a_repository_that_is_not_there_is_two_lines(user: User) -> None:
    ran = user.types("demo/nothing", "--format", "json")
    assert (ran.returncode, ran.stdout) == (2, "")
    happened, advice = ran.stderr.splitlines()
    assert happened.startswith("error: ")
    assert "demo/nothing" in happened
    assert advice.startswith("hint: ")


def test_a_local_folder_is_scanned_without_the_hub(user: User, hub: StandInHub) -> None:
    (armed,) = (demo.repo for demo in demo_repos() if demo.command == ("demo/os-system",))
    folder = user.home / "download"
    folder.mkdir()
    for path, content in armed.files.items():
        (folder / path).write_bytes(content)
    hub.clear_log()
    ran = user.types("scan", "download", "-f", "json")
    assert ran.returncode == 1
    report = json.loads(ran.stdout)
    Draft202012Validator(schema()).validate(report)
    assert str(user.home) not in ran.stdout
    assert list(hub.requests) == []


def test_a_folder_without_files_is_no_pass(user: User) -> None:
    (user.home / "empty" / "deeper").mkdir(parents=True)
    ran = user.types("scan", "empty")
    assert ran.returncode == 2
    assert "there are no files" in ran.stderr
