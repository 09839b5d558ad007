"""`hubaudit watch` and `hubaudit approve` as a user types them, against a stand-in Hub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hubaudit.cli.listfile import pin_in
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import ConfigError
from hubaudit.model import Target
from tests.cli.conftest import ARMED, ORDINARY, Ran

Run = Callable[..., Ran]
COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def own_list(here: Path) -> None:
    (here / "list.txt").write_text("# ours\norg/model  # the one\n")


@pytest.fixture
def once(run: Run, hub: StandInHub) -> Run:
    return lambda *more: run("watch", "list.txt", "--once", "--no-config", "-q", *more)


def test_the_first_look_is_what_later_ones_are_compared_with(once: Run, repo: HubRepo) -> None:
    assert once().code == 0
    repo.commit(repo.files | {"README.md": b"---\nlicense: mit\n---\n# other\n"})
    repo.commit(repo.files | {"config.json": b"{}"})
    ran = once()
    assert ran.code == 4
    assert "1 not as approved" in ran.out
    assert once().code == 4, "as long as nobody approves it"


def test_a_change_that_fails_its_audit_is_exit_code_1(once: Run, repo: HubRepo) -> None:
    once()
    repo.commit(ARMED)
    ran = once("-f", "json")
    assert ran.code == 1
    (row,) = json.loads(ran.out)["repositories"]
    assert (row["verdict"], row["drift"], row["code"]) == ("fail", True, 1)
    assert row["approved"] != row["commit"]


def test_approving_ends_the_drift(once: Run, run: Run, repo: HubRepo) -> None:
    once()
    repo.commit(repo.files | {"config.json": b"{}"})
    assert once().code == 4
    ran = run("approve", "org/model", "--no-config", "-q")
    assert (ran.code, ran.out) == (
        0,
        f"approved org/model at {repo.sha} (PASS); alerts that are over: 1\n",
    )
    assert once().code == 0


def test_what_was_approved_before_the_first_look_is_what_counts(
    once: Run, run: Run, repo: HubRepo
) -> None:
    approved = repo.sha
    repo.commit(repo.files | {"config.json": b"{}"})
    assert run("approve", f"org/model@{approved}", "--no-config", "-q").code == 0
    ran = once("-f", "json")
    assert ran.code == 4
    (row,) = json.loads(ran.out)["repositories"]
    assert (row["approved"], row["commit"], row["approved_as"]) == (approved, repo.sha, "approved")
    assert row["alerts"][0]["kind"] == "config-changed"


def test_a_commit_in_the_list_is_the_approved_one_for_a_new_store_too(
    once: Run, run: Run, repo: HubRepo, tmp_path: Path
) -> None:
    approved = repo.sha
    assert run("approve", "org/model", "--list", "list.txt", "--no-config", "-q").code == 0
    assert (tmp_path / "list.txt").read_text() == f"# ours\norg/model@{approved}  # the one\n"
    assert once("--store", "other.sqlite3").code == 0
    repo.commit(repo.files | {"config.json": b"{}"})
    assert once("--store", "third.sqlite3").code == 4


@pytest.mark.parametrize("listed", ["org/model@main", "Org/Model@refs/heads/main"])
def test_main_is_the_default_branch_however_the_list_writes_it(
    listed: str, once: Run, run: Run, hub: StandInHub, repo: HubRepo, tmp_path: Path
) -> None:
    hub.rename("org/model", "Org/Model")
    hub.rename("Org/Model", "org/model")
    (tmp_path / "list.txt").write_text(f"{listed}\n")
    assert once().code == 0
    repo.commit(repo.files | {"config.json": b"{}"})
    assert once().code == 4
    assert run("approve", "org/model", "--no-config", "-q").code == 0
    assert once().code == 0


def test_an_id_in_two_letter_cases_is_one_repository(
    once: Run, hub: StandInHub, repo: HubRepo, tmp_path: Path
) -> None:
    hub.rename("org/model", "Org/Model")
    hub.rename("Org/Model", "org/model")
    first = repo.sha
    second = repo.commit(repo.files | {"config.json": b"{}"})
    (tmp_path / "list.txt").write_text(f"org/model@{first}\nOrg/Model@{second}\n")
    ran = once("-f", "json")
    (row,) = json.loads(ran.out)["repositories"]
    assert (ran.code, row["approved"]) == (4, first)
    assert "Org/Model is listed for the second time" in ran.err


def test_a_new_repository_of_an_owner_is_told_though_another_cannot_be_looked_at(
    run: Run, hub: StandInHub
) -> None:
    hub.add(HubRepo("org/off", dict(ORDINARY), disabled=True))
    watch = ("watch", "owner:org", "--once", "--no-config", "-q", "-f", "json")
    run(*watch)
    run(*watch)
    hub.add(HubRepo("org/new", dict(ORDINARY)))
    rows = json.loads(run(*watch).out)["repositories"]
    (alert,) = next(one["alerts"] for one in rows if one["target"] == "org/new")
    assert alert["kind"] == "repository-added"


def test_alerts_reach_the_sink_once_and_in_full(once: Run, repo: HubRepo, tmp_path: Path) -> None:
    sink = ("--notify", "jsonl:alerts.jsonl")
    once(*sink)
    repo.commit(repo.files | {"config.json": b"{}"})
    once(*sink)
    once(*sink)
    (line,) = (tmp_path / "alerts.jsonl").read_text().splitlines()
    alert = json.loads(line)
    assert (alert["event"], alert["kind"]) == ("changed", "config-changed")
    assert alert["after"] == repo.sha


def test_a_repository_that_cannot_be_looked_at_is_exit_code_2(
    once: Run, repo: HubRepo, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("org/model\norg/model@no-such-branch\norg/mdoel\n")
    ran = once("-o", "standing.md")
    assert (ran.code, ran.out) == (2, "")
    standing = (tmp_path / "standing.md").read_text()
    assert "3 watched, 0 not as approved, 0 FAIL, 2 could not be looked at." in standing
    assert "no-such-branch" in ran.err
    assert "org/mdoel" in ran.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--once", "--serve", "127.0.0.1:0"), "--once listens to nobody"),
        (("--every", "5"), "no duration"),
        (("--serve", "0.0.0.0:8080"), "needs the webhook's secret"),
        (("--notify", "smoke:signal"), "there is no sink"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_done(
    more: tuple[str, ...], said: str, run: Run, hub: StandInHub
) -> None:
    ran = run("watch", "list.txt", *more)
    assert ran.code == 2
    assert said in ran.err
    assert not hub.requests


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_watch_and_the_next_one_goes_on(
    number: signal.Signals, once: Run, hub: StandInHub, repo: HubRepo, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "hubaudit", "watch", "list.txt", "--every", "1s"]
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    with subprocess.Popen(
        [*command, "--notify", "jsonl:alerts.jsonl"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "org/model: at" in process.stderr.readline()
        begun = time.monotonic()
        process.send_signal(number)
        process.communicate(timeout=20)
    assert time.monotonic() - begun < 10
    assert process.returncode == (0 if number == signal.SIGTERM else 130)
    repo.commit(repo.files | {"config.json": b"{}"})
    assert once("--notify", "jsonl:alerts.jsonl").code == 4
    assert len((tmp_path / "alerts.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.txt", "org/model\n", f"org/model@{COMMIT}\n"),
        ("a.txt", "\ufefforg/model@v1 # x\r\nb/c\r\n", f"\ufefforg/model@{COMMIT} # x\r\nb/c\r\n"),
        ("a.txt", "b/c\nOrg/Model", f"b/c\nOrg/Model@{COMMIT}"),
        ("a.txt", "b/c # \x0b\u2028\norg/model\r", f"b/c # \x0b\u2028\norg/model@{COMMIT}\r"),
        ("a.txt", "org/model@v1\norg/model\n", f"org/model@v1\norg/model@{COMMIT}\n"),
        (
            "a.toml",
            '[[model]]\nid = "b/c"\nrevision = "v1"\n\n[[model]] # x\nid = "org/model"\n',
            (
                f'[[model]]\nid = "b/c"\nrevision = "v1"\n\n'
                f'[[model]] # x\nrevision = "{COMMIT}"\nid = "org/model"\n'
            ),
        ),
        (
            "a.toml",
            "[[model]]\nid = 'org/model'\nrevision = 'main' # moves\n",
            f"[[model]]\nid = 'org/model'\nrevision = \"{COMMIT}\"  # moves\n",
        ),
    ],
)
def test_an_approved_commit_changes_its_line_of_the_list_alone(
    name: str, before: str, after: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(before.encode())
    pin_in(path, Target("org/model"), COMMIT)
    assert path.read_bytes().decode() == after


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "org/other\n"),
        ("a.csv", "id\norg/model\n"),
        ("a.toml", 'model = [{id = "org/model"}]\n'),
        ("a.toml", "no toml"),
    ],
)
def test_a_list_that_cannot_be_changed_so_stays_as_it_is(
    name: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError):
        pin_in(path, Target("org/model"), COMMIT)
    assert path.read_text() == text


def test_a_list_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("org/model\n")
    (tmp_path / "link.txt").symlink_to("list.txt")
    pin_in(tmp_path / "link.txt", Target("org/model"), COMMIT)
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "list.txt").read_text() == f"org/model@{COMMIT}\n"
