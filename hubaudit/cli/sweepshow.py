"""How a sweep is shown while it runs: one bar over the targets on a terminal, a line a target otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from hubaudit.cli import console
from hubaudit.events import Event, Listener, Waiting, Warned
from hubaudit.report.escape import visible
from hubaudit.sweeping.results import Result
from hubaudit.sweeping.run import Task
from hubaudit.sweeping.summary import what_of, word_of

_SHOWN = 4  # targets below the bar


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
        with _Bar(total) as bar:
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


class _Bar(_Silent):
    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        color = console.wants_color(sys.stderr)
        out = Console(
            stderr=True, width=console.columns(), no_color=not color, markup=False, highlight=False
        )
        self._bar: Any = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=out,
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task("", total=total)
        self._running: dict[str, None] = {}

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._bar.stop()

    def begun(self, task: Task) -> None:
        self._running[task.name] = None
        self._tell()

    def done(self, result: Result) -> None:
        self._running.pop(result.target, None)
        if result.code:
            self._bar.console.print(line_of(result), soft_wrap=True)
        self._bar.advance(self._task)
        self._tell()

    def hears(self, event: Event) -> None:
        match event:
            case Waiting(seconds, why):
                self._bar.console.print(f"waiting {seconds:.1f} s: {visible(why)}", soft_wrap=True)
            case Warned(message):
                self._bar.console.print(f"warning: {visible(message)}", soft_wrap=True)

    def _tell(self) -> None:
        current = [visible(name) for name in self._running][:_SHOWN]
        self._bar.update(self._task, description="\n".join(current))
