"""Which command the arguments name, and what is said of arguments that name none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hubaudit import __version__
from hubaudit.cli.arguments import with_command
from hubaudit.cli.names import COMMANDS
from tests.cli.conftest import FakePipeline, Ran, python
from tests.report import samples

_VALUED = frozenset({"--format", "-f", "--revision", "--reports"})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("org/model", "audit org/model"),
        ("gpt2", "audit gpt2"),
        ("adit org/model", "audit adit org/model"),
        ("audit org/model", "audit org/model"),
        ("audit audit", "audit audit"),
        ("audit sweep", "audit sweep"),
        ("scan folder", "scan folder"),
        ("demo", "demo"),
        ("rules -f json", "rules -f json"),
        ("explain scan", "explain scan"),
        ("--format json org/model", "audit --format json org/model"),
        ("--format=json org/model", "audit --format=json org/model"),
        ("-f json org/model", "audit -f json org/model"),
        ("-qf json org/model", "audit -qf json org/model"),
        ("-fjson scan folder", "scan -fjson folder"),
        ("--format json scan folder", "scan --format json folder"),
        ("--revision scan org/model", "audit --revision scan org/model"),
        ("--revision sweep org/model", "audit --revision sweep org/model"),
        ("-q scan folder", "scan -q folder"),
        ("-- scan", "audit -- scan"),
        ("-- -q", "audit -- -q"),
        ("--strict", "audit --strict"),
        ("--help", "--help"),
        ("-h", "-h"),
        ("--version", "--version"),
        ("org/model --help", "audit org/model --help"),
        ("--help scan", "scan --help"),
    ],
)
def test_the_first_argument_that_is_no_option_names_the_command_or_is_a_target(
    typed: str, meant: str
) -> None:
    assert with_command(typed.split(), _VALUED) == meant.split()


def test_a_repository_with_the_name_of_a_command_is_reached_by_audit(
    run: Callable[..., Ran], fake: FakePipeline
) -> None:
    fake.outcomes["sweep"] = samples.ordinary()
    assert run("audit", "sweep", "--no-save").code == 0


@pytest.mark.parametrize(
    ("typed", "said", "hint"),
    [
        ("--fromat json x", "--format", "see hubaudit audit --help"),
        ("x --stric", "--strict", "see hubaudit audit --help"),
        ("scan --revision x y", "--revision", "see hubaudit scan --help"),
        ("x --format xml", "'xml' is not one of 'text', 'json'", "see hubaudit audit --help"),
        ("x --fail-on info", "'info' is not one of", "see hubaudit audit --help"),
        ("x --revision", "requires an argument", "see hubaudit audit --help"),
        ("audit", "Missing argument", "see hubaudit audit --help"),
        ("demo now", "now", "see hubaudit demo --help"),
        ("rules now", "now", "see hubaudit rules --help"),
        ("explain", "Missing argument", "see hubaudit explain --help"),
        ("explain a b", "b", "see hubaudit explain --help"),
        ("x --token hf_1", "--token", "see hubaudit audit --help"),
        ("x y --record d", "one TARGET", "run it once for each target"),
        ("x --record d --replay d", "exclude each other", "give one of the two folders"),
    ],
)
def test_a_usage_error_is_two_lines_and_exit_code_2(
    typed: str, said: str, hint: str, run: Callable[..., Ran], fake: FakePipeline
) -> None:
    ran = run(*typed.split())
    happened, advice = ran.err.splitlines()
    assert (ran.code, ran.out, fake.asked) == (2, "", [])
    assert happened.startswith("error: ")
    assert said in happened
    assert advice == f"hint: {hint}"


def test_help_names_every_command_and_the_short_form(run: Callable[..., Ran]) -> None:
    ran = run("--help")
    assert (ran.code, ran.err) == (0, "")
    assert all(f" {command} " in ran.out for command in COMMANDS)
    assert "hubaudit TARGET..." in ran.out


def test_no_argument_shows_the_help_and_decides_nothing(run: Callable[..., Ran]) -> None:
    ran = run()
    assert ran.code == 2
    assert "Usage: hubaudit" in ran.out


def test_the_version_is_the_packages(run: Callable[..., Ran]) -> None:
    assert run("--version") == Ran(0, f"hubaudit {__version__}\n", "")


def test_the_package_runs_as_a_module() -> None:
    ran = python("-m", "hubaudit", "--version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"hubaudit {__version__}\n", "")


_NEVER = "huggingface_hub httpx httpx2 requests jinja2 sqlite3 fsspec rich.progress hubaudit.hub"
_ALSO = " hubaudit.pipeline hubaudit.formats hubaudit.pvm hubaudit.rules"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], f"{_NEVER}{_ALSO} pydantic"),
        (["--version"], f"{_NEVER}{_ALSO} pydantic"),
        # typer has pydantic coerce a command's options, and errors are escaped as reports do it
        (["audit", "--help"], f"{_NEVER}{_ALSO}"),
        (["scan", "--help"], f"{_NEVER}{_ALSO}"),
        (["demo", "--help"], f"{_NEVER}{_ALSO}"),
        (["explain", "--help"], f"{_NEVER}{_ALSO}"),
        (["sweep"], _NEVER),
        (["rules"], _NEVER),
        (["explain", "incident"], _NEVER),
    ],
)
def test_what_audits_nothing_loads_nothing_heavy(arguments: list[str], heavy: str) -> None:
    ran = python(
        "-c",
        "import sys\n"
        "from hubaudit.__main__ import main\n"
        f"main({arguments!r})\n"
        f"print([name for name in {heavy!r}.split() if name in sys.modules], file=sys.stderr)",
    )
    assert ran.stderr.splitlines()[-1] == "[]"
