"""A sweep, as a user goes it: lists, the summary, what costs nothing the second time, and what went wrong."""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hubaudit.demo.faults import Delay, Status, rate_limited
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repository import file_scan
from tests.sweep.conftest import ARMED, Machine, api_requests, file_requests, files

FOUR = "".join(f"org/model-{number}\n" for number in range(4))


def test_a_sweep_reports_every_target_and_exits_with_the_worst_code(machine: Machine) -> None:
    ran = machine.sweep(machine.write(f"{FOUR}org/armed\n"))
    assert ran.code == 1, ran.err
    assert ran.summary["exit_code"] == 1
    assert ran.summary["verdicts"]["pass"] == 4
    assert ran.summary["verdicts"]["fail"] == 1
    assert len(machine.reports) == 5
    armed = ran.target("org/armed")
    assert armed["counts"]["critical"] == 1
    assert armed["changes"] == ["new"]
    report = json.loads(machine.reports[armed["report"]])
    assert report["repo"]["commit_hash"] == machine.hub.repo("org/armed").sha


def test_the_report_of_a_sweep_is_that_of_an_audit(machine: Machine, tmp_path: Path) -> None:
    machine.sweep(machine.write("org/model-1\norg/armed\n"))
    other = Machine(machine.hub, tmp_path / "other")
    other("audit", "org/model-1", "org/armed")
    assert machine.reports == other.reports


def test_an_unchanged_target_costs_one_request_and_no_byte_of_a_file(
    machine: Machine, hub: StandInHub
) -> None:
    name = machine.write(FOUR)
    first = machine.sweep(name)
    reports = machine.reports
    hub.clear_log()
    second = machine.sweep(name)
    assert second.code == 0, second.err
    assert len(api_requests(hub)) == 4
    assert not file_requests(hub)
    assert machine.reports == reports
    assert {tuple(one["changes"]) for one in second.summary["targets"]} == {("unchanged",)}
    assert second.summary["findings"]["new"] == 0
    assert first.summary["changes"]["new"] == 4


def test_reports_from_the_store_are_those_that_were_made(machine: Machine) -> None:
    name = machine.write(FOUR)
    machine.sweep(name)
    made = machine.reports
    for path in made:
        (machine.home / "reports" / path).unlink()
    machine.sweep(name)
    assert machine.reports == made


def test_a_changed_target_reads_only_what_changed_and_is_drift(
    machine: Machine, hub: StandInHub
) -> None:
    name = machine.write(FOUR)
    machine.sweep(name)
    repo = hub.repo("org/model-2")
    was = repo.sha
    repo.commit(repo.files | {"README.md": b"# Changed\n"})
    hub.clear_log()
    ran = machine.sweep(name)
    assert ran.code == 4, ran.err
    moved = ran.target("org/model-2")
    assert (moved["changes"], moved["was_at"]) == (["moved"], was)
    assert {path.partition("?")[0].rpartition("/")[2] for path in file_requests(hub)} == {
        "README.md"
    }
    assert machine.sweep(name).code == 0


def test_findings_that_come_and_go_are_told(machine: Machine, hub: StandInHub) -> None:
    name = machine.write(FOUR)
    machine.sweep(name)
    repo = hub.repo("org/model-2")
    good = dict(repo.files)
    repo.commit(good | {"pytorch_model.bin": ARMED})
    worse = machine.sweep(name)
    assert worse.code == 1
    assert worse.target("org/model-2")["changes"] == ["moved", "new", "fixed"] or worse.target(
        "org/model-2"
    )["changes"] == ["moved", "new"]
    assert worse.target("org/model-2")["findings"]["new"] >= 1
    repo.commit(good)
    better = machine.sweep(name)
    assert "fixed" in better.target("org/model-2")["changes"]
    assert better.code == 4


def test_what_the_scanners_say_is_looked_at_again_without_reading_a_file(
    machine: Machine, hub: StandInHub
) -> None:
    name = machine.write("org/model-0\n")
    machine.sweep(name)
    hub.repo("org/model-0").scans["pytorch_model.bin"] = file_scan("unsafe")
    hub.clear_log()
    ran = machine.sweep(name)
    [target] = ran.summary["targets"]
    assert target["findings"]["new"] == 1
    assert not file_requests(hub)
    assert len(api_requests(hub)) == 2


def test_other_rules_judge_again_with_one_request_and_no_byte_of_a_file(
    machine: Machine, hub: StandInHub
) -> None:
    name = machine.write(FOUR)
    machine.sweep(name)
    hub.clear_log()
    (machine.home / "hubaudit.toml").write_text(
        'fail-on = "low"\n[formats]\ndeny = ["torch-zip"]\n'
    )
    ran = machine.sweep(name)
    assert ran.code == 1
    assert ran.summary["verdicts"]["fail"] == 4
    assert ran.summary["findings"]["new"] >= 4
    assert not file_requests(hub)
    assert len(api_requests(hub)) == 4


def test_the_same_blob_in_many_forks_is_read_once(machine: Machine, hub: StandInHub) -> None:
    same = files(50)
    for number in range(10):
        hub.add(HubRepo(f"forks/copy-{number}", dict(same)))
    ran = machine.sweep("owner:forks")
    assert ran.code == 0, ran.err
    assert len(ran.summary["targets"]) == 10
    read = [path for path in file_requests(hub) if "pytorch_model.bin" in path]
    # first bytes, content and tensors are all asked for by the fork that comes first
    assert len({path.partition("/resolve/")[0] for path in read if "/resolve/" in path}) == 1
    assert 0 < len(read) <= 4


def test_mistakes_in_a_list_end_it_before_anything_is_asked(
    machine: Machine, hub: StandInHub
) -> None:
    name = machine.write("org/model-0\nnot ok\norg/model-0\n")
    ran = machine.sweep(name)
    assert ran.code == 2
    assert "list.txt: line 2" in ran.err
    assert "list.txt: line 3" in ran.err
    assert not hub.requests
    going = machine.sweep("--keep-going", name)
    assert going.code == 2
    assert going.target("org/model-0")["verdict"] == "pass"
    assert [one["line"] for one in going.summary["problems"]] == [2, 3]


def test_a_file_that_is_no_list_at_all_is_told_in_a_few_lines(machine: Machine) -> None:
    ran = machine.sweep(machine.write("no list\n" * 1000))
    assert ran.code == 2
    assert len(ran.err.splitlines()) < 60
    assert "and 950 more mistakes" in ran.err


def test_lists_come_from_everywhere(machine: Machine, hub: StandInHub) -> None:
    hub.add(HubRepo("team/data", {"a.csv": b"1,2\n"}, repo_type="dataset"))
    hub.add(HubRepo("team/app", {"app.py": b"print(1)\n"}, repo_type="space"))
    hub._world.collections["org/good-000000000000000000000000"] = {
        "items": [{"type": "model", "id": "org/model-1"}]
    }
    machine.write('[[model]]\nid = "org/model-2"\nowner = "jane"\n', "l.toml")
    machine.write("model,other\norg/model-3,x\n", "l.csv")
    (machine.home / "src").mkdir()
    machine.write(
        'from transformers import AutoModel\nAutoModel.from_pretrained("org/armed")\n', "src/a.py"
    )
    lists = ("-", "l.toml", "l.csv", "owner:team", "collection:org/good-000000000000000000000000")
    ran = machine.sweep(*lists, "from:src", given="org/model-0\n")
    assert ran.code == 1, ran.err
    assert [one["target"] for one in ran.summary["targets"]] == [
        "datasets/team/data",
        "org/armed",
        *(f"org/model-{number}" for number in range(4)),
        "spaces/team/app",
    ]
    assert ran.target("org/model-2")["owner"] == "jane"


def test_a_column_is_for_the_csv_among_several_lists(machine: Machine) -> None:
    lists = (
        machine.write("org/model-0\n", "l.txt"),
        machine.write("a,name\nx,org/model-1\n", "l.csv"),
        machine.write('[[model]]\nid = "org/model-2"\n', "l.toml"),
    )
    ran = machine.sweep("--column", "name", *lists, "-", given="name\norg/model-3\n")
    assert ran.code == 0, ran.err
    assert ran.summary["verdicts"]["pass"] == 4


def test_two_names_for_one_commit_leave_the_report_of_the_first(
    machine: Machine, hub: StandInHub
) -> None:
    sha = hub.repo("org/model-0").sha
    name = machine.write(f"org/model-0@{sha}\norg/model-0\n")
    for _ in range(2):
        ran = machine.sweep(name)
        assert ran.code == 0, ran.err
        [text] = machine.reports.values()
        assert json.loads(text)["repo"]["revision"] == "main"


def test_a_policy_of_one_model_holds_for_it_alone(machine: Machine) -> None:
    name = machine.write(
        '[[model]]\nid = "org/model-0"\n[model.policy.formats]\ndeny = ["torch-zip"]\n'
        '[[model]]\nid = "org/model-1"\n',
        "l.toml",
    )
    ran = machine.sweep(name)
    assert ran.target("org/model-0")["verdict"] == "fail"
    assert ran.target("org/model-1")["verdict"] == "pass"


def test_an_empty_list_is_an_error(machine: Machine) -> None:
    ran = machine.sweep(machine.write("# nothing yet\n"))
    assert ran.code == 2
    assert "names no repository" in ran.err


def test_whatever_the_hub_does_the_others_are_right_and_these_are_named(
    machine: Machine, hub: StandInHub
) -> None:
    hub.add(HubRepo("org/gated", files(20), gated="manual"))
    hub.add(HubRepo("org/old", files(21)))
    hub.rename("org/old", "org/renamed")
    hub.fault(Status(503), path="model-1/", times=1)
    hub.fault(rate_limited(1), path="/api/models/org/model-2", times=1)
    hub.fault(Status(500), path="/api/models/org/model-3")
    ran = machine.sweep(machine.write(f"{FOUR}org/gone\norg/gated\norg/old\n"))
    assert ran.code == 2, ran.err
    kinds = {one["target"]: (one["error"] or {}).get("kind") for one in ran.summary["targets"]}
    assert kinds == {
        "org/gated": "GatedRepository",
        "org/gone": "RepositoryMissing",
        "org/model-0": None,
        "org/model-1": None,
        "org/model-2": None,
        "org/model-3": "HubUnreachable",
        "org/old": "RepositoryRenamed",
    }
    assert ran.target("org/old")["changes"] == ["moved"]
    assert ran.target("org/model-3")["changes"] == ["unreachable"]
    assert len(machine.reports) == 3


def test_what_is_gone_from_the_hub_or_the_list_is_told(machine: Machine, hub: StandInHub) -> None:
    machine.sweep(machine.write(FOUR))
    hub.remove("org/model-0")
    ran = machine.sweep(machine.write(FOUR.replace("org/model-1\n", "")))
    assert ran.code == 2
    assert ran.target("org/model-0")["changes"] == ["gone"]
    assert ran.target("org/model-1")["changes"] == ["gone"]
    assert "no longer in the list" in ran.target("org/model-1")["summary"]


def test_a_night_without_the_hub_hides_no_drift_and_makes_nothing_new(
    machine: Machine, hub: StandInHub
) -> None:
    name = machine.write("org/model-0\norg/model-1\n")
    machine.sweep(name)
    was = hub.repo("org/model-1").sha
    hub.repo("org/model-1").commit(files(33))
    hub.fault(Status(404), path="/api/")
    nights = [machine.sweep(name) for _ in range(2)]
    assert [night.target("org/model-1")["changes"] for night in nights] == [["gone"], ["gone"]]
    hub.clear_faults()
    ran = machine.sweep(name)
    assert ran.code == 4
    assert ran.target("org/model-0")["changes"] == ["unchanged"]
    assert ran.target("org/model-1")["was_at"] == was


def test_what_could_not_be_read_is_read_the_next_time(machine: Machine, hub: StandInHub) -> None:
    name = machine.write("org/model-0\n")
    missing = Status(404, {"X-Error-Code": "EntryNotFound"})
    hub.fault(missing, path="/resolve/.*pytorch_model.bin")
    assert machine.sweep(name).code == 3
    hub.clear_faults()
    ran = machine.sweep(name)
    assert ran.code == 0
    assert ran.summary["targets"][0]["verdict"] == "pass"


def test_so_many_requests_and_no_more_and_the_rest_on_resume(
    machine: Machine, hub: StandInHub, tmp_path: Path
) -> None:
    name = machine.write(f"{FOUR}org/armed\n")
    codes = []
    for _ in range(20):
        hub.clear_log()
        ran = machine.sweep("--max-requests", "25", "--resume", name)
        assert len(hub.requests) <= 25
        codes.append(ran.code)
        if not ran.summary["left"]:
            break
        assert "left" in ran.out
    assert codes[0] in (1, 3)
    assert codes[-1] == 1
    assert len(codes) > 1
    whole = Machine(hub, tmp_path / "whole")
    whole.sweep(whole.write(f"{FOUR}org/armed\n"))
    assert machine.reports == whole.reports
    assert machine.stored == whole.stored


@pytest.mark.parametrize("form", ["text", "markdown", "junit", "html"])
def test_the_summary_has_every_form(machine: Machine, form: str) -> None:
    name = machine.write("org/model-0\norg/armed\norg/gone\n")
    suffix = {"text": "txt", "markdown": "md", "junit": "xml", "html": "html"}[form]
    ran = machine("sweep", name, "-o", f"sweep.{suffix}")
    assert ran.code == 1, ran.err
    written = (machine.home / f"sweep.{suffix}").read_text(encoding="utf-8")
    for word in ("org/model-0", "org/armed", "org/gone"):
        assert word in written or form == "text"
    if form == "junit":
        root = ET.fromstring(written)
        assert [suite.get("name", "")[:11] for suite in root] == [
            "org/armed a",
            "org/model-0",
            "org/gone",
        ]
        assert root.get("errors") == "1"
    if form == "html":
        pages = {path.relative_to(machine.home).as_posix() for path in machine.home.rglob("*.html")}
        for path in pages - {"sweep.html"}:
            assert f'href="{path}"' in written
        assert len(pages) == 3


def test_what_makes_the_exit_code_is_in_the_junit_report(machine: Machine, hub: StandInHub) -> None:
    name = machine.write("org/model-0\nnot ok\norg/model-1\n")
    machine.sweep("--keep-going", name)
    hub.repo("org/model-0").commit(files(40))
    ran = machine("sweep", "--keep-going", "-f", "junit", name)
    assert ran.code == 2
    root = ET.fromstring(ran.out)
    moved, same, mistakes = root
    assert [one.get("type") for one in moved.iter("failure")] == ["moved"]
    assert same.get("failures") == same.get("errors") == "0"
    assert mistakes[0].get("name") == "list.txt: line 2"
    assert (root.get("failures"), root.get("errors")) == ("1", "1")


def test_what_was_not_reached_is_in_the_junit_report(machine: Machine) -> None:
    ran = machine("sweep", "--max-requests", "4", "-f", "junit", machine.write(FOUR))
    assert ran.code == 3, ran.err
    assert ET.fromstring(ran.out).find(".//error[@type='left']") is not None


def test_the_text_shows_what_is_not_as_it_should_be(machine: Machine) -> None:
    name = machine.write(f"{FOUR}org/armed\n")
    machine("sweep", name)
    ran = machine("sweep", name)
    assert "FAIL" in ran.out
    assert "org/armed" in ran.out
    assert "org/model-0" not in ran.out
    assert "5 targets: 1 fail, 4 pass." in ran.out
    assert "org/model-0" in machine("sweep", "-v", name).out


def test_a_line_a_target_tells_how_far_it_is(machine: Machine) -> None:
    ran = machine("sweep", machine.write(FOUR))
    assert "[4/4] " in ran.err
    assert "to go" in ran.err
    assert not machine("sweep", "-q", "list.txt").err


def test_a_foreign_file_as_store_is_an_error_and_stays(machine: Machine) -> None:
    machine.write("I am no store", "store.sqlite3")
    ran = machine.sweep(machine.write(FOUR))
    assert ran.code == 2
    assert "no store" in ran.err
    assert (machine.home / "store.sqlite3").read_text() == "I am no store"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE results SET result = '{'",
        "UPDATE results SET result = '[]'",
        "UPDATE results SET result = '{}'",
        f"UPDATE audits SET report = x'{zlib.compress(b'{}').hex()}'",
        "UPDATE audits SET report = x'00'",
    ],
)
def test_what_a_store_should_not_hold_is_an_error_of_the_store(
    machine: Machine, change: str
) -> None:
    name = machine.write("org/model-0\n")
    machine.sweep(name)
    with sqlite3.connect(machine.home / "store.sqlite3") as database:
        database.execute(change)
    database.close()
    ran = machine.sweep(name)
    assert ran.code == 2
    assert "the store holds what it did not write" in ran.err


def test_a_terminal_has_one_bar_with_the_current_targets_below(
    machine: Machine, hub: StandInHub
) -> None:
    hub.fault(Delay(0.05), path="/api/")
    name = machine.write(f"{FOUR}org/gone\n")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hubaudit", "sweep", name],
        env=machine.env | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "80"},
        cwd=machine.home,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        shown = b""
        while part := _read(ours):
            shown += part
        assert running.wait() == 2
    os.close(ours)
    text = shown.decode()
    assert re.search(r"\d/5 \S+ left *\r\n  org/model-\d", text)
    assert "org/gone: UNDECIDED, unreachable" in text


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is gone
        return b""
