"""Second opinions: of small programs by the names of the engines, and of the real ones if there are any."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

import hubaudit
from hubaudit.cli.options import ENGINES as NAMES
from hubaudit.engines import ENGINES, Limits, consult
from hubaudit.engines.child import environment
from hubaudit.engines.installed import Installed, find
from hubaudit.model import FileReport, Opinion, ReadHow, RepoReport
from tests.cli.conftest import ROOT, python
from tests.report import samples

LIMITS = Limits(seconds=20, address_space=2 << 30)
HARMLESS = b"\x80\x04]\x94."
CALLS = b"cos\nsystem\n(S'true'\ntR."
PICKLESCAN = (
    "----------- SCAN SUMMARY -----------\nScanned files: {}\nInfected files: {}\n"
    "Suspicious globals: {}\nDangerous globals: {}\n"
)
Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a Python program on a PATH that has nothing else; `sys.argv` has what the engine is given."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def install(name: str, body: str) -> None:
        program = programs / name
        program.write_text(f"#!{sys.executable} -S\nimport os, sys\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return install


@pytest.fixture
def scanned(tmp_path: Path) -> Path:
    folder = tmp_path / "scanned"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(HARMLESS)
    return folder


def ask(name: str, folder: Path, limits: Limits = LIMITS) -> list[Opinion]:
    report = hubaudit.scan(folder)
    asked = consult(report, [name], lambda file: folder / file.path, limits)
    assert replace(asked, opinions=()) == report
    return list(asked.opinions)


def ask_one(name: str, folder: Path, limits: Limits = LIMITS) -> tuple[str, str]:
    [opinion] = ask(name, folder, limits)
    assert (opinion.engine, opinion.path) == (name, "model.pkl")
    return opinion.status, opinion.detail


def says(text: str, code: int = 0) -> str:
    return f"print({text!r}, end='')\nsys.exit({code})"


def writes(result: object, code: int = 0, option: str = "-o") -> str:
    text = result if isinstance(result, str) else json.dumps(result)
    place = f"sys.argv[sys.argv.index({option!r}) + 1]"
    return f"open({place}, 'w').write({text!r})\nsys.exit({code})"


def test_the_command_line_knows_every_engine() -> None:
    assert list(ENGINES) == list(NAMES)


FOUND = "/x/file.pkl: dangerous import 'os system' FOUND\n"


@pytest.mark.parametrize(
    ("said", "code", "status", "detail"),
    [
        (PICKLESCAN.format(1, 0, 0, 0), 0, "unflagged", ""),
        (PICKLESCAN.format(1, 0, 2, 0), 0, "unflagged", "2 suspicious globals"),
        (FOUND + PICKLESCAN.format(1, 1, 0, 1), 1, "flagged", "dangerous import os system"),
        (PICKLESCAN.format(0, 0, 0, 0), 0, "skipped", "it read nothing"),
        (
            "WARNING: could not parse\n" + PICKLESCAN.format(1, 0, 0, 0),
            0,
            "error",
            "WARNING: could",
        ),
        (PICKLESCAN.format(1, 0, 0, 0), 2, "error", "exit code 2"),
        ("", 0, "error", "exit code 0"),
        ("Infected files: 0\n", 0, "error", "exit code 0: Infected files: 0"),
        (PICKLESCAN.format(1, 0, 0, 0) + "more\n", 0, "error", "exit code 0: more"),
        ("ModuleNotFoundError: x\n", 1, "error", "exit code 1: ModuleNotFoundError"),
    ],
)
def test_picklescan_is_understood(
    said: str, code: int, status: str, detail: str, install: Install, scanned: Path
) -> None:
    install("picklescan", says(said, code))
    answered = ask_one("picklescan", scanned)
    assert answered[0] == status
    assert detail in answered[1]


SAFE = {"severity": "LIKELY_SAFE", "analysis": "Warning: …", "detailed_results": {}}
BAD = {"severity": "LIKELY_OVERTLY_MALICIOUS", "analysis": "from os import system", "d": {}}


@pytest.mark.parametrize(
    ("result", "code", "status", "detail"),
    [
        (SAFE, 0, "unflagged", ""),
        (BAD, 1, "flagged", "LIKELY_OVERTLY_MALICIOUS: from os import system"),
        (json.dumps(SAFE) + json.dumps(BAD), 1, "flagged", "LIKELY_OVERTLY_MALICIOUS"),
        (SAFE, 1, "error", "exit code 1"),
        ("", 0, "error", "exit code 0"),
        ("{}", 0, "error", "exit code 0"),
        ("[1]", 0, "error", "exit code 0"),
        ("[" * 100_000, 0, "error", "exit code 0"),
    ],
)
def test_fickling_is_understood(
    result: object, code: int, status: str, detail: str, install: Install, scanned: Path
) -> None:
    install("fickling", writes(result, code, "--json-output"))
    answered = ask_one("fickling", scanned)
    assert answered[0] == status
    assert detail in answered[1]


def modelscan(scanned: int = 1, issues: int = 0, errors: int = 0) -> dict[str, object]:
    return {
        "summary": {"scanned": {"total_scanned": scanned}},
        "issues": [{"description": "Use of unsafe operator"}] * issues,
        "errors": [{"description": "Parsing error"}] * errors,
    }


@pytest.mark.parametrize(
    ("result", "code", "status", "detail"),
    [
        (modelscan(), 0, "unflagged", ""),
        (modelscan(issues=2), 1, "flagged", "Use of unsafe operator"),
        (modelscan(errors=1), 2, "error", "Parsing error"),
        (modelscan(0, errors=1), 3, "error", "Parsing error"),
        (modelscan(0), 3, "skipped", "it read nothing"),
        (modelscan(0), 0, "error", "exit code 0"),
        (modelscan(), 2, "error", "exit code 2"),
        (modelscan() | {"issues": {}}, 0, "error", "exit code 0"),
        (modelscan() | {"errors": ""}, 0, "error", "exit code 0"),
        (modelscan(True), 0, "error", "exit code 0"),
        (modelscan(-1), 0, "error", "exit code 0"),
        ("No issues found! 🎉", 0, "error", "exit code 0"),
        ("{}", 0, "error", "exit code 0"),
    ],
)
def test_modelscan_is_understood(
    result: object, code: int, status: str, detail: str, install: Install, scanned: Path
) -> None:
    install("modelscan", writes(result, code))
    answered = ask_one("modelscan", scanned)
    assert answered[0] == status
    assert detail in answered[1]


def modelaudit(*severities: str, success: bool = True) -> dict[str, object]:
    issues = [{"severity": one, "message": f"it is {one}"} for one in severities]
    return {"issues": issues, "success": success, "files_scanned": 1}


@pytest.mark.parametrize(
    ("result", "code", "status", "detail"),
    [
        (modelaudit(), 0, "unflagged", ""),
        (modelaudit("info"), 0, "unflagged", ""),
        (modelaudit("info", "critical"), 1, "flagged", "it is critical"),
        (modelaudit("warning"), 1, "flagged", "it is warning"),
        (modelaudit("info", success=False), 1, "error", "did not read all of it: it is info"),
        (modelaudit(), 2, "error", "exit code 2"),
        (modelaudit() | {"files_scanned": 0}, 0, "error", "exit code 0"),
        (modelaudit() | {"files_scanned": "none"}, 0, "error", "exit code 0"),
        (modelaudit() | {"issues": {}}, 0, "error", "exit code 0"),
        (modelaudit() | {"success": 1}, 0, "error", "exit code 0"),
        ("", 0, "error", "exit code 0"),
    ],
)
def test_modelaudit_is_understood(
    result: object, code: int, status: str, detail: str, install: Install, scanned: Path
) -> None:
    install("modelaudit", writes(result, code, "--output"))
    answered = ask_one("modelaudit", scanned)
    assert answered[0] == status
    assert detail in answered[1]


def test_an_engine_that_is_not_installed_is_named(
    scanned: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("something", "")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(scanned))
    monkeypatch.setattr(metadata, "distributions", lambda **_: [])
    assert ask("modelscan", scanned) == [
        Opinion("modelscan", None, "", "absent", "it is not installed")
    ]


def test_an_engine_that_does_not_end_is_stopped_with_all_that_it_started(
    install: Install, scanned: Path, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    install(
        "picklescan",
        "import time\n"
        "if os.fork() == 0:\n"
        f"    time.sleep(2.5); open({str(alive)!r}, 'w').close(); os._exit(0)\n"
        "time.sleep(60)",
    )
    began = time.monotonic()
    assert ask_one("picklescan", scanned, Limits(1, 2 << 30))[0] == "timeout"
    assert time.monotonic() - began < 10
    time.sleep(2.5)
    assert not alive.exists()


def test_what_an_engine_left_running_spoils_no_report(
    install: Install, scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a session of its own it is not stopped, and it fills the folder while that is removed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    install(
        "picklescan",
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    for n in range(20_000):\n"
        "        try: os.makedirs(f'more/{n % 50}/{n}')\n"
        "        except OSError: pass\n"
        "    os._exit(0)\n" + says(PICKLESCAN.format(1, 0, 0, 0)),
    )
    assert ask_one("picklescan", scanned)[0] == "unflagged"


def test_an_engine_that_ends_by_a_signal_has_given_no_answer(
    install: Install, scanned: Path
) -> None:
    install("picklescan", "os.kill(os.getpid(), 11)")
    assert ask_one("picklescan", scanned) == ("error", "it ended by signal 11")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit addresses")
def test_an_engine_gets_no_more_memory_than_it_may_have(install: Install, scanned: Path) -> None:
    grabs = "x = bytearray(300 << 20)\n" + says(PICKLESCAN.format(1, 0, 0, 0))
    install("picklescan", grabs)
    assert ask_one("picklescan", scanned, Limits(20, 1 << 30))[0] == "unflagged"
    status, detail = ask_one("picklescan", scanned, Limits(20, 200 << 20))
    assert (status, "MemoryError" in detail) == ("error", True)


def test_endless_output_is_read_in_part_only(install: Install, scanned: Path) -> None:
    install("picklescan", "for _ in range(64): os.write(1, b'x' * (1 << 20))")
    status, detail = ask_one("picklescan", scanned)
    assert status == "error"
    assert len(detail) < 400


def test_an_engine_sees_no_token_no_home_and_no_folder_of_ours(
    install: Install, scanned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", str(scanned))
    monkeypatch.chdir(scanned)
    install(
        "picklescan",
        f"here = os.environ['HOME'] == os.getcwd() != {str(scanned)!r}\n"
        "given = [name for name in os.environ if 'SECRET' in name or 'TOKEN' in name]\n"
        "given += [name for name in ('PYTHONPATH', 'HF_HOME') if name in os.environ]\n"
        "print('WARNING:', here, given, os.environ['HF_HUB_OFFLINE'], sys.stdin.read() == '')\n"
        f"print({PICKLESCAN.format(1, 0, 0, 0)!r}, end='')",
    )
    assert ask_one("picklescan", scanned) == ("error", "WARNING: True [] 1 True")


def test_programs_of_the_folder_that_we_stand_in_are_not_run(
    monkeypatch: pytest.MonkeyPatch, scanned: Path
) -> None:
    hostile = scanned / "picklescan"
    hostile.write_text("#!/bin/sh\n")
    hostile.chmod(0o755)
    monkeypatch.chdir(scanned)
    monkeypatch.setenv("PATH", f".:{os.curdir}::bin")
    found = find(ENGINES["picklescan"])
    assert found is None or found.command[0] != str(hostile)
    assert environment(scanned, {"PATH": ".:bin::/usr/bin"})["PATH"] == "/usr/bin"


def test_a_file_name_can_write_nothing_into_an_answer(install: Install, scanned: Path) -> None:
    name = f"--url\n{PICKLESCAN.format(1, 0, 0, 0)}.pkl"
    (scanned / "model.pkl").rename(scanned / name)
    install("picklescan", "print('WARNING:', sys.argv[1:])\n" + says(PICKLESCAN.format(1, 0, 0, 0)))
    [opinion] = ask("picklescan", scanned)
    assert opinion.path == name
    assert opinion.detail == "WARNING: ['--path', '…/in/file.pkl']"


def test_an_engine_without_a_program_is_run_as_a_module(
    monkeypatch: pytest.MonkeyPatch, install: Install, tmp_path: Path
) -> None:
    install("something", "")
    place = tmp_path / "site"
    (place / "modelaudit-1.2.dist-info").mkdir(parents=True)
    (place / "modelaudit-1.2.dist-info" / "METADATA").write_text("Name: modelaudit\nVersion: 1.2\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(place)])
    assert find(ENGINES["modelaudit"]) == Installed([sys.executable, "-m", "modelaudit"], "1.2")


def test_the_file_itself_is_what_the_engine_reads(install: Install, scanned: Path) -> None:
    (scanned / "model.pkl").write_bytes(CALLS)
    reads = "data = open(sys.argv[2], 'rb').read()\nprint('WARNING:', data)\n"
    install("picklescan", reads + says(PICKLESCAN.format(1, 0, 0, 0)))
    assert ask_one("picklescan", scanned) == ("error", f"WARNING: {CALLS!r}")
    assert (scanned / "model.pkl").read_bytes() == CALLS


def one_file(read: ReadHow, format_: str = "pickle") -> RepoReport:
    file = replace(samples.file("model.pkl", read), format=format_)
    return replace(samples.ordinary(), files=(file,))


def test_what_is_not_on_this_disk_is_skipped_and_said(install: Install) -> None:
    install("picklescan", says(PICKLESCAN.format(1, 0, 0, 0)))

    def nowhere(_: FileReport) -> Path | None:
        return None

    for read in (ReadHow.RANGE, ReadHow.CACHE):
        [opinion] = consult(one_file(read), ["picklescan"], nowhere, LIMITS).opinions
        assert opinion.status == "skipped"
        assert "not on this disk" in opinion.detail


def test_fickling_is_not_asked_about_archives(install: Install, scanned: Path) -> None:
    install("fickling", writes(SAFE, 0, "--json-output"))
    report = one_file(ReadHow.LOCAL, "torch-zip")
    [opinion] = consult(report, ["fickling"], lambda _: scanned / "model.pkl", LIMITS).opinions
    assert (opinion.status, opinion.detail) == ("skipped", "it does not read torch-zip")


def test_a_report_of_a_format_of_a_newer_version_is_no_obstacle(scanned: Path) -> None:
    report = one_file(ReadHow.LOCAL, "holographic")
    assert consult(report, ["modelscan"], lambda _: scanned, LIMITS).opinions


def test_only_files_that_can_execute_are_shown_to_engines(install: Install, scanned: Path) -> None:
    (scanned / "README.md").write_text("text")
    install("picklescan", says(PICKLESCAN.format(1, 0, 0, 0)))
    assert [opinion.path for opinion in ask("picklescan", scanned)] == ["model.pkl"]


def test_of_very_many_files_the_first_are_asked_about_and_the_rest_is_said(
    install: Install, monkeypatch: pytest.MonkeyPatch, scanned: Path
) -> None:
    monkeypatch.setattr("hubaudit.engines._MOST_FILES", 1)
    (scanned / "other.pkl").write_bytes(HARMLESS)
    install("picklescan", says(PICKLESCAN.format(1, 0, 0, 0)))
    first, rest = ask("picklescan", scanned)
    assert (first.path, first.status, rest.path, rest.status) == (
        *("model.pkl", "unflagged"),
        *("", "skipped"),
    )
    assert "not about 1 more" in rest.detail


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "hubaudit", *arguments, "--no-config", cwd=cwd)


def test_no_opinion_changes_a_verdict_or_an_exit_code(install: Install, scanned: Path) -> None:
    install("picklescan", says(FOUND + PICKLESCAN.format(1, 1, 0, 1), 1))
    ran = run("scan", "model.pkl", "--engine", "picklescan", "-f", "json", cwd=scanned)
    report = json.loads(ran.stdout)
    assert (ran.returncode, report["verdict"]) == (0, "pass")
    assert [one["status"] for one in report["opinions"]] == ["flagged"]
    (scanned / "model.pkl").write_bytes(CALLS)
    install("picklescan", says(PICKLESCAN.format(1, 0, 0, 0)))
    ran = run("scan", ".", "--engine", "picklescan", cwd=scanned)
    assert ran.returncode == 1
    assert "picklescan  model.pkl: nothing flagged" in ran.stdout


def test_an_audit_shows_engines_what_it_has_in_the_cache(install: Install, tmp_path: Path) -> None:
    from hubaudit.demo.hub import StandInHub
    from hubaudit.demo.repos import RENAMES, demo_repos

    install(
        "picklescan",
        "print('WARNING:', os.path.getsize(sys.argv[2]))\n" + says(PICKLESCAN.format(1, 0, 0, 0)),
    )
    with StandInHub([demo.repo for demo in demo_repos()], renames=RENAMES) as hub:
        environ = hub.env(tmp_path) | {
            "HUBAUDIT_CACHE": str(tmp_path / "ranges"),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
        }
        options = ("--engine", "picklescan", "-f", "json", "--no-save", "--fetch")
        found = {}
        for fetch in ("cache", "range"):
            ran = python(
                *("-m", "hubaudit", "demo/os-system", *options, fetch), env=environ, cwd=tmp_path
            )
            assert ran.returncode == 1, ran.stderr
            report = json.loads(ran.stdout)
            [size] = [one["size"] for one in report["files"] if one["path"] == "pytorch_model.bin"]
            [found[fetch]] = report["opinions"]
    assert found["cache"]["detail"] == f"WARNING: {size}"
    assert found["range"]["status"] == "skipped"


def test_an_engine_that_nobody_knows_is_a_usage_error(scanned: Path) -> None:
    ran = run("scan", ".", "--engine", "picklscan", cwd=scanned)
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "error: there is no engine 'picklscan'",
        "hint: perhaps picklescan",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_real_engine_is_asked_and_understood(name: str, tmp_path: Path) -> None:
    found = find(ENGINES[name])
    if found is None:
        pytest.skip(f"{name} is not installed here")
    assert found.version
    (tmp_path / "bad.pkl").write_bytes(CALLS)
    (tmp_path / "cut.pkl").write_bytes(b"\x80\x04\x95\xff\0\0\0\0\0\0\0]\x94")
    (tmp_path / "good.pkl").write_bytes(HARMLESS)
    report = hubaudit.scan(tmp_path)
    asked = consult(report, [name], lambda file: tmp_path / file.path)
    answers = {opinion.path: opinion.status for opinion in asked.opinions}
    assert answers["bad.pkl"] == "flagged"
    assert answers["good.pkl"] == "unflagged"
    assert answers["cut.pkl"] in {"flagged", "error"}
