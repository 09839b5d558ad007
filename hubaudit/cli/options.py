"""The options that commands share. Lists of choices stand here so that `--help` imports no report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

FormatName = Literal[
    "text", "json", "jsonl", "markdown", "html", "sarif", "junit", "cyclonedx", "github"
]
ListFormName = Literal["text", "json"]
RepoTypeName = Literal["model", "dataset", "space"]
SeverityName = Literal["critical", "high", "medium", "low"]
FetchName = Literal["auto", "cache", "range"]
LibraryName = Literal["auto", "transformers", "diffusers", "sentence-transformers", "none"]
UseSafetensorsName = Literal["auto", "true", "false"]
DepthName = Literal["metadata", "sampled", "full"]

ENGINES = ("picklescan", "fickling", "modelscan", "modelaudit")

_WRITING = "Output"
_HUB = "Hub"
_POLICY = "Policy"
_READING = "Reading"


def _engines(incomplete: str) -> list[str]:
    """For the shell that completes the value, also behind a comma."""
    given, comma, begun = incomplete.rpartition(",")
    return [f"{given}{comma}{name}" for name in ENGINES if name.startswith(begun)]


Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        show_default=False,
        help="org/model, org/model@revision, datasets/org/name, spaces/org/name, hf://… or a Hub URL.",
    ),
]
Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", show_default=False, help="Local files or folders."),
]
Revision = Annotated[
    str | None,
    typer.Option(
        metavar="REVISION",
        show_default=False,
        rich_help_panel=_HUB,
        help="Branch, tag or commit. Without it the default branch.",
    ),
]
RepoType = Annotated[
    RepoTypeName | None,
    typer.Option(show_default=False, rich_help_panel=_HUB, help="What kind of repository it is."),
]
Record = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        show_default=False,
        rich_help_panel=_HUB,
        help="Keep every exchange with the Hub in DIR, without tokens.",
    ),
]
Replay = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        show_default=False,
        rich_help_panel=_HUB,
        help="Take every answer from DIR; no network.",
    ),
]
Form = Annotated[
    FormatName,
    typer.Option("--format", "-f", rich_help_panel=_WRITING, help="How the report is written."),
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        rich_help_panel=_WRITING,
        help="Write the report to FILE instead of stdout, in the format of its suffix, else in that of "
        "--format. May be given several times.",
    ),
]
Cost = Annotated[
    bool,
    typer.Option(
        "--cost", rich_help_panel=_WRITING, help="Say how many requests and bytes the audit took."
    ),
]
Fetch = Annotated[
    FetchName,
    typer.Option(
        rich_help_panel=_READING,
        help="Which pickle-format files go whole into the Hugging Face cache: auto, those that the loader "
        "opens; cache, all; range, none. The others are read in place.",
    ),
]
Load = Annotated[
    LibraryName,
    typer.Option(
        rich_help_panel=_READING,
        help="What loads the files: none is hf_hub_download and code of your own.",
    ),
]
UseSafetensors = Annotated[
    UseSafetensorsName,
    typer.Option(rich_help_panel=_READING, help="The loader's use_safetensors."),
]
Variant = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", show_default=False, rich_help_panel=_READING, help="The loader's variant."
    ),
]
Subfolder = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", show_default=False, rich_help_panel=_READING, help="The loader's subfolder."
    ),
]
Compare = Annotated[
    DepthName | None,
    typer.Option(
        show_default="sampled, and full for local files",
        rich_help_panel=_READING,
        help="How deep checkpoints are compared with their safetensors siblings.",
    ),
]
Deep = Annotated[
    bool,
    typer.Option("--deep", rich_help_panel=_READING, help="Short for --compare full: every byte."),
]
SinceAgreed = Annotated[
    bool,
    typer.Option(
        "--since-agreed",
        rich_help_panel=_READING,
        help="Of siblings that differ, say up to which of the last 20 commits they agreed.",
    ),
]
SampleSeed = Annotated[
    int,
    typer.Option(
        metavar="N",
        rich_help_panel=_READING,
        help="Chooses the places that a sampled comparison looks at.",
    ),
]
Engine = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        metavar="NAME,...",
        show_default=False,
        rich_help_panel=_READING,
        autocompletion=_engines,
        help="Show what these other scanners, if they are installed, say of the files on this disk: "
        "picklescan, fickling, modelscan, modelaudit. They run as programs of their own, and "
        "change no verdict.",
    ),
]
Reports = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        rich_help_panel=_WRITING,
        help="Where each JSON report is kept: DIR/org/model/COMMIT.json.",
    ),
]
NoSave = Annotated[
    bool,
    typer.Option(
        "--no-save", rich_help_panel=_WRITING, help="Keep no JSON report under --reports."
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", rich_help_panel=_WRITING, help="No progress; warnings and errors only."
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        rich_help_panel=_WRITING,
        help="Every step, every finding, and a traceback with an error.",
    ),
]
FailOn = Annotated[
    SeverityName | None,
    typer.Option(
        show_default="high",
        rich_help_panel=_POLICY,
        help="The least severity of a finding that makes the verdict FAIL.",
    ),
]
MaxArchiveDepth = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=16,
        metavar="N",
        show_default="3",
        rich_help_panel=_POLICY,
        help="How deep archives and compressed files are opened in one another.",
    ),
]
Strict = Annotated[
    bool | None,
    typer.Option(
        "--strict/--no-strict",
        show_default=False,
        rich_help_panel=_POLICY,
        help="Exit with 1 for REVIEW, too.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        rich_help_panel=_POLICY,
        help="The policy file. Without it the nearest hubaudit.toml or pyproject.toml with "
        r"\[tool.hubaudit], from here upwards.",
    ),
]
NoConfig = Annotated[
    bool, typer.Option("--no-config", rich_help_panel=_POLICY, help="Use no policy file.")
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        rich_help_panel=_POLICY,
        help="Tolerate the findings in FILE: only others count.",
    ),
]
WriteBaseline = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        rich_help_panel=_POLICY,
        help="Write what is found now to FILE, for --baseline. It changes no exit code.",
    ),
]
