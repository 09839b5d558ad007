"""Waivers and baselines: what they hide, in which bytes, until when, and what they never hide."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hubaudit
from hubaudit.baseline import IN_BASELINE, gone_from, known_in
from hubaudit.baselinefile import baseline_text, read_baseline
from hubaudit.config import Policy, Waiver
from hubaudit.demo.assemble import assemble
from hubaudit.errors import AuditFailed, ConfigError
from hubaudit.model import FileReport, RepoReport, Severity, Unread, Verdict
from hubaudit.report import Page, terminal
from hubaudit.report.json import as_dict, render
from hubaudit.verdict import decide
from hubaudit.waivers import tolerate
from tests.report import samples

TODAY = date(2026, 6, 1)
HARMFUL = assemble(("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP")
OTHER = assemble(("GLOBAL", "os", "system"), ("BINUNICODE", "ls"), "TUPLE1", "REDUCE", "STOP")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.pkl").write_bytes(HARMFUL)
    return folder


def waiver(**changes: object) -> Waiver:
    base = Waiver(
        rule="dangerous-import",
        repo="model",
        file="a.pkl",
        sha256=sha256(HARMFUL).hexdigest(),
        reason="runs `true` only",
        owner="jane",
        expires=TODAY,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def scanned(folder: Path, *waivers: Waiver, **changes: object) -> RepoReport:
    return hubaudit.scan(folder, policy=Policy(waivers=waivers, today=TODAY, **changes))  # type: ignore[arg-type]


def said_of_waivers(report: RepoReport) -> list[tuple[Severity, str]]:
    return [(one.severity, one.message) for one in report.findings if one.rule == "waiver"]


def test_a_waived_finding_stays_in_the_report_and_decides_nothing(folder: Path) -> None:
    assert scanned(folder).verdict is Verdict.FAIL
    report = scanned(folder, waiver())
    assert report.verdict is Verdict.PASS
    (found,) = report.findings
    assert (found.rule, found.waived) == ("dangerous-import", "runs `true` only")
    assert as_dict(report)["findings"][0]["waived"] == "runs `true` only"
    assert "Tolerated: 1 finding." in report.summary


def test_a_waiver_holds_to_the_end_of_its_last_day_and_is_then_reported(folder: Path) -> None:
    assert scanned(folder, waiver(expires=TODAY)).verdict is Verdict.PASS
    late = scanned(folder, waiver(expires=TODAY - timedelta(days=1)))
    assert late.verdict is Verdict.FAIL
    assert all(finding.waived is None for finding in late.findings)
    ((severity, message),) = said_of_waivers(late)
    assert severity is Severity.LOW
    assert message == "the waiver of jane for dangerous-import expired after 2026-05-31"


@pytest.mark.parametrize(
    ("changes", "severity", "said"),
    [
        ({"sha256": "0" * 64}, Severity.LOW, "is for other bytes"),
        ({"file": "b.pkl"}, Severity.INFO, "no such file"),
        ({"rule": "hub-scan"}, Severity.INFO, "finds nothing"),
    ],
)
def test_a_waiver_that_matches_nothing_hides_nothing_and_is_reported(
    folder: Path, changes: dict[str, object], severity: Severity, said: str
) -> None:
    report = scanned(folder, waiver(**changes))
    assert report.verdict is Verdict.FAIL
    ((found, message),) = said_of_waivers(report)
    assert found is severity
    assert said in message


def test_a_waiver_for_another_repository_is_nothing_to_this_one(folder: Path) -> None:
    report = scanned(folder, waiver(repo="org/model"))
    assert report.verdict is Verdict.FAIL
    assert not said_of_waivers(report)


def test_a_waiver_for_one_kind_of_repository_is_none_for_another(folder: Path) -> None:
    report = scanned(folder)
    for repo_type, name in [("dataset", "datasets/org/x"), ("space", "spaces/org/x")]:
        repo = samples.repo("org/x", repo_type=repo_type)
        for spelled, hidden in [(name, True), ("org/x", False)]:
            policy = Policy(waivers=(waiver(repo=spelled),), today=TODAY)
            found = tolerate(report.findings, report.files, repo, policy)
            assert (found[0].waived is not None) is hidden


def test_one_waiver_hides_one_rule_in_one_file(folder: Path) -> None:
    (folder / "b.pkl").write_bytes(HARMFUL)
    (folder / "a.pkl").write_bytes(HARMFUL)
    report = scanned(folder, waiver())
    assert {(f.path, f.waived is not None) for f in report.findings} == {
        ("a.pkl", True),
        ("b.pkl", False),
    }


def test_a_waiver_never_hides_what_was_not_read(folder: Path) -> None:
    whole = HARMFUL[:-1]
    (folder / "a.pkl").write_bytes(whole)
    rules = {finding.rule for finding in scanned(folder).findings}
    waivers = [waiver(rule=rule, sha256=sha256(whole).hexdigest()) for rule in sorted(rules)]
    report = scanned(folder, *waivers)
    assert all(finding.waived for finding in report.findings)
    assert report.unread
    assert report.verdict is Verdict.INCOMPLETE


def test_bytes_that_are_not_the_listed_ones_are_never_waived_or_known() -> None:
    report = samples.malicious()
    wrong = tuple(replace(file, verified=False) for file in report.files)
    finding = samples.finding()
    mine = waiver(repo="org/model", file=finding.path, sha256=samples.SHA256)
    policy = Policy(waivers=(mine,), today=TODAY)
    hidden = tolerate([finding], report.files, samples.repo(), policy)
    assert hidden[0].waived is not None
    assert tolerate([finding], wrong, samples.repo(), policy)[0].waived is None
    assert known_in(report)
    assert not known_in(replace(report, files=wrong))


def test_the_day_changes_the_report_only_when_a_waiver_ends(folder: Path) -> None:
    def on(day: date) -> str:
        policy = Policy(waivers=(waiver(expires=TODAY),), today=day)
        return render(hubaudit.scan(folder, policy=policy))

    assert on(TODAY) == on(TODAY - timedelta(days=100))
    assert on(TODAY) != on(TODAY + timedelta(days=1))


def baseline_of(*reports: RepoReport) -> Policy:
    return Policy(baseline=frozenset(row for report in reports for row in known_in(report)))


def test_only_what_is_not_in_the_baseline_counts(folder: Path) -> None:
    before = hubaudit.scan(folder)
    again = hubaudit.scan(folder, policy=baseline_of(before))
    assert again.verdict is Verdict.PASS
    assert [finding.waived for finding in again.findings] == [IN_BASELINE]
    (folder / "b.pkl").write_bytes(OTHER)
    more = hubaudit.scan(folder, policy=baseline_of(before))
    assert more.verdict is Verdict.FAIL
    assert {(f.path, f.waived) for f in more.findings} == {
        ("a.pkl", IN_BASELINE),
        ("b.pkl", None),
    }


def test_a_changed_file_makes_its_findings_new_again(folder: Path) -> None:
    policy = baseline_of(hubaudit.scan(folder))
    # after STOP: the call is the same, the file is not
    (folder / "a.pkl").write_bytes(HARMFUL + b"\n")
    report = hubaudit.scan(folder, policy=policy)
    assert report.verdict is Verdict.FAIL
    assert all(finding.waived is None for finding in report.findings)


def test_a_finding_that_has_become_worse_is_new() -> None:
    report = samples.malicious()
    milder = replace(report, findings=(samples.finding(severity=Severity.MEDIUM),))
    policy = baseline_of(milder)
    repo = report.repo
    assert tolerate(report.findings, report.files, repo, policy)[1].waived is None
    same = tolerate(milder.findings, report.files, repo, policy)
    better = [samples.finding(severity=Severity.LOW)]
    assert same[0].waived == IN_BASELINE
    assert tolerate(better, report.files, repo, policy)[0].waived == IN_BASELINE


def test_what_is_unread_is_never_in_a_baseline(folder: Path) -> None:
    (folder / "a.pkl").write_bytes(HARMFUL[:-1])
    report = hubaudit.scan(folder, policy=baseline_of(hubaudit.scan(folder)))
    assert report.verdict is Verdict.INCOMPLETE
    assert decide(report.findings, (), Policy()) is Verdict.PASS


def test_a_waived_finding_is_not_in_a_baseline(folder: Path) -> None:
    assert not known_in(scanned(folder, waiver()))
    known = hubaudit.scan(folder, policy=baseline_of(hubaudit.scan(folder)))
    assert known_in(known), "what the baseline hid before stays in the next one"


def test_a_file_without_sha256_is_known_by_its_blob_and_else_not_at_all() -> None:
    report = samples.malicious()

    def known_with(**changes: object) -> set[str | None]:
        file: FileReport = replace(report.files[0], **changes)  # type: ignore[arg-type]
        return {row.content for row in known_in(replace(report, files=(file,)))}

    assert known_with() == {f"sha256:{samples.SHA256}"}
    assert known_with(sha256=None) == {f"git:{'ef' * 20}"}
    assert known_with(sha256=None, blob_id=None) == set()


def test_what_is_gone_is_told_but_not_of_what_was_not_read(folder: Path) -> None:
    before = hubaudit.scan(folder)
    baseline = known_in(before)
    assert not gone_from(before, baseline)
    nothing = replace(before, findings=())
    assert len(gone_from(nothing, baseline)) == 1
    assert not gone_from(replace(nothing, unread=(Unread("a.pkl", None, "gone"),)), baseline)
    elsewhere = replace(nothing, repo=samples.repo("org/other"))
    assert not gone_from(elsewhere, baseline)


def test_the_text_report_puts_what_is_tolerated_last_and_gives_no_advice_on_it() -> None:
    worst, mild = samples.finding(waived="known"), samples.finding(severity=Severity.LOW)
    whole = samples.finding("", rule="publisher", member=None, severity=Severity.HIGH)
    report = replace(samples.malicious(), verdict=Verdict.PASS, findings=(worst, mild, whole))
    text = terminal.render(report, Page())
    high, low, critical = (text.index(word) for word in ("\nHIGH", "\nLOW", "\nCRITICAL"))
    assert high < low < critical
    assert "HIGH  publisher  the whole repository" in text
    assert text.count("→") == 2
    assert "waived: known" in text
    assert "If you accept what is found above, load exactly what was read:" in text


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    reports = [samples.malicious(), samples.for_review(), samples.hostile(), samples.crowded()]
    file = tmp_path / "baseline.json"
    text = baseline_text(reports)
    assert text.isascii()
    file.write_text(text)
    known, repos = read_baseline(file)
    assert known == {row for report in reports for row in known_in(report)}
    assert {"evil/model", "datasets/org/data"} <= repos
    assert json.loads(text)["schema"] == "hubaudit.baseline/1"


@given(st.randoms())
def test_the_order_of_reports_and_findings_changes_no_byte_of_a_baseline(chance: object) -> None:
    reports = [samples.malicious(), samples.for_review(), samples.crowded()]
    shuffled = chance.sample(reports, len(reports))  # type: ignore[attr-defined]
    turned = [replace(one, findings=tuple(reversed(one.findings))) for one in shuffled]
    assert baseline_text(turned) == baseline_text(reports)


ROW = {
    "repo": "org/model",
    "path": "a.pkl",
    "member": None,
    "content": "sha256:" + "ab" * 32,
    "rule": "dangerous-import",
    "severity": "high",
    "evidence": "cd" * 32,
}


def document(**changes: object) -> str:
    return json.dumps(
        {"schema": "hubaudit.baseline/1", "repos": ["org/model"], "findings": [ROW]} | changes
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("", "is no JSON"),
        ("\udc80", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "has no schema"),
        ('{"version": "1.4.0", "results": {}}', "has no schema"),
        (document(schema="hubaudit.baseline/2"), "has the schema hubaudit.baseline/2"),
        (document(schema="hubaudit.report/1"), "has the schema hubaudit.report/1"),
        (document(findings=None), "malformed: findings"),
        (document(more=1), "malformed: more"),
        (document(findings=[ROW | {"severity": "worst"}]), "malformed: findings.0.severity"),
        (document(findings=[ROW | {"content": "a.pkl"}]), "malformed: findings.0.content"),
        (document(findings=[ROW | {"evidence": ""}]), "malformed: findings.0.evidence"),
        (document(findings=[{"rule": "x"}]), "malformed: findings.0."),
    ],
)
def test_a_malformed_or_foreign_baseline_is_an_error(
    tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "baseline.json"
    if text is not None:
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        read_baseline(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)
    assert "--write-baseline" in caught.value.hint


def test_the_document_above_is_a_baseline(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(document())
    assert len(read_baseline(file)[0]) == 1


def test_require_refuses_what_a_strict_policy_refuses(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hubaudit import pipeline

    monkeypatch.setattr(pipeline, "audit", lambda *_, **__: samples.for_review())
    assert hubaudit.require("org/data") == {"revision": samples.COMMIT}
    with pytest.raises(AuditFailed):
        hubaudit.require("org/data", policy=Policy(strict=True))
