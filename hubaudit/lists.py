"""Lists of what is approved: text, CSV and TOML into targets, each with its line; what is wrong is said.

A list that is read in part would leave repositories unlooked at, so whatever cannot be understood is a
`Problem`, never skipped.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from typing import Any

from hubaudit.config import Policy
from hubaudit.errors import ConfigError, HubauditError, MalformedTarget
from hubaudit.hub.targets import parse_target
from hubaudit.model import Target
from hubaudit.policyfile import keys as policy_keys
from hubaudit.policyfile import policy_from

# Columns of a CSV that may name the target, if the user does not say which one.
_USUAL_COLUMNS = ("id", "repo_id", "model", "model_id", "target")
STDIN = "stdin"  # the source of a list that is no file
_TABLES = ("model", "dataset", "space")
_OWN_KEYS = ("id", "revision", "type", "owner", "policy")
_WHY = 400  # characters of a mistake: it repeats the line, which may be a file of another kind
_HEADER = re.compile(r"\s*\[\[\s*(model|dataset|space)\s*\]\]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One approved target. `line` counts from 1; None where the list has no lines, as a collection.

    `owner` answers for it. `overrides` are keys of a policy file that hold for this target alone.
    """

    target: Target
    source: str
    line: int | None = None
    owner: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def policy(self, base: Policy, today: date) -> Policy:
        """`base` with what the entry overrides. Raises ConfigError for what no policy can say."""
        if not self.overrides:
            return base
        return _overridden(base, self.overrides, place(self.source, self.line), today)


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that is no target, or names one for the second time. `why` is a sentence without its end."""

    source: str
    line: int | None
    why: str

    def __str__(self) -> str:
        return f"{place(self.source, self.line)}: {self.why}"


@dataclass(frozen=True, slots=True)
class ApprovedList:
    """What was read. `notes` say what was left out on purpose: papers in a collection, for one."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: ApprovedList) -> ApprovedList:
        """Both lists as one; what the second names again is a problem of its line."""
        entries = (*self.entries, *other.entries)
        return _checked(entries, (*self.problems, *other.problems), (*self.notes, *other.notes))


def place(source: str, line: int | None) -> str:
    return source if line is None else f"{source}: line {line}"


def parse_text(data: bytes, source: str) -> ApprovedList:
    """One target a line. Empty lines are nothing, and `#` begins a comment, after a space at least."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for number, raw in enumerate(_lines(data), start=1):
        try:
            text = _without_comment(raw.decode("utf-8"))
            if text:
                entries.append(Entry(parse_target(text), source, number))
        except UnicodeDecodeError:
            problems.append(Problem(source, number, "not UTF-8"))
        except MalformedTarget as error:
            problems.append(_problem(source, number, error))
    return _checked(entries, problems)


def parse_csv(data: bytes, source: str, column: str | None) -> ApprovedList:
    """The targets of one column, by default a column with a usual name (`id`, `repo_id`, `model`, …).

    Columns `revision` and `repo_type` say what the target leaves open. Raises ConfigError if there is no
    such column, or the file is no CSV in UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source} is not UTF-8: {error}", hint="save it as UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""), dialect=_dialect(text), strict=True)
    entries: list[Entry] = []
    problems: list[Problem] = []
    try:
        header = _header(next(rows, []))
        wanted = _column(header, column, source)
        for name in (wanted, "revision", "repo_type"):
            if header.count(name) > 1:
                raise ConfigError(f"{source} has several columns {name!r}", hint="rename one")
        begin = rows.line_num + 1
        for row in rows:
            line, begin = begin, rows.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            try:
                entries.append(
                    _entry_of_row(dict(zip(header, row, strict=False)), wanted, source, line)
                )
            except MalformedTarget as error:
                problems.append(_problem(source, line, error))
    except csv.Error as error:
        raise ConfigError(
            f"{source}: line {rows.line_num}: no CSV: {error}", hint="correct the file"
        ) from None
    return _checked(entries, problems)


def parse_toml(data: bytes, source: str, today: date) -> ApprovedList:
    """`[[model]]` tables with `id`, and perhaps `revision`, `type`, `owner` and keys of a policy.

    `[[dataset]]` and `[[space]]` are short for the `type`. Policy keys stand in the table itself or in
    `[model.policy]`. Raises ConfigError if the file is no TOML.
    """
    try:
        text = data.decode("utf-8-sig")
        parsed = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{source} is no TOML: {error}", hint="correct the file") from None
    entries: list[Entry] = []
    problems = [
        Problem(source, None, f"unknown key {name!r}: {_instead(name, _TABLES)}")
        for name in parsed.keys() - set(_TABLES)
    ]
    for kind, line, table in _tables(parsed, text):
        try:
            entries.append(_entry_of_table(kind, table, source, line, today))
        except HubauditError as error:
            problems.append(_problem(source, line, error))
    return _checked(sorted(entries, key=_line_order), sorted(problems, key=_line_order))


def of_targets(targets: Iterable[Target], source: str, notes: Iterable[str] = ()) -> ApprovedList:
    """A list that somebody else keeps, as a collection: what stands there twice counts once."""
    return ApprovedList(
        tuple(Entry(target, source) for target in dict.fromkeys(targets)), (), tuple(notes)
    )


def name_of(target: Target) -> str:
    """A target as it is typed: `org/model`, `datasets/org/name@v1`."""
    prefix = {"dataset": "datasets/", "space": "spaces/"}.get(target.repo_type, "")
    revision = "" if target.revision is None else f"@{target.revision}"
    return f"{prefix}{target.repo_id}{revision}"


def _lines(data: bytes) -> list[bytes]:
    text = data.removeprefix(b"\xef\xbb\xbf")
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")


def _without_comment(line: str) -> str:
    if line.lstrip().startswith("#"):
        return ""
    return re.split(r"\s#", line, maxsplit=1)[0].strip()


def _dialect(text: str) -> type[csv.Dialect]:
    """Commas, or what the header has instead: tabs and semicolons are what spreadsheets write."""
    header = text.partition("\n")[0]
    if "," not in header and "\t" in header:
        return csv.excel_tab
    if "," not in header and ";" in header:
        return _Semicolons
    return csv.excel


class _Semicolons(csv.excel):
    delimiter = ";"


def _header(cells: Sequence[str]) -> list[str]:
    """The names; those that mean something to us in the letter case that we know them by."""
    known = (*_USUAL_COLUMNS, "revision", "repo_type")
    names = [name.strip() for name in cells]
    return [name.lower() if name.lower() in known else name for name in names]


def _column(header: Sequence[str], asked: str | None, source: str) -> str:
    if asked is not None:
        [asked] = _header([asked])
        if asked in header:
            return asked
        close = get_close_matches(asked, header, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"its columns: {', '.join(header)}"
        raise ConfigError(f"{source} has no column {asked!r}", hint=hint)
    for name in _USUAL_COLUMNS:
        if name in header:
            return name
    raise ConfigError(
        f"{source} has no column {', '.join(_USUAL_COLUMNS)}",
        hint=f"say which one it is: --column NAME; its columns: {', '.join(header)}",
    )


def _entry_of_row(row: Mapping[str, str], column: str, source: str, line: int) -> Entry:
    text = row.get(column, "").strip()
    revision = row.get("revision", "").strip() if column != "revision" else ""
    repo_type = row.get("repo_type", "").strip() if column != "repo_type" else ""
    target = parse_target(text, revision=revision or None, repo_type=repo_type or None)
    return Entry(target, source, line)


def _tables(parsed: Mapping[str, Any], text: str) -> Iterator[tuple[str, int | None, Any]]:
    """Kind, line and content of each table. The parser gives no lines: the headers are counted."""
    for kind in _TABLES:
        tables = parsed.get(kind, [])
        tables = tables if isinstance(tables, list) else [tables]
        headers: list[int | None] = [
            number
            for number, line in enumerate(text.split("\n"), start=1)
            if (match := _HEADER.match(line)) and match[1] == kind
        ]
        if len(headers) != len(tables):  # inline tables, or a header within a text
            headers = list(_lines_of_ids(tables, text))
        yield from zip([kind] * len(tables), headers, tables, strict=True)


def _lines_of_ids(tables: Sequence[Any], text: str) -> Iterator[int | None]:
    """For each table the line that has its id, after that of the table before."""
    at = 0
    for table in tables:
        name = table.get("id") if isinstance(table, dict) else None
        found = -1
        if isinstance(name, str):
            found = min(
                (
                    place
                    for quote in "\"'"
                    if (place := text.find(f"{quote}{name}{quote}", at)) >= 0
                ),
                default=-1,
            )
        if found >= 0:
            at = found + 1
        yield text.count("\n", 0, at) + 1 if found >= 0 else None


def _entry_of_table(kind: str, table: Any, source: str, line: int | None, today: date) -> Entry:
    if not isinstance(table, dict):
        raise ConfigError(f"{kind} is no table", hint=f"write [[{kind}]]")
    own = {key: value for key, value in table.items() if key in _OWN_KEYS}
    overrides = {key: value for key, value in table.items() if key not in _OWN_KEYS}
    if not isinstance(nested := own.pop("policy", {}), dict):
        raise ConfigError("policy is no table", hint=f"write [{kind}.policy]")
    for key in overrides.keys() & nested.keys():
        raise ConfigError(f"{key} stands in the table and in its policy")
    known = {key.partition(".")[0] for key in policy_keys()}
    for key in overrides.keys() - known:
        raise ConfigError(f"unknown key {key!r}: {_instead(key, (*_OWN_KEYS, *known))}")
    for key, value in own.items():
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{key} is no text")
    if "id" not in own:
        raise ConfigError("id is missing")
    default = None if kind == "model" else kind
    if default and own.get("type", default) != default:
        raise ConfigError(f"it stands under [[{kind}]], but its type is {own['type']}")
    target = parse_target(
        own["id"], repo_type=own.get("type", default), revision=own.get("revision")
    )
    entry = Entry(target, source, line, own.get("owner"), {**nested, **overrides})
    entry.policy(Policy(), today)  # what it cannot say is told now, not in the middle of the sweep
    return entry


def _overridden(base: Policy, table: Mapping[str, Any], source: str, today: date) -> Policy:
    """Each key that is given replaces that of `base`; waivers come in addition."""
    said = policy_from(table, source, today)
    changed: dict[str, Any] = {"today": today}
    plain = ("fail-on", "strict", "max-archive-depth", "max-opcodes", "protocols")
    changed |= {
        name: getattr(said, name)
        for key in plain
        if key in table
        for name in [key.replace("-", "_")]
    }
    for key, inner, name in (
        ("globals", "allow", "allowed_globals"),
        ("globals", "deny", "denied_globals"),
        ("formats", "deny", "denied_formats"),
        ("publishers", "allow", "publishers"),
        ("hub-scan", "require", "hub_scan"),
    ):
        if inner in table.get(key, {}):
            changed[name] = getattr(said, name)
    changed["waivers"] = (*base.waivers, *said.waivers)
    return replace(base, **changed)


def _instead(wrong: str, known: Iterable[str]) -> str:
    close = get_close_matches(wrong, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"


def _problem(source: str, line: int | None, error: HubauditError) -> Problem:
    said = str(error).removeprefix(f"{place(source, line)}: ")
    return Problem(source, line, said if len(said) <= _WHY else f"{said[:_WHY]}…")


def _checked(
    entries: Iterable[Entry], problems: Iterable[Problem], notes: Iterable[str] = ()
) -> ApprovedList:
    """Without the entries that name a target for the second time: each is a problem."""
    first: dict[tuple[str, str, str], Entry] = {}
    twice: list[Problem] = []
    for entry in entries:
        target = entry.target
        # the Hub takes ids in any letter case, and no revision is main
        key = (target.repo_type, target.repo_id.lower(), target.revision or "main")
        before = first.setdefault(key, entry)
        if before is not entry:
            where = (
                place(before.source, before.line)
                if before.source != entry.source
                else (f"line {before.line}" if before.line else "above")
            )
            why = f"{name_of(target)} stands twice, first in {where}"
            twice.append(Problem(entry.source, entry.line, why))
    found = sorted((*problems, *twice), key=_line_order)
    return ApprovedList(tuple(first.values()), tuple(found), tuple(notes))


def _line_order(one: Entry | Problem) -> tuple[str, int]:
    return one.source, one.line or 0
