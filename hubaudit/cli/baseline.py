"""What the command line says of baselines, and how it writes one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hubaudit.baseline import gone_from, known_in, name_of
from hubaudit.baselinefile import baseline_text
from hubaudit.cli import console
from hubaudit.cli.policy import Settled
from hubaudit.cli.save import write_file
from hubaudit.model import RepoReport
from hubaudit.report.escape import visible
from hubaudit.report.words import count


def compare(report: RepoReport, settled: Settled, *, quiet: bool) -> None:
    """Say on stderr what of the baseline is gone, or that it knows nothing of this repository."""
    if settled.in_baseline is None:
        return
    name = name_of(report.repo)
    if name not in settled.in_baseline:
        console.warn(f"the baseline was not written for {name}: all that is found there is new")
        return
    gone = gone_from(report, settled.policy.baseline)
    if gone and not quiet:
        console.note(f"baseline: {count(len(gone), 'finding')} of {visible(name)} no longer found")


def write_baseline(file: Path, decided: Sequence[RepoReport], targets: int, *, quiet: bool) -> None:
    """Write what `decided` found to `file`, if all `targets` were: half a baseline misleads."""
    if len(decided) < targets:
        console.warn("the baseline is not written: not every target was decided")
        return
    write_file(file, baseline_text(decided))
    if not quiet:
        found = sum(len(known_in(report)) for report in decided)
        console.note(f"baseline: {count(found, 'finding')} written to {visible(str(file))}")
