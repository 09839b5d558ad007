"""The options of the commands about sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

SummaryName = Literal["text", "json", "markdown", "junit", "html"]

_SWEEP = "Sweep"

Lists = Annotated[
    list[str],
    typer.Argument(
        metavar="LIST...",
        show_default=False,
        help="A file (.txt one target a line, .toml, .csv), - for stdin, collection:OWNER/SLUG, "
        "owner:NAME, or from:PATH for what code refers to.",
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        rich_help_panel=_SWEEP,
        help="The column of a CSV that names the targets.",
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going",
        rich_help_panel=_SWEEP,
        help="Sweep what can be understood of a list with mistakes. The exit code stays 2 or worse.",
    ),
]
StoreFile = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FILE",
        show_default="in the user's data folder",
        rich_help_panel=_SWEEP,
        help="What was audited before, and what is kept of it. Made if it is not there.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", "-j", min=1, max=64, metavar="N", rich_help_panel=_SWEEP,
        help="Targets at once.",
    ),
]  # fmt: skip
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", rich_help_panel=_SWEEP, help="Go on with the sweep of this list that broke off."
    ),
]
MaxRequests = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        show_default=False,
        rich_help_panel=_SWEEP,
        help="Stop before the next request after N. What is left is for --resume.",
    ),
]
ShardPart = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        show_default=False,
        rich_help_panel=_SWEEP,
        help="Only part I of N of the list, for machines that share it; see hubaudit merge.",
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        rich_help_panel=_SWEEP,
        help="threads; dask for workers on this machine; dask:tls://HOST:8786 for a cluster.",
    ),
]
InsecureCluster = Annotated[
    bool,
    typer.Option(
        "--insecure-cluster",
        rich_help_panel=_SWEEP,
        help="Allow a cluster without TLS. Whoever reaches its port can run code on it.",
    ),
]
SummaryForm = Annotated[
    SummaryName,
    typer.Option("--format", "-f", rich_help_panel="Output", help="How the summary is written."),
]
