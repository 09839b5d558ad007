"""The commit that was approved, written into the list that names the repository."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hubaudit.cli.save import write_file
from hubaudit.errors import ConfigError
from hubaudit.lists import Entry, name_of, parse_text, parse_toml
from hubaudit.model import Target

_REVISION = re.compile(r"""\s*revision\s*=\s*(?:"[^"\\]*"|'[^']*')\s*(#.*)?""")
# As lists are read: what else `splitlines` takes for an end may stand in a comment.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_TABLE = re.compile(r"\s*\[")


def pin_in(path: Path, target: Target, commit: str) -> None:
    """Changes the one line of the target; the rest of the list stays byte for byte.

    Raises ConfigError for a list that cannot be read or written so, or does not name the target.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the list {path} cannot be read: {error.strerror}", hint="name a .txt or .toml file"
        ) from None
    suffix, source = path.suffix.lower(), str(path)
    if suffix in (".csv", ".tsv"):
        raise ConfigError(
            f"{path}: commits are not written into a CSV",
            hint="leave out --list: the store has it; or use a .txt or .toml list",
        )
    is_toml = suffix == ".toml"
    today = datetime.now(UTC).date()
    found = parse_toml(data, source, today) if is_toml else parse_text(data, source)
    same = [one for one in found.entries if _is_same(one.target, target)]
    entry = next((one for one in same if one.target.revision == target.revision), None)
    entry = entry or next(iter(same), None)
    if entry is None or entry.line is None:
        raise ConfigError(
            f"{path} has no line of its own for {name_of(replace(target, revision=None))}",
            hint="add it there first",
        )
    lines = _LINE.findall(data.decode("utf-8"))
    pinned = replace(entry.target, revision=commit)
    changed = _in_table(lines, entry, commit) if is_toml else _in_line(lines, entry, pinned)
    text = "".join(changed)
    again = (
        parse_toml(text.encode(), source, today) if is_toml else parse_text(text.encode(), source)
    )
    if pinned not in [one.target for one in again.entries]:
        raise ConfigError(
            f"{path}: line {entry.line} is written in a way that cannot be changed by itself",
            hint=f"write the revision {commit} there yourself",
        )
    if text != "".join(lines):
        write_file(path.resolve(), text)  # a link stays one


def _is_same(one: Target, other: Target) -> bool:
    return (one.repo_type, one.repo_id.lower()) == (other.repo_type, other.repo_id.lower())


def _in_line(lines: list[str], entry: Entry, pinned: Target) -> list[str]:
    """Without what the target was written as; its comment stays."""
    assert entry.line is not None
    old = lines[entry.line - 1]
    written = re.match(r"(\ufeff?\s*)(\S+)", old)
    assert written is not None
    new = f"{written[1]}{name_of(pinned)}{old[written.end() :]}"
    return [*lines[: entry.line - 1], new, *lines[entry.line :]]


def _in_table(lines: list[str], entry: Entry, commit: str) -> list[str]:
    assert entry.line is not None
    end = entry.line
    while end < len(lines) and not _TABLE.match(lines[end]):
        found = _REVISION.fullmatch(lines[end].rstrip("\r\n"))
        if found:
            comment = f"  {found[1]}" if found[1] else ""
            break_ = lines[end][len(lines[end].rstrip("\r\n")) :]
            return [*lines[:end], f'revision = "{commit}"{comment}{break_}', *lines[end + 1 :]]
        end += 1
    header = lines[entry.line - 1]
    break_ = "\r\n" if header.endswith("\r\n") else "\n"
    first = header if header.endswith("\n") else f"{header}{break_}"
    new = f'revision = "{commit}"{break_}'
    return [*lines[: entry.line - 1], first, new, *lines[entry.line :]]
