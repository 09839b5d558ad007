"""Record the cassettes of `cassettes/hub/` anew, from the stand-in Hub: `python -m tests.make_cassettes`.

With a network, `hubaudit TARGET --record cassettes/hub/NAME` records a real repository in the same form;
the tests replay every folder that is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hubaudit.demo.hub import StandInHub
from hubaudit.demo.repos import RENAMES, demo_repos

FOLDER = Path(__file__).parents[1] / "cassettes" / "hub"
RECORDED = ("demo/ordinary", "demo/os-system", "demo/trainer", "oneword", "datasets/demo/rows")


def main() -> None:
    """Replace every cassette that is recorded from the stand-in; leave others alone."""
    with (
        tempfile.TemporaryDirectory() as home,
        StandInHub([sample.repo for sample in demo_repos()], renames=RENAMES) as hub,
    ):
        for target in RECORDED:
            folder = FOLDER / target.replace("/", "--")
            shutil.rmtree(folder, ignore_errors=True)
            command = [sys.executable, "-m", "hubaudit", target, "--record", str(folder), "-q"]
            subprocess.run(command, env=hub.env(Path(home)), cwd=home, check=False, timeout=60)


if __name__ == "__main__":
    main()
