"""The options of `hubaudit watch` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

StandingName = Literal["text", "markdown", "json"]

_WATCH = "Watch"

Once = Annotated[
    bool,
    typer.Option(
        "--once",
        rich_help_panel=_WATCH,
        help="One round, then deliver and end: for cron and pipelines. Exit code 4 on drift.",
    ),
]
Every = Annotated[
    str,
    typer.Option(
        metavar="DURATION",
        rich_help_panel=_WATCH,
        help="From the beginning of one round to the next: 90s, 15m, 1h30m, 1d.",
    ),
]
ScansEvery = Annotated[
    str,
    typer.Option(
        metavar="DURATION",
        rich_help_panel=_WATCH,
        help="How often every scanner of the Hub is asked for its verdict where nothing hints at another.",
    ),
]
Serve = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        show_default=False,
        rich_help_panel=_WATCH,
        help="Listen for the Hub's webhooks, and show a status page, /healthz and /metrics. Beyond "
        "loopback it needs a secret in HUBAUDIT_HUB_SECRET.",
    ),
]
Page = Annotated[
    bool,
    typer.Option(
        "--page", rich_help_panel=_WATCH, help="Show the status page beyond loopback, too."
    ),
]
Form = Annotated[
    StandingName,
    typer.Option(
        "--format",
        "-f",
        rich_help_panel="Output",
        help="How the standing is written after --once.",
    ),
]
Summary = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        rich_help_panel="Output",
        help="With --once: write the standing to FILE, in the format of its suffix, else in that of "
        "--format. May be given several times.",
    ),
]
