"""Since when a pair of files differs, on a stand-in Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from hubaudit.agreement import since_agreed
from hubaudit.comparing import Full
from hubaudit.demo.checkpoints import Tensor, floats, safetensors, state_dict, torch_zip
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.hub.client import HubClient
from hubaudit.model import Comparison, Listing, Target


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBAUDIT_CACHE", str(tmp_path / "hubaudit"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def weights(seed: int) -> dict[str, Tensor]:
    return {f"layer.{n}.weight": floats((16, 8), 100 * seed + n) for n in range(6)}


def pickled(seed: int) -> bytes:
    return torch_zip(state_dict(weights(seed)), root="pytorch_model")


def twin(seed: int) -> bytes:
    return safetensors(weights(seed), {"format": "pt"})


def files(pickle: int, safe: int, note: str = "") -> dict[str, bytes]:
    return {
        "pytorch_model.bin": pickled(pickle),
        "model.safetensors": twin(safe),
        "README.md": note.encode(),
    }


@pytest.fixture
def repo() -> HubRepo:
    return HubRepo("org/model", files(1, 1))


@pytest.fixture
def hub(repo: HubRepo) -> Iterator[StandInHub]:
    with StandInHub([repo], page_size=1000) as hub:
        yield hub


@pytest.fixture
def client(hub: StandInHub) -> Iterator[HubClient]:
    with HubClient(endpoint=hub.endpoint, token=False) as client:
        yield client


def listing(client: HubClient) -> Listing:
    return client.list_files(client.pin(Target("org/model")))


DIFFERS = Comparison("pytorch_model.bin", "model.safetensors", "differs", "sampled", 6)


def test_the_newest_commit_at_which_both_files_agreed_is_found(
    repo: HubRepo, client: HubClient
) -> None:
    repo.commit(files(2, 2))
    agreed = repo.commit(files(2, 2, "a word"))
    repo.commit(files(3, 2))
    repo.commit(files(3, 2, "another"))
    assert since_agreed(client, listing(client), DIFFERS).agreed_at == agreed


def test_bytes_that_were_compared_already_are_not_read_again(
    repo: HubRepo, hub: StandInHub, client: HubClient
) -> None:
    for number in range(10):
        repo.commit(files(1, 2, f"{number}"))
    now = listing(client)
    hub.clear_log()
    assert since_agreed(client, now, DIFFERS).agreed_at == repo.history(repo.sha)[-1].sha
    read = [request for request in hub.requests if "/resolve/" in request.path]
    assert {request.path.split("/resolve/")[1][:40] for request in read} == {
        repo.history(repo.sha)[-1].sha
    }
    assert len(hub.requests) < 10 + 12


def test_a_commit_without_one_of_the_files_decides_nothing(
    repo: HubRepo, client: HubClient
) -> None:
    first = repo.sha
    repo.commit({"pytorch_model.bin": pickled(1)})
    repo.commit(files(1, 2))
    assert since_agreed(client, listing(client), DIFFERS).agreed_at == first


def test_twenty_commits_are_looked_at_and_no_more(
    repo: HubRepo, hub: StandInHub, client: HubClient
) -> None:
    for number in range(20):
        repo.commit(files(1, 2, f"{number}"))
    now = listing(client)
    hub.clear_log()
    assert since_agreed(client, now, DIFFERS).agreed_at is None
    assert sum("/tree/" in request.path for request in hub.requests) == 19


def test_a_pair_that_does_not_differ_costs_nothing(hub: StandInHub, client: HubClient) -> None:
    equal = Comparison("pytorch_model.bin", "model.safetensors", "equal", "sampled", 6)
    now = listing(client)
    hub.clear_log()
    assert since_agreed(client, now, equal) is equal
    assert not hub.requests


def test_what_only_a_full_comparison_finds_is_not_called_agreement(
    repo: HubRepo, client: HubClient
) -> None:
    flipped = bytearray(twin(1))
    flipped[-1] ^= 1
    repo.commit(files(1, 1) | {"model.safetensors": bytes(flipped)})
    again = bytearray(twin(1))
    again[-5] ^= 1
    repo.commit(files(1, 1) | {"model.safetensors": bytes(again)})
    first = repo.history(repo.sha)[-1].sha
    assert since_agreed(client, listing(client), DIFFERS, depth=Full()).agreed_at == first


def test_another_shape_then_is_no_agreement(repo: HubRepo, client: HubClient) -> None:
    other = {"layer.0.weight": floats((2, 2), 1)}
    repo.commit(files(1, 1) | {"model.safetensors": safetensors(other)})
    repo.commit(files(1, 2))
    first = repo.history(repo.sha)[-1].sha
    assert since_agreed(client, listing(client), DIFFERS).agreed_at == first
