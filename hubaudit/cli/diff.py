"""`hubaudit diff`: what changed between two revisions of a repository."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hubaudit.cli import console, options
from hubaudit.cli.audit import check_cassette
from hubaudit.cli.errors import Job
from hubaudit.cli.reading import Reading
from hubaudit.errors import UsageError

FormatName = Literal["text", "json", "jsonl", "markdown", "html", "sarif", "junit", "github"]

_Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET@A",
        show_default=False,
        help="The repository and the revision to start from: org/model@COMMIT, a Hub URL, …",
    ),
]
_Other = Annotated[
    str | None,
    typer.Argument(
        metavar="B", show_default=False, help="The other revision. Without it the default branch."
    ),
]
_Form = Annotated[
    FormatName,
    typer.Option("--format", "-f", rich_help_panel="Output", help="How the changes are written."),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        rich_help_panel="Output",
        help="Write the changes to FILE instead of stdout, in the format of its suffix, else in that of "
        "--format.",
    ),
]


def diff(
    target: _Target,
    other: _Other = None,
    repo_type: options.RepoType = None,
    fail_on: options.FailOn = None,
    strict: options.Strict = None,
    max_archive_depth: options.MaxArchiveDepth = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    baseline: options.Baseline = None,
    form: _Form = "text",
    output: _Output = None,
    load: options.Load = "auto",
    use_safetensors: options.UseSafetensors = "auto",
    variant: options.Variant = None,
    subfolder: options.Subfolder = None,
    compare: options.Compare = None,
    sample_seed: options.SampleSeed = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    record: options.Record = None,
    replay: options.Replay = None,
) -> Job:
    """Say what changed between two revisions: imports, weights, code, configuration, licence, history.

    Both are audited; files that both have are read once, and by ranges. Exit code 4 if something changed
    that is more than a README, 1 if B fails its audit, 0 otherwise.
    """
    check_cassette([target], record, replay)
    reading = Reading(load, use_safetensors, variant, subfolder, compare, False, sample_seed)

    def job() -> int:
        from hubaudit.cli import progress
        from hubaudit.cli.policy import Choices, settle
        from hubaudit.cli.sinks import check_writable
        from hubaudit.hub.client import HubClient
        from hubaudit.hub.targets import parse_target
        from hubaudit.verdict import DRIFTED, exit_code, worst_exit_code
        from hubaudit.watch.changes import is_drift
        from hubaudit.watch.revisions import between

        asked = parse_target(target, repo_type=repo_type)
        if asked.revision is None:
            raise UsageError(
                f"{target} names no revision to start from",
                hint=f"write {target}@COMMIT, the commit that was approved",
            )
        if other is not None:
            parse_target(asked.repo_id, revision=other)  # whether it can be a revision at all
        check_writable(output, "--output")
        chosen = Choices(config, no_config, fail_on, strict, max_archive_depth, baseline)
        policy = settle(chosen, audited=(), quiet=quiet).policy
        with (
            progress.shown(quiet=quiet, verbose=verbose) as listener,
            HubClient(listener=listener, record=record, replay=replay) as hub,
        ):
            found = between(
                hub,
                asked,
                other,
                policy=policy,
                listener=listener,
                load=reading.load(),
                depth=reading.depth("sampled"),
            )
        _write(found, form, output)
        code = exit_code(found.report.verdict, strict=policy.strict)
        return worst_exit_code([code, DRIFTED if any(map(is_drift, found.changes)) else 0])

    return job


def _write(found: object, form: FormatName, output: Path | None) -> None:
    from hubaudit.cli.save import write_file
    from hubaudit.report import Page, format_of
    from hubaudit.report.changes import CHANGES
    from hubaudit.watch.revisions import Difference

    assert isinstance(found, Difference)
    if output is None:
        page = Page(console.columns(), console.wants_color(sys.stdout))
        console.write(CHANGES[form](found, page))
        return
    named = format_of(str(output))
    write_file(output, CHANGES[named if named in CHANGES else form](found, Page()))
