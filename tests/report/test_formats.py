"""What holds for every form of a report: valid, the same figures, and nothing a repository can inject."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, get_args

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from sarif_pydantic import Sarif

from hubaudit.cli.options import FormatName
from hubaudit.model import Opinion, RepoReport, Severity, Unread, Verdict
from hubaudit.report import REPORTS, Origin, Page, format_of
from hubaudit.report.tally import by_severity, counts_text, worst
from tests.report import samples

EVERYTHING = [build() for build in samples.ALL.values()]
every_sample = pytest.mark.parametrize("report", EVERYTHING, ids=samples.ALL)
every_format = pytest.mark.parametrize("form", REPORTS)
PAGE = Page()

# What a repository's text might try in one reader or another.
TRICKS = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "[click](https://example.invalid) ![x](https://example.invalid/x.png) <https://example.invalid>",
    "@org/team #1 https://example.invalid www.example.invalid a@example.invalid :smile:",
    "| a | b |\n| --- | --- |",
    "``` `` ` ~~~ **bold** _it_ # heading",
    "\n::error file=x::owned",
    "::set-output name=x::y",
    "\u3000::add-mask::x",
    "##[add-mask]x ##vso[task.setvariable variable=x]y",
    "]]> <!-- --> &amp; {0} {{x}} %0A::warning::x",
    "\x1b[31mred\x1b[0m \u202e \u2066 \x00 \x7f \udc80",
    "=cmd|' /C calc'!A0",
    "`" * 90 + "[click](https://example.invalid) @org <script>alert(1)</script>",
    "{{ 7*7 }} {% raw %}",
)


def tricky(trick: str) -> RepoReport:
    """The hostile sample with one trick everywhere that a repository's text can stand."""
    report = samples.malicious()
    finding = replace(
        report.findings[-1], path=trick, member=trick, message=trick, evidence=trick, waived=None
    )
    return replace(
        report,
        summary=trick,
        findings=(finding, replace(finding, waived=trick)),
        files=(replace(report.files[0], path=trick),),
        unread=(
            replace(samples.incomplete().unread[0], why=trick),
            Unread("model.7z", "inner", "archives need the extra"),
            Unread(trick, trick, trick),
        ),
        opinions=(Opinion(trick, trick, trick, "flagged", trick),),
    )


def test_every_format_can_be_chosen_on_the_command_line() -> None:
    assert list(get_args(FormatName)) == list(REPORTS)


def test_a_file_name_chooses_its_format_by_the_longest_suffix() -> None:
    assert format_of("a/report.sarif") == "sarif"
    assert format_of("model.cdx.json") == "cyclonedx"
    assert format_of("REPORT.JSON") == "json"
    assert format_of("report") is None
    suffixes = [suffix for form in REPORTS.values() for suffix in form.suffixes]
    assert len(suffixes) == len(set(suffixes))


@every_format
@every_sample
def test_the_same_report_gives_the_same_text(form: str, report: RepoReport) -> None:
    written = REPORTS[form].one(report, PAGE)
    assert written == REPORTS[form].one(replace(report, findings=report.findings[::-1]), PAGE)
    assert written.endswith("\n")
    written.encode("utf-8")


@every_sample
def test_sarif_is_valid(report: RepoReport) -> None:
    Sarif.model_validate_json(REPORTS["sarif"].one(report, PAGE))


@every_sample
def test_cyclonedx_is_valid(report: RepoReport) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(REPORTS["cyclonedx"].one(report, PAGE)) is None
    assert validator.validate_str(REPORTS["cyclonedx"].many(EVERYTHING, PAGE)) is None


@every_sample
def test_junit_is_valid_and_its_sums_are_right(report: RepoReport) -> None:
    parsed = JUnitXml.fromstring(REPORTS["junit"].one(report, PAGE).encode())
    [suite] = list(parsed)
    before = suite.tests, suite.failures, suite.errors, suite.skipped
    suite.update_statistics()  # type: ignore[no-untyped-call]
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == before
    assert (suite.failures + suite.errors > 0) == (report.verdict.value in {"fail", "incomplete"})
    assert (suite.skipped > 0) == (report.verdict.value == "review")


def test_junit_tells_what_was_not_read_beside_what_failed() -> None:
    gap = Unread("pytorch_model.bin", None, "it ends early")
    report = replace(samples.malicious(), unread=(gap,))
    [suite] = list(JUnitXml.fromstring(REPORTS["junit"].one(report, PAGE).encode()))
    [case] = [case for case in suite if case.name == "pytorch_model.bin"]
    assert case.result[0].type == "critical"
    assert "not read: pytorch_model.bin: it ends early" in case.system_out


@pytest.mark.timeout(60)
def test_the_findings_of_a_large_repository_are_looked_at_once() -> None:
    """Each file against each finding, that were minutes."""
    report = replace(
        samples.malicious(),
        files=tuple(samples.file(f"{n}.bin") for n in range(8_000)),
        findings=tuple(samples.finding(f"{n}.bin", evidence=f"{n}") for n in range(8_000)),
    )
    for form in REPORTS.values():
        assert form.one(report, PAGE)


def test_jsonl_is_one_line_a_report() -> None:
    lines = REPORTS["jsonl"].many(EVERYTHING, PAGE).splitlines()
    assert [json.loads(line) for line in lines] == [report.to_dict() for report in EVERYTHING]


@every_sample
def test_verdict_counts_and_worst_severity_are_the_same_everywhere(report: RepoReport) -> None:
    highest = worst(report)
    counts = {severity.value: number for severity, number in by_severity(report).items()}
    expected = (report.verdict.value, highest.value if highest else "none", counts)
    assert _of_json(report) == expected
    assert _of_sarif(report) == expected
    assert _of_junit(report) == expected
    assert _of_cyclonedx(report) == expected
    for form in ("text", "markdown", "github"):
        text = REPORTS[form].one(report, PAGE)
        assert report.verdict.value.upper() in text.split("\n")[0]
        assert counts_text(report) in text
        for severity, number in counts.items():
            assert (f"{number} {severity}" in text) == bool(number)


def _of_json(report: RepoReport) -> tuple[Any, ...]:
    parsed = json.loads(REPORTS["json"].one(report, PAGE))
    found = [one["severity"] for one in parsed["findings"] if one["waived"] is None]
    counts = {severity.value: found.count(severity.value) for severity in Severity}
    highest = next((severity for severity, number in counts.items() if number), "none")
    return parsed["verdict"], highest, counts


def _of_sarif(report: RepoReport) -> tuple[Any, ...]:
    [run] = json.loads(REPORTS["sarif"].one(report, PAGE))["runs"]
    found = [
        result["properties"]["severity"]
        for result in run["results"]
        if not result.get("suppressions")
    ]
    counts = {severity.value: found.count(severity.value) for severity in Severity}
    assert counts == run["properties"]["counts"]
    return run["properties"]["verdict"], run["properties"]["worst"], counts


def _of_junit(report: RepoReport) -> tuple[Any, ...]:
    [suite] = list(JUnitXml.fromstring(REPORTS["junit"].one(report, PAGE).encode()))
    figures = {one.name: one.value for one in suite.properties()}  # type: ignore[no-untyped-call]
    counts = {severity.value: int(figures[severity.value]) for severity in Severity}
    return figures["verdict"], figures["worst"], counts


def _of_cyclonedx(report: RepoReport) -> tuple[Any, ...]:
    bom = json.loads(REPORTS["cyclonedx"].one(report, PAGE))
    figures = {
        one["name"].removeprefix("hubaudit:"): one["value"]
        for one in bom["metadata"]["component"]["properties"]
    }
    counts = dict.fromkeys((severity.value for severity in Severity), 0)
    for one in bom["vulnerabilities"]:
        if "analysis" not in one:
            [times] = [p["value"] for p in one["properties"] if p["name"] == "hubaudit:count"]
            counts[one["ratings"][0]["severity"]] += int(times)
    return figures["verdict"], figures["worst"], counts


@every_format
@pytest.mark.parametrize("trick", TRICKS)
def test_no_form_has_control_characters_or_commands_to_a_runner(form: str, trick: str) -> None:
    written = REPORTS[form].one(tricky(trick), PAGE)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", written)
    assert "##[" not in written
    assert "##vso" not in written
    commands = [line for line in written.splitlines() if line.lstrip().startswith("::")]
    ours = re.compile(r"::(error|warning|notice) title=[^:,]*::[^\r\n]*")
    assert all(ours.fullmatch(line) for line in commands)
    assert (commands != []) == (form == "github")


@pytest.mark.parametrize("trick", TRICKS)
def test_markdown_renders_no_link_image_mention_or_html_of_a_repository(trick: str) -> None:
    parser = MarkdownIt("gfm-like")
    tokens = parser.parse(REPORTS["markdown"].one(tricky(trick), PAGE))
    inline = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in [*tokens, *inline]}
    assert kinds.isdisjoint({"link_open", "image", "html_block", "s_open", "em_open"})
    html = {token.content for token in inline if token.type == "html_inline"}
    assert html <= {"<br>"}
    spoken = "".join(token.content for token in inline if token.type == "text")
    for mark in ("@", "#1", "example.invalid", ":smile:", "<script"):
        assert mark not in spoken
    headings = [token for token in tokens if token.type == "heading_open"]
    assert [token.tag for token in headings][:1] == ["h2"]
    assert {token.tag for token in headings[1:]} <= {"h3"}


def test_the_rows_of_a_markdown_table_have_the_cells_of_its_head() -> None:
    written = REPORTS["markdown"].one(tricky("a|b `|` \\| |"), PAGE)
    tables = [line for line in written.splitlines() if line.startswith("|")]
    cells = [len(re.split(r"(?<!\\)\|", line)) - 2 for line in tables]
    assert set(cells) == {4, 3, 2}


def test_no_code_span_is_fenced_by_more_than_a_renderer_takes() -> None:
    """GitHub's takes 80 backticks; a longer run is text, and so is what was to be a code span."""
    for number in (1, 8, 9, 79, 80, 200):
        written = REPORTS["markdown"].one(tricky("`" * number + "[x](y)"), PAGE)
        assert max(map(len, re.findall("`+", written))) <= 9


def _long(number: int) -> RepoReport:
    """As long as a hostile repository makes it: nothing of it is like another."""
    names = [f"{'abcdefghij'[one % 10] * (one // 10 + 1)}|`" + "é" * 400 for one in range(number)]
    return replace(
        samples.malicious(),
        findings=tuple(samples.finding(name, message=name, evidence=name) for name in names),
        unread=tuple(Unread(name, name, name) for name in names),
        opinions=tuple(Opinion(name, name, name, "flagged", name) for name in names),
    )


def test_a_report_in_markdown_fits_a_comment() -> None:
    written = REPORTS["markdown"].one(_long(300), PAGE)
    assert len(written) <= 65_536
    assert written.count(" more: see the JSON report") == 3
    assert "300 critical, 300 not read." in written


@pytest.mark.parametrize("number", [60, 1_200])
def test_reports_in_markdown_fit_the_summary_of_a_job(number: int) -> None:
    reports = [*[samples.ordinary()] * number, _long(60), *[_long(12)] * (number // 3)]
    written = REPORTS["markdown"].many(reports, PAGE)
    assert len(written.encode()) <= 1 << 20
    assert "| FAIL |" in written


def test_sarif_shows_a_finding_at_the_line_of_the_list() -> None:
    page = Page(origin=Origin("models.txt", 7))
    [run] = json.loads(REPORTS["sarif"].one(samples.malicious(), page))["runs"]
    for result in run["results"]:
        where = result["locations"][0]["physicalLocation"]
        assert where["artifactLocation"]["uri"] == "models.txt"
        assert where["region"]["startLine"] == 7
        [hub] = result["relatedLocations"]
        url = hub["physicalLocation"]["artifactLocation"]["uri"]
        assert url.startswith(f"https://huggingface.co/evil/model/blob/{samples.COMMIT}/")


def test_what_is_waived_is_suppressed_and_still_there() -> None:
    [run] = json.loads(REPORTS["sarif"].one(samples.hostile(), PAGE))["runs"]
    assert [len(result.get("suppressions", [])) for result in run["results"]] == [0, 1]
    assert "waived" in REPORTS["markdown"].one(samples.hostile(), PAGE)


def test_what_was_not_read_is_told_in_every_form() -> None:
    for form in REPORTS:
        assert "archives need the extra" in REPORTS[form].one(samples.incomplete(), PAGE)


def test_a_cyclonedx_model_has_its_purl_and_hashes() -> None:
    bom = json.loads(REPORTS["cyclonedx"].one(samples.malicious(), PAGE))
    model = bom["metadata"]["component"]
    assert model["purl"] == f"pkg:huggingface/evil/model@{samples.COMMIT}"
    assert model["type"] == "machine-learning-model"
    hashes = {one["name"]: one.get("hashes") for one in bom["components"]}
    assert hashes["pytorch_model.bin"] == [{"alg": "SHA-256", "content": samples.SHA256}]
    assert bom["vulnerabilities"][0]["ratings"][0]["severity"] == "critical"


def test_two_reports_on_one_commit_have_references_of_their_own() -> None:
    strict = samples.malicious()
    lax = replace(strict, verdict=Verdict.REVIEW, summary="judged by another policy")
    bom = json.loads(REPORTS["cyclonedx"].many([strict, lax, strict], PAGE))
    refs = [
        one["bom-ref"] for top in bom["components"] for one in (top, *top.get("components", []))
    ]
    assert len(refs) == len(set(refs)) == 6
    affected = [one["ref"] for found in bom["vulnerabilities"] for one in found["affects"]]
    assert set(affected) <= set(refs)
    assert len(affected) == 4
    assert {top["purl"] for top in bom["components"]} == {
        f"pkg:huggingface/evil/model@{samples.COMMIT}"
    }


def test_each_shard_with_a_finding_is_affected() -> None:
    bom = json.loads(REPORTS["cyclonedx"].one(samples.sharded(), PAGE))
    bad = [one for one in bom["vulnerabilities"] if one["ratings"][0]["severity"] == "critical"]
    refs = {one["bom-ref"] for one in bom["components"]}
    assert {one["ref"] for found in bad for one in found["affects"]} == refs
    assert len(refs) == 12


def test_sarif_keeps_to_what_code_scanning_takes() -> None:
    """docs.github.com: runs in a file, results in a run, what a rule has to have, one category a run."""
    newer = samples.finding(rule="of-another-version", severity=Severity.LOW)
    report = replace(samples.malicious(), findings=(newer, *samples.malicious().findings))
    dataset = replace(report, repo=replace(report.repo, repo_type="dataset"))
    few = json.loads(REPORTS["sarif"].many([report, report, dataset], PAGE))["runs"]
    assert len({run["automationDetails"]["id"] for run in few}) == 3
    for rule in few[0]["tool"]["driver"]["rules"]:
        for part in ("shortDescription", "fullDescription", "help"):
            assert rule[part]["text"]
    [unknown] = [
        one for one in few[0]["tool"]["driver"]["rules"] if one["id"] == "of-another-version"
    ]
    assert unknown["properties"]["security-severity"] == "2.0"
    [run] = json.loads(REPORTS["sarif"].many([report] * 21, PAGE))["runs"]
    assert len(run["results"]) == 21 * len(report.findings)
    assert [one["verdict"] for one in run["properties"]["reports"]] == ["fail"] * 21


def test_sarif_cuts_the_least_of_too_many_results_and_says_so() -> None:
    many = tuple(
        samples.finding(f"{n}.bin", severity=Severity.LOW if n else Severity.CRITICAL)
        for n in range(25_010)
    )
    text = REPORTS["sarif"].one(replace(samples.malicious(), findings=many[::-1]), PAGE)
    [run] = json.loads(text)["runs"]
    assert len(run["results"]) == 25_000
    assert run["results"][0]["properties"]["severity"] == "critical"
    assert run["properties"]["counts"]["low"] == 25_009
    told = run["invocations"][0]["toolExecutionNotifications"]
    assert told[-1]["message"]["text"] == "10 more results are in the JSON report"


@pytest.mark.parametrize("version", ["0.1.0", "1.2.3-rc.1", "0.1.0.dev1", "x\x1b[2J"])
def test_sarif_says_a_version_for_what_it_is(version: str) -> None:
    report = replace(samples.malicious(), tool=replace(samples.TOOL, version=version))
    [run] = json.loads(REPORTS["sarif"].one(report, PAGE))["runs"]
    assert run["tool"]["driver"]["version"] == version.replace("\x1b", r"\x1b")
    is_semantic = version in {"0.1.0", "1.2.3-rc.1"}
    assert ("semanticVersion" in run["tool"]["driver"]) == is_semantic
