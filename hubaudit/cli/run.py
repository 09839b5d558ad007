"""What `audit` and `scan` share: judge each target, hand the reports out, say the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hubaudit.cli import console, errors, progress
from hubaudit.cli.baseline import compare, write_baseline
from hubaudit.cli.options import FormatName
from hubaudit.cli.policy import Settled, tell_idle_waivers
from hubaudit.cli.save import kept_at, write_file
from hubaudit.errors import HubauditError, UsageError
from hubaudit.events import Listener
from hubaudit.model import RepoReport
from hubaudit.report import REPORTS, Format, Page, format_of
from hubaudit.report.escape import visible
from hubaudit.verdict import exit_code, worst_exit_code

Judge = Callable[[str, Listener], RepoReport]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How what was found leaves the process.

    `outputs`: files to write instead of stdout, each in the format of its suffix or in `form`. `reports`:
    where JSON reports are kept, if anywhere. `baseline`: the file to write one to.
    """

    form: FormatName
    outputs: tuple[Path, ...]
    reports: Path | None
    baseline: Path | None
    quiet: bool
    verbose: bool


def run(targets: Sequence[str], judge: Judge, settled: Settled, delivery: Delivery) -> int:
    """The exit code for all `targets`. An error of one does not stop the others."""
    for output in delivery.outputs:
        _check_writable(output, "--output")
    _check_writable(delivery.baseline, "--write-baseline")
    sinks = _sinks(delivery, len(targets))
    codes: list[int] = []
    decided: list[RepoReport] = []
    for target in targets:
        report = _judged(target, judge, delivery, about=target if len(targets) > 1 else "")
        if report is None:
            codes.append(errors.UNDECIDED)
            continue
        _keep(report, delivery)
        for sink in sinks:
            sink.add(report)
        compare(report, settled, quiet=delivery.quiet)
        decided.append(report)
        codes.append(exit_code(report.verdict, strict=settled.policy.strict))
    for sink in sinks:
        sink.close()
    if not delivery.quiet:
        tell_idle_waivers(settled.policy, decided)
    if delivery.baseline is not None:
        write_baseline(delivery.baseline, decided, len(targets), quiet=delivery.quiet)
    return worst_exit_code(codes)


def _judged(target: str, judge: Judge, delivery: Delivery, about: str) -> RepoReport | None:
    try:
        with progress.shown(quiet=delivery.quiet, verbose=delivery.verbose) as listener:
            return judge(target, listener)
    except HubauditError as error:
        errors.show(error, verbose=delivery.verbose, about=about)
        return None


def _keep(report: RepoReport, delivery: Delivery) -> None:
    """The JSON report in its place under `reports`. What prevents that is only a warning."""
    if delivery.reports is None:
        return
    path = kept_at(delivery.reports, report.repo)
    if path is None:
        console.warn(f"the report on {report.repo.repo_id} is not kept: no file can have its name")
        return
    try:
        write_file(path, REPORTS["json"].one(report, Page()))
    except HubauditError as error:
        console.warn(f"the report is not kept: {error}")
        return
    if not delivery.quiet:
        console.note(f"JSON report: {visible(str(path))}")


def _check_writable(file: Path | None, option: str) -> None:
    """Before anything is downloaded, not after."""
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise UsageError(
            f"{file} cannot be written: it is a folder or in no folder",
            hint=f"give {option} the name of a file in a folder that exists",
        )


class _Sink(Protocol):
    def add(self, report: RepoReport) -> None: ...

    def close(self) -> None: ...


def _sinks(delivery: Delivery, targets: int) -> list[_Sink]:
    entries = None if delivery.verbose else Page().entries
    if delivery.outputs:
        page = Page(entries=entries)
        return [
            _Document(REPORTS[format_of(str(output)) or delivery.form], output, targets, page)
            for output in delivery.outputs
        ]
    page = Page(console.columns(), console.wants_color(sys.stdout), entries)
    if delivery.form == "text":
        return [_Stream(page)]
    return [_Document(REPORTS[delivery.form], None, targets, page)]


class _Stream:
    """Each report on stdout as soon as it is there."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._gap = ""

    def add(self, report: RepoReport) -> None:
        console.write(self._gap + REPORTS["text"].one(report, self._page))
        self._gap = "\n"

    def close(self) -> None:
        pass


class _Document:
    """All reports at once: one object for one target, what the format has for many otherwise."""

    def __init__(self, form: Format, output: Path | None, targets: int, page: Page) -> None:
        self._format = form
        self._output = output
        self._targets = targets
        self._page = page
        self._reports: list[RepoReport] = []

    def add(self, report: RepoReport) -> None:
        self._reports.append(report)

    def close(self) -> None:
        text = self._text()
        if text is None:
            return
        if self._output is None:
            console.write(text)
        else:
            write_file(self._output, text)

    def _text(self) -> str | None:
        if self._targets > 1:
            return self._format.many(self._reports, self._page)
        return self._format.one(self._reports[0], self._page) if self._reports else None
