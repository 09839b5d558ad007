"""`hubaudit demo`: the tool at work on a Hub of its own."""

from __future__ import annotations

import sys

import typer

from hubaudit.cli.errors import Job


def demo() -> Job:
    """Audit sample repositories on a stand-in Hub on this machine. Needs no network, leaves nothing."""

    def job() -> int:
        from hubaudit.demo.run import run

        return run(_say)

    return job


def _say(line: str) -> None:
    """Before what the audits print themselves: they share our stream, not our buffer."""
    typer.echo(line)
    sys.stdout.flush()
