from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest

from hubaudit import scan
from hubaudit.config import Policy
from hubaudit.demo.checkpoints import floats, safetensors
from hubaudit.model import (
    Confidence,
    FileReport,
    Finding,
    LoadRole,
    ReadHow,
    Severity,
    Unread,
    Verdict,
)
from hubaudit.report import terminal
from hubaudit.report.page import Page
from hubaudit.verdict import IF_LOADED, decide, exit_code, summarize, worst_exit_code

UNREAD = (Unread("a", None, "gone"),)


def finding(severity: Severity, waived: str | None = None) -> Finding:
    return Finding("dangerous-import", severity, Confidence.HIGH, "a", None, 0, "m", waived=waived)


@pytest.mark.parametrize(
    ("severity", "unread", "verdict"),
    [
        (None, (), Verdict.PASS),
        (Severity.INFO, (), Verdict.PASS),
        (Severity.LOW, (), Verdict.PASS),
        (Severity.MEDIUM, (), Verdict.REVIEW),
        (Severity.HIGH, (), Verdict.FAIL),
        (Severity.CRITICAL, (), Verdict.FAIL),
        (None, UNREAD, Verdict.INCOMPLETE),
        (Severity.MEDIUM, UNREAD, Verdict.INCOMPLETE),
        (Severity.HIGH, UNREAD, Verdict.FAIL),
    ],
)
def test_findings_fail_and_what_is_unread_never_passes(
    severity: Severity | None, unread: tuple[Unread, ...], verdict: Verdict
) -> None:
    findings = [finding(severity)] if severity else []
    assert decide(findings, unread, Policy()) is verdict
    assert summarize(verdict, findings, unread, Policy()).endswith((".", IF_LOADED))


def test_the_policy_says_what_fails() -> None:
    medium, critical = Policy(fail_on=Severity.MEDIUM), Policy(fail_on=Severity.CRITICAL)
    assert decide([finding(Severity.MEDIUM)], (), medium) is Verdict.FAIL
    assert decide([finding(Severity.HIGH)], (), critical) is Verdict.REVIEW


def test_a_waived_finding_does_not_count() -> None:
    assert decide([finding(Severity.CRITICAL, waived="known")], (), Policy()) is Verdict.PASS


def test_strict_fails_what_should_be_reviewed_and_nothing_else() -> None:
    lax = {verdict: exit_code(verdict, strict=False) for verdict in Verdict}
    assert lax == {
        Verdict.PASS: 0,
        Verdict.REVIEW: 0,
        Verdict.FAIL: 1,
        Verdict.INCOMPLETE: 3,
    }
    strict = {verdict: exit_code(verdict, strict=True) for verdict in Verdict}
    assert strict == lax | {Verdict.REVIEW: 1}


def test_of_many_targets_the_worst_decides_whatever_their_order() -> None:
    ranking = [1, 2, 3, 4, 0]
    for place, worst in enumerate(ranking):
        for codes in permutations(ranking[place:]):
            assert worst_exit_code(codes) == worst
    assert worst_exit_code([]) == 0


def test_no_verdict_promises_that_something_is_safe() -> None:
    for verdict in Verdict:
        text = summarize(verdict, [finding(Severity.HIGH)], UNREAD, Policy()).lower()
        assert "safe" not in text
        assert "clean" not in text


def test_a_critical_finding_points_to_what_to_do_after_a_load() -> None:
    pointer = "If loaded already: hubaudit explain incident"
    assert summarize(Verdict.FAIL, [finding(Severity.CRITICAL)], (), Policy()).endswith(
        f". {pointer}"
    )
    tolerated = [finding(Severity.HIGH), finding(Severity.CRITICAL, waived="a test")]
    for others in ([finding(Severity.HIGH)], tolerated):
        assert pointer not in summarize(Verdict.FAIL, others, (), Policy())


def code(path: str, role: LoadRole = LoadRole.CODE, format_: str = "text") -> FileReport:
    return FileReport(path, 1, None, None, format_, role, ReadHow.HEADER, None, None)


def test_a_pass_does_not_claim_that_code_was_read_which_nobody_read() -> None:
    everything = "Everything that could execute was read, and nothing in it failed."
    assert summarize(Verdict.PASS, (), (), Policy(), [code("a.py", LoadRole.NEVER)]) == everything
    said = summarize(Verdict.PASS, (), (), Policy(), [code("a.py"), code("b.py")])
    assert said == (
        "Nothing failed in what was read."
        " Not read: 2 Python files that trust_remote_code=True or an import runs."
    )
    script = code("m.pt", LoadRole.LOADED, "torchscript")
    said = summarize(Verdict.PASS, (), (), Policy(), [code("a.py"), script])
    assert "1 Python file that" in said
    assert said.endswith(", the code in 1 TorchScript file.")


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.PASS])
def test_every_verdict_counts_the_code_that_was_not_read(verdict: Verdict) -> None:
    said = summarize(verdict, [finding(Severity.HIGH)], UNREAD, Policy(), [code("a.py")])
    assert " Not read: 1 Python file that" in said


def test_an_audit_names_the_python_files_that_its_load_runs(tmp_path: Path) -> None:
    config = {"model_type": "x", "auto_map": {"AutoModel": "modeling_x.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "modeling_x.py").write_text("from .helper import y\n")
    (tmp_path / "helper.py").write_text("y = 1\n")
    (tmp_path / "model.safetensors").write_bytes(safetensors({"w": floats((4, 4), 1)}))
    report = scan(tmp_path)
    assert report.verdict is Verdict.PASS
    assert "Not read: 2 Python files" in report.summary
    shown = terminal.render(report, Page(width=1000))
    assert "Read 0 of 2 files that can execute" in shown
    assert "; not the Python code in helper.py, modeling_x.py." in shown
