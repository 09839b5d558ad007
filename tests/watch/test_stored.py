"""States are kept as JSON and come back the same, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.errors import ReportUnusable
from hubaudit.watch.changes import changes
from hubaudit.watch.state import Content, Document, FileState, State
from hubaudit.watch.stored import dumps, loads
from tests.watch.conftest import Watched, armed


def test_what_was_seen_comes_back_the_same(watched: Watched) -> None:
    watched.repo.tag("v1")
    watched.repo.pull_request(3, {"a.safetensors": b"x"})
    for state in (watched.seen[0], watched.look()):
        assert loads(dumps(state)) == state
        assert changes(state, loads(dumps(state))) == ()


def test_a_state_that_was_kept_shows_the_same_changes(watched: Watched) -> None:
    kept = loads(dumps(watched.seen[-1]))
    watched.commit(pytorch_model__bin=armed())
    after = watched.look()
    assert changes(kept, after) == changes(watched.seen[0], after)
    assert changes(kept, after)


def test_a_state_without_anything_comes_back(watched: Watched) -> None:
    watched.hub.remove("org/model")
    state = watched.look()
    assert loads(dumps(state)) == state


text = st.text(st.characters(codec="utf-8"))


@given(
    st.builds(
        State,
        content=st.none()
        | st.builds(
            Content,
            summary=text,
            ruleset=text,
            policy=st.none() | text,
            files=st.lists(st.builds(FileState, path=text, format=text), max_size=3).map(tuple),
            siblings=st.just(()),
            documents=st.lists(st.builds(Document, text, text), max_size=2).map(tuple),
        ),
    )
)
def test_any_state_comes_back_the_same(state: State) -> None:
    assert loads(dumps(state)) == state


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s | {"schema": "hubaudit.state/2"},
        lambda s: s | {"colour": "red"},
        lambda s: s | {"presence": "perhaps"},
        lambda s: s | {"commit": 5},
        lambda s: {key: value for key, value in s.items() if key != "repo_id"},
        lambda s: s["content"]["files"][0].update(size="1") or s,
        lambda s: s["content"]["files"][0].update(more=1) or s,
        lambda s: s["content"].update(verdict="fine") or s,
        lambda s: [s],
    ],
)
def test_a_state_that_is_not_quite_one_is_refused(watched: Watched, change: Any) -> None:
    kept = json.loads(dumps(watched.seen[0]))
    with pytest.raises(ReportUnusable):
        loads(json.dumps(change(kept)))


@pytest.mark.parametrize("written", ["", "{", "null", "[" * 100_000, '{"schema": 1}'])
def test_what_is_no_json_is_refused(written: str) -> None:
    with pytest.raises(ReportUnusable):
        loads(written)
