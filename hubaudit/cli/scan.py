"""`hubaudit scan`: files and folders on this machine."""

from __future__ import annotations

from hubaudit.cli import options
from hubaudit.cli.errors import Job


def scan(
    paths: options.Paths,
    fail_on: options.FailOn = "high",
    strict: options.Strict = False,
    max_archive_depth: options.MaxArchiveDepth = 3,
    form: options.Form = "text",
    output: options.Output = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> Job:
    """Say what local files would run on whoever loads them. Nothing is executed."""

    def job() -> int:
        from hubaudit.cli.run import Delivery, run
        from hubaudit.config import Policy
        from hubaudit.model import Severity
        from hubaudit.pipeline import scan as scan_path

        policy = Policy(Severity(fail_on), max_archive_depth)
        return run(
            [str(path) for path in paths],
            lambda path, listener: scan_path(path, policy=policy, listener=listener),
            Delivery(form, output, None, strict, quiet, verbose),
        )

    return job
