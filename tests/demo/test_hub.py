"""What the stand-in answers about a repository."""

from __future__ import annotations

import hashlib

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repository import file_scan
from tests.demo.hubclient import FILES, WEIGHTS, ask


@pytest.mark.parametrize(
    "revision",
    ["main", "HEAD", "v1", "refs%2Fheads%2Fmain", "refs%2Ftags%2Fv1", "refs%2Fconvert%2Fparquet"],
)
def test_every_spelling_of_a_revision_names_its_commit(
    hub: StandInHub, repo: HubRepo, revision: str
) -> None:
    assert ask(hub, f"/api/models/org/model/revision/{revision}").json["sha"] == repo.sha


def test_full_and_short_shas_name_their_commit_and_six_digits_do_not(
    hub: StandInHub, repo: HubRepo
) -> None:
    old = repo.refs["refs/heads/dev"]
    assert ask(hub, f"/api/models/org/model/revision/{old}").json["sha"] == old
    assert ask(hub, f"/api/models/org/model/revision/{old[:7]}").json["sha"] == old
    assert ask(hub, f"/api/models/org/model/revision/{old[:6]}").status == 404


def test_expand_gives_the_asked_keys_and_no_others(hub: StandInHub, repo: HubRepo) -> None:
    got = ask(hub, "/api/models/org/model?expand=sha&expand=gated&expand=nonsense").json
    assert got == {"_id": repo.object_key, "id": "org/model", "sha": repo.sha, "gated": False}


def test_blobs_give_each_sibling_its_git_id_size_and_lfs_sha256(hub: StandInHub) -> None:
    siblings = {
        s["rfilename"]: s for s in ask(hub, "/api/models/org/model?blobs=true").json["siblings"]
    }
    assert siblings["pytorch_model.bin"]["lfs"]["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert siblings["pytorch_model.bin"]["size"] == len(WEIGHTS)
    assert "lfs" not in siblings["config.json"]
    assert list(siblings) == sorted(siblings, key=str.encode)


def test_a_recursive_tree_is_paged_and_has_directories_first(
    hub: StandInHub, repo: HubRepo
) -> None:
    paths: list[str] = []
    url = f"/api/models/org/model/tree/{repo.sha}?recursive=true&expand=true"
    pages = 0
    while url:
        got = ask(hub, url)
        paths += [entry["path"] for entry in got.json]
        pages += 1
        link = got.headers["Link"] or ""
        assert not link or link.startswith(
            f"<{hub.endpoint}/api/models/org/model/tree/{repo.sha}?recursive=true&expand=true&cursor="
        )
        url = link.partition("<")[2].partition(">")[0]
    assert pages == 4
    assert paths == ["onnx", "onnx/sub", *sorted([*FILES, "new.txt"], key=str.encode)]


def test_a_tree_lists_the_children_of_a_directory_quoted_or_not(hub: StandInHub) -> None:
    for path in ("onnx%2Fsub", "onnx/sub"):
        assert [e["path"] for e in ask(hub, f"/api/models/org/model/tree/main/{path}").json] == [
            "onnx/sub/a.txt"
        ]
    top = ask(hub, "/api/models/org/model/tree/main/onnx").json
    assert [(e["type"], e["path"]) for e in top] == [
        ("directory", "onnx/sub"),
        ("file", "onnx/model.onnx"),
    ]


@pytest.mark.parametrize("path", ["nothing", "config.json"])
def test_a_tree_of_a_missing_path_or_of_a_file_is_a_missing_entry(
    hub: StandInHub, path: str
) -> None:
    got = ask(hub, f"/api/models/org/model/tree/main/{path}")
    assert (got.status, got.header("X-Error-Code")) == (404, "EntryNotFound")
    assert got.json == {"error": f'{path} does not exist on "main"'}


def test_a_moved_branch_gives_its_next_page_from_the_new_commit(
    hub: StandInHub, repo: HubRepo
) -> None:
    first = ask(hub, "/api/models/org/model/tree/main?recursive=true")
    repo.commit({"zzz.txt": b"1"})
    second = ask(hub, first.header("Link").partition("<")[2].partition(">")[0])
    assert [entry["path"] for entry in second.json] == ["zzz.txt"]


def test_expanded_entries_name_the_commit_that_last_changed_them(
    hub: StandInHub, repo: HubRepo
) -> None:
    rows = ask(hub, "/api/models/org/model/tree/main?expand=true&limit=50").json
    changed = {row["path"]: row["lastCommit"]["title"] for row in rows}
    assert changed["new.txt"] == "second"
    assert changed["config.json"] == changed["onnx"] == "initial commit"


def test_paths_info_takes_a_form_or_json_and_leaves_unknown_paths_out(hub: StandInHub) -> None:
    where = "/api/models/org/model/paths-info/main"
    form = ask(
        hub,
        where,
        "POST",
        body=b"paths=config.json&paths=nope&paths=onnx&expand=true",
        Content_Type="application/x-www-form-urlencoded",
    )
    same = ask(
        hub,
        where,
        "POST",
        body=b'{"paths":["config.json","nope","onnx"],"expand":true}',
        Content_Type="application/json",
    )
    assert [row["path"] for row in form.json] == ["config.json", "onnx"]
    assert form.json == same.json
    assert form.json[0]["securityFileStatus"]["status"] == "unscanned"
    assert ask(hub, where, "POST", body=b"[", Content_Type="application/json").status == 400


def test_refs_hold_pull_requests_only_where_asked_for(hub: StandInHub, repo: HubRepo) -> None:
    plain = ask(hub, "/api/models/org/model/refs").json
    assert [row["name"] for row in plain["branches"]] == ["main", "dev"]
    assert plain["tags"] == [{"name": "v1", "ref": "refs/tags/v1", "targetCommit": repo.sha}]
    assert plain["converts"][0]["ref"] == "refs/convert/parquet"
    assert "pullRequests" not in plain
    asked = ask(hub, "/api/models/org/model/refs?include_prs=1").json
    assert [row["ref"] for row in asked["pullRequests"]] == ["refs/pr/1"]


def test_commits_come_newest_first_with_their_count_and_a_next_page(
    hub: StandInHub, repo: HubRepo
) -> None:
    got = ask(hub, "/api/models/org/model/commits/main?limit=1&expand[]=formatted")
    assert [row["title"] for row in got.json] == ["second"]
    assert got.json[0]["formatted"]["title"] == "second"
    assert got.header("X-Total-Count") == "2"
    assert got.header("Link").endswith(
        'commits/main?expand%5B%5D=formatted&p=1&limit=1>; rel="next"'
    )
    last = ask(hub, "/api/models/org/model/commits/main?p=1&limit=1")
    assert [row["title"] for row in last.json] == ["initial commit"]
    assert last.headers["Link"] is None


def test_a_scan_result_changes_without_a_commit(hub: StandInHub, repo: HubRepo) -> None:
    assert ask(hub, "/api/models/org/model/scan").json == {
        "scansDone": False,
        "filesWithIssues": [],
    }
    sha = repo.sha
    repo.scans = {path: file_scan("safe") for path in repo.files}
    repo.scans["pytorch_model.bin"] = file_scan("unsafe", [("posix", "system", "dangerous")])
    issues = [{"path": "pytorch_model.bin", "level": "unsafe"}]
    assert ask(hub, "/api/models/org/model/scan").json == {
        "scansDone": True,
        "filesWithIssues": issues,
    }
    info = ask(hub, "/api/models/org/model?securityStatus=true").json
    assert info["securityRepoStatus"]["filesWithIssues"] == issues
    assert info["sha"] == sha


def test_a_repository_may_be_called_like_a_part_of_an_address() -> None:
    with StandInHub(
        [HubRepo("org/tree", {"a.txt": b"1"}), HubRepo("bert", {"a.txt": b"2"})]
    ) as hub:
        assert ask(hub, "/api/models/org/tree").json["id"] == "org/tree"
        assert ask(hub, "/api/models/org/tree/tree/main").json[0]["path"] == "a.txt"
        assert ask(hub, "/api/models/bert/tree/main").json[0]["path"] == "a.txt"
        where = ask(hub, "/bert/resolve/main/a.txt").header("Location")
        assert ask(hub, where).body == b"2"


def test_lists_filter_sort_and_page(hub: StandInHub, repo: HubRepo) -> None:
    assert [m["id"] for m in ask(hub, "/api/models?filter=pytorch").json] == ["org/model"]
    assert [m["id"] for m in ask(hub, "/api/models?search=GPT").json] == ["openai-community/gpt2"]
    assert [m["id"] for m in ask(hub, "/api/models?gated=true").json] == ["org/gated"]
    newest = ask(hub, "/api/models?sort=lastModified&expand=sha&limit=1")
    assert newest.json == [{"_id": repo.object_key, "id": "org/model", "sha": repo.sha}]
    assert 'rel="next"' in newest.header("Link")
    assert "sha" not in ask(hub, "/api/models?limit=1").json[0]
    assert "sha" in ask(hub, "/api/models?limit=1&full=true").json[0]


@pytest.mark.parametrize("query", ["limit=x", "p=-1", "limit=99999999999999"])
def test_a_query_that_is_no_number_is_refused(hub: StandInHub, query: str) -> None:
    assert ask(hub, f"/api/models/org/model/commits/main?{query}").status == 400
