from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

import hubaudit
from hubaudit.demo.exchange import Answer
from hubaudit.demo.faults import Alter, Run, Status, html_page
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.errors import (
    AccessDenied,
    ConfigError,
    GatedRepository,
    HubAnswerInvalid,
    HubauditError,
    RepositoryMissing,
    RepositoryRenamed,
    RevisionMissing,
)
from hubaudit.hub.client import HubClient
from tests.hub.conftest import FILES, Connect, Read, listed, part, pinned, whole


def one_line(error: HubauditError) -> str:
    """The message, after a look at its form: one line of what happened, one of what to do."""
    assert str(error)
    assert error.hint
    assert "\n" not in str(error) + error.hint
    return str(error)


def altered(change: Any) -> Alter:
    """The fault that puts an answer's JSON through `change`."""

    def alter(answer: Answer) -> Answer:
        body = json.dumps(change(json.loads(answer.body))).encode()
        return replace(answer, body=body)

    return Alter(alter)


def test_pinning_resolves_a_revision_once_and_says_what_was_asked(
    repo: HubRepo, hub: StandInHub, connect: Connect
) -> None:
    ref = pinned(connect())
    assert (ref.repo_id, ref.repo_type, ref.revision) == ("org/model", "model", "main")
    assert (ref.commit_hash, ref.endpoint) == (repo.sha, hub.endpoint)
    assert len(hub.requests) == 1


def test_a_branch_a_tag_a_pull_request_and_a_commit_can_be_pinned(
    repo: HubRepo, connect: Connect
) -> None:
    repo.tag("v1")
    first = repo.sha
    repo.branch("feature/x")
    pull = repo.pull_request(1, {"pr.bin": b"pr"})
    second = repo.commit({"b.bin": b"2"})
    client = connect()
    found = [
        pinned(client, revision=r).commit_hash
        for r in ("main", "v1", "feature/x", "refs/pr/1", first)
    ]
    assert found == [second, first, first, pull, first]


@pytest.mark.parametrize(
    ("repo_id", "repo_type", "path"),
    [("org/data", "dataset", "d.bin"), ("org/app", "space", "a.bin")],
)
def test_datasets_and_spaces_are_pinned_listed_and_read(
    connect: Connect, repo_id: str, repo_type: Any, path: str
) -> None:
    client = connect()
    ref = pinned(client, repo_id, repo_type=repo_type)
    file = next(f for f in client.list_files(ref).files if f.path == path)
    assert client.download(ref, file).read_bytes() == client.open_range(ref, file).read(0, 99)


def test_after_the_pin_every_request_names_the_commit(
    repo: HubRepo, hub: StandInHub, connect: Connect
) -> None:
    client = connect()
    ref = pinned(client)
    sha = repo.sha
    hub.fault(Run(lambda: repo.commit({"pytorch_model.bin": b"other"})), path="/tree/", times=1)
    listing = client.list_files(ref)
    assert {f.path for f in listing.files} == set(FILES)
    for file in listing.files:
        assert client.open_range(ref, file).read(0, file.size) == FILES[file.path]
        assert client.download(ref, file).read_bytes() == FILES[file.path]
    asked = [r.path for r in hub.requests if r.host == "hub"]
    assert [sha in path for path in asked] == [False] + [True] * (len(asked) - 1)


def test_requests_name_hubaudit_and_its_version(hub: StandInHub, connect: Connect) -> None:
    client = connect()
    repo, file = listed(client, "pytorch_model.bin")
    client.open_range(repo, file).read(0, 1)
    client.download(repo, file)
    assert len(hub.requests) > 5
    for request in hub.requests:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["user-agent"].startswith(f"hubaudit/{hubaudit.__version__};")


def test_a_one_word_id_is_followed_to_its_repository(connect: Connect) -> None:
    assert pinned(connect(), "gpt2").repo_id == "openai-community/gpt2"


def test_letter_case_is_no_rename(hub: StandInHub, connect: Connect) -> None:
    hub.fault(altered(lambda info: info | {"id": "Org/Model"}), path="/revision/")
    assert pinned(connect()).repo_id == "Org/Model"


def test_a_renamed_repository_is_not_followed(connect: Connect) -> None:
    with pytest.raises(RepositoryRenamed, match="new-org/moved") as caught:
        pinned(connect(), "org/old")
    assert "new-org/moved" in caught.value.hint
    one_line(caught.value)


def test_a_one_word_id_that_leads_to_another_name_is_a_rename(
    hub: StandInHub, connect: Connect
) -> None:
    hub.fault(altered(lambda info: info | {"id": "evil/notgpt2"}), path="community/gpt2/revision/")
    with pytest.raises(RepositoryRenamed):
        pinned(connect(), "gpt2")


@pytest.mark.parametrize("repo_id", ["org/nothing", "org/secret"])
def test_missing_and_private_cannot_be_told_apart_without_a_token(
    connect: Connect, repo_id: str
) -> None:
    with pytest.raises(RepositoryMissing) as caught:
        pinned(connect(), repo_id)
    assert "missing, private or renamed away" in one_line(caught.value)
    assert "HF_TOKEN" in caught.value.hint


def test_a_private_repository_is_read_with_a_token(connect: Connect) -> None:
    client = connect(token="hf_reader")
    ref = pinned(client, "org/secret")
    file = client.list_files(ref).files[0]
    assert client.download(ref, file).read_bytes() == b"secret"
    assert client.open_range(ref, file).read(0, 99) == b"secret"


def test_the_token_of_the_environment_is_used(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    assert pinned(connect(token=None), "org/secret").repo_id == "org/secret"


def test_a_repository_that_the_token_does_not_see_is_missing(connect: Connect) -> None:
    with pytest.raises(RepositoryMissing, match="may not see it") as caught:
        pinned(connect(token="hf_stranger"), "org/secret")
    one_line(caught.value)


def test_a_token_file_that_cannot_be_read_is_a_matter_of_settings(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_bytes(b"no folder")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "home" / "token"))
    with pytest.raises(ConfigError, match="token") as caught:
        connect(token=None)
    assert "HF_HOME" in one_line(caught.value) + caught.value.hint


def test_a_bad_token_is_named_as_the_reason(connect: Connect) -> None:
    with pytest.raises(AccessDenied, match="does not accept the token") as caught:
        pinned(connect(token="hf_wrong"))
    one_line(caught.value)


@pytest.mark.parametrize("token", ["hf_ü", "hf_a\nb"])
def test_a_token_that_no_header_can_hold_is_refused_before_it_is_sent(
    hub: StandInHub, connect: Connect, token: str
) -> None:
    with pytest.raises(AccessDenied):
        connect(token=token)
    assert hub.requests == []


def test_a_token_that_must_be_there_and_is_not_is_an_error(connect: Connect) -> None:
    with pytest.raises(AccessDenied, match="no token"):
        connect(token=True)


def test_an_unknown_revision_is_named(connect: Connect) -> None:
    with pytest.raises(RevisionMissing, match="'nope'") as caught:
        pinned(connect(), revision="nope")
    one_line(caught.value)


def test_a_commit_that_vanished_is_a_missing_revision(repo: HubRepo, connect: Connect) -> None:
    client = connect()
    ref = pinned(client)
    repo.force_push({"other.bin": b"1"})
    with pytest.raises(RevisionMissing, match=ref.commit_hash):
        client.list_files(ref)


@pytest.mark.parametrize("token", [False, "hf_stranger"])
@pytest.mark.parametrize("read", [whole, part])
def test_a_gated_repository_is_listed_but_its_files_ask_for_access(
    hub: StandInHub, connect: Connect, token: Any, read: Read
) -> None:
    client = connect(token=token)
    ref = pinned(client, "org/gated")
    file = next(f for f in client.list_files(ref).files if f.path == "a.bin")
    with pytest.raises(GatedRepository) as caught:
        read(client, ref, file)
    one_line(caught.value)
    assert f"{hub.endpoint}/org/gated" in caught.value.hint


def test_a_disabled_repository_is_named_as_that(connect: Connect) -> None:
    with pytest.raises(AccessDenied, match="disabled") as caught:
        pinned(connect(), "org/off")
    one_line(caught.value)


@pytest.mark.parametrize("read", [whole, part])
def test_a_repository_disabled_after_the_pin_is_named_as_that(
    repo: HubRepo, connect: Connect, read: Read
) -> None:
    client = connect()
    ref, file = listed(client, "pytorch_model.bin")
    repo.disabled = True
    with pytest.raises(AccessDenied, match="disabled"):
        read(client, ref, file)


def test_no_scope_is_access_denied_with_the_hubs_own_words(
    hub: StandInHub, connect: Connect
) -> None:
    hub.fault(Status(403, {"X-Error-Message": "Your token lacks a scope"}), path="/revision/")
    with pytest.raises(AccessDenied, match="lacks a scope"):
        pinned(connect(token="hf_reader"))


@pytest.mark.parametrize(
    "change",
    [
        lambda info: [],
        lambda info: None,
        lambda info: {"id": "org/model"},
        lambda info: info | {"sha": "main"},
        lambda info: info | {"sha": 5},
        lambda info: info | {"sha": "A" * 40},
        lambda info: info | {"id": 5},
        lambda info: info | {"id": "../../x"},
        lambda info: info | {"id": ""},
    ],
)
def test_an_odd_answer_to_the_pin_is_invalid(
    hub: StandInHub, connect: Connect, change: Any
) -> None:
    hub.fault(altered(change), path="/revision/")
    with pytest.raises(HubAnswerInvalid) as caught:
        pinned(connect())
    one_line(caught.value)


def test_another_commit_than_the_one_asked_for_is_invalid(
    repo: HubRepo, hub: StandInHub, connect: Connect
) -> None:
    hub.fault(altered(lambda info: info | {"sha": "b" * 40}), path="/revision/")
    with pytest.raises(HubAnswerInvalid):
        pinned(connect(), revision=repo.sha)


@pytest.mark.parametrize("code", [200, 404, 418])
def test_a_web_page_where_json_belongs_is_invalid(
    hub: StandInHub, connect: Connect, code: int
) -> None:
    hub.fault(html_page(code), path="/revision/")
    with pytest.raises(HubAnswerInvalid, match=r"html|answered") as caught:
        pinned(connect())
    one_line(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_no_json_at_all_is_invalid(hub: StandInHub, connect: Connect, body: bytes) -> None:
    hub.fault(Status(200, {"Content-Type": "application/json"}, body), path="/tree/")
    with pytest.raises(HubAnswerInvalid):
        listed(connect(), "config.json")


def test_a_listing_goes_over_all_its_pages(
    repo: HubRepo, hub: StandInHub, connect: Connect
) -> None:
    files = {f"d{i % 3}/f{i:03}.bin": b"x" for i in range(50)}
    repo.commit(files)
    client = connect()
    listing = client.list_files(pinned(client))
    assert [f.path for f in listing.files] == sorted(files)
    assert listing.unread == ()
    assert sum("/tree/" in r.path for r in hub.requests) > 10


def linked(make: Any) -> Alter:
    def alter(answer: Answer) -> Answer:
        return answer.having({"Link": f'<{make(answer)}>; rel="next"'})

    return Alter(alter)


def test_a_listing_that_goes_on_at_another_server_is_invalid(
    hub: StandInHub, connect: Connect
) -> None:
    hub.fault(linked(lambda _: f"{hub.cdn}/api/models/org/model/tree/x"), path="/tree/")
    with pytest.raises(HubAnswerInvalid, match="another server"):
        listed(connect(token="hf_reader"), "config.json")
    assert not [r for r in hub.requests if r.host == "cdn"]


@pytest.mark.parametrize("suffix", ["", "&n={n}"])
def test_a_listing_that_never_ends_is_invalid(
    hub: StandInHub, connect: Connect, suffix: str
) -> None:
    client = connect()
    ref = pinned(client)
    tree = f"{hub.endpoint}/api/models/org/model/tree/{ref.commit_hash}?recursive=true&expand=true"
    hub.fault(linked(lambda _: tree + suffix.format(n=len(hub.requests))), path="/tree/")
    with pytest.raises(HubAnswerInvalid, match="does not end"):
        client.list_files(ref)


def test_a_token_stays_with_the_endpoint_when_an_api_answer_redirects_elsewhere(
    hub: StandInHub, connect: Connect
) -> None:
    hub.fault(Status(307, {"Location": f"{hub.cdn}/elsewhere"}), path="/revision/")
    with pytest.raises(HubauditError):
        pinned(connect(token="hf_reader"))
    elsewhere = [r for r in hub.requests if r.host == "cdn"]
    assert elsewhere
    assert not any("authorization" in {n.lower() for n in r.headers} for r in elsewhere)


@pytest.mark.parametrize("location", ["http://[x", "ftp://x/y", "http://127.0.0.1:99999/", ""])
def test_a_redirect_to_nowhere_is_an_error_of_ours(
    hub: StandInHub, connect: Connect, location: str
) -> None:
    hub.fault(Status(307, {"Location": location}), path="/revision/")
    with pytest.raises(HubauditError) as caught:
        pinned(connect())
    one_line(caught.value)


def test_redirects_in_a_circle_are_an_error_of_ours(hub: StandInHub, connect: Connect) -> None:
    hub.fault(Status(307, {"Location": "/api/models/org/model/revision/main"}), path="/revision/")
    with pytest.raises(HubAnswerInvalid):
        pinned(connect())


@pytest.mark.parametrize("endpoint", ["hub", "ftp://hub", "http://", "http://[x", "http://h:99999"])
def test_an_endpoint_that_is_no_url_is_a_configuration_error(endpoint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HubClient(endpoint=endpoint)
    one_line(caught.value)


def test_an_endpoint_with_credentials_is_refused_without_repeating_them() -> None:
    with pytest.raises(ConfigError) as caught:
        HubClient(endpoint="http://user:secret@hub.example.org")
    assert "secret" not in one_line(caught.value)


def test_the_configured_endpoint_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example.org")
    assert HubClient().endpoint == "http://hub.example.org"
    assert HubClient(endpoint="http://other.example.org/").endpoint == "http://other.example.org"
