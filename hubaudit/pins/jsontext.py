"""JSON with the places of its texts: a reader that also takes comments and trailing commas."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]  # documented in no stub

_DEPTH = 200  # levels; configurations and notebooks have fewer than twenty
_FILLING = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_PLAIN = re.compile(r"-?\d[\d.eE+-]*|true|false|null|-?Infinity|NaN")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text, or None for everything else that is no list or object. `start` is where it begins."""

    text: str | None
    start: int
    is_null: bool = False


@dataclass(frozen=True, slots=True)
class Members:
    """An object: each name with where it begins, and its value."""

    members: tuple[tuple[Leaf, Json], ...]
    start: int

    def get(self, name: str) -> Json | None:
        return next((value for key, value in reversed(self.members) if key.text == name), None)


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple[Json, ...]
    start: int


Json = Leaf | Members | Array


def read_json(text: str) -> Json:
    """The document in `text`. Raises JSONDecodeError where it is none."""
    reader = _Reader(text)
    document, end = reader.value(0, 0)
    end = reader.skip(end)
    if end != len(text):
        raise JSONDecodeError("something follows the document", text, end)
    return document


class Lines:
    """Line and column, both from 1, of an index into a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, index: int) -> tuple[int, int]:
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def skip(self, index: int) -> int:
        match = _FILLING.match(self._text, index)
        return match.end() if match else index

    def value(self, index: int, depth: int) -> tuple[Json, int]:
        index = self.skip(index)
        if depth > _DEPTH:
            raise JSONDecodeError("nested too deep", self._text, index)
        match self._text[index : index + 1]:
            case '"':
                text, end = scanstring(self._text, index + 1, False)
                return Leaf(text, index), end
            case "{":
                return self._members(index, depth)
            case "[":
                return self._array(index, depth)
        plain = _PLAIN.match(self._text, index)
        if plain is None:
            raise JSONDecodeError("no value", self._text, index)
        return Leaf(None, index, plain[0] == "null"), plain.end()

    def _members(self, start: int, depth: int) -> tuple[Members, int]:
        found: list[tuple[Leaf, Json]] = []
        index = self.skip(start + 1)
        while self._text[index : index + 1] != "}":
            key, index = self.value(index, depth + 1)
            if not isinstance(key, Leaf) or key.text is None:
                raise JSONDecodeError("no name of a member", self._text, key.start)
            index = self._expect(":", index)
            value, index = self.value(index, depth + 1)
            found.append((key, value))
            index = self._separator("}", index)
        return Members(tuple(found), start), index + 1

    def _array(self, start: int, depth: int) -> tuple[Array, int]:
        found: list[Json] = []
        index = self.skip(start + 1)
        while self._text[index : index + 1] != "]":
            item, index = self.value(index, depth + 1)
            found.append(item)
            index = self._separator("]", index)
        return Array(tuple(found), start), index + 1

    def _expect(self, char: str, index: int) -> int:
        index = self.skip(index)
        if self._text[index : index + 1] != char:
            raise JSONDecodeError(f"no {char}", self._text, index)
        return index + 1

    def _separator(self, end: str, index: int) -> int:
        """The index of what follows a comma, or of the bracket at the end."""
        index = self.skip(index)
        if self._text[index : index + 1] == end:
            return index
        return self.skip(self._expect(",", index))
