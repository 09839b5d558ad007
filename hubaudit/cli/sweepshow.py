"""How a sweep is shown while it runs: one bar over the targets on a terminal, a line a target otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from hubaudit.cli import console
from hubaudit.events import Event, Listener, Waiting, Warned
from hubaudit.report.escape import visible
from hubaudit.sweeping.results import Result
from hubaudit.sweeping.run import Task
from hubaudit.sweeping.summary import what_of, word_of


class Show(Protocol):
    def begun(self, task: Task, /) -> None: ...

    def done(self, result: Result, /) -> None: ...

    def hears(self, event: Event, /) -> None:
        """Of the one wire: from any thread."""
        ...


@contextmanager
def shown(total: int, *, quiet: bool) -> Iterator[Show]:
    if quiet:
        yield _Silent()
    elif sys.stderr.isatty():
        from hubaudit.cli.sweepbar import Bar

        with Bar(total) as bar:
            yield bar
    else:
        yield _Lines(total)


def warnings_of(target: str) -> Listener:
    """The listener of one audit among many: only what changes what a user does."""

    def hears(event: Event) -> None:
        if isinstance(event, Warned):
            console.warn(f"{target}: {event.message}")

    return hears


class _Silent:
    def begun(self, _task: Task) -> None:
        pass

    def done(self, _result: Result) -> None:
        pass

    def hears(self, event: Event) -> None:
        if isinstance(event, Warned):
            console.warn(event.message)


class _Lines(_Silent):
    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._begun = time.monotonic()

    def done(self, result: Result) -> None:
        self._done += 1
        spent = time.monotonic() - self._begun
        rest = spent / self._done * (self._total - self._done)
        about = f", about {rest:.0f} s to go" if self._done < self._total else ""
        console.note(f"[{self._done}/{self._total}] {line_of(result)}{about}")

    def hears(self, event: Event) -> None:
        super().hears(event)
        if isinstance(event, Waiting):
            console.note(f"waiting {event.seconds:.1f} s: {visible(event.why)}")


def line_of(result: Result) -> str:
    """ "org/model: PASS, unchanged"; of one that failed, why."""
    changes = ", ".join(result.changes)
    said = f"{visible(result.target)}: {word_of(result).upper()}, {changes}"
    return f"{said}: {visible(what_of(result))}" if result.trouble is not None else said
