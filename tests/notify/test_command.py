"""Commands: no shell, the alert on stdin, and nothing left running."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hubaudit.errors import ConfigError
from hubaudit.notify import DeliveryFailed
from hubaudit.notify.command import Command, from_spec

from .conftest import HOSTILE, alert, closing, wait_until

PATH = {"PATH": os.environ["PATH"]}


def script(code: str, *words: str, environ: Mapping[str, str] = PATH, limit: float = 20) -> Command:
    return Command([sys.executable, "-c", code, *words], environ, limit=limit)


def test_a_command_gets_the_alert_on_stdin_and_its_words_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "out"
    code = (
        "import sys, json, os; json.dump([sys.argv[2:], json.load(sys.stdin), "
        "{k: v for k, v in os.environ.items() if k.startswith('HUBAUDIT')}], open(sys.argv[1], 'w'))"
    )
    told = alert(said=HOSTILE)
    sink = script(code, str(file), "$(touch x); `id` && *", environ=PATH)
    sink.send([told], told.key)
    words, given, environ = json.loads(file.read_text())
    assert words == ["$(touch x); `id` && *"]
    assert given["key"] == told.key
    assert environ == {
        "HUBAUDIT_ALERT_KEY": told.key,
        "HUBAUDIT_ALERT_EVENT": "changed",
        "HUBAUDIT_ALERT_KIND": "executable-added",
        "HUBAUDIT_ALERT_SEVERITY": "medium",
    }
    sink.send([alert(1), closing([alert(1)])], "k")
    _, given, environ = json.loads(file.read_text())
    assert given["schema"] == "hubaudit.digest/1"
    assert (environ["HUBAUDIT_ALERT_EVENT"], environ["HUBAUDIT_ALERT_KIND"]) == ("digest", "")


def test_the_secrets_of_other_sinks_are_not_in_its_environment() -> None:
    environ = {**PATH, "HUBAUDIT_WEBHOOK_SECRET": "x", "HUBAUDIT_SMTP_PASSWORD": "y", "MINE": "z"}
    code = (
        "import os, sys; sys.exit('HUBAUDIT_WEBHOOK_SECRET' in os.environ "
        "or 'HUBAUDIT_SMTP_PASSWORD' in os.environ or os.environ['MINE'] != 'z')"
    )
    script(code, environ=environ).send([alert()], "k")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "the command ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "the command was ended by signal 9"),
    ],
)
def test_any_other_end_than_0_is_a_failure(code: str, said: str) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        script(code).send([alert()], "k")
    assert str(caught.value) == said


def test_what_it_prints_and_what_it_was_given_is_in_no_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    sink = script("import sys; print(sys.argv[1]); sys.exit(sys.argv[1])", "T0KEN")
    with pytest.raises(DeliveryFailed) as caught:
        sink.send([alert()], "k")
    said = str(caught.value) + repr(caught.value) + repr(sink) + sink.name + str(capfd.readouterr())
    assert "T0KEN" not in said


def test_a_command_that_reads_nothing_or_prints_without_end_is_fine() -> None:
    big = alert(said="x" * 500_000)
    script("pass").send([big], "k")
    script("import sys; sys.stdin.read(); print('x' * 5_000_000)").send([big], "k")


def test_what_it_leaves_running_with_its_stdin_is_not_waited_for() -> None:
    code = (
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(10)'], stdin=0)"
    )
    began = time.monotonic()
    script(code, limit=8).send([alert(said="x" * 500_000)], "k")
    assert time.monotonic() - began < 8


def test_one_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', "
        "'import time; time.sleep(60)']); open(sys.argv[1], 'w').write(f'{child.pid} '); "
        "time.sleep(60)"
    )
    with pytest.raises(DeliveryFailed, match="took longer than 2 seconds"):
        script(code, str(file), limit=2).send([alert()], "k")
    assert wait_until(lambda: is_gone(int(file.read_text())))


def is_gone(pid: int) -> bool:
    """Dead, or dead and not yet fetched by whoever inherits it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_closing_ends_what_is_running() -> None:
    sink = script("import time; time.sleep(60)", limit=60)
    said: list[str] = []

    def send() -> None:
        try:
            sink.send([alert()], "k")
        except DeliveryFailed as failed:
            said.append(str(failed))

    thread = threading.Thread(target=send)
    thread.start()
    assert wait_until(lambda: sink._running is not None)
    time.sleep(0.05)
    sink.close()
    thread.join(10)
    assert said == ["the command was ended by signal 9"]


def test_a_program_that_is_not_there_is_told_before_anything_is_watched() -> None:
    with pytest.raises(ConfigError, match="no program 'no-such-program'"):
        from_spec("no-such-program --token T0KEN", PATH)
    with pytest.raises(ConfigError, match="quot"):
        from_spec("sh -c 'x", PATH)
    with pytest.raises(ConfigError, match="names no program"):
        from_spec(" ", PATH)


def test_a_program_that_went_away_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(DeliveryFailed, match="cannot be started: No such file"):
        Command([str(tmp_path / "gone")], PATH).send([alert()], "k")


def test_a_name_tells_the_program_and_not_its_words() -> None:
    [one], [other] = from_spec("sh -c 'T0KEN'", PATH), from_spec("sh -c x", PATH)
    assert one.name.startswith("command:sh:")
    assert one.name != other.name
