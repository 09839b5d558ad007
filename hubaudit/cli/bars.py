"""Progress on a terminal: one line for the audit, one a download, gone when the report comes."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import assert_never

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from hubaudit.cli.console import wants_color
from hubaudit.events import (
    Compared,
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
from hubaudit.report.escape import visible
from hubaudit.report.words import count, size

_ROOM_FOR_BARS = 70  # columns; below that a bar would leave a path fewer than 20


class Bars:
    """A listener and a context manager: what it drew is wiped at its end."""

    def __init__(self, width: int) -> None:
        color = wants_color(sys.stderr)
        # markup off: paths are the repository's text
        what = TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        )
        columns = [SpinnerColumn(), what, _Numbers()]
        if width >= _ROOM_FOR_BARS:
            columns = [SpinnerColumn(), what, BarColumn(bar_width=width // 5), _Numbers(), _Speed()]
        self._progress = Progress(
            *columns,
            console=Console(stderr=True, width=width, no_color=not color, markup=False),
            transient=True,
            expand=True,
        )
        self._step = self._progress.add_task("starting", total=None, unit="")
        self._looking = False
        self._downloads: dict[str, TaskID] = {}
        self._wait: TaskID | None = None

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        self._end_wait()
        match event:
            case Pinned(repo):
                self._say(f"listing {repo.repo_id}")
            case Listed(files, total):
                self._say(f"{count(files, 'file')}, {size(total)}")
            case Sniffed(done, total):
                self._look(done, total)
            case Downloading(path, received, total):
                self._download(path, received, total)
            case FileRead(path):
                self._end_download(path)
                self._say(f"read {path}")
            case Compared(one):
                self._say(f"compared {one.pickle}")
            case Waiting(seconds, why):
                self._wait = self._progress.add_task(
                    f"waiting: {visible(why)}", total=seconds, unit="s"
                )
            case Warned(message):
                self._progress.console.print(Text(f"warning: {visible(message)}"), soft_wrap=True)
            case Finished():
                pass
            case _:
                assert_never(event)

    def _say(self, what: str) -> None:
        """The step that the audit is at, of unknown length."""
        # a task anew: rich cannot take its total from a task again, nor revive a finished one
        self._progress.remove_task(self._step)
        self._step = self._progress.add_task(visible(what), total=None, unit="")
        self._looking = False

    def _look(self, done: int, total: int) -> None:
        if not self._looking:
            self._progress.remove_task(self._step)
            self._step = self._progress.add_task(
                "looking at first bytes", total=total, unit="files"
            )
            self._looking = True
        self._progress.update(self._step, completed=done, total=total)

    def _download(self, path: str, received: int, total: int) -> None:
        if path not in self._downloads:
            self._say("downloading")
            self._downloads[path] = self._progress.add_task(
                visible(path), total=total, unit="bytes"
            )
        self._progress.update(self._downloads[path], completed=received, total=total)
        if received >= total:
            self._end_download(path)
            self._say(f"reading {path}")

    def _end_download(self, path: str) -> None:
        task = self._downloads.pop(path, None)
        if task is not None:
            self._progress.remove_task(task)

    def _end_wait(self) -> None:
        if self._wait is not None:
            self._progress.remove_task(self._wait)
            self._wait = None


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        if task.fields["unit"] != "bytes" or not task.speed:
            return Text()
        return Text(f"{size(int(task.speed))}/s")


class _Numbers(ProgressColumn):
    """How far a task is in its own unit; a wait counts down by itself, as no event comes meanwhile."""

    def render(self, task: Task) -> Text:
        total = int(task.total or 0)
        match task.fields["unit"]:
            case "bytes":
                return Text(f"{size(int(task.completed))} of {size(total)}", no_wrap=True)
            case "files":
                return Text(f"{int(task.completed)} of {total}")
            case "s":
                return Text(f"{max(total - int(task.elapsed or 0), 0)} s")
            case _:
                return Text()
