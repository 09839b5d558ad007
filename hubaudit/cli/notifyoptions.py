"""The options of the commands that tell of changes."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

AlertSeverityName = Literal["critical", "high", "medium", "low", "info"]

_ALERTS = "Alerts"

Notify = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        metavar="SINK",
        show_default=False,
        rich_help_panel=_ALERTS,
        help="Where alerts go: stdout, jsonl:FILE, https://HOST/PATH, webhook:env:NAME, mailto:ADDRESS,..., "
        "command:PROGRAM, apprise:env:NAME. May be given several times. Secrets come from the environment "
        "or a file: see docs/alerts.md.",
    ),
]
MinSeverity = Annotated[
    AlertSeverityName,
    typer.Option(
        "--min-severity",
        rich_help_panel=_ALERTS,
        help="The least severity that sinks are told of. All of it is kept in the store.",
    ),
]
Digest = Annotated[
    str | None,
    typer.Option(
        "--digest",
        metavar="DURATION",
        show_default=False,
        rich_help_panel=_ALERTS,
        help="All alerts that are due in one message, at most every 15m, 1h, 1d. Without it, a message an "
        "alert, at once.",
    ),
]
