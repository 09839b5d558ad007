"""The process's own streams and environment: pipes, terminals, encodings, the Hub's client."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hubaudit.cli.console import wants_color
from tests.cli.conftest import ROOT, python

# A process whose audits end with a sample, and which then does as a console script does.
_SCRIPT = """
import sys
from hubaudit import pipeline
from hubaudit.__main__ import main
from hubaudit.events import Downloading, Listed, Pinned, Sniffed, Waiting
from tests.report import samples

def audit(target, *, listener, **_):
    listener(Pinned(samples.repo()))
    listener(Listed(3, 8_200_000))
    listener(Sniffed(3, 3))
    listener(Downloading("a[red]\\x1b[2J.bin", 0, 4_100_000))
    listener(Waiting(0.1, "the Hub's limit"))
    return samples.malicious()

pipeline.audit = audit
sys.exit(main(sys.argv[1:]))
"""


def _on_a_terminal(*arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and everything that a terminal of 80 columns was sent by stdout and stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, *arguments],
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env={
            **{k: v for k, v in os.environ.items() if k != "NO_COLOR"},
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "COLUMNS": "80",
            **(environ or {}),
        },
    )
    os.close(theirs)
    sent = b""
    try:
        while piece := os.read(ours, 4096):
            sent += piece
    except OSError:  # Linux: the other side is closed
        pass
    os.close(ours)
    return process.wait(timeout=60), sent.decode("utf-8")


def test_a_terminal_gets_bars_and_colours() -> None:
    code, sent = _on_a_terminal("org/model", "--no-save")
    assert code == 1
    assert "4.1 MB" in sent
    assert "waiting: the Hub's limit" in sent
    assert "a[red]\\x1b[2J.bin" in sent
    assert "\x1b[2J" not in sent
    assert "\x1b[1;37;41mFAIL\x1b[0m" in sent


def test_no_color_takes_the_colours_from_a_terminal() -> None:
    _, sent = _on_a_terminal("org/model", "--no-save", environ={"NO_COLOR": "1"})
    assert "\nFAIL  \x1b" not in sent
    assert "FAIL  evil/model" in sent
    assert "[31m" not in sent


def test_quiet_draws_no_bars() -> None:
    _, sent = _on_a_terminal("org/model", "--no-save", "-q", environ={"NO_COLOR": "1"})
    assert sent.startswith("FAIL  evil/model")


@pytest.mark.parametrize(
    ("terminal", "environ", "color"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    terminal: bool, environ: dict[str, str], color: bool, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as tty, (tmp_path / "file").open("w") as file:
        assert wants_color(tty if terminal else file, environ) is color
    os.close(ours)


def test_json_on_a_pipe_is_json_and_nothing_else(tmp_path: Path) -> None:
    ran = python("-c", _SCRIPT, "--format", "json", "x", cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stdout.startswith("{\n")
    assert ran.stdout.endswith("}\n")
    assert "downloading a[red]\\x1b[2J.bin, 4.1 MB\n" in ran.stderr


def test_a_reader_who_leaves_is_no_error(tmp_path: Path) -> None:
    command = '"$0" -c "$1" x -f json -q | true; echo "${PIPESTATUS[@]}"'
    ran = subprocess.run(
        ["bash", "-c", command, sys.executable, _SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (ran.stdout, ran.stderr) == ("1 0\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_behind_stdout_is_an_error_not_a_verdict(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ran = subprocess.run(
            [sys.executable, "-c", _SCRIPT, "x", "-q"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[0].startswith("error: the report could not be written")
    assert len(ran.stderr.splitlines()) == 2


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_do_not_change_the_exit_code(closed: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" x {closed}', sys.executable, _SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 1


def test_a_stream_that_knows_only_ascii_gets_the_rest_written_out(tmp_path: Path) -> None:
    ran = python("-c", _SCRIPT, "x", cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert ran.returncode == 1
    assert "pytorch_model.bin \\u203a archive/data.pkl" in ran.stdout


def test_the_client_is_quiet_and_sends_no_telemetry() -> None:
    code = (
        "import logging, os, sys, warnings\n"
        "from hubaudit.cli.app import main\n"
        "main(['--version'])\n"
        "import huggingface_hub\n"
        "from huggingface_hub import constants\n"
        "from huggingface_hub.utils import are_progress_bars_disabled\n"
        "logging.getLogger('huggingface_hub.file_download').error('noise')\n"
        "logging.getLogger('filelock').warning('noise')\n"
        "warnings.warn_explicit('noise', UserWarning, 'f', 1, 'huggingface_hub.file_download')\n"
        "print(constants.HF_HUB_DISABLE_TELEMETRY, constants.HF_HUB_DISABLE_XET,\n"
        "      are_progress_bars_disabled())\n"
    )
    clean = {name: "" for name in os.environ if name.startswith("HF_")}
    environ = {k: v for k, v in os.environ.items() if k not in clean}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**environ, "PYTHONPATH": str(ROOT)},
    )
    assert ran.stdout.splitlines()[-1] == "True True True"
    assert ran.stderr == ""


def test_what_the_user_set_for_the_client_stays() -> None:
    ran = python(
        "-c",
        "import os\nfrom hubaudit.cli.app import main\nmain(['--version'])\n"
        "print(os.environ['HF_HUB_DISABLE_XET'], os.environ['HF_HUB_VERBOSITY'])",
        env={"HF_HUB_DISABLE_XET": "0", "HF_HUB_VERBOSITY": "debug"},
    )
    assert ran.stdout.splitlines()[-1] == "0 debug"


def test_an_interrupt_in_the_middle_of_an_audit_is_one_line(tmp_path: Path) -> None:
    script = _SCRIPT.replace(
        "    return samples", "    import time; time.sleep(60); return samples"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("waiting"):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
