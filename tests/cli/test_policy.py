"""The policy on the command line: files, options over them, baselines, and what stderr says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hubaudit.config import Policy
from hubaudit.demo.assemble import assemble
from hubaudit.model import Severity
from hubaudit.report.json import schema
from tests.cli.conftest import FakePipeline, Ran
from tests.report import samples

Run = Callable[..., Ran]
UNLISTED = assemble(("GLOBAL", "own", "Thing"), "EMPTY_TUPLE", "NEWOBJ", "STOP")
HARMFUL = assemble(("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP")


def asked(fake: FakePipeline) -> Policy:
    policy = fake.asked[-1][1]["policy"]
    assert isinstance(policy, Policy)
    return policy


@pytest.fixture
def fake_model(fake: FakePipeline) -> FakePipeline:
    fake.outcomes["org/model"] = samples.for_review()
    return fake


def test_the_file_in_the_working_directory_holds_and_is_named(
    here: Path, run: Run, fake_model: FakePipeline
) -> None:
    file = here / "hubaudit.toml"
    file.write_text('fail-on = "low"\nmax-archive-depth = 7')
    ran = run("org/model", "--no-save")
    assert asked(fake_model).fail_on is Severity.LOW
    assert asked(fake_model).max_archive_depth == 7
    assert ran.err == f"policy: {file}\n"
    assert run("org/model", "--no-save", "-q").err == ""


def test_options_go_before_the_file(here: Path, run: Run, fake_model: FakePipeline) -> None:
    (here / "hubaudit.toml").write_text('fail-on = "low"\nmax-archive-depth = 7\nstrict = true')
    assert run("org/model", "--no-save").code == 1
    assert run("org/model", "--no-save", "--no-strict").code == 0
    run("org/model", "--no-save", "--fail-on", "critical", "--max-archive-depth", "0")
    assert asked(fake_model).fail_on is Severity.CRITICAL
    assert asked(fake_model).max_archive_depth == 0
    assert asked(fake_model).strict


def test_a_named_file_holds_instead_and_no_config_means_none(
    here: Path, run: Run, fake_model: FakePipeline
) -> None:
    (here / "hubaudit.toml").write_text('fail-on = "low"')
    (here / "other.toml").write_text('fail-on = "medium"')
    assert run("org/model", "--no-save", "--config", "other.toml").err == ""
    assert asked(fake_model).fail_on is Severity.MEDIUM
    assert run("org/model", "--no-save", "--no-config").err == ""
    assert asked(fake_model).digest == Policy().digest


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("fail_on = 'low'", [], "error: {here}/hubaudit.toml: unknown key fail_on\n"),
        ("fail-on", [], "hubaudit.toml is no TOML"),
        (None, ["--config", "gone.toml"], "error: gone.toml does not exist\n"),
        (None, ["--config", "a", "--no-config"], "exclude each other"),
        (None, ["--baseline", "gone.json"], "the baseline gone.json cannot be read"),
        (None, ["--write-baseline", "no/where.json"], "give --write-baseline the name"),
    ],
)
def test_a_mistake_in_the_settings_is_exit_code_2_before_anything_is_audited(
    text: str | None, options: list[str], said: str, here: Path, run: Run, fake: FakePipeline
) -> None:
    if text is not None:
        (here / "hubaudit.toml").write_text(text)
    for command in (["org/model"], ["scan", "x"]):
        ran = run(*command, *options)
        assert (ran.code, ran.out, fake.asked) == (2, "", [])
        assert said.format(here=here) in ran.err
        assert len(ran.err.splitlines()) == 2


def test_a_hostile_clone_does_not_configure_its_scan(here: Path, run: Run) -> None:
    (here / "hubaudit.toml").write_text('fail-on = "critical"\n[globals]\nallow = ["own.call"]')
    (here / "a.pkl").write_bytes(
        assemble(("GLOBAL", "own", "call"), "EMPTY_TUPLE", "REDUCE", "STOP")
    )
    ran = run("scan", ".", "-q")
    assert ran.code == 1
    assert ran.err == (
        f"warning: {here}/hubaudit.toml is not used: it lies in what is scanned; "
        "name it with --config to use it\n"
    )
    assert run("scan", ".", "-q", "--config", "hubaudit.toml").code == 0


@pytest.mark.parametrize("remote", [None, "https://huggingface.co/org/model"])
def test_a_file_of_a_hostile_clone_is_not_waived_by_the_clone(
    remote: str | None, here: Path, run: Run
) -> None:
    (here / "model.bin").write_bytes(HARMFUL)
    if remote is not None:
        (here / ".git").mkdir()
        (here / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {remote}\n')
    (file,) = json.loads(run("scan", "model.bin", "-f", "json").out)["files"]
    waiver = waived("9999-12-31", file["sha256"]).replace("models", "model.bin")
    (here / "hubaudit.toml").write_text(waiver.replace("a.pkl", "model.bin"))
    ran = run("scan", "model.bin")
    assert ran.code == 1
    assert f"warning: {here}/hubaudit.toml is not used: " in ran.err
    assert run("scan", "model.bin", "--config", "hubaudit.toml").code == 0


def test_what_the_policy_forbids_fails_and_what_it_allows_passes(here: Path, run: Run) -> None:
    models = here / "models"
    models.mkdir()
    (models / "a.pkl").write_bytes(UNLISTED)
    assert run("scan", "models", "--strict").code == 1
    (here / "hubaudit.toml").write_text('[globals]\nallow = ["own.Thing"]')
    assert run("scan", "models", "--strict").code == 0
    (here / "hubaudit.toml").write_text('[globals]\ndeny = ["own.Thing"]')
    assert run("scan", "models").code == 1
    (here / "hubaudit.toml").write_text('[formats]\ndeny = ["pickle"]')
    ran = run("scan", "models", "-f", "json")
    report = json.loads(ran.out)
    assert ran.code == 1
    assert "denied-format" in {finding["rule"] for finding in report["findings"]}
    Draft202012Validator(schema()).validate(report)


def waived(expires: str, sha256: str) -> str:
    return f"""
[[waivers]]
rule = "dangerous-import"
repo = "models"
file = "a.pkl"
sha256 = "{sha256}"
reason = "runs true only"
owner = "jane"
expires = {expires}
"""


def test_a_waiver_is_shown_with_what_it_hides_and_when_it_has_expired(here: Path, run: Run) -> None:
    models = here / "models"
    models.mkdir()
    (models / "a.pkl").write_bytes(HARMFUL)
    before = json.loads(run("scan", "models", "-f", "json").out)
    (file,) = before["files"]
    (here / "hubaudit.toml").write_text(waived("9999-12-31", file["sha256"]))
    ran = run("scan", "models")
    assert ran.code == 0
    assert "waived: runs true only" in ran.out
    assert "os.system('true')" in ran.out
    assert "Do not load" not in ran.out
    (here / "hubaudit.toml").write_text(waived("2020-01-31", file["sha256"]))
    late = run("scan", "models")
    assert late.code == 1
    assert "expired after 2020-01-31" in late.out
    after = json.loads(run("scan", "models", "-f", "json").out)
    assert "waiver" in {finding["rule"] for finding in after["findings"]}
    assert before["tool"]["policy"] != after["tool"]["policy"]


def test_waivers_for_what_was_not_audited_are_told_on_stderr_only(here: Path, run: Run) -> None:
    (here / "models").mkdir()
    (here / "models" / "a.pkl").write_bytes(b"N.")
    (here / "hubaudit.toml").write_text(waived("9999-12-31", "0" * 64).replace("models", "modles"))
    ran = run("scan", "models")
    assert ran.code == 0
    assert "policy: it has waivers for others than what was audited: modles\n" in ran.err
    assert "modles" not in ran.out
    assert "modles" not in run("scan", "models", "-q").err


def test_with_a_baseline_only_new_findings_fail(here: Path, run: Run) -> None:
    models = here / "models"
    models.mkdir()
    (models / "a.pkl").write_bytes(HARMFUL)
    first = run("scan", "models", "--write-baseline", "known.json")
    assert first.code == 1
    assert "baseline: 1 finding written to known.json\n" in first.err
    text = (here / "known.json").read_bytes()
    second = run("scan", "models", "--baseline", "known.json", "--write-baseline", "known.json")
    assert second.code == 0
    assert "waived: in the baseline" in second.out
    assert (here / "known.json").read_bytes() == text
    (models / "b.pkl").write_bytes(HARMFUL)
    assert run("scan", "models", "--baseline", "known.json").code == 1
    (models / "b.pkl").unlink()
    (models / "a.pkl").write_bytes(b"N.")
    gone = run("scan", "models", "--baseline", "known.json")
    assert gone.code == 0
    assert "baseline: 1 finding of models no longer found\n" in gone.err


def test_a_baseline_of_something_else_is_said_to_be_that(here: Path, run: Run) -> None:
    for name in ("one", "two"):
        (here / name).mkdir()
        (here / name / "a.pkl").write_bytes(HARMFUL)
    run("scan", "one", "--write-baseline", "known.json")
    ran = run("scan", "one", "two", "--baseline", "known.json", "-q")
    assert ran.code == 1
    assert ran.err == (
        "warning: the baseline was not written for two: all that is found there is new\n"
    )


def test_no_baseline_is_written_of_half_the_targets(
    here: Path, run: Run, fake_model: FakePipeline
) -> None:
    ran = run("org/model", "org/gone", "--no-save", "--write-baseline", "known.json")
    assert ran.code == 2
    assert not (here / "known.json").exists()
    assert "warning: the baseline is not written: not every target was decided\n" in ran.err
