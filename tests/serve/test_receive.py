"""What is read of a delivery, and which deliveries are let in."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.watch.receive import Gate, Hook, MalformedHook, Outcome, RefUpdate, read_hook
from tests.serve.conftest import SECRET, Noted
from tests.serve.payloads import RECORDED, body

RIGHT = ((b"x-webhook-secret", SECRET),)


def with_id(text: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return (*RIGHT, (b"webhook-id", text))


def test_a_push_is_read_whole() -> None:
    assert read_hook(body()) == Hook(
        repo_type="model",
        repo_id="org/model",
        object_id="621ffdc036468d709f17434d",
        moved_to=None,
        scope="repo.content",
        action="update",
        refs=(RefUpdate("refs/heads/main", "a" * 40, "b" * 40),),
    )


@pytest.mark.skipif(not RECORDED, reason="the recorded payloads are not here")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_payloads_are_read_and_matter(path: Path) -> None:
    said = json.loads(path.read_bytes())
    hook = read_hook(path.read_bytes())
    assert (hook.repo_type, hook.repo_id) == (said["repo"]["type"], said["repo"]["name"])
    assert hook.object_id == said["repo"]["id"]
    assert hook.scope == said["event"]["scope"]
    assert [ref.ref for ref in hook.refs] == [one["ref"] for one in said.get("updatedRefs", [])]
    assert hook.can_matter


def test_a_rename_says_where_it_went() -> None:
    hook = read_hook(body(event={"action": "move", "scope": "repo"}, movedTo={"name": "new/name"}))
    assert (hook.action, hook.moved_to) == ("move", "new/name")


def test_what_is_new_at_the_hub_is_tolerated() -> None:
    hook = read_hook(
        body(
            event={"action": "transmogrify", "scope": "repo.content", "why": [1]},
            webhook={"version": 99},
            repo={"headSha": 7, "id": 5, "brandNew": {"a": 1.5}},
            updatedRefs=[{"ref": "refs/x", "oldSha": None, "newSha": "?"}, 3, {"ref": 4}],
            movedTo="nowhere",
            fresh={"deep": [[[]]]},
        )
    )
    assert (hook.scope, hook.action) == ("repo.content", "transmogrify")
    assert (hook.object_id, hook.moved_to) == (None, None)
    assert hook.refs == (RefUpdate("refs/x", None, None),)
    assert hook.can_matter


def test_a_scope_that_is_narrower_than_known_is_an_update_of_the_wider_one() -> None:
    hook = read_hook(body(event={"action": "delete", "scope": "repo.config.dois.more"}))
    assert (hook.scope, hook.action) == ("repo.config", "update")
    hook = read_hook(body(event={"action": "delete", "scope": "repo"}))
    assert (hook.scope, hook.action) == ("repo", "delete")


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ({"repo": {"type": "bucket"}}, False),
        ({"repo": {"type": "kernel", "name": "a/b/c d"}}, False),
        ({"event": {"scope": "discussion.comment"}}, False),
        ({"event": {"scope": "discussion.comment.reaction"}}, False),
        ({"event": {"scope": "discussion"}, "discussion": {"isPullRequest": False}}, False),
        ({"event": {"scope": "discussion"}, "discussion": {"isPullRequest": True}}, True),
        ({"event": {"scope": "discussion"}}, True),
        ({"event": {"scope": "repo"}}, True),
        ({"event": {"scope": "repo.config"}, "updatedConfig": {"private": True}}, True),
        ({"event": {"scope": "galaxy"}}, True),
    ],
)
def test_only_what_can_change_a_watched_repository_matters(
    changed: dict[str, Any], matters: bool
) -> None:
    assert read_hook(body(**changed)).can_matter is matters


MALFORMED = {
    "empty": b"",
    "not JSON": b"hello",
    "not UTF-8": b'{"event": "\xff"}',
    "UTF-16": json.dumps({"event": 1}).encode("utf-16"),
    "a list": b"[]",
    "a number": b"3",
    "null": b"null",
    "cut": body()[:-5],
    "two values": body() + b"{}",
    "no repo": b'{"event": {"action": "update", "scope": "repo"}}',
    "no event": b'{"repo": {"type": "model", "name": "org/model"}}',
    "repo as text": body(repo="org/model"),
    "name as list": body(repo={"name": ["org/model"]}),
    "no name": body(repo={"name": ""}),
    "a name of three parts": body("a/b/c"),
    "a path": body("../../etc/passwd"),
    "markup": body("<script>alert(1)</script>"),
    "a lone surrogate": body("org/\ud800"),
    "a long name": body("a" * 300),
    "a long scope": body(event={"scope": "a" * 5000}),
    "scope as number": body(event={"scope": 3}),
    "no action": body(event={"action": None}),
    "NaN": body()[:-1] + b', "x": NaN}',
    "Infinity": body()[:-1] + b', "x": -Infinity}',
    "a key twice": body()[:-1] + b', "repo": {"type": "model", "name": "other/model"}}',
    "lists in lists": body()[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "tables in tables": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_delivery_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedHook):
        read_hook(data)


def test_a_number_of_many_digits_is_no_work() -> None:
    huge = body()[:-1] + b', "x": ' + b"9" * 200_000 + b', "y": 1e' + b"9" * 20_000 + b"}"
    assert read_hook(huge).repo_id == "org/model"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
_FIELDS = ("event", "repo", "movedTo", "updatedRefs", "discussion", "webhook")


@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON), st.binary(max_size=3))
def test_nothing_else_is_ever_raised(changed: dict[str, Any], tail: bytes) -> None:
    for data in (body(**changed), body(**changed) + tail, body(repo={"id": changed}), tail):
        try:
            hook = read_hook(data)
        except MalformedHook:
            continue
        assert hook.repo_id


def test_the_right_secret_is_let_in_and_every_other_is_forged() -> None:
    gate = Gate(SECRET)
    assert gate.refuse(RIGHT, b"") is None
    assert gate.refuse((), b"secret=" + SECRET) is None
    assert gate.refuse((), b"a=b&secret=%30" + SECRET[1:]) is None
    wrong: tuple[tuple[tuple[tuple[bytes, bytes], ...], bytes], ...] = (
        ((), b""),
        (((b"x-webhook-secret", b""),), b""),
        (((b"x-webhook-secret", SECRET[:-1]),), b""),
        (((b"x-webhook-secret", SECRET + b" "),), b""),
        (((b"x-webhook-secret", SECRET.upper()),), b""),
        (((b"x-webhook-secret", b"wrong"),), b"secret=" + SECRET),
        ((*RIGHT, (b"x-webhook-secret", b"other")), b""),
        (((b"x-webhook-secret", "ä€".encode()),), b""),
        ((), b"secret=" + SECRET + b"&secret=other"),
        ((), b"Secret=" + SECRET),
        (((b"authorization", SECRET),), b""),
    )
    for headers, query in wrong:
        assert gate.refuse(headers, query) is Outcome.FORGED
    assert gate.counts[Outcome.FORGED] == len(wrong)


def test_a_secret_with_signs_of_its_own_fits_into_an_address() -> None:
    gate = Gate(b"a+b&c=d%41/ \xe4")
    assert gate.refuse((), b"secret=a+b%26c%3dd%2541/%20%e4") is None


def test_without_a_secret_programs_are_let_in_and_web_pages_are_not() -> None:
    gate = Gate(None)
    assert gate.refuse((), b"") is None
    assert gate.refuse(((b"origin", b"https://evil.example"),), b"") is Outcome.FORGED
    assert gate.refuse(((b"sec-fetch-site", b"cross-site"),), b"") is Outcome.FORGED


@pytest.mark.parametrize("said", [b"1001", b"9" * 30, b"-1", b"many", b""])
def test_a_body_that_says_it_is_too_long_is_not_read(said: bytes) -> None:
    gate = Gate(SECRET, most_bytes=1000)
    assert gate.refuse((*RIGHT, (b"content-length", said)), b"") is Outcome.OVERSIZED
    assert gate.refuse((*RIGHT, (b"content-length", b"1000")), b"") is None
    assert gate.counts[Outcome.OVERSIZED] == 1


def test_every_outcome_is_counted() -> None:
    gate, hints = Gate(SECRET, most_bytes=2000), Noted(room=1)
    taken = [
        gate.take(with_id(b"1"), body(), hints),
        gate.take(with_id(b"1"), body(), hints),
        gate.take(with_id(b"2"), body("nobody/here"), hints),
        gate.take(with_id(b"3"), body(repo={"type": "bucket"}), hints),
        gate.take(with_id(b"4"), b"{}", hints),
        gate.take(with_id(b"5"), body() + b" " * 2000, hints),
        gate.take(with_id(b"6"), body(), hints),
    ]
    assert taken == [
        Outcome.ACCEPTED,
        Outcome.REPLAYED,
        Outcome.UNWATCHED,
        Outcome.IGNORED,
        Outcome.MALFORMED,
        Outcome.OVERSIZED,
        Outcome.BUSY,
    ]
    assert gate.counts == {**dict.fromkeys(taken, 1), Outcome.FORGED: 0}
    assert len(hints.hooks) == 1


def test_a_delivery_that_could_not_be_taken_may_come_again() -> None:
    gate, hints = Gate(SECRET), Noted(room=0)
    assert gate.take(with_id(b"1"), body(), hints) is Outcome.BUSY
    assert gate.take(with_id(b"1"), body()[:-9], hints) is Outcome.MALFORMED
    hints.room = 1
    assert gate.take(with_id(b"1"), body(), hints) is Outcome.ACCEPTED
    assert gate.take(with_id(b"1"), body(), hints) is Outcome.REPLAYED


def test_deliveries_without_an_id_are_all_taken() -> None:
    gate, hints = Gate(SECRET), Noted()
    empty = with_id(b"")
    assert {gate.take(head, body(), hints) for head in (RIGHT, RIGHT, empty, empty)} == {
        Outcome.ACCEPTED
    }


def test_ids_are_forgotten_the_oldest_first() -> None:
    gate, hints = Gate(SECRET, most_ids=3), Noted()
    for number in range(4):
        assert gate.take(with_id(b"%d" % number), body(), hints) is Outcome.ACCEPTED
    assert gate.take(with_id(b"3"), body(), hints) is Outcome.REPLAYED
    assert gate.take(with_id(b"1"), body(), hints) is Outcome.REPLAYED
    assert gate.take(with_id(b"0"), body(), hints) is Outcome.ACCEPTED


def test_of_deliveries_that_race_with_one_id_one_is_taken() -> None:
    gate, hints, together = Gate(SECRET), Noted(), Barrier(8)

    def deliver(number: int) -> Outcome:
        together.wait()
        return gate.take(with_id(b"one"), body(f"org/model{number}"), hints)

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(deliver, range(8)))
    assert outcomes == [Outcome.ACCEPTED] + 7 * [Outcome.REPLAYED]
    assert len(hints.hooks) == 1
