"""What `audit` and `scan` share: judge each target, hand the reports out, say the exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hubaudit.cli import console, errors, progress
from hubaudit.cli.baseline import compare, write_baseline
from hubaudit.cli.options import FormatName
from hubaudit.cli.policy import Settled, tell_idle_waivers
from hubaudit.cli.save import kept_at, write_file
from hubaudit.cli.sinks import Layout, check_writable, open_sinks
from hubaudit.errors import HubauditError
from hubaudit.events import Listener
from hubaudit.model import RepoReport
from hubaudit.report import REPORTS, Page
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
        check_writable(output, "--output")
    check_writable(delivery.baseline, "--write-baseline")
    layout: Layout = "one" if len(targets) == 1 else "many"
    entries = None if delivery.verbose else Page().entries
    sinks = open_sinks(delivery.form, delivery.outputs, layout, entries)
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
