"""What shells offer for a word that is begun."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hubaudit.cli.arguments import for_completion
from hubaudit.cli.names import COMMANDS
from tests.cli.conftest import ROOT, python


def offered(line: str) -> list[str]:
    """What bash would be told for `line`, whose last word is the one that is begun."""
    environ = {
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
        "_HUBAUDIT_COMPLETE": "complete_bash",
    }
    ran = python("-m", "hubaudit", env=environ)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hubaudit ", list(COMMANDS)),
        ("hubaudit sc", ["scan"]),
        ("hubaudit -q sc", ["scan"]),
        ("hubaudit scan x --fail", ["--fail-on"]),
        ("hubaudit org/model --fail", ["--fail-on"]),
        ("hubaudit --fail", ["--fail-on"]),
        ("hubaudit --ver", ["--version", "--verbose"]),
        ("hubaudit org/model --fail-on m", ["medium"]),
        ("hubaudit --fail-on m", ["medium"]),
        ("hubaudit org/model --format js", ["json", "jsonl"]),
        ("hubaudit report x.json --exit", ["--exit-code"]),
        ("hubaudit rules --fail", []),
        ("hubaudit explain dangerous", ["dangerous-import"]),
        ("hubaudit explain inc", ["incident"]),
    ],
)
def test_a_word_is_completed_from_what_may_stand_there(line: str, words: list[str]) -> None:
    assert offered(line) == words


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", ""),
        ("-q", ""),
        ("--format", "audit --format"),
        ("org/model", "audit org/model"),
        ("-q scan", "scan -q"),
        ("--format scan", ""),
        ("--", "audit --"),
    ],
)
def test_the_command_is_found_before_the_begun_word(typed: str, meant: str) -> None:
    assert for_completion(typed.split(), frozenset({"--format"})) == meant.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_the_script_that_is_shown(tmp_path: Path) -> None:
    command = tmp_path / "hubaudit"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hubaudit "$@"\n')
    command.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    shown = (
        "import sys, shellingham\n"
        "shellingham.detect_shell = lambda *_: ('bash', '/bin/bash')\n"
        "from hubaudit.__main__ import main\n"
        "sys.exit(main(['--show-completion']))"
    )
    script = python("-c", shown)
    assert script.returncode == 0, script.stderr
    asked = (
        "COMP_WORDS=(hubaudit org/model --fail-on hi); COMP_CWORD=3; _hubaudit_completion hubaudit"
    )
    done = subprocess.run(
        ["bash", "-c", f'{script.stdout}\n{asked}\necho "${{COMPREPLY[@]}}"'],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environ,
    )
    assert done.stdout == "high\n"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_too(shell: str) -> None:
    environ = {
        "_TYPER_COMPLETE_ARGS": "hubaudit org/model --fail-on hi",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_HUBAUDIT_COMPLETE": f"complete_{shell}",
    }
    ran = python("-m", "hubaudit", env=environ)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "high" in ran.stdout


def test_completion_loads_nothing_heavy() -> None:
    ran = python(
        "-c",
        "import sys\n"
        "from hubaudit.__main__ import main\n"
        "main([])\n"
        "heavy = 'huggingface_hub httpx httpx2 requests hubaudit.pipeline'.split()\n"
        "print([one for one in heavy if one in sys.modules], file=sys.stderr)",
        env={
            "COMP_WORDS": "hubaudit org/model --fail",
            "COMP_CWORD": "2",
            "_HUBAUDIT_COMPLETE": "complete_bash",
        },
    )
    assert ran.stdout == "--fail-on\n"
    assert ran.stderr.splitlines()[-1] == "[]"
