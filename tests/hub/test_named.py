"""What the Hub lists by name: collections, what an owner has, and how a repository stands."""

from __future__ import annotations

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repository import file_scan
from hubaudit.errors import HubUnreachable, RepositoryMissing, UsageError
from hubaudit.events import ignore
from hubaudit.hub.named import collected, owned
from hubaudit.model import Target
from tests.hub.conftest import Connect

SLUG = "org/approved-0123456789abcdef01234567"


def test_a_collection_gives_its_repositories_and_says_what_else_it_has(connect: Connect) -> None:
    items = [
        {"type": "model", "id": "org/model", "note": {"text": f"approved sha={'a' * 40}"}},
        {"type": "dataset", "id": "org/data"},
        {"type": "paper", "id": "2401.00001"},
    ]
    with StandInHub(collections={SLUG: {"items": items}}) as hub:
        targets, others = collected(connect(endpoint=hub.endpoint), SLUG)
    assert targets == (Target("org/model", "model", "a" * 40), Target("org/data", "dataset"))
    assert "2401.00001" in others[0]


def test_a_collection_that_is_missing_is_named(hub: StandInHub, connect: Connect) -> None:
    with pytest.raises(RepositoryMissing, match=f"the collection {SLUG} is missing"):
        collected(connect(), SLUG)
    with pytest.raises(UsageError):
        collected(connect(), "no slug")


def test_an_owners_repositories_of_every_type_are_found_over_all_pages(
    hub: StandInHub, connect: Connect
) -> None:
    for number in range(8):
        hub.add(HubRepo(f"org/more-{number}", {"a": b"1"}))
    found = owned(connect(), "org")
    assert Target("org/model") in found
    assert Target("org/data", "dataset") in found
    assert Target("org/app", "space") in found
    assert len([one for one in found if one.repo_id.startswith("org/more-")]) == 8
    assert all(one.repo_id.startswith("org/") for one in found)


def test_how_a_repository_stands_changes_with_its_scans_and_costs_one_request(
    hub: StandInHub, repo: HubRepo, connect: Connect
) -> None:
    client = connect()
    before = client.standing(Target("org/model"))
    assert len(hub.requests) == 1
    assert client.standing(Target("org/model")) == before
    repo.scans["pytorch_model.bin"] = file_scan("unsafe")
    after = client.standing(Target("org/model"))
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_dataset_stands_by_two_requests(hub: StandInHub, connect: Connect) -> None:
    repo, scans = connect().standing(Target("org/data", "dataset"))
    assert repo.commit_hash == hub.repo("org/data", "dataset").sha
    assert scans
    assert len(hub.requests) == 2


def test_what_is_lent_is_stopped_alone(connect: Connect) -> None:
    client = connect(sleep=None)
    client.lent(ignore).stop()
    assert client.pin(Target("org/model"))
    client.stop()
    with pytest.raises(HubUnreachable):
        client._factory()()._transport._wait(0.0, "")  # type: ignore[attr-defined]
