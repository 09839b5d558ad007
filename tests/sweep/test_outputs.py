"""Files that a sweep writes with `-o` in formats that hold reports only."""

from __future__ import annotations

import json

import pytest

from tests.sweep.conftest import Machine

LIST = "# approved\norg/model-0\n\norg/armed  # line 4\n"


def _places(machine: Machine, name: str) -> set[tuple[str, int]]:
    """Of the failing findings in a SARIF file."""
    log = json.loads((machine.home / name).read_text(encoding="utf-8"))
    found = [
        one["physicalLocation"]
        for run in log["runs"]
        for result in run["results"]
        if result["level"] == "error"
        for one in result["locations"]
    ]
    return {(one["artifactLocation"]["uri"], one["region"]["startLine"]) for one in found}


def test_findings_in_sarif_stand_at_the_line_of_the_list(machine: Machine) -> None:
    (machine.home / "lists").mkdir(parents=True)
    toml = '[[model]]\nid = "org/model-1"\n\n[[model]]\nid = "org/armed"\n'
    for name, text in (("a.txt", LIST), ("a.toml", toml), ("a.csv", "id\norg/armed\n")):
        path = machine.write(text, f"lists/{name}")
        assert machine("sweep", path, "-o", "x.sarif").code == 1
        line = {"a.txt": 4, "a.toml": 4, "a.csv": 2}[name]
        assert _places(machine, "x.sarif") == {(f"lists/{name}", line)}


def test_a_list_that_is_no_file_has_no_line_to_show(machine: Machine) -> None:
    assert machine("sweep", "-", "-o", "x.sarif", given=LIST).code == 1
    assert _places(machine, "x.sarif")
    assert "stdin" not in {path for path, _ in _places(machine, "x.sarif")}


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson"])
def test_json_lines_are_the_reports_of_all_targets(machine: Machine, suffix: str) -> None:
    machine("sweep", machine.write(LIST), "-o", f"x.{suffix}")
    lines = (machine.home / f"x.{suffix}").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["repo"]["repo_id"] for line in lines] == ["org/armed", "org/model-0"]


def test_the_longest_suffix_says_the_format(machine: Machine) -> None:
    outputs = ("x.cdx.json", "x.sarif.json", "x.json", "X.SARIF")
    options = [part for name in outputs for part in ("-o", name)]
    machine("sweep", machine.write(LIST), *options)
    found = {name: json.loads((machine.home / name).read_text("utf-8")) for name in outputs}
    assert found["x.cdx.json"]["bomFormat"] == "CycloneDX"
    assert found["x.sarif.json"] == found["X.SARIF"]
    assert found["x.sarif.json"]["version"] == "2.1.0"
    assert found["x.json"]["schema"] == "hubaudit.sweep/1"


def test_another_suffix_has_the_format_that_was_asked_for(machine: Machine) -> None:
    machine("sweep", machine.write(LIST), "-f", "json", "-o", "x.log", "-o", "x.txt")
    assert json.loads((machine.home / "x.log").read_text("utf-8"))["schema"] == "hubaudit.sweep/1"
    assert "2 targets:" in (machine.home / "x.txt").read_text("utf-8")


def test_what_has_no_report_is_named_where_the_format_cannot_hold_it(machine: Machine) -> None:
    gone = "".join(f"org/gone-{number}\n" for number in range(7))
    ran = machine("sweep", "-q", machine.write(f"{LIST}{gone}"), "-o", "x.sarif", "-o", "x.xml")
    [line] = ran.err.splitlines()
    assert "x.sarif" in line
    assert "org/gone-0, org/gone-1, org/gone-2, org/gone-3, org/gone-4 and 2 more" in line


def test_what_was_not_reached_is_told_as_well(machine: Machine) -> None:
    name = machine.write("org/model-0\norg/model-1\n")
    ran = machine("sweep", "-q", "--max-requests", "4", name, "-o", "x.jsonl")
    assert ran.code == 3
    assert "x.jsonl has nothing of 2 targets not reached" in ran.err


def test_a_merge_writes_the_reports_of_all_parts(machine: Machine) -> None:
    name = machine.write(LIST)
    for part in ("1/2", "2/2"):
        machine.sweep(name, "--shard", part, "--store", f"{part[0]}.sqlite3")
    ran = machine("merge", "1.sqlite3", "2.sqlite3", "-o", "x.jsonl")
    assert ran.code == 1, ran.err
    assert len((machine.home / "x.jsonl").read_text("utf-8").splitlines()) == 2
