"""Which commit was the last at which two files agreed."""

from __future__ import annotations

from hubaudit.tensors.history import Agreement, last_agreed


def test_the_newest_commit_at_which_they_agree_is_found() -> None:
    said = {"d": False, "c": None, "b": True, "a": True}
    assert last_agreed("dcba", said.__getitem__) == Agreement("b", 2)


def test_a_change_that_was_taken_back_is_passed_over() -> None:
    said = {"e": False, "d": True, "c": False, "b": True}
    assert last_agreed("edcb", said.__getitem__).commit == "d"


def test_if_they_never_agreed_it_is_said_how_many_were_looked_at() -> None:
    assert last_agreed("cba", lambda commit: False) == Agreement(None, 3)
    assert last_agreed([], lambda commit: True) == Agreement(None, 0)


def test_no_more_commits_than_allowed_are_asked() -> None:
    asked = []

    def agree(commit: str) -> bool | None:
        asked.append(commit)
        return None

    assert last_agreed((str(n) for n in range(1000)), agree, most=20) == Agreement(None, 0)
    assert len(asked) == 20
