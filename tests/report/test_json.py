from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hubaudit.model import Cost, Finding, RepoReport, Severity, Unread
from hubaudit.report.json import as_dict, render, render_many, schema
from tests.report import samples

every_sample = pytest.mark.parametrize(
    "report", [b() for b in samples.ALL.values()], ids=samples.ALL
)


def test_the_schema_is_a_valid_2020_12_schema_that_describes_every_key() -> None:
    Draft202012Validator.check_schema(schema())
    for name, part in _objects(schema()):
        assert part["additionalProperties"] is False, name
        asked_for = {"cost", "opinions"} if name == "$" else set()
        always = [key for key in part["properties"] if key not in asked_for]
        assert part["required"] == always, name
        for key, value in part["properties"].items():
            assert value["description"].endswith("."), f"{name}.{key}"


def _objects(part: object, name: str = "$") -> list[tuple[str, dict]]:  # type: ignore[type-arg]
    """Every schema with fixed properties below `part`, with the way to it."""
    found = []
    if isinstance(part, dict):
        if "properties" in part and "required" in part and isinstance(part["required"], list):
            found.append((name, part))
        for key, value in part.items():
            found += _objects(value, f"{name}.{key}")
    if isinstance(part, list):
        for value in part:
            found += _objects(value, name)
    return found


@every_sample
def test_every_report_follows_the_schema(report: RepoReport) -> None:
    Draft202012Validator(schema()).validate(json.loads(render(report)))


def test_the_schema_refuses_a_key_it_does_not_know() -> None:
    assert not Draft202012Validator(schema()).is_valid({**as_dict(samples.ordinary()), "time": 1})


def test_cost_is_there_only_where_it_was_asked_for() -> None:
    plain = as_dict(samples.ordinary())
    counted = as_dict(replace(samples.ordinary(), cost=Cost(3, 4096)))
    assert counted == plain | {"cost": {"requests": 3, "received": 4096}}
    Draft202012Validator(schema()).validate(counted)


def test_second_opinions_are_there_only_where_they_were_asked_for() -> None:
    with_them = as_dict(samples.opinionated())
    assert "opinions" not in as_dict(samples.malicious())
    assert [one["engine"] for one in with_them.pop("opinions")] == [
        *("fickling", "modelaudit", "modelscan", "picklescan", "picklescan")
    ]
    assert with_them == as_dict(samples.malicious())


@every_sample
def test_the_text_parses_to_the_dict(report: RepoReport) -> None:
    assert json.loads(render(report)) == as_dict(report) == report.to_dict()


@every_sample
def test_the_text_has_no_control_or_non_ascii_character(report: RepoReport) -> None:
    text = render(report)
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


def test_a_report_of_hostile_names_is_read_by_json_tool() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "json.tool"],
        input=render(samples.hostile()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout) == as_dict(samples.hostile())


def test_lone_surrogates_are_written_out_in_values_and_keys() -> None:
    strict = json.dumps(as_dict(samples.hostile()), ensure_ascii=False)
    assert r"\\udc80" in strict
    strict.encode("utf-8")


@given(st.randoms())
def test_the_order_of_what_was_found_does_not_change_a_byte(chance: random.Random) -> None:
    report = samples.hostile()
    report = replace(
        report,
        files=report.files + samples.sharded().files,
        findings=report.findings + samples.sharded().findings + samples.crowded().findings,
        globals=report.globals + samples.ordinary().globals,
        comparisons=report.comparisons + samples.for_review().comparisons,
        unread=report.unread + samples.incomplete().unread,
    )
    shuffled: dict[str, Any] = {
        name: tuple(chance.sample(getattr(report, name), len(getattr(report, name))))
        for name in ("files", "findings", "globals", "comparisons", "unread")
    }
    assert render(replace(report, **shuffled)) == render(report)


def test_findings_are_worst_first_then_by_path_member_offset_and_rule() -> None:
    def one(
        severity: Severity, path: str, member: str | None, offset: int | None, rule: str
    ) -> Finding:
        return samples.finding(path, severity=severity, member=member, offset=offset, rule=rule)

    right = [
        one(Severity.CRITICAL, "z", None, None, "a"),
        one(Severity.HIGH, "a", None, None, "z"),
        one(Severity.HIGH, "a", None, 0, "a"),
        one(Severity.HIGH, "a", "m", 2, "a"),
        one(Severity.HIGH, "a", "m", 2, "b"),
        one(Severity.HIGH, "a", "m", 10, "a"),
        one(Severity.HIGH, "b", None, None, "a"),
        one(Severity.INFO, "a", None, None, "a"),
    ]
    report = replace(samples.malicious(), findings=tuple(reversed(right)))
    assert (
        as_dict(report)["findings"] == as_dict(replace(report, findings=tuple(right)))["findings"]
    )
    assert [f["path"] for f in as_dict(report)["findings"]] == [f.path for f in right]
    assert [f["offset"] for f in as_dict(report)["findings"]] == [f.offset for f in right]


def test_unread_entries_of_the_same_file_keep_a_fixed_order() -> None:
    entries = (Unread("a", None, "y"), Unread("a", "m", "x"), Unread("a", None, "x"))
    report = replace(samples.incomplete(), unread=entries)
    assert [(e["member"], e["why"]) for e in as_dict(report)["unread"]] == [
        (None, "x"),
        (None, "y"),
        ("m", "x"),
    ]


def test_several_reports_are_an_array_of_the_same_objects() -> None:
    reports = [samples.ordinary(), samples.malicious()]
    assert json.loads(render_many(reports)) == [as_dict(report) for report in reports]
    assert json.loads(render_many([])) == []


def test_the_hubs_scanners_stand_under_their_names() -> None:
    by_path = {file["path"]: file for file in as_dict(samples.malicious())["files"]}
    assert by_path["pytorch_model.bin"]["hub_scan"] == {
        "status": "unsafe",
        "scanners": {
            "avScan": {"status": "queued", "message": None},
            "protectAiScan": {"status": "unsafe", "message": "This file has an unsafe import"},
        },
    }
    assert by_path["model.safetensors"]["hub_scan"] is None
