"""The whole way, as a user goes it: the command in a process of its own, against the stand-in Hub."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.demo.checkpoints import floats, safetensors, state_dict, torch_zip, torch_zip_of
from hubaudit.demo.faults import Drop, Stall, Status, WrongBytes, html_page, rate_limited
from hubaudit.demo.hub import HubRepo, StandInHub

WEIGHTS = {"w": floats((8, 8), 1)}
PAYLOAD: tuple[Instruction, ...] = (
    ("PROTO", 2),
    ("GLOBAL", "os", "system"),
    ("BINUNICODE", "true"),
    "TUPLE1",
    "REDUCE",
)
ARMED = assemble(*PAYLOAD, "STOP")
ORDINARY = {
    "README.md": b"# A model\n",
    "config.json": b'{"model_type": "bert"}',
    "pytorch_model.bin": torch_zip(state_dict(WEIGHTS)),
    "model.safetensors": safetensors(WEIGHTS),
}
MAIN = "org/model"


class Hubaudit:
    """The command with a home of its own and only one Hub to talk to."""

    def __init__(self, hub: StandInHub, home: Path) -> None:
        self.hub = hub
        self.home = home
        self.env = hub.env(home) | {"HUBAUDIT_CACHE": str(home / "ranges")}

    def __call__(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hubaudit", *arguments],
            env=self.env | dict(env or {}),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=100,
            check=False,
        )

    def json(self, *arguments: str, code: int) -> dict[str, Any]:
        done = self("--format", "json", *arguments)
        assert done.returncode == code, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    @property
    def cached(self) -> dict[str, Path]:
        """Paths in the repository of what lies in the HF cache's snapshots, by commit/path."""
        root = self.home / "huggingface" / "hub"
        found = root.glob("models--*/snapshots/*/**/*")
        return {
            path.relative_to(root).as_posix().split("/snapshots/")[1]: path
            for path in found
            if not path.is_dir()
        }


@pytest.fixture
def repo() -> HubRepo:
    return HubRepo(MAIN, ORDINARY)


@pytest.fixture
def hub(repo: HubRepo) -> Iterator[StandInHub]:
    with StandInHub([repo]) as running:
        yield running


@pytest.fixture
def hubaudit(hub: StandInHub, tmp_path: Path) -> Hubaudit:
    return Hubaudit(hub, tmp_path)


def rules_of(report: Mapping[str, Any]) -> set[str]:
    return {finding["rule"] for finding in report["findings"] if finding["severity"] != "info"}


def test_one_request_names_a_branch_and_all_others_the_commit(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    assert hubaudit(MAIN).returncode == 0
    first, *others = [request for request in hubaudit.hub.requests if request.host == "hub"]
    assert first.path.startswith("/api/models/org/model")
    assert repo.sha not in first.path
    for request in others:
        assert repo.sha in request.path, request.path
        assert "/main" not in request.path


def test_only_pickles_are_in_the_cache_and_a_second_run_fetches_nothing(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    for fetch, cached in (("cache", {f"{repo.sha}/pytorch_model.bin"}), ("range", set())):
        hubaudit.home /= fetch
        hubaudit.home.mkdir()
        hubaudit.env |= hubaudit.hub.env(hubaudit.home) | {"HUBAUDIT_CACHE": str(hubaudit.home)}
        first = hubaudit("--format", "json", "--fetch", fetch, MAIN)
        assert set(hubaudit.cached) == cached
        hubaudit.hub.clear_log()
        second = hubaudit("--format", "json", "--fetch", fetch, MAIN)
        assert second.stdout == first.stdout
        asked = [r for r in hubaudit.hub.requests if "/api/models/" not in r.path]
        assert not asked, "file requests"


def test_what_the_loader_opens_is_cached_and_its_fallback_is_read_in_place(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    files = {file["path"]: file for file in hubaudit.json(MAIN, code=0)["files"]}
    assert files["model.safetensors"]["load_role"] == "loaded"
    assert files["pytorch_model.bin"]["load_role"] == "fallback"
    assert files["pytorch_model.bin"]["read"] == "range"
    assert files["pytorch_model.bin"]["verified"] is True  # small enough to be read whole
    assert not hubaudit.cached
    only = ORDINARY | {"training_args.bin": ARMED}
    del only["model.safetensors"]
    repo.commit(only)
    report = hubaudit.json(MAIN, "--fail-on", "critical", code=0)
    files = {file["path"]: file for file in report["files"]}
    assert files["pytorch_model.bin"]["load_role"] == "loaded"
    assert files["training_args.bin"]["load_role"] == "never"
    assert set(hubaudit.cached) == {f"{repo.sha}/pytorch_model.bin"}
    assert all(file["load_reason"] for file in files.values())
    assert report["load"]["library"] == "transformers"


def test_the_last_commit_at_which_siblings_agreed_is_said_where_that_is_asked_for(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    agreed = repo.sha
    other = safetensors({"w": floats((8, 8), 2)})
    repo.commit(repo.files | {"model.safetensors": other})
    repo.commit(repo.files | {"README.md": b"# Another\n"})
    [compared] = hubaudit.json(MAIN, code=1)["comparisons"]
    assert (compared["result"], compared["agreed_at"]) == ("differs", None)
    [compared] = hubaudit.json(MAIN, "--since-agreed", code=1)["comparisons"]
    assert compared["agreed_at"] == agreed
    assert agreed[:12] in hubaudit(MAIN, "--since-agreed").stdout


def test_the_report_names_the_commit_the_files_and_how_they_were_read(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    report = hubaudit.json(MAIN, "--fetch", "cache", code=0)
    assert report["verdict"] == "pass"
    assert report["repo"]["commit_hash"] == repo.sha
    files = {file["path"]: file for file in report["files"]}
    assert set(files) == set(ORDINARY)
    checkpoint = files["pytorch_model.bin"]
    assert checkpoint["format"] == "torch-zip"
    assert checkpoint["read"] == "cache"
    assert checkpoint["verified"] is True
    assert files["model.safetensors"]["read"] == "header"


def test_an_old_commit_is_audited_as_it_was(hubaudit: Hubaudit, repo: HubRepo) -> None:
    before = repo.sha
    repo.commit(repo.files | {"pytorch_model.bin": ARMED})
    assert hubaudit(MAIN).returncode == 1
    assert hubaudit(f"{MAIN}@{before}").returncode == 0
    assert hubaudit(MAIN, "--revision", before).returncode == 0


HOSTILE: list[tuple[str, dict[str, bytes], str]] = [
    ("a call", {"pytorch_model.bin": torch_zip_of(ARMED, [])}, "dangerous-import"),
    ("a call, then no opcode", {"pytorch_model.bin": assemble(*PAYLOAD, b"\xff")}, "broken-pickle"),
    ("a pickle as safetensors", {"model.safetensors": ARMED}, "wrong-extension"),
    ("a pickle as json", {"config.json": ARMED}, "wrong-extension"),
    ("a second pickle", {"a.pkl": assemble("NONE", "STOP") + ARMED}, "dangerous-import"),
]


@pytest.mark.parametrize(("_name", "files", "rule"), HOSTILE, ids=[case[0] for case in HOSTILE])
def test_what_would_run_is_shown_and_fails(
    hubaudit: Hubaudit, repo: HubRepo, _name: str, files: dict[str, bytes], rule: str
) -> None:
    repo.commit(ORDINARY | files)
    report = hubaudit.json(MAIN, code=1)
    assert rule in rules_of(report)
    done = hubaudit(MAIN)
    assert done.returncode == 1
    assert "os.system('true')" in done.stdout
    assert f'revision="{repo.sha}"' not in done.stdout


def test_wrong_bytes_of_the_right_length_from_the_server_are_a_digest_mismatch(
    hubaudit: Hubaudit,
) -> None:
    hubaudit.hub.fault(WrongBytes(), host="cdn", path="pytorch_model|")
    assert "digest-mismatch" in rules_of(hubaudit.json(MAIN, code=1))


def test_wrong_bytes_of_a_small_file_are_a_digest_mismatch(hubaudit: Hubaudit) -> None:
    hubaudit.hub.fault(WrongBytes(), path=r"resolve-cache/.*config\.json")
    report = hubaudit.json(MAIN, code=1)
    found = {(one["rule"], one["path"]) for one in report["findings"] if one["severity"] != "info"}
    assert found == {("digest-mismatch", "config.json")}


def test_wrong_bytes_of_the_right_length_in_the_cache_are_a_digest_mismatch(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    assert hubaudit(MAIN, "--fetch", "cache").returncode == 0
    cached = hubaudit.cached[f"{repo.sha}/pytorch_model.bin"].resolve()
    data = bytearray(cached.read_bytes())
    data[-30] ^= 1
    cached.write_bytes(bytes(data))
    report = hubaudit.json(MAIN, "--fetch", "cache", code=1)
    assert "digest-mismatch" in rules_of(report)
    assert "digest-mismatch" in hubaudit(MAIN, "--fetch", "cache").stdout
    assert hubaudit(MAIN).returncode == 0  # the Hub's own bytes are read instead


def assert_undecided(done: subprocess.CompletedProcess[str]) -> None:
    """One line of what happened, one of what to do, and nothing that reads like a verdict."""
    assert done.returncode == 2
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith(("error:", "hint:"))]
    assert [line.partition(":")[0] for line in said] == ["error", "hint"]
    assert "Traceback" not in done.stderr
    assert not re.search(r"\bPASS\b", done.stderr)


@pytest.mark.parametrize(
    "target",
    ["org/nothing", "org/model@nothing", "org/model@" + "0" * 40, "a//b", "x/y/z", "-x", "", "a b"],
)
def test_what_does_not_exist_or_cannot_is_undecided(hubaudit: Hubaudit, target: str) -> None:
    assert_undecided(hubaudit("audit", "--", target))


@pytest.mark.parametrize(
    "how",
    [{"private": True}, {"gated": "auto"}, {"gated": "manual"}, {"disabled": True}],
    ids=lambda how: next(iter(how)),
)
@pytest.mark.parametrize("token", [None, "hf_stranger", "hf_unknown"])
def test_what_may_not_be_read_is_undecided(
    hubaudit: Hubaudit, how: dict[str, Any], token: str | None
) -> None:
    hubaudit.hub.add(HubRepo("org/closed", ORDINARY, **how))
    assert_undecided(hubaudit("org/closed", env={"HF_TOKEN": token} if token else None))


@pytest.mark.parametrize("how", [{"private": True}, {"gated": "manual"}], ids=["private", "gated"])
def test_who_may_read_it_gets_a_verdict(hubaudit: Hubaudit, how: dict[str, Any]) -> None:
    hubaudit.hub.add(HubRepo("org/closed", ORDINARY, **how))
    done = hubaudit("org/closed", env={"HF_TOKEN": "hf_reader"})
    assert done.returncode == 0, done.stderr
    assert not [
        r for r in hubaudit.hub.requests if r.host == "cdn" and "authorization" in r.headers
    ]
    assert "hf_reader" not in done.stdout + done.stderr


def test_a_renamed_repository_is_undecided_and_its_new_name_said(hubaudit: Hubaudit) -> None:
    hubaudit.hub.rename(MAIN, "new/name")
    done = hubaudit(MAIN)
    assert_undecided(done)
    assert "new/name" in done.stderr


def test_a_legacy_one_word_id_is_followed_to_todays(hubaudit: Hubaudit) -> None:
    hubaudit.hub.rename(MAIN, "org/oneword")
    hubaudit.hub.rename("org/oneword", "org/oneword")
    hubaudit.hub._world.renames["oneword"] = "org/oneword"
    assert hubaudit.json("oneword", code=0)["repo"]["repo_id"] == "org/oneword"


@pytest.mark.parametrize("effect", [Status(500), Status(503), Drop(), html_page(503)])
@pytest.mark.parametrize("path", ["/api/models/org/model", "/tree/", "/resolve"])
def test_a_hub_that_fails_leaves_nothing_decided(
    hubaudit: Hubaudit, effect: Any, path: str
) -> None:
    hubaudit.hub.fault(effect, path=path)
    assert_undecided(hubaudit(MAIN, env={"HF_HUB_ETAG_TIMEOUT": "2"}))


def test_a_page_in_place_of_every_file_is_incomplete(hubaudit: Hubaudit) -> None:
    hubaudit.hub.fault(html_page(), path="/resolve")
    report = hubaudit.json(MAIN, code=3)
    assert {entry["path"] for entry in report["unread"]} == set(ORDINARY)


def test_a_hub_that_never_answers_leaves_nothing_decided(hubaudit: Hubaudit) -> None:
    hubaudit.hub.fault(Stall())
    short = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    assert_undecided(hubaudit(MAIN, env=short))


def test_no_hub_at_all_leaves_nothing_decided(hubaudit: Hubaudit) -> None:
    assert_undecided(hubaudit(MAIN, env={"HF_ENDPOINT": "http://127.0.0.1:9"}))


def test_a_payload_found_before_the_hub_failed_still_fails(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    armed, other = torch_zip_of(ARMED, []), torch_zip(state_dict(WEIGHTS)) + b" " * 100_000
    repo.commit({"a.bin": armed, "model.pt": armed, "z.pt": other})
    hubaudit.hub.fault(Status(500), method="GET", path=r"/resolve/.*/z\.pt", skip=1)
    hubaudit.hub.fault(Status(500), method="HEAD", path=r"/resolve/.*/z\.pt")
    report = hubaudit.json(MAIN, code=1)
    assert "dangerous-import" in rules_of(report)
    assert [entry["path"] for entry in report["unread"]] == ["a.bin", "z.pt"]


HOSTILE_NAMES = [
    "\x1b[2J\x1b[1;32mPASS\x1b[0m.bin",
    "[bold green]PASS[/bold green].bin",
    "model.bin\nPASS: nothing found.bin",
    "\u202enib.ledom.bin",
    "w[1]*?.bin",
    "with space+é#%.bin",
]


def test_hostile_file_names_print_harmlessly_and_are_read(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    repo.commit(dict.fromkeys(HOSTILE_NAMES, ARMED))
    done = hubaudit(MAIN)
    assert done.returncode == 1
    for stream in (done.stdout, done.stderr):
        assert "\x1b" not in stream
        assert "\u202e" not in stream
        assert not any(line.startswith("PASS") for line in stream.splitlines())
    report = hubaudit.json(MAIN, code=1)
    assert {f["path"] for f in report["findings"]} == set(HOSTILE_NAMES)


def test_offline_audits_what_is_cached_and_says_what_is_not(
    hubaudit: Hubaudit, repo: HubRepo
) -> None:
    assert hubaudit(MAIN, "--fetch", "cache").returncode == 0
    hubaudit.hub.clear_log()
    done = hubaudit("--format", "json", f"{MAIN}@{repo.sha}", env={"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert [f["path"] for f in report["files"]] == ["pytorch_model.bin"]
    assert report["unread"]
    assert not hubaudit.hub.requests


@pytest.mark.parametrize("repo_type", ["dataset", "space"])
def test_datasets_and_spaces_are_audited_too(hubaudit: Hubaudit, repo_type: Any) -> None:
    hubaudit.hub.add(HubRepo("org/other", {"train.pkl": ARMED, "app.py": b"x = 1\n"}, repo_type))
    for arguments in ([f"{repo_type}s/org/other"], ["org/other", "--repo-type", repo_type]):
        report = hubaudit.json(*arguments, code=1)
        assert report["repo"]["repo_type"] == repo_type


def test_a_recorded_audit_is_repeated_without_a_network(hubaudit: Hubaudit, tmp_path: Path) -> None:
    cassette = tmp_path / "cassette"
    live = hubaudit("--format", "json", MAIN, "--record", str(cassette))
    assert live.returncode == 0, live.stderr
    hubaudit.hub.clear_log()
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    again = hubaudit("--format", "json", MAIN, "--replay", str(cassette), env=nowhere)
    assert (again.returncode, again.stdout) == (0, live.stdout), again.stderr
    assert not hubaudit.hub.requests
    missing = hubaudit("org/other", "--replay", str(cassette), env=nowhere)
    assert_undecided(missing)
    assert "org/other" in missing.stderr


def test_no_token_is_recorded(hubaudit: Hubaudit, tmp_path: Path) -> None:
    hubaudit.hub.add(HubRepo("org/closed", ORDINARY, private=True))
    cassette = tmp_path / "cassette"
    done = hubaudit("org/closed", "--record", str(cassette), env={"HF_TOKEN": "hf_reader"})
    assert done.returncode == 0, done.stderr
    kept = [path for path in cassette.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"hf_reader" in path.read_bytes()]


def test_json_goes_through_a_pipe_that_closes_early(hubaudit: Hubaudit) -> None:
    command = f"{sys.executable} -m hubaudit --format json {MAIN} | head -c 1"
    done = subprocess.run(
        command,
        shell=True,
        env=hubaudit.env,
        cwd=hubaudit.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "{"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_the_python_api_gives_the_pin_or_raises(hubaudit: Hubaudit, repo: HubRepo) -> None:
    code = (
        "import hubaudit, hubaudit.errors\n"
        "print(sorted(hubaudit.require('org/model').items()))\n"
        "report = hubaudit.audit('org/model', revision='main')\n"
        "print(report.verdict == 'pass', report.to_dict()['schema'])\n"
        "try: hubaudit.require('org/armed')\n"
        "except hubaudit.errors.AuditFailed as error: print(error.report.verdict)\n"
    )
    hubaudit.hub.add(HubRepo("org/armed", {"a.bin": ARMED}))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hubaudit.env,
        cwd=hubaudit.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        (
            f"[('revision', '{repo.sha}'), ('trust_remote_code', False), "
            "('use_safetensors', True), ('weights_only', True)]"
        ),
        "True hubaudit.report/1",
        "fail",
    ], done.stderr


def test_nothing_of_the_caller_reaches_the_audited_process(hubaudit: Hubaudit) -> None:
    assert not {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} & set(hubaudit.env)
    assert hubaudit.env["HF_ENDPOINT"].startswith("http://127.0.0.1:")
    assert os.environ.get("HF_ENDPOINT") != hubaudit.env["HF_ENDPOINT"]


@pytest.mark.parametrize("effect", [rate_limited(200), Stall()], ids=["rate limit", "stall"])
def test_ctrl_c_while_the_hub_does_not_answer_ends_at_once_with_130(
    hubaudit: Hubaudit, effect: Any
) -> None:
    hubaudit.hub.fault(effect, path="/resolve")
    process = subprocess.Popen(
        [sys.executable, "-m", "hubaudit", MAIN],
        env=hubaudit.env | {"HF_HUB_ETAG_TIMEOUT": "60", "HF_HUB_DOWNLOAD_TIMEOUT": "60"},
        cwd=hubaudit.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    deadline = time.monotonic() + 30
    while not [r for r in hubaudit.hub.requests if "/resolve" in r.path]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)  # far less than any time-out above
    assert process.returncode == 130
    assert stdout == ""
    assert "Traceback" not in stderr


def test_a_rate_limit_is_waited_for_visibly(hubaudit: Hubaudit) -> None:
    hubaudit.hub.fault(rate_limited(1), path="/tree/", times=1)
    done = hubaudit(MAIN)
    assert done.returncode == 0
    assert "limits the rate of requests" in done.stderr


@pytest.mark.parametrize("endpoint", ["http://[", "nonsense", "ftp://example", "http://"])
def test_an_endpoint_that_is_none_is_undecided(hubaudit: Hubaudit, endpoint: str) -> None:
    done = hubaudit(MAIN, env={"HF_ENDPOINT": endpoint})
    assert_undecided(done)
    assert "defect" not in done.stderr
