"""`hubaudit scan`: files and folders on this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hubaudit.cli import opinions, options
from hubaudit.cli.errors import Job
from hubaudit.cli.reading import Reading

if TYPE_CHECKING:
    from hubaudit.events import Listener
    from hubaudit.model import RepoReport


def scan(
    paths: options.Paths,
    fail_on: options.FailOn = None,
    strict: options.Strict = None,
    max_archive_depth: options.MaxArchiveDepth = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    baseline: options.Baseline = None,
    write_baseline: options.WriteBaseline = None,
    form: options.Form = "text",
    output: options.Output = None,
    load: options.Load = "auto",
    use_safetensors: options.UseSafetensors = "auto",
    variant: options.Variant = None,
    subfolder: options.Subfolder = None,
    compare: options.Compare = None,
    deep: options.Deep = False,
    sample_seed: options.SampleSeed = 0,
    engine: options.Engine = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> Job:
    """Say what local files would run on whoever loads them. Nothing is executed."""
    engines = opinions.chosen(engine)
    reading = Reading(load, use_safetensors, variant, subfolder, compare, deep, sample_seed)

    def job() -> int:
        from hubaudit.cli.policy import Choices, settle
        from hubaudit.cli.run import Delivery, run
        from hubaudit.pipeline import scan as scan_path

        chosen = Choices(config, no_config, fail_on, strict, max_archive_depth, baseline)
        settled = settle(chosen, audited=paths, quiet=quiet)
        scan_one = partial(
            scan_path, policy=settled.policy, load=reading.load(), depth=reading.depth("full")
        )

        def judge(path: str, listener: Listener) -> RepoReport:
            report = scan_one(path, listener=listener)
            return opinions.with_those_here(report, engines, Path(path))

        return run(
            [str(path) for path in paths],
            judge,
            settled,
            Delivery(form, tuple(output or ()), None, write_baseline, quiet, verbose),
        )

    return job
