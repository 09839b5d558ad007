"""`hubaudit approve`: records how a repository is now, or was at a commit, as what was approved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hubaudit.cli import console, options
from hubaudit.cli import sweepoptions as sweeping
from hubaudit.cli.errors import Job
from hubaudit.cli.reading import Reading

_SHORT = 12  # characters of a commit hash

_Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        show_default=False,
        help="org/model for the commit of now, org/model@COMMIT, datasets/org/name, a Hub URL, …",
    ),
]
_List = Annotated[
    Path | None,
    typer.Option(
        "--list",
        metavar="FILE",
        show_default=False,
        help="Also write the commit into this list (.txt or .toml), where it is the approved one for "
        "everybody who has the list.",
    ),
]


def approve(
    targets: _Targets,
    listed: _List = None,
    store: sweeping.StoreFile = None,
    repo_type: options.RepoType = None,
    fail_on: options.FailOn = None,
    strict: options.Strict = None,
    max_archive_depth: options.MaxArchiveDepth = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    baseline: options.Baseline = None,
    load: options.Load = "auto",
    use_safetensors: options.UseSafetensors = "auto",
    variant: options.Variant = None,
    subfolder: options.Subfolder = None,
    compare: options.Compare = None,
    sample_seed: options.SampleSeed = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> Job:
    """Record a commit, and the hashes of its files, as approved: watch and sweep compare with it.

    It is audited, and the verdict is shown, but approving is your decision: a failing finding stays one. It
    ends the alerts of which nothing is left then.
    """

    def job() -> int:
        from hubaudit.cli import progress
        from hubaudit.cli.listfile import pin_in
        from hubaudit.cli.policy import Choices, settle
        from hubaudit.hub.client import HubClient
        from hubaudit.hub.targets import parse_target
        from hubaudit.store import Store, default_path
        from hubaudit.sweeping.work import How
        from hubaudit.watch.approval import approve, state_to_approve
        from hubaudit.watch.ledger import Ledger, Origin

        asked = [parse_target(target, repo_type=repo_type) for target in targets]
        chosen = Choices(config, no_config, fail_on, strict, max_archive_depth, baseline)
        policy = settle(chosen, audited=(), quiet=quiet).policy
        reading = Reading(load, use_safetensors, variant, subfolder, compare, False, sample_seed)
        how = How(policy, "range", reading.load(), reading.depth("sampled"))
        with (
            progress.shown(quiet=quiet, verbose=verbose) as listener,
            Store(store or default_path()) as opened,
            HubClient(listener=listener) as hub,
        ):
            ledger = Ledger(opened, time.time)
            for target in asked:
                name, state = state_to_approve(hub, opened, target, how, listener, time.time)
                assert state.commit is not None
                if listed is not None:
                    pin_in(listed, target, state.commit)
                over = approve(ledger, name, state, Origin.APPROVED)
                verdict = state.content.verdict.upper() if state.content else "not audited: gated"
                shown = console.harmless(str(name))
                many = len(over[0].closes) if over else 0
                ended = f"; alerts that are over: {many}" if many else ""
                console.write(f"approved {shown} at {state.commit} ({verdict}){ended}\n")
        return 0

    return job
