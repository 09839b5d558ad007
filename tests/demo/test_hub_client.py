"""The unmodified client works against the stand-in Hub."""

from __future__ import annotations

from pathlib import Path

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repository import file_scan
from tests.demo.hubclient import FILES, WEIGHTS, run_client


def test_the_client_reads_everything_about_a_repository(
    hub: StandInHub, repo: HubRepo, tmp_path: Path
) -> None:
    repo.scans["pytorch_model.bin"] = file_scan("unsafe", [("posix", "system", "dangerous")])
    script = """
info = api.model_info("org/model", files_metadata=True)
out["info"] = [info.sha, info.gated, len(info.siblings)]
out["issues"] = api.model_info("org/model", securityStatus=True).security_repo_status
out["dataset"] = api.dataset_info("org/data").id
out["space"] = api.space_info("org/app").sdk
out["legacy"] = api.model_info("gpt2").id
out["tree"] = {f.path: type(f).__name__ for f in api.list_repo_tree("org/model", recursive=True, expand=True)}
[bad] = [f for f in api.list_repo_tree("org/model", expand=True) if f.path == "pytorch_model.bin"]
imports = bad.security.pickle_import_scan["pickleImports"]
out["security"] = [bad.security.safe, bad.security.status, imports[0]["name"]]
out["paths"] = [f.path for f in api.get_paths_info("org/model", ["config.json", "onnx", "nope"], expand=True)]
refs = api.list_repo_refs("org/model", include_pull_requests=True)
out["refs"] = [r.ref for kind in (refs.branches, refs.tags, refs.converts, refs.pull_requests) for r in kind]
out["commits"] = [c.title for c in api.list_repo_commits("org/model", formatted=True)]
out["revisions"] = [api.revision_exists("org/model", r) for r in ("refs/pr/1", "nope")]
out["models"] = [m.id for m in api.list_models(author="org", expand=["sha"])]
out["collection"] = [i.item_id for i in api.get_collection("org/approved-0123456789abcdef01234567").items]
out["whoami"] = api.whoami(token="hf_reader")["name"]
"""
    out = run_client(hub, tmp_path, script)
    assert out["info"] == [repo.sha, False, 8]
    assert out["issues"] == {
        "scansDone": False,
        "filesWithIssues": [{"path": "pytorch_model.bin", "level": "unsafe"}],
    }
    assert (out["dataset"], out["space"], out["legacy"]) == (
        "org/data",
        "gradio",
        "openai-community/gpt2",
    )
    assert out["tree"] == dict.fromkeys([*FILES, "new.txt"], "RepoFile") | {
        "onnx": "RepoFolder",
        "onnx/sub": "RepoFolder",
    }
    assert out["security"] == [False, "unsafe", "system"]
    assert out["paths"] == ["config.json", "onnx"]
    assert out["refs"] == [
        "refs/heads/main",
        "refs/heads/dev",
        "refs/tags/v1",
        "refs/convert/parquet",
        "refs/pr/1",
    ]
    assert out["commits"] == ["second", "initial commit"]
    assert out["revisions"] == [True, False]
    assert out["models"] == ["org/gated", "org/model", "org/off"]
    assert out["collection"] == ["org/model"]
    assert out["whoami"] == "reader"


def test_the_client_downloads_verifies_and_asks_nothing_the_second_time(
    hub: StandInHub, repo: HubRepo, tmp_path: Path
) -> None:
    script = f"""
from pathlib import Path
for name in {sorted(FILES)!r}:
    out[name] = Path(hf_hub_download("org/model", name, revision={repo.sha!r})).read_bytes().hex()
"""
    out = run_client(hub, tmp_path, script, {"HF_TOKEN": "hf_reader"})
    assert {name: bytes.fromhex(content) for name, content in out.items()} == FILES
    at_cdn = [request for request in hub.requests if request.host == "cdn"]
    assert len(at_cdn) == 3
    assert not any("authorization" in request.headers for request in at_cdn)
    hub.clear_log()
    assert run_client(hub, tmp_path, script) == out
    assert hub.requests == []
    script = f"v = api.verify_repo_checksums('org/model', revision={repo.sha!r})"
    script += "\nout['v'] = [v.checked_count, v.mismatches, v.extra_paths]"
    checked = run_client(hub, tmp_path, script)
    assert checked == {"v": [len(FILES), [], []]}


def test_the_client_downloads_a_snapshot_in_threads_and_a_ranged_zip_tail(
    hub: StandInHub, repo: HubRepo, tmp_path: Path
) -> None:
    script = f"""
from pathlib import Path
top = Path(snapshot_download("org/model", revision={repo.sha!r}))
out["files"] = sorted(p.relative_to(top).as_posix() for p in top.rglob("*") if p.is_file())
at = "org/model@{repo.sha}/pytorch_model.bin"
with HfFileSystem().open(at, "rb", block_size=65536, cache_type="none") as f:
    f.seek(-3, 2)
    out["tail"] = f.read(3).hex()
"""
    out = run_client(hub, tmp_path, script)
    assert out["files"] == sorted([*FILES, "new.txt"])
    assert bytes.fromhex(out["tail"]) == WEIGHTS[-3:]
    assert hub.requests[-1].headers["range"] == "bytes=255997-255999"


def test_the_client_raises_its_own_error_for_each_refusal(hub: StandInHub, tmp_path: Path) -> None:
    script = """
def error(call, *args, **kwargs):
    try:
        return repr(call(*args, **kwargs))
    except Exception as e:
        return type(e).__name__
out["revision"] = error(api.model_info, "org/model", revision="nope")
out["entry"] = error(hf_hub_download, "org/model", "nope.bin")
out["gated"] = error(hf_hub_download, "org/gated", "a.bin")
out["gated, known"] = error(hf_hub_download, "org/gated", "a.bin", token="hf_stranger")
out["gated, check"] = error(api.auth_check, "org/gated")
out["allowed"] = error(api.auth_check, "org/gated", token="hf_reader")
out["disabled"] = error(api.model_info, "org/off")
out["missing, known"] = error(api.model_info, "org/nothing", token="hf_reader")
out["missing"] = error(api.model_info, "org/nothing")
out["token"] = error(api.model_info, "org/model", token="hf_wrong")
out["whoami"] = error(api.whoami, token="hf_wrong")
"""
    assert run_client(hub, tmp_path, script) == {
        "revision": "RevisionNotFoundError",
        "entry": "RemoteEntryNotFoundError",
        "gated": "GatedRepoError",
        "gated, known": "GatedRepoError",
        "gated, check": "GatedRepoError",
        "allowed": "None",
        "disabled": "DisabledRepoError",
        "missing, known": "RepositoryNotFoundError",
        # Over plain http the client cannot tell: its rule for a bare 401 asks for https.
        "missing": "HfHubHTTPError",
        "token": "HfHubHTTPError",
        "whoami": "HfHubHTTPError",
    }
