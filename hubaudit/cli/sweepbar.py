"""The progress of a sweep on a terminal: one bar over the targets, and the current ones below it."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from hubaudit.cli import console
from hubaudit.cli.sweepshow import line_of
from hubaudit.events import Event, Waiting, Warned
from hubaudit.report.escape import visible
from hubaudit.sweeping.results import Result
from hubaudit.sweeping.run import Task

_SHOWN = 4  # targets below the bar


class _Progress(Progress):
    """With lines below the bar."""

    below: tuple[str, ...] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        for line in self.below:
            yield Text(f"  {line}", overflow="ellipsis", no_wrap=True)


class Bar:
    """A `Show` and a context manager: the bar is wiped at its end, what went wrong stays."""

    def __init__(self, total: int) -> None:
        color = console.wants_color(sys.stderr)
        out = Console(
            stderr=True, width=console.columns(), no_color=not color, markup=False, highlight=False
        )
        columns = (BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = _Progress(
            *columns, TextColumn("left"), console=out, transient=True, expand=True
        )
        self._task = self._bar.add_task("", total=total)
        self._running: dict[str, None] = {}

    def __enter__(self) -> Bar:
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
            self._say(line_of(result))
        self._bar.advance(self._task)
        self._tell()

    def hears(self, event: Event) -> None:
        match event:
            case Waiting(seconds, why):
                self._say(f"waiting {seconds:.1f} s: {visible(why)}")
            case Warned(message):
                self._say(f"warning: {visible(message)}")

    def _say(self, line: str) -> None:
        self._bar.console.print(Text(line), soft_wrap=True)

    def _tell(self) -> None:
        self._bar.below = tuple(visible(name) for name in self._running)[:_SHOWN]
