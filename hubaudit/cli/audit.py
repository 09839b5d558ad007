"""`hubaudit audit`: repositories on the Hub."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from hubaudit.cli import names, opinions, options
from hubaudit.cli.errors import Job
from hubaudit.cli.reading import Reading
from hubaudit.errors import HubauditError, MalformedTarget, RepositoryMissing, UsageError

if TYPE_CHECKING:
    from hubaudit.events import Listener
    from hubaudit.model import RepoReport


def audit(
    targets: options.Targets,
    revision: options.Revision = None,
    repo_type: options.RepoType = None,
    fail_on: options.FailOn = None,
    strict: options.Strict = None,
    max_archive_depth: options.MaxArchiveDepth = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    baseline: options.Baseline = None,
    write_baseline: options.WriteBaseline = None,
    form: options.Form = "text",
    output: options.Output = None,
    cost: options.Cost = False,
    fetch: options.Fetch = "auto",
    load: options.Load = "auto",
    use_safetensors: options.UseSafetensors = "auto",
    variant: options.Variant = None,
    subfolder: options.Subfolder = None,
    compare: options.Compare = None,
    deep: options.Deep = False,
    sample_seed: options.SampleSeed = 0,
    since_agreed: options.SinceAgreed = False,
    engine: options.Engine = None,
    reports: options.Reports = Path("reports"),
    no_save: options.NoSave = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    record: options.Record = None,
    replay: options.Replay = None,
) -> Job:
    """Say what a commit on the Hub would run on whoever loads it. Nothing is executed."""
    check_cassette(targets, record, replay)
    engines = opinions.chosen(engine)
    reading = Reading(load, use_safetensors, variant, subfolder, compare, deep, sample_seed)

    def job() -> int:
        from hubaudit.cli.policy import Choices, settle
        from hubaudit.cli.run import Delivery, run
        from hubaudit.pipeline import audit as audit_repository

        chosen = Choices(config, no_config, fail_on, strict, max_archive_depth, baseline)
        settled = settle(chosen, audited=(), quiet=quiet)
        ask = partial(
            audit_repository,
            revision=revision,
            repo_type=repo_type,
            policy=settled.policy,
            fetch=fetch,
            load=reading.load(),
            depth=reading.depth("sampled"),
            since_agreed=since_agreed,
            with_cost=cost,
            record=record,
            replay=replay,
        )

        def judge(target: str, listener: Listener) -> RepoReport:
            try:
                report = ask(target, listener=listener)
                return opinions.with_those_on_the_hub(report, engines)
            except (MalformedTarget, RepositoryMissing) as error:
                raise _with_likelier_hint(error, target) from error.__cause__

        kept = None if no_save else reports
        delivery = Delivery(form, tuple(output or ()), kept, write_baseline, quiet, verbose)
        return run(targets, judge, settled, delivery)

    return job


def check_cassette(targets: list[str], record: Path | None, replay: Path | None) -> None:
    """Raises UsageError where the two options make no sense."""
    if record is not None and replay is not None:
        raise UsageError(
            "--record and --replay exclude each other", hint="give one of the two folders"
        )
    if len(targets) > 1 and (record is not None or replay is not None):
        raise UsageError(
            "--record and --replay are for one TARGET", hint="run it once for each target"
        )


def _with_likelier_hint(error: HubauditError, target: str) -> HubauditError:
    """What the user probably meant when the Hub has no such repository: a local path, or a command."""
    if _is_local(target):
        error.hint = f"for the local path: hubaudit scan {quote(target)}"
    elif close := get_close_matches(target, names.COMMANDS, n=1):
        error.hint = f"if you meant the command, it is spelled: hubaudit {close[0]}"
    return error


def _is_local(target: str) -> bool:
    try:
        return Path(target).exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL in it
        return False
