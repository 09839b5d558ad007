"""What the README and the other documents say is what the code does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hubaudit import __version__
from hubaudit.demo.hub import StandInHub
from hubaudit.demo.repos import RENAMES, demo_repos

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"^## ", README.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[
        0
    ]


def test_two_commands_are_two_blocks_of_one_line_each() -> None:
    blocks = re.findall(
        r"^```\w*\n(.*?)^```$", section("Two commands"), flags=re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 2
    assert [block.count("\n") for block in blocks] == [1, 1]
    assert blocks[0].rstrip().endswith("hubaudit demo")
    assert "pytest" in blocks[1]


def test_the_example_is_the_real_output(tmp_path: Path) -> None:
    command, shown = re.findall(r"```console\n\$ (.*?)\n(.*?)\n\$ echo", README, flags=re.DOTALL)[0]
    assert command.startswith("hubaudit ")
    with StandInHub([sample.repo for sample in demo_repos()], renames=RENAMES) as hub:
        done = subprocess.run(
            [sys.executable, "-m", "hubaudit", *command.split()[1:]],
            env=hub.env(tmp_path) | {"HUBAUDIT_CACHE": str(tmp_path / "ranges"), "COLUMNS": "80"},
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    assert done.stdout.rstrip("\n") == shown.rstrip("\n")
    assert f"$ echo $?\n{done.returncode}\n" in README


def test_the_demo_shows_every_sample_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "hubaudit", "demo"],
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for sample in demo_repos():
        assert f"$ hubaudit {' '.join(sample.command)}\n" in done.stdout
        assert f"exit code {sample.exit_code}\n" in done.stdout
    assert "os.system('true')" in done.stdout
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not left


def test_the_readme_names_every_exit_code_and_verdict() -> None:
    for word in ("PASS", "REVIEW", "FAIL", "INCOMPLETE"):
        assert f"| {word} |" in README
    help_text = subprocess.run(
        [sys.executable, "-m", "hubaudit", "audit", "--help"],
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    ).stdout
    for option in ("--fail-on", "--strict", "--record", "--replay", "--format"):
        assert option in README
        assert option in help_text
    for code in ("0 PASS", "1 FAIL", "2 error", "3 INCOMPLETE", "130"):
        assert code in help_text


def test_links_into_the_repository_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_changelog_knows_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_architecture_page_names_only_modules_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in set(re.findall(r"`((?:\w+/)*\w+\.py)`", page)):
        assert (ROOT / name).exists() or list((ROOT / "hubaudit").rglob(name)), name


def test_hf_can_run_it_as_an_extension() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"]["hf-audit"] == project["scripts"]["hubaudit"]


@pytest.mark.parametrize("word", ["safe!", "is clean", "No issues found"])
def test_no_document_promises_more_than_was_found(word: str) -> None:
    assert word not in README
