"""What the listeners write for each event."""

from __future__ import annotations

import sys

import pytest

from hubaudit.cli import progress
from hubaudit.cli.bars import Bars
from hubaudit.events import (
    Downloading,
    Event,
    FileRead,
    Finished,
    Listed,
    Pinned,
    Sniffed,
    Waiting,
    Warned,
)
from hubaudit.model import Unread
from tests.report import samples

_EVENTS: list[Event] = [
    Pinned(samples.repo()),
    Listed(12, 34_200_000),
    *(Sniffed(done, 12) for done in range(1, 13)),
    *(Downloading("pytorch_model.bin", done, 4_100_000) for done in (0, 1_000_000, 4_100_000)),
    Waiting(2.5, "the Hub's limit"),
    FileRead("pytorch_model.bin", "torch-zip", "cache", (samples.finding(),), ()),
    FileRead("broken.pt", "zip", "cache", (), (Unread("broken.pt", None, "cut"),)),
    FileRead("README.md", "text", "header", (), ()),
    FileRead("x\x1b[2J.json", "pickle", "cache", (samples.finding(), samples.finding()), ()),
    Warned("the cache is\nnearly full"),
    Finished(samples.malicious()),
]


def test_a_line_for_each_file_that_can_execute(capsys: pytest.CaptureFixture[str]) -> None:
    for event in _EVENTS:
        progress.lines(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"org/model is at {samples.COMMIT}\n"
        "12 files, 34.2 MB\n"
        "downloading pytorch_model.bin, 4.1 MB\n"
        "waiting 2.5 s: the Hub's limit\n"
        "read pytorch_model.bin (torch-zip, cache): 1 finding\n"
        "read broken.pt (zip, cache), not to the end\n"
        "read x\\x1b[2J.json (pickle, cache): 2 findings\n"
        "warning: the cache is\\nnearly full\n"
    )


def test_verbose_has_a_line_for_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    for event in _EVENTS:
        progress.every_line(event)
    assert "read README.md (text, header)\n" in capsys.readouterr().err


def test_quiet_lets_warnings_through(capsys: pytest.CaptureFixture[str]) -> None:
    for event in _EVENTS:
        progress.warnings_only(event)
    assert capsys.readouterr() == ("", "warning: the cache is\\nnearly full\n")


def test_the_listener_follows_the_stream(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.shown(quiet=False, verbose=False) as listener:
        assert listener is progress.lines
    with progress.shown(quiet=False, verbose=True) as listener:
        assert listener is progress.every_line
    with progress.shown(quiet=True, verbose=False) as listener:
        assert listener is progress.warnings_only
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.shown(quiet=False, verbose=False) as listener:
        assert isinstance(listener, Bars)


@pytest.mark.parametrize("width", [20, 40, 80])
def test_bars_take_every_event_and_leave_stdout_alone(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bars(width) as bars:
        for event in _EVENTS:
            bars(event)
        captured = capsys.readouterr()
    assert captured.out == ""
    assert "warning: the cache is\\nnearly full" in captured.err
