"""Write reports/samples/ and docs/terminal.svg, from audits of the demo's repositories.

Run:  python -m tests.make_sample_reports
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from hubaudit.demo.hub import StandInHub
from hubaudit.demo.repos import RENAMES, demo_repos
from hubaudit.model import RepoReport
from hubaudit.report import REPORTS, Page
from hubaudit.report.stored import parse

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "reports" / "samples"
PICTURE = ROOT / "docs" / "terminal.svg"
# The commands, by the name of the files that show what comes out.
SAMPLES = {
    "pass": "demo/ordinary",
    "review": "demo/whole-object",
    "fail": "demo/os-system",
    "incomplete": "demo/truncated",
}
IN_THE_PICTURE = "fail"
# In place of the stand-in's address, whose port is another one each time. `.example` is nobody's, RFC 2606.
ENDPOINT = "https://hub.example"
# In place of the digest of the rules, which is another one after every row of the catalogue.
RULESET = "0" * 64
_SUFFIXES = {"text": ".txt", "github": ".github.txt"}  # the others have suffixes of their own
_COLUMNS = 80


def reports() -> dict[str, RepoReport]:
    """What audits of the samples say, by name; without what is another on each machine."""
    with (
        tempfile.TemporaryDirectory() as home,
        StandInHub([sample.repo for sample in demo_repos()], renames=RENAMES) as hub,
    ):
        return {name: _neutral(_audit(target, hub, home)) for name, target in SAMPLES.items()}


def _audit(target: str, hub: StandInHub, home: str) -> RepoReport:
    options = ("--format", "json", "--no-save", "--no-config", "-q")
    done = subprocess.run(
        [sys.executable, "-m", "hubaudit", target, *options],
        env=hub.env(Path(home)) | {"HUBAUDIT_CACHE": f"{home}/ranges", "PYTHONPATH": str(ROOT)},
        cwd=home,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    return parse(done.stdout)


def _neutral(report: RepoReport) -> RepoReport:
    return replace(
        report,
        tool=replace(report.tool, ruleset=RULESET),
        repo=replace(report.repo, endpoint=ENDPOINT),
    )


def files(found: dict[str, RepoReport]) -> dict[str, str]:
    """The text of every sample by its file's name: each report in each format."""
    return {
        name + (form.suffixes[0] if form.suffixes else _SUFFIXES[key]): form.one(report, Page())
        for name, report in found.items()
        for key, form in REPORTS.items()
    }


def picture(report: RepoReport) -> str:
    """A terminal of 80 columns with the command and its report, as SVG that loads nothing."""
    text = f"$ hubaudit {report.repo.repo_id}\n"
    text += REPORTS["text"].one(report, Page(width=_COLUMNS, color=True))
    console = Console(
        width=_COLUMNS + 1,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
        no_color=False,
    )
    console.print(Text.from_ansi(text), soft_wrap=True)
    svg = console.export_svg(title="hubaudit", theme=MONOKAI, unique_id="hubaudit")
    # rich names a font on a server
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Replace all samples."""
    found = reports()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, text in files(found).items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    PICTURE.write_text(picture(found[IN_THE_PICTURE]), encoding="utf-8")


if __name__ == "__main__":
    main()
