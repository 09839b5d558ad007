"""Where the bytes of a repository are: by what a loader would do with them, and by format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hubaudit.model import FileReport, LoadRole
from hubaudit.report.coverage import executes
from hubaudit.report.words import count, size

ROLE_MEANS = {
    LoadRole.LOADED: "a load opens it",
    LoadRole.CODE: "a load runs it as code, if told to",
    LoadRole.FALLBACK: "opened where what is preferred is missing",
    LoadRole.NEVER: "no load opens it by itself",
}
# Colours that are told apart beside one another, those of "all others" counted
_OWN_COLOURS = {True: 2, False: 4}
_REST = {True: "others that can execute", False: "others"}


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a bar. `start` and `width` in percent of the repository, `colour` a name of the style's."""

    label: str
    colour: str
    size: int
    start: float
    width: float

    @property
    def words(self) -> str:
        return f"{self.label} {size(self.size)}"


@dataclass(frozen=True, slots=True)
class Bar:
    """The files of one load role, their bytes by format."""

    role: LoadRole
    files: int
    size: int
    percent: float
    shares: tuple[Share, ...]

    @property
    def means(self) -> str:
        return ROLE_MEANS[self.role]

    @property
    def words(self) -> str:
        """The bar for those who do not see it."""
        parts = ", ".join(share.words for share in self.shares)
        return f"{self.role.value}: {count(self.files, 'file')}, {size(self.size)}: {parts}"


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the legend."""

    label: str
    colour: str
    files: int
    size: int
    executes: bool


@dataclass(frozen=True, slots=True)
class Picture:
    bars: tuple[Bar, ...]
    legend: tuple[Key, ...]


def picture(files: Sequence[FileReport]) -> Picture | None:
    """None where there are no bytes. Formats that can execute have the warm colours."""
    total = sum(file.size for file in files)
    if total <= 0:
        return None
    keys = _keys(files)
    bars = [_bar(role, files, keys, total) for role in ROLE_MEANS]
    return Picture(tuple(bar for bar in bars if bar.files), _legend(files, keys))


_Keys = dict[tuple[str, bool], tuple[str, str]]


def _keys(files: Sequence[FileReport]) -> _Keys:
    """Of each format, as one that can execute and as one that cannot: its label and its colour."""
    keys: _Keys = {}
    for hot in (True, False):
        sizes: Counter[str] = Counter()
        for file in files:
            if executes(file) is hot:
                sizes[file.format] += file.size
        ranked = sorted(sizes, key=lambda name: (-sizes[name], name))
        family, own = ("hot" if hot else "cool"), _OWN_COLOURS[hot]
        for number, name in enumerate(ranked):
            # a single one beyond the own colours needs no "others": it has that colour
            is_rest = number >= own and len(ranked) > own + 1
            colour = f"{family}{min(number, own) + 1}"
            keys[name, hot] = (_REST[hot] if is_rest else name, colour)
    return keys


def _bar(role: LoadRole, files: Sequence[FileReport], keys: _Keys, total: int) -> Bar:
    mine = [file for file in files if file.load_role is role]
    sizes: Counter[tuple[str, str]] = Counter()
    for file in mine:
        sizes[keys[file.format, executes(file)]] += file.size
    shares, start = [], 0.0
    for (label, colour), number in sorted(sizes.items(), key=lambda one: (one[0][1], one[0][0])):
        width = 100 * number / total
        if number:
            shares.append(Share(label, colour, number, start, width))
        start += width
    whole = sum(file.size for file in mine)
    return Bar(role, len(mine), whole, 100 * whole / total, tuple(shares))


def _legend(files: Sequence[FileReport], keys: _Keys) -> tuple[Key, ...]:
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for file in files:
        key = keys[file.format, executes(file)]
        counts[key] += 1
        sizes[key] += file.size
    return tuple(
        Key(label, colour, counts[label, colour], sizes[label, colour], colour.startswith("hot"))
        for label, colour in sorted(counts, key=lambda key: (key[1].startswith("cool"), key[1]))
    )
