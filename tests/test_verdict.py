from __future__ import annotations

from itertools import permutations

import pytest

from hubaudit.config import Policy
from hubaudit.model import Confidence, Finding, Severity, Unread, Verdict
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
