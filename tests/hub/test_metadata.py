"""Info, refs and history: of the stand-in Hub, of recorded answers, and of a Hub that lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from hubaudit.demo.faults import Status
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import (
    HubAnswerInvalid,
    NotCached,
    RepositoryMissing,
    RevisionMissing,
)
from hubaudit.hub.metadata import History, Ref, read_commits, read_info, read_refs
from hubaudit.model import RepoRef
from tests.hub.conftest import FILES, Connect, pinned

RECORDINGS = Path(__file__).parents[3] / "shared/recordings/matrixhub-hfd"
A, B = "a" * 40, "b" * 40


def recorded(name: str) -> Any:
    path = RECORDINGS / f"{name}.json"
    if not path.is_file():
        pytest.skip("the recordings of the real Hub are not beside this repository")
    return json.loads(path.read_bytes())["response"]["json"]


def test_info_says_who_the_repository_is_in_one_request(
    repo: HubRepo, hub: StandInHub, connect: Connect
) -> None:
    repo.card_data = {"license": "mit"}
    info = connect().info("org/model")
    assert (info.repo_id, info.object_id, info.commit_hash) == (
        "org/model",
        repo.object_key,
        repo.sha,
    )
    assert (info.private, info.gated, info.disabled, info.licence) == (False, "no", False, "mit")
    assert len(hub.requests) == 1


def test_info_of_a_renamed_repository_has_its_new_id(connect: Connect) -> None:
    assert connect().info("org/old").repo_id == "new-org/moved"


@pytest.mark.parametrize(
    ("repo_id", "repo_type"),
    [("org/data", "dataset"), ("org/app", "space"), ("org/gated", "model")],
)
def test_info_is_had_of_every_type_and_of_gated_repositories(
    connect: Connect, repo_id: str, repo_type: Any
) -> None:
    info = connect().info(repo_id, repo_type)
    assert info.repo_id == repo_id
    assert info.gated == {"org/gated": "manual", "org/app": None}.get(repo_id, "no")


def test_a_missing_repository_is_missing_for_info_and_refs(connect: Connect) -> None:
    client = connect()
    for ask in (client.info, client.refs):
        with pytest.raises(RepositoryMissing):
            ask("org/none")


def test_refs_are_branches_tags_and_pull_requests_with_their_commits(
    repo: HubRepo, hub: StandInHub, connect: Connect
) -> None:
    repo.tag("v1")
    first = repo.sha
    request = repo.pull_request(1, FILES | {"model.safetensors": b"x"})
    assert connect().refs("org/model") == (
        Ref("branch", "main", "refs/heads/main", first),
        Ref("pull-request", "1", "refs/pr/1", request),
        Ref("tag", "v1", "refs/tags/v1", first),
    )
    assert len(hub.requests) == 1


def test_a_history_is_newest_first_and_says_whether_it_is_whole(
    repo: HubRepo, connect: Connect
) -> None:
    commits = [repo.sha, *(repo.commit(FILES | {"n": b"%d" % n}) for n in range(7))][::-1]
    client = connect()
    assert client.history(pinned(client), 100) == History(tuple(commits), whole=True)
    assert client.history(pinned(client), 3) == History(tuple(commits[:3]), whole=False)
    assert client.history(pinned(client), 8).whole


def test_the_history_of_a_commit_that_is_gone_is_an_error(repo: HubRepo, connect: Connect) -> None:
    client = connect()
    before = pinned(client)
    repo.force_push({"a": b"b"})
    with pytest.raises(RevisionMissing):
        client.history(before, 10)


def test_a_history_that_does_not_end_is_an_error(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    ref = pinned(client)
    link = {"Link": f'<{hub.endpoint}/api/models/org/model/commits/x?p=1>; rel="next"'}
    body = json.dumps([{"id": A}]).encode()
    hub.fault(Status(200, link | {"Content-Type": "application/json"}, body), path="/commits/")
    with pytest.raises(HubAnswerInvalid, match="does not end"):
        client.history(ref, 100)


def test_offline_nobody_is_asked(
    hub: StandInHub, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    client = connect()
    ref = RepoRef("org/model", "model", "main", A, hub.endpoint)
    for ask in (client.info, client.refs):
        with pytest.raises(NotCached):
            ask("org/model")
    with pytest.raises(NotCached):
        client.history(ref, 1)
    assert not hub.requests


def test_recorded_answers_of_the_real_hub_are_understood() -> None:
    info = read_info(recorded("models.revision"))
    assert (info.repo_id, info.object_id) == ("wzshiming/gpt2", "6ab2b9f6148b5cae56d6e842")
    assert (info.gated, info.private, info.licence) == ("no", False, "mit")
    commit = "ae329b6937f31305a0d6c6779f6cd4072cc4097e"
    assert info.commit_hash == commit
    assert read_refs(recorded("models.refs")) == (Ref("branch", "main", "refs/heads/main", commit),)
    assert read_commits(recorded("models.commits.limit")) == (commit,)
    for name in ("datasets.info", "spaces.info"):
        assert read_info(recorded(name)).object_id


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"id": 5}, {"id": "../../x"}, {"id": "a/b/c"}, {"id": "a\nb"}]
)
def test_info_without_a_usable_id_is_an_error(answer: Any) -> None:
    with pytest.raises(HubAnswerInvalid):
        read_info(answer)


def test_what_info_does_not_say_is_none_and_not_guessed() -> None:
    info = read_info({"id": "a/b", "_id": ["x"], "sha": "main", "private": "no", "gated": 5})
    assert (info.object_id, info.commit_hash, info.private, info.gated) == (None,) * 4
    assert info.licence is None


def test_the_licence_is_the_cards_and_else_the_tags() -> None:
    tags = ["license:mit", 5, "region:us"]
    assert read_info({"id": "a", "tags": tags}).licence == "mit"
    assert read_info({"id": "a", "tags": tags, "cardData": {"license": "gpl"}}).licence == "gpl"
    both = read_info({"id": "a", "cardData": {"license": ["mit", "apache-2.0", None]}})
    assert both.licence == "mit, apache-2.0"


def ref(**other: Any) -> dict[str, Any]:
    return {"name": "main", "ref": "refs/heads/main", "targetCommit": A} | other


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"branches": "main"},
        {"branches": [ref(targetCommit="main")]},
        {"branches": [ref(ref="refs/tags/main")]},
        {"branches": [ref(ref="refs/heads/../x")]},
        {"branches": [ref(), ref(targetCommit=B)]},
        {"tags": [None]},
    ],
)
def test_a_ref_that_cannot_be_one_is_an_error(answer: Any) -> None:
    with pytest.raises(HubAnswerInvalid):
        read_refs(answer)


@pytest.mark.parametrize("answer", [{}, [{}], [{"id": "main"}], [A]])
def test_a_history_without_hashes_is_an_error(answer: Any) -> None:
    with pytest.raises(HubAnswerInvalid):
        read_commits(answer)
