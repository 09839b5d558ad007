"""`hubaudit audit` and `scan` around a pipeline that does as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hubaudit.errors import HubUnreachable, MalformedTarget
from hubaudit.events import Listener, Warned
from hubaudit.model import RepoReport, Severity, Verdict
from hubaudit.report import REPORTS, Page
from hubaudit.report.json import as_dict, render, schema
from tests.cli.conftest import FakePipeline, Ran
from tests.report import samples

Run = Callable[..., Ran]
_KEPT = Path("reports/org/model") / f"{samples.COMMIT}.json"


def _report(verdict: Verdict = Verdict.PASS, repo_id: str = "org/model") -> RepoReport:
    return replace(samples.ordinary(), verdict=verdict, repo=samples.repo(repo_id))


@pytest.mark.parametrize(
    ("verdict", "options", "code"),
    [
        (Verdict.PASS, [], 0),
        (Verdict.PASS, ["--strict"], 0),
        (Verdict.REVIEW, [], 0),
        (Verdict.REVIEW, ["--strict"], 1),
        (Verdict.FAIL, [], 1),
        (Verdict.INCOMPLETE, [], 3),
        (Verdict.INCOMPLETE, ["--strict"], 3),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_verdict_is_the_exit_code(
    verdict: Verdict, options: list[str], code: int, form: str, run: Run, fake: FakePipeline
) -> None:
    fake.outcomes["org/model"] = _report(verdict)
    assert run("org/model", "--format", form, *options).code == code


def test_text_goes_to_stdout_and_everything_else_to_stderr(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = _report()
    fake.tell = lambda listener: listener(Warned("the cache is nearly full"))
    ran = run("org/model")
    assert ran.out == REPORTS["text"].one(_report(), Page())
    assert ran.err.splitlines() == ["warning: the cache is nearly full", f"JSON report: {_KEPT}"]


def test_json_is_one_object_for_one_target(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = samples.hostile()
    ran = run("org/model", "--format", "json", "--no-save")
    assert ran.out == render(samples.hostile())
    Draft202012Validator(schema()).validate(json.loads(ran.out))


def test_json_is_an_array_for_several_targets(run: Run, fake: FakePipeline) -> None:
    fake.outcomes = {"org/a": _report(repo_id="org/a"), "org/b": _report(repo_id="org/b")}
    ran = run("-f", "json", "org/a", "org/b")
    assert [one["repo"]["repo_id"] for one in json.loads(ran.out)] == ["org/a", "org/b"]


def test_json_is_an_array_for_several_targets_also_if_some_fail(
    run: Run, fake: FakePipeline
) -> None:
    fake.outcomes = {"org/a": _report(repo_id="org/a")}
    assert json.loads(run("-f", "json", "org/b", "org/a").out) == [
        as_dict(fake.outcomes["org/a"])  # type: ignore[arg-type]
    ]
    assert json.loads(run("-f", "json", "org/b", "org/c").out) == []


def test_an_error_leaves_stdout_empty_and_says_what_to_do(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = HubUnreachable("no answer from the Hub", hint="try again")
    for form in ("text", "json"):
        ran = run("org/model", "--format", form)
        assert ran == Ran(2, "", "error: no answer from the Hub\nhint: try again\n")
    assert not Path("reports").exists()


def test_an_error_without_a_hint_still_has_a_second_line(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = HubUnreachable("no answer")
    assert run("org/model").err.splitlines()[1].startswith("hint: ")


def test_an_errors_text_stays_on_its_line(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = HubUnreachable("a\nPASS\x1b[2J", hint="b\r\u202e")
    assert run("org/model").err == "error: a\\nPASS\\x1b[2J\nhint: b\\r\\u202e\n"


def test_the_error_of_one_target_does_not_stop_the_others(run: Run, fake: FakePipeline) -> None:
    fake.outcomes = {"org/model": _report(), "org/down": HubUnreachable("no answer", hint="wait")}
    ran = run("org/down", "org/model", "--no-save")
    assert ran.code == 2
    assert ran.out == REPORTS["text"].one(_report(), Page())
    assert ran.err == "error: org/down: no answer\nhint: wait\n"


@pytest.mark.parametrize(
    ("targets", "code"),
    [
        ("fail down", 1),
        ("down fail", 1),
        ("down incomplete", 2),
        ("pass incomplete", 3),
        ("pass pass", 0),
    ],
)
def test_the_worst_target_decides_the_exit_code(
    targets: str, code: int, run: Run, fake: FakePipeline
) -> None:
    fake.outcomes = {verdict.value: _report(verdict) for verdict in Verdict}
    fake.outcomes["down"] = HubUnreachable("no answer", hint="wait")
    assert run(*targets.split()).code == code


def test_several_texts_are_separated_by_a_blank_line(run: Run, fake: FakePipeline) -> None:
    fake.outcomes = {"org/a": _report(), "org/b": _report(Verdict.FAIL)}
    reports = [_report(), _report(Verdict.FAIL)]
    assert run("org/a", "org/b").out == REPORTS["text"].many(reports, Page())


def test_an_unexpected_error_is_ours_and_has_no_traceback(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = ZeroDivisionError("division\nby zero")
    ran = run("org/model")
    assert (ran.code, ran.out) == (2, "")
    happened, advice = ran.err.splitlines()
    assert happened.startswith("error: unexpected ZeroDivisionError: division\\nby zero")
    assert "please report it" in advice


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), HubUnreachable("x", hint="y")])
@pytest.mark.parametrize("how", ["-v", "--verbose", "HUBAUDIT_DEBUG"])
def test_the_traceback_is_shown_on_request(
    error: Exception, how: str, run: Run, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.outcomes["org/model"] = error
    if how == "HUBAUDIT_DEBUG":
        monkeypatch.setenv(how, "1")
    ran = run("org/model", *([] if how == "HUBAUDIT_DEBUG" else [how]))
    assert ran.code == 2
    assert "Traceback (most recent call last):" in ran.err
    assert ran.err.splitlines()[-1].startswith("hint: ")


def test_an_interrupt_is_one_line_and_130(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = KeyboardInterrupt()
    assert run("org/model") == Ran(130, "", "interrupted\n")


def test_the_options_reach_the_pipeline(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["name"] = _report()
    run("name", "--revision", "v1", "--repo-type", "dataset", "--fail-on", "low", "--record", "d")
    (_, how) = fake.asked[0]
    assert (how["revision"], how["repo_type"], how["record"]) == ("v1", "dataset", Path("d"))
    assert how["policy"].fail_on is Severity.LOW
    assert how["replay"] is None


def test_the_json_report_is_kept_by_repository_and_commit(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = _report()
    run("org/model")
    assert _KEPT.read_text(encoding="utf-8") == render(_report())
    assert [path for path in Path("reports").rglob("*") if path.is_file()] == [_KEPT]


@pytest.mark.parametrize(
    ("repo_type", "repo_id", "folder"),
    [
        ("model", "gpt2", "gpt2"),
        ("dataset", "org/name", "datasets/org/name"),
        ("dataset", "squad", "datasets/squad"),
        ("space", "org/name", "spaces/org/name"),
    ],
)
def test_datasets_and_spaces_have_folders_of_their_own(
    repo_type: str, repo_id: str, folder: str, run: Run, fake: FakePipeline
) -> None:
    fake.outcomes["x"] = replace(_report(), repo=samples.repo(repo_id, repo_type=repo_type))
    run("x", "--reports", "kept")
    assert Path("kept", folder, f"{samples.COMMIT}.json").is_file()


@pytest.mark.parametrize(
    ("repo_id", "commit"),
    [
        ("../../escape", samples.COMMIT),
        ("..", samples.COMMIT),
        ("org/..", samples.COMMIT),
        ("/etc/name", samples.COMMIT),
        ("org/a/b", samples.COMMIT),
        ("org/", samples.COMMIT),
        (".git/hooks", samples.COMMIT),
        ("org\\name", samples.COMMIT),
        ("org/c:name", samples.COMMIT),
        ("org/nul\0", samples.COMMIT),
        ("org/line\n", samples.COMMIT),
        ("", samples.COMMIT),
        ("org/model", "../../../escape"),
        ("org/model", "main"),
        ("org/model", None),
    ],
)
def test_no_name_from_the_hub_leads_out_of_the_reports_folder(
    repo_id: str, commit: str | None, run: Run, fake: FakePipeline, here: Path
) -> None:
    fake.outcomes["x"] = replace(_report(), repo=samples.repo(repo_id, commit_hash=commit))
    ran = run("x")
    assert ran.code == 0
    assert ran.err.startswith("warning: the report on ")
    assert len(ran.err.splitlines()) == 1
    assert list(here.iterdir()) == []


def test_a_reports_folder_that_cannot_be_written_is_a_warning(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = _report()
    Path("reports").write_text("not a folder")
    ran = run("org/model", "--quiet")
    assert ran.code == 0
    assert ran.err.startswith("warning: the report is not kept: ")


def test_no_save_keeps_nothing(run: Run, fake: FakePipeline, here: Path) -> None:
    fake.outcomes["org/model"] = _report()
    ran = run("org/model", "--no-save")
    assert (ran.err, list(here.iterdir())) == ("", [])


def test_quiet_keeps_the_report_and_says_nothing(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = _report()
    assert run("org/model", "-q").err == ""
    assert _KEPT.is_file()


@pytest.mark.parametrize("form", ["text", "json"])
def test_output_goes_to_the_file_and_stdout_stays_empty(
    form: str, run: Run, fake: FakePipeline, here: Path
) -> None:
    fake.outcomes["org/model"] = samples.malicious()
    ran = run("org/model", "-f", form, "-o", "out.txt", "--no-save")
    assert (ran.code, ran.out) == (1, "")
    assert Path("out.txt").read_text(encoding="utf-8") == REPORTS[form].one(
        samples.malicious(), Page()
    )
    assert [path.name for path in here.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("output", ["missing/out.json", "."])
def test_an_output_that_cannot_be_written_is_told_before_the_audit(
    output: str, run: Run, fake: FakePipeline
) -> None:
    ran = run("org/model", "-o", output)
    assert (ran.code, fake.asked) == (2, [])
    assert ran.err.startswith(f"error: {output} cannot be written")


def test_an_output_of_an_earlier_run_stays_if_nothing_was_decided(
    run: Run, fake: FakePipeline
) -> None:
    Path("out.json").write_text("earlier")
    assert run("org/model", "-f", "json", "-o", "out.json").code == 2
    assert Path("out.json").read_text() == "earlier"


def test_verbose_shows_every_finding(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["org/model"] = samples.crowded()
    assert "more: see" in run("org/model").out
    assert run("org/model", "-v").out == REPORTS["text"].one(samples.crowded(), Page(entries=None))


def test_a_missing_repository_that_is_a_local_path_gets_the_command_for_it(
    run: Run, fake: FakePipeline
) -> None:
    Path("my weights.pkl").touch()
    assert run("my weights.pkl").err.splitlines()[1] == (
        "hint: for the local path: hubaudit scan 'my weights.pkl'"
    )
    fake.outcomes["./x"] = MalformedTarget("./x is no repository", hint="write org/model")
    assert run("./x").err.splitlines()[1] == "hint: write org/model"
    Path("x").mkdir()
    assert run("./x").err.splitlines()[1] == "hint: for the local path: hubaudit scan ./x"


@pytest.mark.parametrize(
    ("typed", "command"),
    [("adit", "audit"), ("scna", "scan"), ("demos", "demo")],
)
def test_a_missing_repository_that_looks_like_a_command_is_told_apart(
    typed: str, command: str, run: Run, fake: FakePipeline
) -> None:
    happened, advice = run(typed).err.splitlines()
    assert happened == f"error: {typed} is missing"
    assert advice == f"hint: if you meant the command, it is spelled: hubaudit {command}"


@pytest.mark.parametrize("target", ["org/model", "gpt2", "llama"])
def test_a_missing_repository_that_is_like_no_command_keeps_the_hint_of_the_hub_layer(
    target: str, run: Run, fake: FakePipeline
) -> None:
    assert run("audit", target).err.splitlines()[1] == "hint: check the spelling"


@pytest.mark.parametrize("target", ["x" * 5_000, "nul\0"])
def test_a_target_that_can_be_no_path_is_only_a_missing_repository(
    target: str, run: Run, fake: FakePipeline
) -> None:
    assert run(target).code == 2


def test_scan_reports_local_files_and_keeps_nothing(
    run: Run, fake: FakePipeline, here: Path
) -> None:
    fake.outcomes["weights.pkl"] = samples.local()
    ran = run("scan", "weights.pkl", "--fail-on", "medium")
    assert (ran.code, ran.err, list(here.iterdir())) == (1, "", [])
    assert ran.out == REPORTS["text"].one(samples.local(), Page())
    assert fake.asked[0][1]["policy"].fail_on is Severity.MEDIUM


def test_scan_writes_json(run: Run, fake: FakePipeline) -> None:
    fake.outcomes["a"] = samples.local()
    assert run("scan", "a", "--format", "json").out == render(samples.local())
    assert (
        json.loads(run("scan", "a", "a", "--format", "json").out) == [as_dict(samples.local())] * 2
    )


def test_progress_comes_while_the_pipeline_works(run: Run, fake: FakePipeline) -> None:
    def tell(listener: Listener) -> None:
        listener(Warned("one"))
        raise HubUnreachable("gone", hint="wait")

    fake.tell = tell
    assert run("org/model").err == "warning: one\nerror: gone\nhint: wait\n"
