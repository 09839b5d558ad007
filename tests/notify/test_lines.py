"""Lines of JSON on stdout and in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hubaudit.errors import ConfigError, UsageError
from hubaudit.notify import DeliveryFailed
from hubaudit.notify.lines import Lines, Stdout, from_spec

from .conftest import HOSTILE, alert

ROOT = Path(__file__).parents[2]


def test_each_alert_is_a_line_at_the_end_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_text('{"before": 1}\n')
    sink = Lines(file)
    sink.send([alert(1, said=HOSTILE)], "k")
    sink.send([alert(2), alert(3)], "k")
    lines = file.read_text().splitlines()
    assert [json.loads(line).get("key") for line in lines] == [
        None,
        *(alert(n, said=HOSTILE if n == 1 else "a file is new").key for n in (1, 2, 3)),
    ]


def test_half_a_line_of_a_crash_is_not_continued(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b'{"schema": "hubaudit.al')
    Lines(file).send([alert()], "k")
    broken, whole = file.read_text().splitlines()
    assert broken == '{"schema": "hubaudit.al'
    assert json.loads(whole)["key"] == alert().key


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    sink = Lines(tmp_path / "alerts.jsonl")
    sink.send([alert(1)], "k")
    (tmp_path / "alerts.jsonl").rename(tmp_path / "old")
    sink.send([alert(2)], "k")
    assert len((tmp_path / "alerts.jsonl").read_text().splitlines()) == 1


def test_a_file_that_takes_nothing_is_a_failure(tmp_path: Path) -> None:
    sink = Lines(tmp_path / "gone" / "alerts.jsonl")
    with pytest.raises(DeliveryFailed, match="cannot be written: No such file"):
        sink.send([alert()], "k")
    if Path("/dev/full").exists():
        with pytest.raises(DeliveryFailed, match="No space left"):
            Lines(Path("/dev/full")).send([alert()], "k")


def test_a_name_is_that_of_the_file_wherever_it_is_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    [relative] = from_spec("a.jsonl", {})
    [absolute] = from_spec(str(tmp_path / "a.jsonl"), {})
    assert relative.name == absolute.name
    assert relative.name.startswith("jsonl:a.jsonl:")


def test_what_can_be_no_file_is_told_before_anything_is_watched(tmp_path: Path) -> None:
    for wrong in (str(tmp_path), str(tmp_path / "no" / "file")):
        with pytest.raises(ConfigError, match="folder"):
            from_spec(wrong, {})
    with pytest.raises(UsageError, match="names no file"):
        from_spec("", {})


def test_a_pipe_that_nobody_reads_has_not_got_it(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(DeliveryFailed, match="cannot be written"):
        Lines(path).send([alert()], "k")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        Lines(path).send([alert()], "k")
        assert json.loads(os.read(reader, 65536))["key"] == alert().key
    finally:
        os.close(reader)


def test_stdout_has_a_line_an_alert_that_a_terminal_can_show(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Stdout().send([alert(1, said=HOSTILE), alert(2)], "k")
    out = capfd.readouterr().out
    assert all(line.isprintable() and "##" not in line for line in out.splitlines())
    assert [json.loads(line)["key"] for line in out.splitlines()] == [
        alert(1, said=HOSTILE).key,
        alert(2).key,
    ]


def test_stdout_that_is_another_object_is_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    Stdout().send([alert()], "k")
    assert json.loads(capsys.readouterr().out)["key"] == alert().key


def test_a_reader_that_went_away_is_a_failure() -> None:
    read, write = os.pipe()
    os.close(read)
    code = (
        "from tests.notify.conftest import alert\n"
        "from hubaudit.notify.lines import Stdout\n"
        "from hubaudit.notify import DeliveryFailed\n"
        "import sys\n"
        "try:\n"
        "    Stdout().send([alert()], 'k')\n"
        "except DeliveryFailed as failed:\n"
        "    print(failed, file=sys.stderr)\n"
    )
    with os.fdopen(write, "wb") as out:
        ran = subprocess.run(
            [sys.executable, "-c", code], stdout=out, stderr=subprocess.PIPE, cwd=ROOT, check=False
        )
    assert ran.stderr.decode().strip() == "stdout takes nothing: Broken pipe"
