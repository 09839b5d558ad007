"""Whether a revision is a pin: only a whole commit hash cannot be moved to other files."""

from __future__ import annotations

import re

from hubaudit.pins.reference import State

# huggingface_hub takes exactly this for a commit (constants.REGEX_COMMIT_HASH in file_download.py);
# everything else it looks up as the name of a branch or a tag.
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HEX = re.compile(r"[0-9a-fA-F]+")
# Hex digits: git takes no shorter prefix (core.abbrev), and of digits alone a year or a number is likelier
# than the seven or more that git writes.
_SHORTEST, _SHORTEST_NUMBER = 4, 7

NO_REVISION = "no revision: it follows the branch main"
AT_RUN_TIME = "its revision is only known when the program runs"
BY_HUBAUDIT = "the commit that hubaudit.require judged"


def judge_revision(revision: str | None) -> tuple[State, str]:
    """The state of a reference with this revision, None for none, and the reason in words."""
    if revision is None or revision == "":
        return State.UNPINNED, NO_REVISION
    if _COMMIT.fullmatch(revision):
        return State.PINNED, "a whole commit hash"
    return State.UNPINNED, _why_not(revision)


def _why_not(revision: str) -> str:
    shortest = _SHORTEST_NUMBER if revision.isdecimal() else _SHORTEST
    if _HEX.fullmatch(revision) and len(revision) >= shortest:
        if len(revision) < 40:
            return (
                f"{revision} is a prefix of a commit hash at best, and may become the name of a "
                "branch: only all 40 digits pin"
            )
        if len(revision) == 40:
            return f"{revision} is not in lower case, so that it is taken for the name of a branch"
        return f"{revision} has {len(revision)} digits: a commit hash has 40"
    if revision.startswith("refs/pr/"):
        return f"{revision} moves with its pull request"
    if revision == "main":
        return "main is a branch, and moves with every upload"
    return f"{revision} is the name of a branch or a tag, and both can be moved"
