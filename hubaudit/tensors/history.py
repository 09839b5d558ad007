"""The last commit at which a pair of files agreed, found among the latest ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

MOST = 20  # commits: each may cost as many reads as the comparison itself


@dataclass(frozen=True, slots=True)
class Agreement:
    """`commit` is None if they agree at none of the `looked_at` commits at which both are there."""

    commit: str | None
    looked_at: int


def last_agreed(
    commits: Iterable[str], agree: Callable[[str], bool | None], most: int = MOST
) -> Agreement:
    """The first of `commits`, the newest first, at which `agree` says yes.

    `agree` gives None for a commit where it cannot tell, as one of the files is not there. All are
    asked, one after the other: that they differ at one commit says nothing of an older one. What
    `agree` raises goes through.
    """
    looked_at = 0
    for commit in islice(commits, most):
        said = agree(commit)
        looked_at += said is not None
        if said:
            return Agreement(commit, looked_at)
    return Agreement(None, looked_at)
