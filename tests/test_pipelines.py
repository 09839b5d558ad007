"""What runs hubaudit in pipelines: the action, the hooks, the templates and the image."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from hubaudit import __version__
from hubaudit.demo.hub import StandInHub
from hubaudit.demo.repos import demo_repos
from hubaudit.pins import FINDERS
from hubaudit.selection import promises_pickle

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
HOOKS = ROOT / ".pre-commit-hooks.yaml"
ACTION = ROOT / "action.yml"
GITLAB = EXAMPLES / "gitlab" / "hubaudit.gitlab-ci.yml"
CRONJOB = EXAMPLES / "kubernetes" / "cronjob.yaml"
# .ci/run sets it. A machine without a package index runs the rest.
installs = pytest.mark.skipif(
    not os.environ.get("HUBAUDIT_TEST_INSTALL"),
    reason="installs hubaudit with pip: set HUBAUDIT_TEST_INSTALL=1",
)
YAML_FILES = [ACTION, HOOKS, *sorted(EXAMPLES.rglob("*.y*ml"))]


def tool(name: str) -> str:
    """The tool of that name, beside this Python or on the path; the test is skipped without it."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install '.[lint-pipelines]'")
    return found


def passes(*command: str | Path, **how: Any) -> str:
    """What the command prints; it has to succeed."""
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
        cwd=how.pop("cwd", ROOT),
        env=os.environ | how.pop("env", {}),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def steps() -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in yaml.safe_load(ACTION.read_text())["runs"]["steps"]}


# --- what the tools of each ecosystem say ---


@pytest.mark.parametrize(
    ("schema", "file", "more"),
    [
        ("vendor.github-actions", ACTION, ()),
        ("vendor.github-workflows", EXAMPLES / "github" / "hubaudit.yml", ()),
        ("vendor.gitlab-ci", GITLAB, ("--data-transform", "gitlab-ci")),
    ],
    ids=["action", "workflow", "gitlab"],
)
def test_it_is_valid_by_the_schema_of_its_service(
    schema: str, file: Path, more: tuple[str, ...]
) -> None:
    passes(tool("check-jsonschema"), "--builtin-schema", schema, *more, file)


def test_pre_commit_takes_the_hooks_and_the_example() -> None:
    pre_commit = tool("pre-commit")
    passes(pre_commit, "validate-manifest", HOOKS)
    passes(pre_commit, "validate-config", EXAMPLES / "pre-commit" / ".pre-commit-config.yaml")


def test_zizmor_finds_nothing_in_the_action_and_the_workflow() -> None:
    workflow = EXAMPLES / "github" / "hubaudit.yml"
    passes(tool("zizmor"), "--offline", "--persona", "pedantic", ACTION, workflow)


def test_yamllint_finds_nothing() -> None:
    rules = "{line-length: {max: 120}, document-start: disable, truthy: {check-keys: false}}"
    passes(tool("yamllint"), "-s", "-d", f"{{extends: default, rules: {rules}}}", *YAML_FILES)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    passes(tool("hadolint"), ROOT / "Dockerfile")


def scripts(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every script, as a file, and its shell."""
    yield EXAMPLES / "cron" / "nightly.sh", "bash"
    for name, step in steps().items():
        file = folder / f"{name}.sh"
        file.write_text(step["run"])
        yield file, "bash"
    job = yaml.safe_load(GITLAB.read_text())["hubaudit"]
    for index, line in enumerate((*job["before_script"], *job["script"])):
        file = folder / f"gitlab-{index}.sh"
        file.write_text(line)
        yield file, "sh"


def test_every_script_parses(tmp_path: Path) -> None:
    for file, shell in scripts(tmp_path):
        passes(shell, "-n", file)


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    shellcheck = tool("shellcheck")
    for file, shell in scripts(tmp_path):
        # SC2153: two inputs have names that it takes for one with a slip
        passes(shellcheck, f"--shell={shell}", "--exclude=SC2153", file)


def test_systemd_takes_the_units_and_finds_little_exposed(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    units = [EXAMPLES / "systemd" / f"hubaudit.{kind}" for kind in ("service", "timer")]
    for unit in units:
        text = unit.read_text().replace("/usr/local/lib/hubaudit/nightly.sh", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    service, timer = (tmp_path / unit.name for unit in units)
    passes(analyze, "verify", "--man=no", service, timer)
    # its scale goes to 100; an ordinary service has more than 90
    passes(analyze, "security", "--offline=yes", "--threshold=20", service)


# --- what no tool looks at ---


def test_no_input_is_pasted_into_a_script() -> None:
    for step in steps().values():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
        assert step["run"].startswith("set -euo pipefail\n")


def test_every_input_reaches_a_script_and_every_output_a_user() -> None:
    action = yaml.safe_load(ACTION.read_text())
    used = " ".join(value for step in action["runs"]["steps"] for value in step["env"].values())
    for name in action["inputs"]:
        assert f"${{{{ inputs.{name} }}}}" in used
    script = steps()["audit"]["run"]
    for name in action["outputs"]:
        assert name in script
    page = (ROOT / "docs" / "pipelines.md").read_text()
    for name in (*action["inputs"], *action["outputs"]):
        assert f"`{name}`" in page


def test_what_is_used_is_pinned_by_a_whole_hash() -> None:
    for file in YAML_FILES:
        for used in re.findall(r"^\s*-?\s*uses: (\S+)", file.read_text(), flags=re.MULTILINE):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), f"{file}: {used}"


def test_the_scan_hook_takes_every_name_that_promises_a_pickle() -> None:
    scan, pins = yaml.safe_load(HOOKS.read_text())
    pattern = re.compile(scan["files"])
    endings = "pkl pickle pt pth pt2 ckpt joblib dill ot pkl.gz pickle.xz joblib.z PT".split()
    names = [f"folder/model.{ending}" for ending in endings]
    names += ["pytorch_model.bin", "model-00001-of-00002.bin", "training_args.bin"]
    for name in names:
        assert promises_pickle(name), name
        assert pattern.search(name), name
    for name in ("README.md", "model.safetensors", "pkl", "a.pkl.txt", "data.zip"):
        assert not pattern.search(name), name
    assert set(pins["types_or"]) == {"python", "jupyter", "yaml", "json", "toml"}
    assert {".py", ".ipynb", ".yaml", ".json", ".toml"} <= FINDERS.keys()


def test_the_example_for_pre_commit_names_this_version() -> None:
    example = yaml.safe_load((EXAMPLES / "pre-commit" / ".pre-commit-config.yaml").read_text())
    assert example["repos"][0]["rev"] == f"v{__version__}"


def test_the_pod_may_do_nothing_that_the_restricted_standard_forbids() -> None:
    job = next(
        one for one in yaml.safe_load_all(CRONJOB.read_text()) if one and one["kind"] == "CronJob"
    )
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in pod["volumes"]}


def test_the_image_runs_as_nobody_in_particular_and_writes_to_volumes_only() -> None:
    text = (ROOT / "Dockerfile").read_text()
    last = text.rsplit("\nFROM ", 1)[1]
    user = re.search(r"^USER (\d+):(\d+)$", last, flags=re.MULTILINE)
    assert user is not None
    assert "0" not in user.groups()
    home = re.search(r"HF_HOME=(\S+)", last)
    volumes = json.loads(re.findall(r"^VOLUME (.*)$", last, flags=re.MULTILINE)[0])
    assert home is not None
    assert home[1].startswith(tuple(volumes))
    assert "HEALTHCHECK NONE" in last
    assert 'ENTRYPOINT ["hubaudit"]' in last
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, flags=re.MULTILINE)
    for name in " ".join(copied).split():
        assert f"!{name}" in ignored


def test_the_image_has_what_watch_serves_and_alerts_with() -> None:
    text = (ROOT / "Dockerfile").read_text()
    installed = re.search(r'pip install [^"\n]*"\.\[([a-z,]+)\]"', text)
    assert installed is not None
    assert installed[1].split(",") == ["alerts", "archives", "server"]


# --- the action, run as the runner runs it ---


@dataclass
class Runner:
    """A job on a runner: its folders, and the environment that its steps share."""

    folder: Path
    env: dict[str, str]

    def run(self, step: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """The step by the shell that `shell: bash` is, its inputs in the environment."""
        action = yaml.safe_load(ACTION.read_text())
        given = {name: one.get("default", "") for name, one in action["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        env = {
            name: given[match[1]] if (match := re.search(r"inputs\.([\w-]+)", value)) else ""
            for name, value in steps()[step]["env"].items()
        }
        script = self.folder / f"{step}.sh"
        script.write_text(steps()[step]["run"])
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            capture_output=True,
            encoding="utf-8",
            timeout=100,
            check=False,
            cwd=self.folder / "checkout",
            env={**env, **self.env},
        )

    def outputs(self) -> dict[str, str]:
        text = (self.folder / "output").read_text()
        single = dict(re.findall(r"^([\w-]+)=(.*)$", text, flags=re.MULTILINE))
        long = re.findall(r"^([\w-]+)<<(\S+)\n(.*?)\n\2$", text, flags=re.MULTILINE | re.DOTALL)
        return single | {name: value for name, _, value in long}

    def summary(self) -> str:
        return (self.folder / "summary").read_text()


@pytest.fixture(scope="module")
def hub() -> Iterator[StandInHub]:
    with StandInHub([sample.repo for sample in demo_repos()]) as hub:
        yield hub


@pytest.fixture
def runner(tmp_path: Path, hub: StandInHub) -> Runner:
    for name in ("checkout", "home", "bin", "temp"):
        (tmp_path / name).mkdir()
    for name, more in (("hubaudit", " -m hubaudit"), ("python", "")):
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{more} "$@"\n')
        script.chmod(0o755)
    for name in ("output", "summary"):
        (tmp_path / name).touch()
    env = hub.env(tmp_path / "home") | {
        "PYTHONPATH": str(ROOT),
        "HUBAUDIT_CACHE": str(tmp_path / "home" / "ranges"),
        "HUBAUDIT_BIN": str(tmp_path / "bin"),
        "HUBAUDIT_HOME": str(tmp_path / "temp"),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    return Runner(tmp_path, env)


def test_the_action_fails_for_a_bad_target_and_says_so_everywhere(runner: Runner) -> None:
    done = runner.run("audit", targets="\n  demo/ordinary\n# not this\n\ndemo/os-system\r\n")
    assert done.returncode == 1, done.stderr
    outputs = runner.outputs()
    assert (outputs["verdict"], outputs["exit-code"]) == ("fail", "1")
    assert outputs["sarif-file"] == "hubaudit.sarif"
    sarif = json.loads((runner.folder / "checkout" / "hubaudit.sarif").read_text())
    rules = {result["ruleId"] for run in sarif["runs"] for result in run["results"]}
    assert "dangerous-import" in rules
    assert "demo/os-system" in runner.summary()
    assert "demo/ordinary" in runner.summary()
    assert "::error " in done.stdout
    reports = outputs["json-file"].splitlines()
    assert [Path(name).name for name in reports] == ["audit.jsonl"]


def test_nothing_before_the_annotations_is_a_command_to_the_runner(runner: Runner) -> None:
    done = runner.run("audit", targets="demo/hostile-names\ndemo/os-system")
    token = re.search(r"^::stop-commands::(\S+)$", done.stdout, flags=re.MULTILINE)
    assert token is not None
    inside, outside = done.stdout.split(f"::{token[1]}::\n", 1)
    assert inside.count(f"::{token[1]}") == 1
    commands = {line.split(" ", 1)[0] for line in outside.splitlines() if line.startswith("::")}
    assert commands <= {"::error", "::warning", "::notice"}


def test_the_action_passes_for_ordinary_repositories_and_files(runner: Runner) -> None:
    folder = runner.folder / "checkout" / "a folder; $(touch hacked)"
    folder.mkdir()
    (folder / "data.pkl").write_bytes(pickle.dumps({"a": [1, 2]}))
    done = runner.run("audit", targets="demo/ordinary", paths=folder.name, annotations="false")
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = runner.outputs()
    assert (outputs["verdict"], outputs["exit-code"]) == ("pass", "0")
    assert len(outputs["json-file"].splitlines()) == 2
    assert not list(runner.folder.rglob("hacked"))
    assert "::notice" not in done.stdout


def test_the_worst_of_targets_and_paths_counts(runner: Runner) -> None:
    (runner.folder / "checkout" / "cut.pkl").write_bytes(pickle.dumps([1, 2, 3])[:-3])
    done = runner.run("audit", targets="demo/ordinary", paths="cut.pkl", sarif_file="out/a.sarif")
    assert done.returncode == 3, done.stdout + done.stderr
    assert runner.outputs()["verdict"] == "incomplete"
    assert (runner.folder / "checkout" / "out" / "a.sarif").exists()


def test_an_error_is_no_verdict_and_a_job_may_go_on(runner: Runner) -> None:
    done = runner.run("audit", targets="demo/no-such-thing", fail_job="false")
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = runner.outputs()
    assert (outputs["verdict"], outputs["exit-code"]) == ("error", "2")
    assert outputs["sarif-file"] == ""
    assert "demo/no-such-thing" in done.stderr


def test_without_anything_to_audit_the_action_fails(runner: Runner) -> None:
    done = runner.run("audit", targets="\n# nothing\n")
    assert done.returncode == 2
    assert "neither targets nor paths" in done.stdout


def test_findings_in_files_stand_at_the_files(runner: Runner) -> None:
    folder = runner.folder / "checkout" / "models" / "a folder; $(touch hacked)"
    folder.mkdir(parents=True)
    (folder / "bad.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert runner.run("audit", paths=f"models/{folder.name}").returncode == 1
    sarif = json.loads((runner.folder / "checkout" / "hubaudit.sarif").read_text())
    where = sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    named = unquote(where["artifactLocation"]["uri"])
    assert named == f"models/{folder.name}/bad.pkl"
    assert not list(runner.folder.rglob("hacked"))


def test_findings_stand_at_the_line_of_the_workflow_that_names_the_target(runner: Runner) -> None:
    name = ".github/workflows/audit.yml"
    workflow = runner.folder / "checkout" / name
    workflow.parent.mkdir(parents=True)
    workflow.write_text("with:\n  targets: |\n    demo/ordinary\n    demo/os-system@main\n")
    runner.env["GITHUB_WORKFLOW_REF"] = f"someone/project/{name}@refs/heads/main"
    targets = "demo/ordinary\ndemo/os-system@main"
    none = {"annotations": "false", "summary": "false", "sarif_file": "", "format": "none"}
    assert runner.run("audit", targets=targets, **none).stdout.count("::") == 4
    done = runner.run("audit", targets=targets)
    assert f"::error file={name},line=4,title=" in done.stdout
    sarif = json.loads((runner.folder / "checkout" / "hubaudit.sarif").read_text())
    places = {
        (where["artifactLocation"]["uri"], where["region"]["startLine"])
        for run in sarif["runs"]
        for result in run["results"]
        for where in [result["locations"][0]["physicalLocation"]]
    }
    assert places == {(name, 4)}


def test_the_action_checks_pins_and_says_where(runner: Runner) -> None:
    sources = runner.folder / "checkout" / "a folder; $(touch hacked)"
    sources.mkdir()
    (sources / "load.py").write_text("hf_hub_download('demo/ordinary', 'x')\n")
    (sources / "``` [x](y).py").write_text("hf_hub_download('demo/ordinary', 'x')\n")
    done = runner.run("audit", pins=f"\n# not this\n {sources.name}\n")
    assert done.returncode == 1, done.stdout + done.stderr
    outputs = runner.outputs()
    assert (outputs["verdict"], outputs["exit-code"], outputs["json-file"]) == ("fail", "1", "")
    assert f"::error file={sources.name}/load.py,line=1,col=1,title=not pinned::" in done.stdout
    told = [line for line in runner.summary().splitlines() if line and line[0] != "#"]
    assert any('revision="' in line for line in told)
    assert all(line.startswith("    ") for line in told)
    assert not list(runner.folder.rglob("hacked"))


def test_pins_that_hold_pass_beside_a_target_that_fails(runner: Runner) -> None:
    (runner.folder / "checkout" / "load.py").write_text("x = 1\n")
    assert runner.run("audit", pins="load.py").returncode == 0
    assert runner.outputs()["verdict"] == "pass"
    assert runner.run("audit", pins="load.py", targets="demo/os-system").returncode == 1
    assert runner.outputs()["verdict"] == "fail"
    assert runner.run("audit", pins="missing.py").returncode == 2
    assert runner.outputs()["verdict"] == "error"


def test_options_reach_the_audit_one_a_line(runner: Runner) -> None:
    done = runner.run("audit", targets="demo/os-system", args="--fail-on\nbanana")
    assert done.returncode == 2
    assert "banana" in done.stderr
    done = runner.run("audit", targets="--config=elsewhere.toml")
    assert done.returncode == 2
    assert "--config=elsewhere.toml" in done.stderr


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"version": "1; touch hacked"}, "version is no version"),
        ({"version": "--index-url=http://127.0.0.1"}, "version is no version"),
        ({"python_version": "3"}, "python-version is not like 3.12"),
        ({"python_version": "3.99"}, "no Python of at least 3.11"),
    ],
)
def test_the_install_step_refuses_what_it_cannot_install(
    inputs: dict[str, str], said: str, runner: Runner
) -> None:
    done = runner.run("install", **inputs)
    assert done.returncode == 2
    assert said in done.stdout
    assert not list(runner.folder.rglob("hacked"))


@installs
def test_the_action_installs_itself_and_audits(runner: Runner) -> None:
    del runner.env["PYTHONPATH"]
    done = runner.run("install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"hubaudit {__version__}" in done.stdout
    runner.env["HUBAUDIT_BIN"] = runner.outputs()["bin"]
    assert runner.run("audit", targets="demo/os-system").returncode == 1


# --- the other scripts, run against the stand-in Hub ---


def shell(runner: Runner, *command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{runner.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*map(str, command)],
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
        cwd=runner.folder / "checkout",
        env={**runner.env, **env, "PATH": path},
    )


def gitlab(runner: Runner, **variables: str) -> subprocess.CompletedProcess[str]:
    """The job's script; hubaudit is on the path already."""
    template = yaml.safe_load(GITLAB.read_text())
    script = runner.folder / "gitlab.sh"
    script.write_text("\n".join(template["hubaudit"]["script"]))
    known = {**template["variables"], "CI_BUILDS_DIR": str(runner.folder), **variables}
    return shell(runner, "sh", script, **known)


def test_the_gitlab_job_ends_with_the_worst_exit_code_and_keeps_reports(runner: Runner) -> None:
    done = gitlab(runner, HUBAUDIT_TARGETS="demo/ordinary\ndemo/os-system\n", HUBAUDIT_OPTIONS="-q")
    assert done.returncode == 1, done.stderr
    folder = runner.folder / "checkout" / "hubaudit-reports"
    assert sorted(file.name for file in folder.iterdir()) == ["audit.json", "audit.xml"]
    assert len(json.loads((folder / "audit.json").read_text())) == 2
    assert "demo/os-system" in done.stdout


def test_the_gitlab_job_passes_and_takes_lines_as_they_are(runner: Runner) -> None:
    name = "a $(touch hacked).pkl"
    (runner.folder / "checkout" / name).write_bytes(pickle.dumps([1]))
    (runner.folder / "checkout" / "code.py").write_text("x = 1\n")
    done = gitlab(runner, HUBAUDIT_PATHS=name, HUBAUDIT_PINS="code.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(runner.folder.rglob("hacked"))
    (runner.folder / "checkout" / "code.py").write_text("hf_hub_download('org/m', 'x')\n")
    assert gitlab(runner, HUBAUDIT_PINS="code.py").returncode == 1


def test_the_gitlab_job_takes_no_comment_for_a_target(runner: Runner) -> None:
    (runner.folder / "checkout" / "code.py").write_text("hf_hub_download('org/m', 'x')\n")
    targets = "# ours\n  demo/ordinary \n\t# not this\ndemo/os-system\r\n"
    options = "# no animation\n-q\n"
    done = gitlab(runner, HUBAUDIT_TARGETS=targets, HUBAUDIT_OPTIONS=options)
    assert done.returncode == 1, done.stderr
    report = runner.folder / "checkout" / "hubaudit-reports" / "audit.json"
    assert len(json.loads(report.read_text())) == 2
    assert gitlab(runner, HUBAUDIT_PINS="# none\n#code.py\n").returncode == 2
    assert gitlab(runner, HUBAUDIT_PINS=" code.py\n").returncode == 1


def test_without_anything_to_audit_the_gitlab_job_fails(runner: Runner) -> None:
    done = gitlab(runner, HUBAUDIT_TARGETS="\n# nothing\n", HUBAUDIT_PATHS="#")
    assert done.returncode == 2
    assert "neither targets nor paths" in done.stderr


def test_the_nightly_script_speaks_only_when_something_is_wrong(runner: Runner) -> None:
    script = EXAMPLES / "cron" / "nightly.sh"
    approved = runner.folder / "approved.txt"
    folder = runner.folder / "state"
    approved.write_text("# ours\ndemo/ordinary\n\n")
    quiet = shell(runner, script, approved, folder)
    assert (quiet.returncode, quiet.stdout) == (0, ""), quiet.stderr
    approved.write_text("demo/ordinary\ndemo/os-system")
    loud = shell(runner, script, approved, folder)
    assert loud.returncode == 1
    assert "demo/os-system" in loud.stdout
    assert len(list((folder / "reports").rglob("*.json"))) == 2
    approved.write_text("# none\n")
    assert shell(runner, script, approved, folder).returncode == 2


@installs
def test_pre_commit_runs_the_hooks_on_a_commit(tmp_path: Path) -> None:
    pre_commit = tool("pre-commit")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    passes("git", "clone", "--quiet", ROOT, ours)
    passes("git", "init", "--quiet", theirs)
    (theirs / "fine.pkl").write_bytes(pickle.dumps([1]))
    (theirs / "bad.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (theirs / "code.py").write_text("hf_hub_download('org/m', 'x')\n")
    (theirs / "other.py").write_text("x = 1\n")
    passes("git", "add", ".", cwd=theirs)
    env = {"PRE_COMMIT_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}

    def try_repo(hook: str, *files: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [pre_commit, "try-repo", ours, hook, "--files", *files],
            capture_output=True,
            encoding="utf-8",
            timeout=110,
            check=False,
            cwd=theirs,
            env=os.environ | env,
        )

    bad = try_repo("hubaudit-scan", "fine.pkl", "bad.pkl")
    assert bad.returncode == 1, bad.stdout
    assert "os.system" in bad.stdout
    assert try_repo("hubaudit-scan", "fine.pkl", "code.py").returncode == 0
    unpinned = try_repo("hubaudit-pins", "code.py", "other.py")
    assert unpinned.returncode == 1
    assert "code.py:1:1: not pinned" in unpinned.stdout
    assert try_repo("hubaudit-pins", "other.py").returncode == 0
