"""Run the demo: audit each sample repository as a user would, in a process of its own."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hubaudit.demo.hub import StandInHub
from hubaudit.demo.repos import RENAMES, DemoRepo, demo_repos

_PATIENCE = 60  # seconds for one audit, which takes about one


def run(say: Callable[[str], None]) -> int:
    """Show every sample; 0 if all of them ended as expected, else 1.

    What the audits print goes to this process's own streams, what lies between them to `say`, which
    has to flush. Files are written below a temporary folder only, which is gone afterwards.
    """
    samples = demo_repos()
    with (
        tempfile.TemporaryDirectory(prefix="hubaudit-demo-") as folder,
        StandInHub([sample.repo for sample in samples], renames=RENAMES) as hub,
    ):
        home = Path(folder)
        env = hub.env(home) | {"HUBAUDIT_CACHE": str(home / "hubaudit"), "PYTHONSAFEPATH": "1"}
        say(f"A stand-in Hub with {len(samples)} sample repositories answers at {hub.endpoint}.")
        surprises = [sample for sample in samples if not _show(sample, env, home, say)]
    if surprises:
        say("Not as expected: " + ", ".join(sample.repo.repo_id for sample in surprises))
        return 1
    say(f"All {len(samples)} samples ended as they should, and nothing in them was executed.")
    return 0


def _show(sample: DemoRepo, env: Mapping[str, str], home: Path, say: Callable[[str], None]) -> bool:
    """One command, its output and its exit code. True if that is the expected one."""
    say(f"\n# {sample.title}\n$ hubaudit {shlex.join(sample.command)}")
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own arguments
        # the user's own policy has other opinions than the samples expect
        [sys.executable, "-m", "hubaudit", *sample.command, "--no-config"],
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
        timeout=_PATIENCE,
        check=False,
    )
    say(f"exit code {done.returncode}")
    return done.returncode == sample.exit_code
