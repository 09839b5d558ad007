"""The stand-in's object ids are git's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hubaudit.demo.gitobjects import lfs_pointer, object_id, tree_entries
from hubaudit.demo.hub import HubRepo

FILES = {
    "README.md": b"# hello\n",
    "a/b/c.txt": b"deep",
    "a-b": b"sorts between a and a/",
    "a.txt": b"",
    "weights.bin": bytes(range(256)) * 20,
    "ünï code.txt": b"name",
}


def test_the_empty_blob_and_tree_have_the_ids_everybody_knows() -> None:
    assert object_id("blob", b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert (
        tree_entries({}, lambda path, size: False)[""].oid
        == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    )


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_gives_the_same_commit_its_tree_and_its_blobs_the_same_ids(tmp_path: Path) -> None:
    repo = HubRepo("org/model", FILES)
    second = repo.commit(FILES | {"new.txt": b"new"}, "second\n\nwith a body")
    when = [
        str(repo.commits[sha].timestamp) + " +0000" for sha in (repo.history(second)[1].sha, second)
    ]

    def git(*command: str, date: str = "") -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": "Stand-in Hub", f"GIT_{role}_EMAIL": "hub@localhost"}
            env |= {f"GIT_{role}_DATE": date} if date else {}
        run = subprocess.run(
            ["git", *command], cwd=tmp_path, env=env, capture_output=True, check=True
        )
        return run.stdout.decode().strip()

    def write(files: dict[str, bytes]) -> None:
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            held = lfs_pointer(content) if path.endswith(".bin") else content
            (tmp_path / path).write_bytes(held)
        git("add", "-A")

    git("init", "-q")
    write(FILES)
    git("commit", "-q", "-m", "initial commit", date=when[0])
    write({"new.txt": b"new"})
    git("commit", "-q", "-m", "second\n\nwith a body", date=when[1])

    assert git("rev-parse", "HEAD") == second
    assert git("rev-parse", "HEAD~1") == repo.history(second)[1].sha
    listed = git(
        "-c",
        "core.quotePath=false",
        "ls-tree",
        "-r",
        "-t",
        "--format=%(objectname) %(path)",
        "HEAD",
    )
    entries = repo.commits[second].entries
    assert sorted(listed.splitlines()) == sorted(
        f"{e.oid} {e.path}" for e in entries.values() if e.path
    )


def test_an_lfs_file_has_the_pointers_blob_id_and_the_contents_sha256() -> None:
    entry = (
        HubRepo("org/model", FILES).commits[HubRepo("org/model", FILES).sha].entries["weights.bin"]
    )
    assert entry.lfs is not None
    assert entry.lfs.sha256 == hashlib.sha256(FILES["weights.bin"]).hexdigest()
    assert entry.oid == object_id("blob", lfs_pointer(FILES["weights.bin"]))
    assert (entry.size, entry.lfs.pointer_size) == (5120, 129)


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a")])
def test_a_path_that_is_both_file_and_directory_is_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="a file and a directory"):
        HubRepo("org/model", dict.fromkeys(paths, b""))


def test_a_force_push_makes_the_old_commit_vanish_and_a_tag_keeps_it() -> None:
    repo = HubRepo("org/model", {"a": b"1"})
    tagged = repo.sha
    repo.tag("v1")
    lost = repo.commit({"a": b"2"})
    kept = repo.force_push({"a": b"3"})
    assert repo.resolve(lost) is None
    assert set(repo.commits) == {tagged, kept}
    assert [commit.sha for commit in repo.history(kept)] == [kept]


def test_the_same_commits_have_the_same_ids_on_every_run() -> None:
    assert HubRepo("org/model", {"a": b"1"}).sha == "3244e0aeef123cf6e8b035e9d7c6c0ef236e61c6"
