"""The examples that watch: a systemd service, a Kubernetes Deployment and a GitHub workflow."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml

from hubaudit import __version__
from hubaudit.demo.faults import html_page
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repos import demo_repos
from tests.test_pipelines import EXAMPLES, ROOT, installs, passes, tool

UNIT = EXAMPLES / "systemd" / "hubaudit-watch.service"
NIGHTLY_UNIT = EXAMPLES / "systemd" / "hubaudit.service"
MANIFEST = EXAMPLES / "kubernetes" / "watch.yaml"
WORKFLOW = EXAMPLES / "github" / "hubaudit-watch.yml"
ORDINARY = next(one.repo for one in demo_repos() if one.repo.repo_id == "demo/ordinary").files
ARMED = next(one.repo for one in demo_repos() if one.repo.repo_id == "demo/os-system").files
# Cut in the middle, it can only be read in part.
CUT = {"model.pkl": b"\x80\x04]q\x00(K\x01"}


def settings(name: str) -> list[str]:
    """The values of a setting of the unit, in order; a line that ends with \\ goes on."""
    text = re.sub(r"\\\n\s*", " ", UNIT.read_text())
    return re.findall(rf"^{name}=(.*)$", text, flags=re.MULTILINE)


def unit_environment() -> dict[str, str]:
    return dict(line.split("=", 1) for line in settings("Environment"))


def objects() -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in yaml.safe_load_all(MANIFEST.read_text())}


def pod() -> dict[str, Any]:
    found: dict[str, Any] = objects()["Deployment"]["spec"]["template"]
    return found


def container() -> dict[str, Any]:
    (found,) = pod()["spec"]["containers"]
    return dict(found)


def steps() -> dict[str, dict[str, Any]]:
    job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["watch"]
    return {one["id"]: one for one in job["steps"] if "id" in one}


# --- what the tools of each ecosystem say ---


def test_the_workflow_is_valid_by_the_schema_of_its_service() -> None:
    schema = ("--builtin-schema", "vendor.github-workflows")
    passes(tool("check-jsonschema"), *schema, WORKFLOW)


def test_zizmor_finds_nothing_in_the_workflow() -> None:
    passes(tool("zizmor"), "--offline", "--persona", "pedantic", WORKFLOW)


def test_every_step_parses_and_shellcheck_finds_nothing(tmp_path: Path) -> None:
    for name, step in steps().items():
        file = tmp_path / f"{name}.sh"
        file.write_text(step["run"])
        passes("bash", "-n", file)
        passes(tool("shellcheck"), "--shell=bash", file)


def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/hubaudit", "/bin/true"))
    passes(analyze, "verify", "--man=no", unit)
    # its scale goes to 100; an ordinary service has more than 90
    passes(analyze, "security", "--offline=yes", "--threshold=20", unit)


# --- what must not drift ---


@pytest.mark.parametrize("file", [UNIT, MANIFEST, WORKFLOW], ids=lambda file: file.name)
def test_every_variable_of_an_example_is_a_documented_one(file: Path) -> None:
    pages = "".join(page.read_text() for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
    known = set(re.findall(r"\bHUBAUDIT_[A-Z_]+\b", pages))
    known |= {f"{name}_FILE" for name in re.findall(r"`(HUBAUDIT_\w+)`, `…_FILE`", pages)}
    assert set(re.findall(r"\bHUBAUDIT_[A-Z_]+\b", file.read_text())) <= known


def commands() -> Iterator[tuple[str, set[str]]]:
    """Each subcommand that an example runs or names, and the options that it gives."""
    for file in (UNIT, MANIFEST, WORKFLOW):
        # a command goes on after \\, and in a comment or a text on the next line
        text = re.sub(r"(\\|hubaudit approve org/model --list)\n[\s#]*", r"\1 ", file.read_text())
        for name, rest in re.findall(r'hubaudit"? (watch|approve|diff) ([^`\n]*)', text):
            yield name, set(re.findall(r"(?<!\S)--[a-z][a-z-]*", rest))
    command, *rest = container()["args"]
    yield command, {one.partition("=")[0] for one in rest if one.startswith("--")}


def test_every_option_of_an_example_is_one_of_its_command() -> None:
    found = list(commands())
    for name, options in found:
        described = passes(sys.executable, "-m", "hubaudit", name, "--help")
        for option in options:
            assert f" {option} " in described, f"{name} {option}"
    given = set[str]().union(*(options for name, options in found if name == "watch"))
    assert {"--every", "--notify", "--serve", "--once", "--store", "--quiet"} <= given
    assert {"--list"} in [options for name, options in found if name == "approve"]


def test_the_unit_is_as_hardened_as_that_of_every_night() -> None:
    """What bounds a service is the same in both, line by line."""
    begin = "CapabilityBoundingSet="
    ours, theirs = (
        [line for line in file.read_text()[file.read_text().index(begin) :].splitlines() if line]
        for file in (UNIT, NIGHTLY_UNIT)
    )
    (extra,) = set(theirs) - set(ours)  # a watch that listens has more threads
    assert extra.startswith("TasksMax=")
    assert {"DynamicUser=yes", "UMask=0077"} <= set(UNIT.read_text().splitlines())


def test_each_credential_of_the_unit_is_what_a_variable_names() -> None:
    loaded = {line.split(":")[0] for line in settings("LoadCredential")}
    named = {
        value.removeprefix("%d/")
        for name, value in unit_environment().items()
        if name.endswith("_FILE")
    }
    assert loaded == named
    assert len(loaded) == 3


def test_the_unit_writes_where_it_may() -> None:
    folders = {
        f"/var/lib/{settings('StateDirectory')[0]}/",
        f"/var/cache/{settings('CacheDirectory')[0]}/",
    }
    environment = unit_environment()
    for name in ("HUBAUDIT_STORE", "HUBAUDIT_CACHE", "HF_HOME"):
        assert environment[name].startswith(tuple(folders)), name


def test_the_pod_may_do_nothing_that_the_restricted_standard_forbids() -> None:
    spec = pod()["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {one["name"] for one in container()["volumeMounts"]}
    assert mounted == {one["name"] for one in spec["volumes"]}
    kinds = {key for one in spec["volumes"] for key in one if key != "name"}
    assert kinds <= {"persistentVolumeClaim", "configMap", "secret", "emptyDir"}


def test_one_pod_at_a_time_has_the_store() -> None:
    deployment = objects()["Deployment"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_the_ports_of_the_manifest_are_the_one_that_the_watch_listens_on() -> None:
    (serve,) = (one for one in container()["args"] if one.startswith("--serve="))
    port = int(serve.rpartition(":")[2])
    assert container()["ports"] == [{"name": "http", "containerPort": port}]
    assert pod()["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    assert objects()["NetworkPolicy"]["spec"]["ingress"][0]["ports"] == [{"port": port}]
    assert objects()["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container()[probe]["httpGet"] == {"path": "/healthz", "port": "http"}


def test_the_objects_of_the_manifest_find_one_another() -> None:
    labels = pod()["metadata"]["labels"]
    found = objects()
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    volumes = {one["name"]: one for one in pod()["spec"]["volumes"]}
    claim = volumes["data"]["persistentVolumeClaim"]["claimName"]
    assert claim == found["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["lists"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    # the command that makes the secret is in the head of the file
    name = volumes["secrets"]["secret"]["secretName"]
    command = MANIFEST.read_text().split("---", 1)[0]
    assert f"create secret generic {name} " in command
    for item in volumes["secrets"]["secret"]["items"]:
        assert f"--from-literal={item['key']}=" in command


def test_every_path_that_the_pod_names_is_mounted() -> None:
    mounts = {one["mountPath"]: one["name"] for one in container()["volumeMounts"]}
    volumes = {one["name"]: one for one in pod()["spec"]["volumes"]}
    paths = [one["value"] for one in container()["env"] if one.get("value", "").startswith("/")]
    paths += [one.partition("=")[2] or one for one in container()["args"]]
    for path in (one for one in paths if one.startswith("/")):
        folder = next(mount for mount in mounts if path.startswith(f"{mount}/"))
        file = path.removeprefix(f"{folder}/")
        if mounts[folder] == "lists":
            assert file in objects()["ConfigMap"]["data"]
        if mounts[folder] == "secrets":
            items = volumes["secrets"]["secret"]["items"]
            assert file in {item["path"] for item in items}


def test_the_workflow_names_this_version_and_may_write_issues_only() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    job = workflow["jobs"]["watch"]
    assert job["permissions"] == {"contents": "read", "issues": "write"}
    assert steps()["install"]["env"]["VERSION"] == __version__
    checkout = job["steps"][0]
    assert re.fullmatch(r"actions/checkout@[0-9a-f]{40}", checkout["uses"])
    assert checkout["with"]["persist-credentials"] is False
    holders = [one["id"] for one in steps().values() if "github.token" in str(one.get("env"))]
    assert holders == ["issue"]


def test_nothing_is_pasted_into_a_script_of_the_workflow() -> None:
    for step in steps().values():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
        assert step["run"].startswith("set -euo pipefail\n")


# --- the commands of the unit and of the pod, run against the stand-in Hub ---


@pytest.fixture
def repo() -> HubRepo:
    return HubRepo("org/model", dict(ORDINARY))


@pytest.fixture
def hub(repo: HubRepo) -> Iterator[StandInHub]:
    rows = HubRepo("org/rows", {"README.md": b"# rows\n"}, repo_type="dataset")
    with StandInHub([repo, HubRepo("org/other", dict(ORDINARY)), rows]) as hub:
        yield hub


def runs(arguments: list[str], environment: dict[str, str]) -> tuple[int, int, str]:
    """Starts a watch, asks whether it is well, ends it: the status, its exit code and its stderr."""
    pytest.importorskip("uvicorn", reason="the extra `server` is not installed")
    with subprocess.Popen(
        [sys.executable, "-m", "hubaudit", *arguments],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said, port = "", None
        for line in process.stderr:
            said += line
            port = re.search(r"listening on http://\S*:(\d+)", line)
            if port is not None:
                break
        assert port is not None, said
        try:
            with build_opener(ProxyHandler({})).open(
                f"http://127.0.0.1:{port[1]}/healthz", timeout=20
            ) as answer:
                status = answer.status
        finally:
            process.send_signal(signal.SIGTERM)
        _, more = process.communicate(timeout=30)
    return status, process.returncode, said + more


def moved(text: str, folders: dict[str, Path]) -> str:
    """The text with each folder of the example replaced by one of the test."""
    for old, new in folders.items():
        text = text.replace(old, str(new))
    return text


def test_the_command_of_the_unit_runs_with_its_environment(hub: StandInHub, tmp_path: Path) -> None:
    folders = {
        "/etc/hubaudit": tmp_path / "etc",
        "/var/cache/hubaudit-watch": tmp_path / "cache",
        "/var/lib/hubaudit-watch": tmp_path / "state",
        "%d": tmp_path / "credentials",
    }
    for folder in folders.values():
        folder.mkdir()
    (folders["/etc/hubaudit"] / "approved.txt").write_text("org/model\n")
    for line in settings("LoadCredential"):
        (folders["%d"] / line.split(":")[0]).write_text("0123456789abcdef\n")
    program, *arguments = shlex.split(moved(settings("ExecStart")[0], folders))
    assert Path(program).name == "hubaudit"
    serve = arguments.index("--serve") + 1
    arguments[serve] = arguments[serve].replace(":8080", ":0")
    own = {name: moved(value, folders) for name, value in unit_environment().items()}
    status, code, said = runs(arguments, hub.env(tmp_path) | own)
    assert (status, code) == (200, 0), said
    assert (folders["/var/lib/hubaudit-watch"] / "store.sqlite3").exists()


def test_the_container_of_the_pod_runs_with_its_environment(
    hub: StandInHub, tmp_path: Path
) -> None:
    folders = {
        "/etc/hubaudit": tmp_path / "etc",
        "/cache": tmp_path / "cache",
        "/work": tmp_path / "work",
        "/run/secrets/hubaudit": tmp_path / "secrets",
    }
    for folder in folders.values():
        folder.mkdir()
    for name, text in objects()["ConfigMap"]["data"].items():
        (folders["/etc/hubaudit"] / name).write_text(text)
    for name in ("hub-secret", "webhook-secret"):
        (folders["/run/secrets/hubaudit"] / name).write_text("0123456789abcdef")
    values = {one["name"]: one["value"] for one in container()["env"] if "value" in one}
    own = {
        name: moved(value, {old: new for old, new in folders.items() if value.startswith(old)})
        for name, value in values.items()
    }
    arguments = [
        moved(one, {"/etc/hubaudit": folders["/etc/hubaudit"]}).replace(":8080", ":0")
        for one in container()["args"]
    ]
    status, code, said = runs(arguments, hub.env(tmp_path) | own)
    assert (status, code) == (200, 0), said
    assert "without the status page" in said
    assert (folders["/work"] / "store.sqlite3").exists()


# --- the workflow, run as the runner runs it, with a `gh` that keeps its issues in a file ---

GH = '''#!/usr/bin/env {python}
"""Issues in a file: as much of gh as the workflow uses, and nothing else."""
import json, os, sys
from pathlib import Path

file = Path(os.environ["FAKE_GH"])
world = json.loads(file.read_text()) if file.exists() else {{"issues": [], "labels": [], "calls": []}}
words = sys.argv[1:]
assert os.environ["GH_TOKEN"] and os.environ["GH_REPO"] == "org/code"
world["calls"].append(words)


def option(name):
    return words[words.index(name) + 1]


def text():
    return Path(option("--body-file")).read_text()


def issue():
    (found,) = [one for one in world["issues"] if one["number"] == int(words[2])]
    return found


command = " ".join(words[:2])
if words[0] == "api":
    assert words[1:4] == ["--method", "GET", "repos/org/code/issues"]
    assert {{"state=open", "labels=hubaudit-watch", "direction=asc"}} <= set(words)
    found = [one for one in world["issues"] if one["open"] and "hubaudit-watch" in one["labels"]]
    print(found[0]["number"] if found else "", end="\\n" if found else "")
elif command == "label create":
    assert "--force" in words
    world["labels"].append(words[2])
elif command == "issue create":
    assert option("--label") in world["labels"]
    number = len(world["issues"]) + 1
    world["issues"].append({{"number": number, "open": True, "title": option("--title"),
                            "labels": [option("--label")], "body": text(), "comments": []}})
elif command == "issue view":
    print(issue()["body"].replace("\\n", "\\r\\n"))
elif command == "issue comment":
    issue()["comments"].append(text())
elif command == "issue edit":
    issue()["body"] = text()
elif command == "issue close":
    issue()["comments"].append(option("--comment"))
    issue()["open"] = False
else:
    sys.exit(f"no such command: {{words}}")
file.write_text(json.dumps(world))
'''


@dataclass
class Job:
    """The job of the workflow on a runner, again and again."""

    folder: Path
    env: dict[str, str]

    def run(self) -> dict[str, int]:
        """One run on a fresh machine: the exit code of each step that ran."""
        for name in ("temp", "standing.md"):
            path = self.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        program = self.folder / "temp" / "hubaudit" / "bin" / "hubaudit"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hubaudit "$@"\n')
        program.chmod(0o755)
        for name in ("output", "summary"):
            (self.folder / name).write_text("")
        codes = {"look": self.step("look")}
        if codes["look"] != 0:
            return codes
        found = self.outputs()
        if found["state"] != "unknown":
            codes["issue"] = self.step("issue", STATE=found["state"])
        if codes.get("issue", 0) == 0 and found["code"] in ("2", "3"):
            codes["verdict"] = self.step("verdict", CODE=found["code"])
        return codes

    def step(self, name: str, **given: str) -> int:
        """The exit code of a step, by the shell that `shell: bash` is; `${{ }}` is what is given."""
        step = steps()[name]
        env = {key: str(value) for key, value in step.get("env", {}).items() if "${{" not in value}
        script = self.folder / f"{name}.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            capture_output=True,
            encoding="utf-8",
            timeout=100,
            check=False,
            cwd=self.folder / "checkout",
            env={**self.env, **env, **given},
        )
        with (self.folder / "log").open("a") as log:
            log.write(f"--- {name}\n{done.stdout}{done.stderr}")
        return done.returncode

    def outputs(self) -> dict[str, str]:
        lines = (self.folder / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def issues(self) -> list[dict[str, Any]]:
        file = self.folder / "gh.json"
        return list(json.loads(file.read_text())["issues"]) if file.exists() else []

    def approve(self, *targets: str) -> None:
        """As a user does it in a checkout, with a store of their own."""
        store = ("--store", str(self.folder / "users.sqlite3"))
        options = ("--list", "approved.txt", "--no-config", "-q", *store)
        command = (sys.executable, "-m", "hubaudit", "approve", *targets, *options)
        passes(*command, cwd=self.folder / "checkout", env=self.env)


@pytest.fixture
def job(hub: StandInHub, tmp_path: Path) -> Job:
    for name in ("checkout", "bin"):
        (tmp_path / name).mkdir()
    gh = tmp_path / "bin" / "gh"
    gh.write_text(GH.format(python="python3"))
    gh.chmod(0o755)
    env = hub.env(tmp_path / "home") | {
        "PATH": f"{gh.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HUBAUDIT_CACHE": str(tmp_path / "home" / "ranges"),
        "HF_TOKEN": "",  # what a secret is that is missing
        "FAKE_GH": str(tmp_path / "gh.json"),
        "GH_TOKEN": "a token",
        "GH_REPO": "org/code",
        "RUN": "https://example.org/run",
        "STANDING": str(tmp_path / "standing.md"),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    (tmp_path / "checkout" / "approved.txt").write_text("# ours\norg/model  # the one\norg/other\n")
    job = Job(tmp_path, env)
    job.approve("org/model", "org/other")
    return job


def test_while_all_is_as_approved_nothing_is_opened(job: Job) -> None:
    assert job.run() == {"look": 0, "issue": 0}, job.log()
    assert job.outputs() == {"code": "0", "state": "approved"}
    assert job.issues() == []
    assert "2 watched, 0 not as approved" in (job.folder / "summary").read_text()


def test_a_drift_opens_one_issue_however_often_it_is_seen(job: Job, repo: HubRepo) -> None:
    repo.commit(repo.files | {"config.json": b"{}"})
    for _ in range(2):
        assert job.run() == {"look": 0, "issue": 0}, job.log()
        assert job.outputs() == {"code": "4", "state": "changed"}
    (issue,) = job.issues()
    assert (issue["open"], issue["labels"]) == (True, ["hubaudit-watch"])
    assert issue["comments"] == []
    assert "`org/model`" in issue["body"]
    assert repo.sha[:12] in issue["body"]
    assert "https://example.org/run" in issue["body"]
    assert "org/other" not in issue["body"]


def test_another_change_updates_the_issue_and_says_so(job: Job, repo: HubRepo) -> None:
    repo.commit(repo.files | {"config.json": b"{}"})
    job.run()
    repo.commit(ARMED)
    assert job.run() == {"look": 0, "issue": 0}, job.log()
    assert job.outputs() == {"code": "1", "state": "changed"}
    (issue,) = job.issues()
    (comment,) = issue["comments"]
    assert comment == issue["body"]
    assert "| fail |" in comment


def test_a_failing_approved_repository_is_an_issue_of_its_own(job: Job, repo: HubRepo) -> None:
    repo.commit(ARMED)
    job.approve("org/model")
    assert job.run() == {"look": 0, "issue": 0}, job.log()
    assert job.outputs() == {"code": "1", "state": "changed"}
    assert "0 not as approved, 1 FAIL" in job.issues()[0]["body"]


def test_the_issue_closes_when_the_hub_is_as_approved_again(job: Job, repo: HubRepo) -> None:
    before = dict(repo.files)
    repo.commit(repo.files | {"config.json": b"{}"})
    job.run()
    repo.commit(before)
    assert job.run() == {"look": 0, "issue": 0}, job.log()
    (issue,) = job.issues()
    assert not issue["open"]
    assert "as approved again" in issue["comments"][-1]
    repo.commit(ARMED)
    job.run()
    assert [one["open"] for one in job.issues()] == [False, True]


def test_approving_in_the_list_closes_the_issue(job: Job, repo: HubRepo) -> None:
    repo.commit(repo.files | {"config.json": b"{}"})
    job.run()
    job.approve("org/model")
    assert job.run() == {"look": 0, "issue": 0}, job.log()
    assert [one["open"] for one in job.issues()] == [False]


def test_a_history_that_lost_the_approved_commit_is_a_drift(job: Job, repo: HubRepo) -> None:
    repo.force_push(repo.files | {"config.json": b"{}"})
    assert job.run()["issue"] == 0, job.log()
    assert job.outputs()["state"] == "changed"
    assert "`org/model`" in job.issues()[0]["body"]


def test_a_hub_that_is_away_fails_the_job_and_leaves_the_issue(
    job: Job, hub: StandInHub, repo: HubRepo
) -> None:
    hub.fault(html_page(), path="/api/")
    assert job.run() == {"look": 0, "verdict": 2}, job.log()
    assert job.issues() == []
    hub.clear_faults()
    repo.commit(repo.files | {"config.json": b"{}"})
    job.run()
    before = job.issues()
    hub.fault(html_page(), path="/api/")
    assert job.run() == {"look": 0, "verdict": 2}, job.log()
    assert job.issues() == before
    assert before[0]["open"]


def test_what_could_not_be_looked_at_hides_no_drift(
    job: Job, hub: StandInHub, repo: HubRepo
) -> None:
    hub.fault(html_page(), path="/org/other")
    repo.commit(repo.files | {"config.json": b"{}"})
    assert job.run() == {"look": 0, "issue": 0, "verdict": 2}, job.log()
    assert job.outputs() == {"code": "2", "state": "changed"}
    (issue,) = job.issues()
    assert "1 could not be looked at" in issue["body"]


def test_an_approved_repository_that_is_gone_does_not_pass(job: Job, hub: StandInHub) -> None:
    hub.remove("org/model")
    codes = job.run()
    assert codes.get("verdict") == 2 or job.issues(), job.log()
    assert job.outputs()["state"] != "approved"


def test_an_incomplete_audit_fails_the_job_and_decides_nothing(job: Job, repo: HubRepo) -> None:
    repo.commit(CUT)
    job.approve("org/model")
    assert job.run() == {"look": 0, "verdict": 3}, job.log()
    assert job.issues() == []


def test_a_list_that_is_wrong_fails_the_job_before_any_issue(job: Job) -> None:
    approved = job.folder / "checkout" / "approved.txt"
    approved.write_text("org/model\n")
    assert job.run() == {"look": 2}, job.log()
    assert "1:org/model" in job.log()
    approved.write_text(f"org/model@{'a' * 40} org/other\n[\n")
    assert job.run() == {"look": 2}, job.log()
    approved.unlink()
    assert job.run() == {"look": 2}, job.log()
    assert job.issues() == []


def test_names_from_the_hub_stay_text_in_the_issue(job: Job, repo: HubRepo) -> None:
    name = "a`$(touch hacked)` @octocat | <img src=x>.py"
    repo.commit(repo.files | {name: b"import os\n"})
    assert job.run() == {"look": 0, "issue": 0}, job.log()
    assert not list(job.folder.rglob("hacked"))
    table = [line for line in job.issues()[0]["body"].splitlines() if "org/model" in line]
    assert table
    outside = re.sub(r"(`+)[^`].*?\1", "", table[0])
    assert "@octocat" not in outside
    assert "<img" not in outside


def test_a_pull_request_with_the_label_is_not_the_issue() -> None:
    jq = tool("jq")
    program = re.search(r"--jq '([^']+)'", steps()["issue"]["run"])
    assert program is not None
    answers = {"[]": "", '[{"number": 1, "pull_request": {}}, {"number": 2}]': "2\n"}
    for answer, number in answers.items():
        done = subprocess.run(
            [jq, "-r", program[1]],
            input=answer,
            capture_output=True,
            encoding="utf-8",
            timeout=20,
            check=True,
        )
        assert done.stdout == number


@installs
def test_the_workflow_installs_what_it_runs(job: Job, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    passes(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, ROOT)
    job.env["PIP_FIND_LINKS"] = str(wheels)
    (tmp_path / "temp").mkdir()
    assert job.step("install") == 0, job.log()
    program = tmp_path / "temp" / "hubaudit" / "bin" / "hubaudit"
    assert __version__ in passes(program, "--version")
