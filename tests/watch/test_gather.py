"""What a look costs, and what it does when the Hub refuses."""

from __future__ import annotations

import pytest

from hubaudit.demo.faults import Status
from hubaudit.demo.hub import HubRepo
from hubaudit.errors import HubError
from hubaudit.model import RepoRef
from hubaudit.watch.changes import Move
from hubaudit.watch.gather import is_same_name, move, moves, standing
from hubaudit.watch.state import Presence
from tests.watch.conftest import Watched, checkpoint, model_files, twin


def asked(watched: Watched) -> list[str]:
    """Paths of the API, without the repository's, and of files read."""
    return [request.path.removeprefix("/api/models/org/model") for request in watched.hub.requests]


def test_standing_is_one_request(watched: Watched) -> None:
    watched.hub.clear_log()
    state, info = standing(watched.client, "org/model")
    assert len(watched.hub.requests) == 1
    assert info is not None
    assert (state.presence, state.commit) == (Presence.PRESENT, watched.repo.sha)


def test_a_look_at_what_is_known_reads_no_file_again(watched: Watched) -> None:
    watched.hub.clear_log()
    watched.look()
    paths = asked(watched)
    assert not [path for path in paths if "resolve" in path or path.startswith("/repos")]
    assert len(paths) == 2  # info with the word of the scanners, refs


def test_after_a_commit_only_what_changed_is_read(watched: Watched) -> None:
    watched.commit(README__md=b"other")
    watched.hub.clear_log()
    watched.look()
    read = {path.split("/")[-1] for path in asked(watched) if "/resolve/" in path}
    assert read == {"README.md"}
    api = [path for path in asked(watched) if "resolve" not in path]
    assert len(api) == 4  # info, refs, history, listing


def test_nothing_is_asked_where_nothing_changed(watched: Watched) -> None:
    before, after = watched.seen[-1], watched.look()
    watched.hub.clear_log()
    assert not moves(watched.client, _ref(watched), before, after)
    assert not watched.hub.requests


def test_weights_that_changed_cost_no_more_than_samples(watched: Watched) -> None:
    watched.commit(pytorch_model__bin=checkpoint(2), model__safetensors=twin(2))
    watched.hub.clear_log()
    watched.changes()
    assert len(watched.hub.requests) < 20


def test_a_hub_that_fails_is_no_repository_that_is_gone(watched: Watched) -> None:
    watched.hub.fault(Status(500), path="/api/", times=50)
    with pytest.raises(HubError):
        watched.look()


def test_a_name_is_the_same_in_other_letters_and_without_its_owner() -> None:
    assert is_same_name("Org/Model", "org/model")
    assert is_same_name("gpt2", "openai-community/gpt2")
    assert not is_same_name("org/model", "org/model2")
    assert not is_same_name("model", "org/a-model")


def test_a_way_is_forward_backward_aside_or_from_nowhere(watched: Watched) -> None:
    repo, ref = watched.repo, _ref(watched)
    first = repo.sha
    second = repo.commit(model_files(), "second")
    repo.branch("side", first)
    aside = repo.commit(model_files(), "aside", ref="refs/heads/side")
    ways = {
        (first, second): Move.FORWARD,
        (second, first): Move.BACKWARD,
        (second, aside): Move.ASIDE,
        ("0" * 40, second): Move.GONE,
        (first, first): Move.FORWARD,
    }
    for (old, new), way in ways.items():
        assert move(watched.client, ref, old, new) is way
    assert move(watched.client, ref, "1" * 40, first, past=[first]) is Move.BACKWARD


def test_a_one_word_name_is_not_a_rename(watched: Watched) -> None:
    watched.hub.add(HubRepo("openai-community/gpt2", model_files()))
    watched.hub._world.renames["gpt2"] = "openai-community/gpt2"
    state, _ = standing(watched.client, "gpt2")
    assert state.presence is Presence.PRESENT


def _ref(watched: Watched) -> RepoRef:
    return RepoRef("org/model", "model", None, watched.repo.sha, watched.hub.endpoint)
