"""Of any report, all formats say the same figures, and what each of them writes is valid."""

from __future__ import annotations

import json
import re
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from sarif_pydantic import Sarif

from hubaudit.model import RepoReport, Severity
from hubaudit.report import REPORTS, Page
from hubaudit.report.json import schema
from hubaudit.report.tally import counts_text
from tests.report.test_stored import any_report

PAGE = Page()
JSON_SCHEMA = Draft202012Validator(schema())
BOM = JsonStrictValidator(SchemaVersion.V1_6)
any_order = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Figures = tuple[str, str, dict[str, int]]


def expected(report: RepoReport) -> Figures:
    found = [one.severity.value for one in report.findings if one.waived is None]
    counts = {severity.value: found.count(severity.value) for severity in Severity}
    return report.verdict.value, next((one for one, n in counts.items() if n), "none"), counts


def counted(verdict: str, worst: str, severities: list[str]) -> Figures:
    return verdict, worst, {one.value: severities.count(one.value) for one in Severity}


@any_order
@given(any_report)
def test_sarif_agrees_and_is_valid(report: RepoReport) -> None:
    text = REPORTS["sarif"].one(report, PAGE)
    Sarif.model_validate_json(text)
    [run] = json.loads(text)["runs"]
    told = run["properties"]
    assert (told["verdict"], told["worst"], told["counts"]) == expected(report)
    results = [one for one in run["results"] if not one.get("suppressions")]
    severities = [one["properties"]["severity"] for one in results]
    assert counted(told["verdict"], told["worst"], severities) == expected(report)
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == len(report.unread)


@any_order
@given(any_report)
def test_cyclonedx_agrees_and_is_valid(report: RepoReport) -> None:
    text = REPORTS["cyclonedx"].one(report, PAGE)
    assert BOM.validate_str(text) is None
    bom = json.loads(text)
    told = _properties(bom["metadata"]["component"])
    severities = []
    for one in bom["vulnerabilities"]:
        if "analysis" not in one:
            times = int(_properties(one)["hubaudit:count"])
            severities += [one["ratings"][0]["severity"]] * times
    found = counted(told["hubaudit:verdict"], told["hubaudit:worst"], severities)
    assert found == expected(report)
    refs = [one["bom-ref"] for one in (bom["metadata"]["component"], *bom["components"])]
    assert len(set(refs)) == len(refs)
    assert {ref["ref"] for one in bom["vulnerabilities"] for ref in one["affects"]} <= set(refs)


def _properties(part: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in part["properties"]}


@any_order
@given(any_report)
def test_junit_agrees_and_is_valid(report: RepoReport) -> None:
    [suite] = list(JUnitXml.fromstring(REPORTS["junit"].one(report, PAGE).encode()))
    told = {one.name: one.value for one in suite.properties()}  # type: ignore[no-untyped-call]
    counts = {severity.value: int(told[severity.value]) for severity in Severity}
    assert (told["verdict"], told["worst"], counts) == expected(report)
    is_bad = suite.failures + suite.errors > 0
    assert is_bad or report.verdict.value in {"pass", "review"}


@any_order
@given(any_report)
def test_json_and_json_lines_agree_and_are_valid(report: RepoReport) -> None:
    one, line = (REPORTS[form].one(report, PAGE) for form in ("json", "jsonl"))
    plain = json.loads(one)
    JSON_SCHEMA.validate(plain)
    assert json.loads(line) == plain
    assert line.count("\n") == 1
    found = [entry for entry in plain["findings"] if entry["waived"] is None]
    severities = [entry["severity"] for entry in found]
    assert counted(plain["verdict"], expected(report)[1], severities) == expected(report)


@any_order
@given(any_report)
def test_what_people_read_agrees(report: RepoReport) -> None:
    verdict, worst, counts = expected(report)
    for form in ("text", "markdown", "github"):
        text = REPORTS[form].one(report, PAGE)
        assert verdict.upper() in text.split("\n")[0]
        assert counts_text(report) in " ".join(text.split())
    page = REPORTS["html"].one(report, PAGE)
    assert f'data-verdict="{verdict}" data-worst="{worst}"' in page
    chips = re.findall(r'<li class="chip s-\w+" data-severity="(\w+)" data-count="(\d+)">', page)
    assert dict(chips) == {one: str(number) for one, number in counts.items() if number}


@any_order
@given(any_report)
def test_markdown_has_no_more_than_our_own_markup(report: RepoReport) -> None:
    tokens = MarkdownIt("gfm-like").parse(REPORTS["markdown"].one(report, PAGE))
    inline = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in [*tokens, *inline]}
    assert kinds.isdisjoint({"link_open", "image", "html_block", "s_open", "em_open"})
    assert {token.content for token in inline if token.type == "html_inline"} <= {"<br>"}
