"""The terminal report against goldens; HUBAUDIT_UPDATE_GOLDENS=1 writes them anew."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hubaudit.model import RepoReport, Severity, Unread, Verdict
from hubaudit.report.page import Page
from hubaudit.report.terminal import render, render_many
from tests.report import samples

_GOLDENS = Path(__file__).parent / "goldens"
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_PIN = re.compile(r"^(from_pretrained|load_dataset|snapshot_download)\(")
every_sample = pytest.mark.parametrize(
    "report", [b() for b in samples.ALL.values()], ids=samples.ALL
)


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("name", samples.ALL)
def test_the_text_is_what_was_looked_at(name: str, width: int) -> None:
    golden = _GOLDENS / f"{name}-{width}.txt"
    text = render(samples.ALL[name](), Page(width=width))
    if os.environ.get("HUBAUDIT_UPDATE_GOLDENS"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["ordinary", "malicious", "sharded", "for_review", "incomplete"])
def test_an_ordinary_report_fits_a_screen_of_24_lines(name: str) -> None:
    assert len(render(samples.ALL[name](), Page()).splitlines()) < 24


@every_sample
@pytest.mark.parametrize("width", [20, 40, 80, 100])
def test_no_line_but_the_pin_is_wider_than_the_page(report: RepoReport, width: int) -> None:
    for line in render(report, Page(width=width)).splitlines():
        assert cell_len(line) <= width or _PIN.match(line)
        assert line == line.rstrip()


@every_sample
def test_colour_adds_styles_and_nothing_else(report: RepoReport) -> None:
    styled = render(report, Page(color=True))
    assert "\x1b[" in styled
    assert _STYLE.sub("", styled) == render(report, Page())


@every_sample
def test_without_colour_only_printable_characters_leave(report: RepoReport) -> None:
    assert render(report, Page()).replace("\n", "").isprintable()


@every_sample
def test_the_environment_changes_nothing(
    report: RepoReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = render(report, Page())
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "20", "TERM": "dumb", "LINES": "5"}.items():
        monkeypatch.setenv(name, value)
    assert render(report, Page()) == before
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" in render(report, Page(color=True))


@every_sample
def test_no_report_calls_anything_safe_or_clean(report: RepoReport) -> None:
    said = render(report, Page()).lower().replace("safetensors", "")
    assert not re.search(r"\b(safe|clean|secure|harmless|ok)\b", said)


@given(st.text(st.characters(), max_size=300), st.integers(20, 120))
def test_hostile_text_stays_on_the_page(text: str, width: int) -> None:
    report = replace(
        samples.incomplete(),
        summary=text,
        repo=samples.repo(text, revision=text),
        findings=(samples.finding(text, rule=text, member=text, message=text, evidence=text),),
        unread=(Unread(text, text, text),),
    )
    drawn = render(report, Page(width=width))
    assert drawn.replace("\n", "").isprintable()
    assert all(cell_len(line) <= width for line in drawn.splitlines())


@pytest.mark.parametrize("verdict", Verdict)
def test_the_report_opens_with_the_verdict_the_repository_and_the_commit(verdict: Verdict) -> None:
    first = render(replace(samples.ordinary(), verdict=verdict), Page()).splitlines()[0]
    assert first == f"{verdict.name}  org/model at 0123456789ab (main)"


@pytest.mark.parametrize(
    ("repo_type", "pin"),
    [
        ("model", f'from_pretrained("org/model", revision="{samples.COMMIT}")'),
        ("dataset", f'load_dataset("org/model", revision="{samples.COMMIT}")'),
        (
            "space",
            f'snapshot_download("org/model", repo_type="space", revision="{samples.COMMIT}")',
        ),
    ],
)
@pytest.mark.parametrize("width", [40, 80])
def test_the_pin_is_one_line_to_copy(repo_type: str, pin: str, width: int) -> None:
    report = replace(samples.ordinary(), repo=samples.repo(repo_type=repo_type))
    assert pin in render(report, Page(width=width)).splitlines()


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCOMPLETE])
def test_no_pin_is_offered_for_what_did_not_pass(verdict: Verdict) -> None:
    text = render(replace(samples.ordinary(), verdict=verdict), Page())
    assert samples.COMMIT not in text


def test_a_repository_id_that_is_no_id_gives_no_code_to_paste() -> None:
    for repo_id in ('a", trust_remote_code=True)#', "a\n", "../a", "a/b/c", "模型"):
        report = replace(samples.ordinary(), repo=samples.repo(repo_id))
        assert "from_pretrained" not in render(report, Page())


def test_a_local_target_has_no_commit_and_no_pin() -> None:
    text = render(replace(samples.local(), verdict=Verdict.PASS), Page())
    assert text.splitlines()[0] == "PASS  weights.pkl"
    assert "revision" not in text


def test_the_same_finding_in_twelve_shards_is_one_line() -> None:
    text = render(samples.sharded(), Page(width=100))
    assert text.count("dangerous-import") == 1
    assert "pytorch_model-00001-of-00012.bin ›" in text
    assert text.count("× 12") == 1


def test_notes_that_say_the_same_are_one_line() -> None:
    text = render(samples.sharded(), Page())
    assert "\nINFO  hub-scan  × 13: the Hub has no verdict on this file yet: queued\n" in text
    assert "\nINFO  hub-scan  pytorch_model.bin: the Hub" in render(samples.malicious(), Page())


def test_the_same_finding_in_files_of_other_names_is_shown_for_each() -> None:
    report = replace(
        samples.malicious(), findings=(samples.finding("a.bin"), samples.finding("b.bin"))
    )
    text = render(report, Page())
    assert "a.bin ›" in text
    assert "b.bin ›" in text


def test_what_is_not_shown_is_counted() -> None:
    assert "and 2 more: see the JSON report" in render(samples.crowded(), Page())
    assert "more: see" not in render(samples.crowded(), Page(entries=None))
    assert render(samples.crowded(), Page(entries=None)).count("HIGH") == 10


def test_shards_that_are_not_shown_count_each() -> None:
    findings = (*samples.crowded().findings, *samples.sharded().findings)
    least = tuple(replace(f, severity=Severity.LOW) for f in findings[10:])
    report = replace(samples.malicious(), findings=findings[:10] + least)
    assert "and 27 more: see the JSON report" in render(report, Page())


def test_unread_entries_are_limited_and_counted() -> None:
    unread = tuple(Unread(f"{n:02}.bin", None, "truncated") for n in range(10))
    text = render(replace(samples.incomplete(), unread=unread), Page())
    assert "Not read to the end (10):" in text
    assert "07.bin: truncated\n  and 2 more: see the JSON report" in text


def test_a_finding_of_a_newer_rule_still_says_what_to_do() -> None:
    report = replace(samples.malicious(), findings=(samples.finding(rule="rule-of-tomorrow"),))
    assert "→ Look at the evidence before you load this file." in render(report, Page())


def test_files_that_were_not_read_count_among_those_that_can_execute() -> None:
    assert "Read 1 of 3 files that can execute" in render(samples.incomplete(), Page())


def test_several_reports_are_separated_by_a_blank_line() -> None:
    both = render_many([samples.ordinary(), samples.malicious()], Page())
    one, other = render(samples.ordinary(), Page()), render(samples.malicious(), Page())
    assert both == f"{one}\n{other}"
