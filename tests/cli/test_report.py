"""`hubaudit report`: what audits and scans wrote, in any format, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hubaudit.demo.hub import StandInHub
from hubaudit.demo.repos import RENAMES, demo_repos
from hubaudit.model import RepoReport, Verdict
from hubaudit.report import REPORTS, Page
from hubaudit.report.json import as_dict, render, render_many
from hubaudit.report.jsonl import render_many as render_lines
from tests.cli.conftest import ROOT, Ran, python
from tests.report import samples

Run = Callable[..., Ran]


def store(folder: Path, *reports: RepoReport) -> list[str]:
    names = [f"{number}.json" for number in range(len(reports))]
    for name, report in zip(names, reports, strict=True):
        (folder / name).write_text(render(report), encoding="utf-8")
    return names


@pytest.mark.parametrize("form", REPORTS)
def test_a_stored_report_is_written_as_the_audit_would_have(
    form: str, run: Run, here: Path
) -> None:
    ran = run("report", *store(here, samples.malicious()), "-f", form)
    assert ran == Ran(0, REPORTS[form].one(samples.malicious(), Page()), "")


@pytest.mark.parametrize("form", REPORTS)
def test_several_are_one_document_in_the_order_given(form: str, run: Run, here: Path) -> None:
    reports = [samples.incomplete(), samples.malicious(), samples.ordinary()]
    ran = run("report", *store(here, *reports), "-f", form)
    assert ran == Ran(0, REPORTS[form].many(reports, Page()), "")


def test_arrays_lines_and_objects_may_be_mixed(run: Run, here: Path) -> None:
    first, second, third = samples.ordinary(), samples.malicious(), samples.local()
    (here / "a.json").write_text(render_many([first, second]))
    (here / "b.jsonl").write_text(render_lines([third, first]))
    ran = run("report", "a.json", *store(here, second), "b.jsonl", "-f", "json")
    assert json.loads(ran.out) == list(map(as_dict, [first, second, second, third, first]))


def test_an_array_of_one_stays_an_array(run: Run, here: Path) -> None:
    (here / "a.json").write_text(render_many([samples.ordinary()]))
    assert run("report", "a.json", "-f", "json").out == render_many([samples.ordinary()])


def test_files_get_the_format_of_their_suffix(run: Run, here: Path) -> None:
    [name] = store(here, samples.for_review())
    assert run("report", name, "-o", "a.sarif", "-o", "b.md", "-o", "c.cdx.json") == Ran(0, "", "")
    for file, form in (("a.sarif", "sarif"), ("b.md", "markdown"), ("c.cdx.json", "cyclonedx")):
        written = (here / file).read_text(encoding="utf-8")
        assert written == REPORTS[form].one(samples.for_review(), Page())


def test_the_file_that_is_read_may_be_the_one_that_is_written(run: Run, here: Path) -> None:
    [name] = store(here, samples.ordinary())
    assert run("report", name, "-o", name).code == 0
    assert (here / name).read_text() == render(samples.ordinary())


def test_stdin_is_a_dash() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "hubaudit", "report", "-", "-f", "json"],
        input=render(samples.hostile()),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (ran.stdout, ran.stderr) == (render(samples.hostile()), "")


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.PASS], 0),
        ([Verdict.REVIEW], 0),
        ([Verdict.FAIL], 1),
        ([Verdict.INCOMPLETE], 3),
        ([Verdict.INCOMPLETE, Verdict.FAIL, Verdict.PASS], 1),
        ([Verdict.PASS, Verdict.INCOMPLETE], 3),
    ],
)
def test_the_exit_code_is_that_of_the_verdicts_only_if_asked(
    verdicts: list[Verdict], code: int, run: Run, here: Path
) -> None:
    by_verdict = {
        Verdict.PASS: samples.ordinary(),
        Verdict.REVIEW: samples.for_review(),
        Verdict.FAIL: samples.malicious(),
        Verdict.INCOMPLETE: samples.incomplete(),
    }
    names = store(here, *(by_verdict[verdict] for verdict in verdicts))
    assert run("report", *names).code == 0
    assert run("report", *names, "--exit-code").code == code


def test_a_file_that_is_no_report_loses_nothing_of_the_others(run: Run, here: Path) -> None:
    names = store(here, samples.ordinary(), samples.malicious())
    (here / "no\x1b[2J.json").write_text('{"verdict": "pass"}')
    given = ("missing.json", names[0], "no\x1b[2J.json", ".", names[1])
    ran = run("report", *given, "-f", "json")
    assert ran.code == 2
    assert json.loads(ran.out) == [as_dict(samples.ordinary()), as_dict(samples.malicious())]
    assert ran.err.splitlines()[::2] == [
        "error: missing.json cannot be read: No such file or directory",
        "error: no\\x1b[2J.json: no report of hubaudit: it has no schema",
        "error: . cannot be read: Is a directory",
    ]
    assert run("report", *given, "--exit-code", "-f", "json").code == 1


def test_nothing_is_written_of_a_single_file_that_is_no_report(run: Run, here: Path) -> None:
    (here / "x.json").write_text("{}")
    ran = run("report", "x.json", "-o", "out.sarif")
    assert (ran.code, ran.out) == (2, "")
    assert not (here / "out.sarif").exists()


def test_an_output_in_no_folder_is_refused_before_anything_is_read(run: Run, here: Path) -> None:
    ran = run("report", *store(here, samples.ordinary()), "-o", "no/such/folder.md")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: no/such/folder.md cannot be written")


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes")
def test_an_output_that_is_a_pipe_is_written_to_and_stays_one(run: Run, here: Path) -> None:
    os.mkfifo(here / "pipe.json")
    command = ["cat", "pipe.json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=here) as reader:
        ran = run("report", *store(here, samples.malicious()), "-o", "pipe.json")
        out, _ = reader.communicate(timeout=20)
    assert ran == Ran(0, "", "")
    assert out.decode() == render(samples.malicious())
    assert (here / "pipe.json").is_fifo()


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no such device")
def test_an_output_may_be_a_device(here: Path) -> None:
    [name] = store(here, samples.malicious())
    with (here / "out.txt").open("w") as out:
        words = ("-o", "/dev/stdout", "-f", "json")
        command = [sys.executable, "-m", "hubaudit", "report", name, *words]
        environ = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(command, stdout=out, cwd=here, env=environ, check=True)
    assert (here / "out.txt").read_text() == render(samples.malicious())
    assert Path("/dev/stdout").is_symlink()


def test_an_output_that_is_a_link_is_replaced_and_its_target_stays(run: Run, here: Path) -> None:
    (here / "mine.txt").write_text("mine")
    (here / "out.json").symlink_to("mine.txt")
    assert run("report", *store(here, samples.malicious()), "-o", "out.json").code == 0
    assert (here / "mine.txt").read_text() == "mine"
    assert (here / "out.json").read_text() == render(samples.malicious())


def test_findings_stand_at_the_line_of_the_list_that_names_the_repository(
    run: Run, here: Path
) -> None:
    (here / "lists").mkdir()
    (here / "lists" / "approved.txt").write_text(
        "# evil/model-2 and x/evil/model\nevil/model.old\nEvil/Model@v1  # evil/model\nevil/model\n"
    )
    names = store(here, samples.malicious(), samples.for_review())
    ran = run("report", *names, "--list", "lists/approved.txt", "-f", "sarif")
    bad, other = json.loads(ran.out)["runs"]
    for result in bad["results"]:
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "lists/approved.txt"
        assert place["region"]["startLine"] == 3
    place = other["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].startswith("org/data/")
    ran = run("report", *names, "--list", "lists/approved.txt", "-f", "github")
    assert ran.out.startswith("::error file=lists/approved.txt,line=3,title=FAIL")
    ran = run("report", *names, "--list", "missing.txt")
    assert (ran.code, ran.out) == (2, "")


def test_local_files_stand_below_what_was_scanned(run: Run, here: Path) -> None:
    for folder in ("a/b", "c/b", "x"):
        (here / folder).mkdir(parents=True)
        (here / folder / "w.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")

    def places(scanned: str, *paths: str) -> set[str]:
        assert run("scan", scanned, "-o", "s.json", "--no-config").code == 1
        options = [word for path in paths for word in ("--scanned", path)]
        log = json.loads(run("report", "s.json", *options, "-f", "sarif").out)
        found = [one for result in log["runs"][0]["results"] for one in result["locations"]]
        return {one["physicalLocation"]["artifactLocation"]["uri"] for one in found}

    assert places("a/b") == {"w.pkl"}
    assert places("a/b", "x", "./a/b/") == {"a/b/w.pkl"}
    assert places("a/b/w.pkl", "a/b/w.pkl") == {"a/b/w.pkl"}
    assert places(".", ".") == {"a/b/w.pkl", "c/b/w.pkl", "x/w.pkl"}
    assert places("a/b", "a/b", "c/b") == {"w.pkl"}
    assert places("a/b", str(here / "a/b")) == {"w.pkl"}


def test_the_name_of_a_local_file_is_looked_for_in_no_list(run: Run, here: Path) -> None:
    (here / "a.txt").write_text("weights.pkl\n")
    ran = run("report", *store(here, samples.local()), "--list", "a.txt", "-f", "github")
    assert "file=" not in ran.out


def test_a_dataset_is_looked_for_as_one_first(run: Run, here: Path) -> None:
    (here / "a.toml").write_text("id = 'org/data'\nid = 'datasets/org/data'\n")
    ran = run("report", *store(here, samples.for_review()), "--list", "a.toml", "-f", "github")
    assert "file=a.toml,line=2," in ran.out


def test_verbose_shows_every_finding(run: Run, here: Path) -> None:
    [name] = store(here, samples.crowded())
    assert "and 2 more" in run("report", name).out
    assert "and 2 more" not in run("report", name, "-v").out


def test_the_reports_of_audits_come_back_byte_for_byte(run: Run, here: Path) -> None:
    demos = [demo for demo in demo_repos() if demo.exit_code != 2]
    targets = [target for demo in demos for target in demo.command]
    names = ("json", "jsonl", "md", "sarif", "xml", "cdx.json")
    with StandInHub([demo.repo for demo in demos], renames=RENAMES) as hub:
        environ = hub.env(here) | {"HUBAUDIT_CACHE": str(here / "ranges")}
        outputs = [word for name in names for word in ("-o", f"fresh.{name}")]
        options = ("--cost", "-q", "--no-config", *outputs)
        ran = python("-m", "hubaudit", *targets, *options, cwd=here, env=environ)
    assert ran.returncode == 1, ran.stderr
    outputs = [word for name in names for word in ("-o", f"again.{name}")]
    assert run("report", "fresh.json", *outputs, "--exit-code") == Ran(1, "", "")
    for name in names:
        assert (here / f"again.{name}").read_bytes() == (here / f"fresh.{name}").read_bytes()
    kept = sorted((here / "reports").rglob("*.json"))
    assert len(kept) == len(targets)
    for path in kept:
        assert run("report", str(path), "-f", "json").out == path.read_text(encoding="utf-8")


def test_no_network_and_nothing_of_the_hub_is_needed(here: Path) -> None:
    [name] = store(here, samples.malicious())
    ran = python(
        "-c",
        "import sys\n"
        "from hubaudit.__main__ import main\n"
        f"main(['report', {name!r}, '-f', 'sarif'])\n"
        "heavy = 'huggingface_hub httpx httpx2 requests hubaudit.hub hubaudit.pipeline'.split()\n"
        "print([one for one in heavy if one in sys.modules], file=sys.stderr)",
        cwd=here,
    )
    assert ran.stderr.splitlines()[-1] == "[]"
