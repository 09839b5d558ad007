"""What changed in a text: lines, keys of a JSON document, or the metadata of a model card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice

LINES = 200  # of a diff: a report is read by people, and both texts can be had from the Hub
WIDTH = 300  # characters of one line
_VALUE = 120  # characters of a value, old or new
_KEYS = 50
# Lines that differ, of either text, beyond which no diff is made: difflib takes a second for these.
_COMPARED = 2_000
_DEPTH = 16  # of nested objects; what is deeper is compared as one value

Value = str  # of a JSON document: as JSON


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key, with dots for nesting, and its values as JSON; None where the key is not there."""

    key: str
    before: Value | None
    after: Value | None

    @property
    def line(self) -> str:
        if self.before is None or self.after is None:
            old, new = (_short(one) if one is not None else "nothing" for one in self._values)
        else:
            at = _same_start(self.before, self.after)
            old, new = (_short(one, at) for one in (self.before, self.after))
        return f"{self.key[:_VALUE]}: {old} → {new}"

    @property
    def _values(self) -> tuple[Value | None, Value | None]:
        return self.before, self.after


def line_diff(before: str, after: str, path: str) -> tuple[str, ...]:
    """A unified diff with three lines of context, at most `LINES` lines; what is left out is said."""
    old, new = _lines(before), _lines(after)
    skipped = _same_start(old, new)
    start = max(0, skipped - 3)
    old, new = old[start:], new[start:]
    if max(len(old), len(new)) > _COMPARED:
        return (f"{len(old)} lines before and {len(new)} after: too many to be compared here",)
    diff = unified_diff(old, new, f"{path} before", f"{path} now", lineterm="")
    lines = list(islice(diff, LINES + 1))
    if start:
        lines = [_moved_on(line, start) for line in lines]
    return (*lines[:LINES], "…") if len(lines) > LINES else tuple(lines)


def key_changes(before: str, after: str) -> tuple[KeyChange, ...] | None:
    """The keys of which the values differ, sorted. None where one of the texts is no JSON object."""
    old, new = _parsed(before), _parsed(after)
    if old is None or new is None:
        return None
    return mapping_changes(old, new)


def mapping_changes(
    before: Mapping[str, Value], after: Mapping[str, Value]
) -> tuple[KeyChange, ...]:
    """The keys of which the values differ, sorted."""
    keys = sorted(before.keys() | after.keys())
    return tuple(
        KeyChange(key, before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    )


def key_lines(changes: tuple[KeyChange, ...]) -> tuple[str, ...]:
    """A line for each, at most 50, and how many more there are."""
    more = len(changes) - _KEYS
    lines = tuple(change.line for change in changes[:_KEYS])
    return (*lines, f"and {more} more") if more > 0 else lines


@dataclass(frozen=True, slots=True)
class Card:
    """A README: `metadata` has the top keys of its front matter, each with its text as written."""

    metadata: dict[str, Value]
    body: str


def read_card(text: str) -> Card:
    """The README in two. Front matter as huggingface_hub 2.4 finds it: between `---` lines at the start.

    It is not parsed as YAML, which has aliases that grow without bound; that the text of a key differs is
    all that is asked.
    """
    found = _FRONT_MATTER.match(text)
    if found is None:
        return Card({}, text)
    metadata: dict[str, str] = {}
    key = ""
    for line in found[1].splitlines():
        top = _TOP_KEY.match(line)
        if top is not None:
            key = top[1].strip("'\"")
            metadata[key] = (top[2] or "").strip()
        elif key:
            metadata[key] = f"{metadata[key]}\n{line.rstrip()}".strip("\n")
    return Card(metadata, text[found.end() :])


_FRONT_MATTER = re.compile(r"\s*---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_TOP_KEY = re.compile(r"([A-Za-z_\"'][\w\"' -]{0,99}?):(?:\s+(.*)|$)")


def plain_value(text: Value) -> str:
    """A value of a card without its quotes, and a list of it on one line."""
    lines = [line.strip().removeprefix("-").strip().strip("'\"") for line in text.splitlines()]
    return ", ".join(line for line in lines if line)


def _parsed(text: str) -> dict[str, Value] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    try:
        return dict(_flat(found, "", _DEPTH)) if found else {}
    except RecursionError:
        return None


def _flat(value: object, at: str, depth: int) -> Iterator[tuple[str, Value]]:
    if not isinstance(value, dict) or not value or not depth:
        yield at, json.dumps(value, sort_keys=True, ensure_ascii=False)
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{at}.{key}" if at else key, depth - 1)


def _short(value: str, at: int = 0) -> str:
    """Of a long value the part around `at`, where it is another one than its counterpart."""
    if len(value) <= _VALUE:
        return value
    start = max(0, min(at - 20, len(value) - _VALUE))
    before = "…" if start else ""
    return f"{before}{value[start : start + _VALUE]}… ({len(value)} characters)"


def _lines(text: str) -> list[str]:
    """Lines, and pieces of long ones: what changed at the end of one would not be shown."""
    if not text:
        return []
    lines = text.removesuffix("\n").split("\n")  # not splitlines: a CR that is gone is a change
    return [line[at : at + WIDTH] for line in lines for at in range(0, max(len(line), 1), WIDTH)]


def _same_start(old: Sequence[str], new: Sequence[str]) -> int:
    both = zip(old, new, strict=False)
    return next((at for at, (a, b) in enumerate(both) if a != b), min(len(old), len(new)))


_HUNK = re.compile(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@")


def _moved_on(line: str, by: int) -> str:
    """The head of a hunk with the lines that were left out in front counted."""
    found = _HUNK.fullmatch(line)
    if found is None:
        return line
    old, new = int(found[1]) + by, int(found[3]) + by
    return f"@@ -{old}{found[2] or ''} +{new}{found[4] or ''} @@"
