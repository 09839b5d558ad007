"""The stand-in refuses and redirects as the Hub does."""

from __future__ import annotations

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from tests.demo.hubclient import ask


@pytest.mark.parametrize(
    "path", ["/api/models/org/model/revision/x", "/org/model/resolve/x/config.json"]
)
def test_a_missing_revision_says_so(hub: StandInHub, path: str) -> None:
    got = ask(hub, path)
    assert (got.status, got.header("X-Error-Code")) == (404, "RevisionNotFound")
    assert got.header("X-Error-Message") == "Invalid rev id: x"


@pytest.mark.parametrize("repo_id", ["org/secret", "org/nothing"])
def test_private_and_missing_are_told_apart_by_nobody_who_may_not_know(
    hub: StandInHub, repo_id: str
) -> None:
    for path in (f"/api/models/{repo_id}", f"/{repo_id}/resolve/main/a.bin"):
        anonymous = ask(hub, path)
        assert (anonymous.status, anonymous.headers["X-Error-Code"]) == (401, None)
        assert anonymous.header("X-Error-Message") == "Invalid username or password."
        assert anonymous.header("WWW-Authenticate").startswith("Bearer realm=")
        stranger = ask(hub, path, token="hf_stranger")
        assert (stranger.status, stranger.header("X-Error-Code")) == (404, "RepoNotFound")


def test_whoever_is_allowed_sees_a_private_repository(hub: StandInHub) -> None:
    assert ask(hub, "/api/models/org/secret", token="hf_reader").json["private"] is True
    listed = ask(hub, "/api/models?author=org&limit=50", token="hf_reader").json
    assert "org/secret" in [item["id"] for item in listed]
    listed = ask(hub, "/api/models?author=org&limit=50").json
    assert "org/secret" not in [item["id"] for item in listed]


def test_a_gated_repository_shows_its_names_and_keeps_its_files(hub: StandInHub) -> None:
    for path in ("", "/tree/main", "/refs", "/commits/main"):
        assert ask(hub, f"/api/models/org/gated{path}").status == 200
    sha = hub.repo("org/gated").sha
    cached = f"/api/resolve-cache/models/org/gated/{sha}/b.txt"
    for path in (
        "/org/gated/resolve/main/a.bin",
        "/org/gated/raw/main/b.txt",
        cached,
        "/api/models/org/gated/auth-check",
    ):
        anonymous = ask(hub, path)
        assert (anonymous.status, anonymous.header("X-Error-Code")) == (401, "GatedRepo")
        stranger = ask(hub, path, token="hf_stranger")
        assert (stranger.status, stranger.header("X-Error-Code")) == (403, "GatedRepo")
        assert ask(hub, path, token="hf_reader").status in (200, 302)


def test_a_disabled_repository_says_so(hub: StandInHub) -> None:
    got = ask(hub, "/api/models/org/off")
    assert (got.status, got.header("X-Error-Message")) == (
        403,
        "Access to this resource is disabled.",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/api/models/org/model",
        "/api/models",
        "/org/model/resolve/main/config.json",
        "/api/whoami-v2",
    ],
)
def test_an_unknown_token_is_refused_even_for_what_is_public(hub: StandInHub, path: str) -> None:
    got = ask(hub, path, token="hf_wrong")
    assert got.status == 401
    assert got.header("X-Error-Message") == "Invalid credentials in Authorization header"


def test_a_renamed_repository_redirects_every_address_and_keeps_its_key(
    hub: StandInHub, repo: HubRepo
) -> None:
    key = repo.object_key
    hub.rename("org/model", "org/renamed")
    got = ask(hub, "/api/models/org/model/tree/main?recursive=true")
    assert (got.status, got.header("Location")) == (
        307,
        "/api/models/org/renamed/tree/main?recursive=true",
    )
    got = ask(hub, "/org/model/resolve/main/config.json", "HEAD")
    assert (got.status, got.header("Location")) == (307, "/org/renamed/resolve/main/config.json")
    assert ask(hub, "/api/models/org/renamed").json["_id"] == key


def test_a_one_word_id_redirects_to_its_canonical_name(hub: StandInHub) -> None:
    for path in ("/api/models/gpt2", "/api/models/gpt2/tree/main", "/gpt2/resolve/main/a.txt"):
        got = ask(hub, path)
        assert (got.status, got.header("Location")) == (
            307,
            path.replace("gpt2", "openai-community/gpt2"),
        )


def test_a_name_that_no_header_can_hold_is_refused_in_one_line(hub: StandInHub) -> None:
    got = ask(hub, "/api/models/org/model/revision/a%0D%0AX-Evil:%201%E2%82%AC")
    assert got.status == 404
    assert got.headers["X-Evil"] is None
    assert got.header("X-Error-Message") == "Invalid rev id: a??X-Evil: 1?"
    assert got.json["error"] == "Invalid rev id: a\r\nX-Evil: 1\u20ac"
