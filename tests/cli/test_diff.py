"""`hubaudit diff` as a user types it, in this process, against a stand-in Hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.report.changes import CHANGES, schema
from tests.cli.conftest import ARMED, ORDINARY, Ran

Run = Callable[..., Ran]


@pytest.fixture
def diff(run: Run, hub: StandInHub) -> Run:
    return lambda *arguments: run("diff", "--no-config", "-q", *arguments)


def test_nothing_changed_is_exit_code_0(repo: HubRepo, diff: Run) -> None:
    ran = diff(f"org/model@{repo.sha}")
    assert ran.code == 0
    assert "nothing changed" in ran.out


def test_a_readme_is_exit_code_0_and_a_configuration_4(repo: HubRepo, diff: Run) -> None:
    first = repo.sha
    repo.commit(repo.files | {"README.md": b"# other\n"})
    ran = diff(f"org/model@{first}")
    assert (ran.code, "licence-changed" in ran.out) == (4, True)  # the licence went with it
    second = repo.sha
    repo.commit(repo.files | {"README.md": b"# another\n"})
    ran = diff(f"org/model@{second}")
    assert (ran.code, "readme-changed" in ran.out) == (0, True)
    repo.commit(repo.files | {"config.json": b'{"model_type": "x"}'})
    assert diff(f"org/model@{second}").code == 4


def test_a_commit_that_fails_its_audit_is_exit_code_1(repo: HubRepo, diff: Run) -> None:
    first = repo.sha
    repo.commit(ARMED)
    ran = diff(f"org/model@{first}")
    assert ran.code == 1
    assert "(PASS) → " in ran.out
    assert "critical  imports-changed" in ran.out
    assert "+ os.system (dangerous)" in ran.out
    back = diff(f"org/model@{repo.sha}", first)
    assert back.code == 4
    assert "moved-backwards" in back.out


def test_a_commit_that_is_gone_is_a_change(repo: HubRepo, diff: Run) -> None:
    first = repo.sha
    repo.force_push(dict(ORDINARY))
    ran = diff(f"org/model@{first}")
    assert ran.code == 4
    assert "history-rewritten" in ran.out
    assert diff("org/model@no-such-branch").code == 2


def test_a_short_hash_is_a_commit_too(repo: HubRepo, diff: Run) -> None:
    first = repo.sha
    repo.commit(dict(ORDINARY), "same")
    ran = diff(f"org/model@{repo.sha[:10]}", first)
    assert ran.code == 4
    assert "moved-backwards" in ran.out


def test_what_was_recorded_can_be_replayed_without_the_hub(
    repo: HubRepo, hub: StandInHub, diff: Run
) -> None:
    first = repo.sha
    repo.commit(repo.files | {"config.json": b"{}", "pytorch_model.bin": b"gone"})
    live = diff(f"org/model@{first}", "--record", "tape")
    hub.clear_log()
    again = diff(f"org/model@{first}", "--replay", "tape")
    assert (again.code, again.out) == (live.code, live.out)
    assert "config-changed" in again.out
    assert not hub.requests


def test_two_branches_are_compared_without_a_word_on_history(repo: HubRepo, diff: Run) -> None:
    repo.branch("dev")
    repo.commit(repo.files | {"a.txt": b"a"})
    repo.commit(repo.files | {"b.txt": b"b"}, ref="refs/heads/dev")
    ran = diff("org/model@dev", "main", "-f", "json")
    assert {one["kind"] for one in json.loads(ran.out)["changes"]} == {"file-removed"}


def test_only_what_differs_is_read_twice(repo: HubRepo, hub: StandInHub, diff: Run) -> None:
    first = repo.sha
    repo.commit(repo.files | {"config.json": b"{}"})
    diff(f"org/model@{first}")
    old = [r.path for r in hub.requests if f"/resolve/{first}/" in r.path]
    assert [path.rsplit("/", 1)[1] for path in old] == ["config.json"]


def test_json_says_all_of_it(repo: HubRepo, diff: Run) -> None:
    first = repo.sha
    second = repo.commit(repo.files | {"modeling.py": b"x = 1\n"})
    found = json.loads(diff(f"org/model@{first}", "-f", "json").out)
    assert found["schema"] == "hubaudit.changes/1"
    assert found["before"] == {"revision": first, "commit_hash": first, "verdict": "pass"}
    assert found["after"]["commit_hash"] == second
    assert found["drift"] is True
    (one,) = found["changes"]
    assert (one["kind"], one["severity"], one["paths"]) == (
        "executable-added",
        "medium",
        ["modeling.py"],
    )
    Draft202012Validator(schema()).validate(found)
    line = diff(f"org/model@{first}", "-f", "jsonl").out
    assert line.count("\n") == 1
    assert json.loads(line) == found


@pytest.mark.parametrize("form", sorted(CHANGES))
def test_hostile_text_is_harmless_in_every_format(repo: HubRepo, diff: Run, form: str) -> None:
    first = repo.sha
    evil = "\x1b[2Jx```\n`<b>` ##[error] ::error::\u202e"
    name = "\x1b[31m|`</a> [l](x)\u202e.py"
    repo.commit(
        repo.files
        | {
            name: evil.encode(),
            "config.json": json.dumps({"a\x1b[0m|`b": evil}).encode(),
            "tokenizer_config.json": json.dumps({"chat_template": evil}).encode(),
        }
    )
    ran = diff(f"org/model@{first}", "-f", form)
    assert ran.code == 4
    assert ran.out.replace("\n", "").isprintable()
    assert "##[" not in ran.out
    if form != "github":
        assert "\n::" not in ran.out


def test_a_fence_in_markdown_is_longer_than_any_run_in_it(repo: HubRepo, diff: Run) -> None:
    first = repo.sha
    repo.commit(repo.files | {"modeling.py": b"````\n</div>\n"})
    out = diff(f"org/model@{first}", "-f", "markdown").out
    assert "  `````diff\n" in out
    assert out.rstrip().endswith("`````")


def test_sarif_and_junit_hold_a_result_for_each_change(repo: HubRepo, diff: Run) -> None:
    first = repo.sha
    repo.commit(repo.files | {"modeling.py": b"x = 1\n", "config.json": b"{}"})
    log = json.loads(diff(f"org/model@{first}", "-f", "sarif").out)
    assert {one["ruleId"] for one in log["runs"][0]["results"]} == {
        "executable-added",
        "config-changed",
    }
    suite = ET.fromstring(diff(f"org/model@{first}", "-f", "junit").out)
    assert "executable-added" in ET.tostring(suite, encoding="unicode")


def test_a_file_is_written_in_the_format_of_its_suffix(
    repo: HubRepo, diff: Run, tmp_path: Path
) -> None:
    ran = diff(f"org/model@{repo.sha}", "-o", "out.json")
    assert (ran.code, ran.out) == (0, "")
    assert json.loads((tmp_path / "out.json").read_text())["changes"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("org/model",),
        ("org/model@main", "a..b"),
        ("org/model@main", "-o", "no/such/folder.json"),
        ("not a repository@main",),
    ],
)
def test_what_cannot_mean_anything_is_exit_code_2(
    hub: StandInHub, diff: Run, arguments: tuple[str, ...]
) -> None:
    ran = diff(*arguments)
    assert ran.code == 2
    assert "hint:" in ran.err
    assert not hub.requests
