"""What `hubaudit pins` says: lines that editors jump to, JSON, or annotations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hubaudit import __version__
from hubaudit.pins.files import FileFound
from hubaudit.pins.reference import Form, Place, Reference, State
from hubaudit.pins.resolve import Asked, asked
from hubaudit.report.escape import encodable, visible
from hubaudit.report.github import command
from hubaudit.report.json import printable
from hubaudit.report.words import count

SCHEMA = "hubaudit.pins/1"

Commits = Mapping[Asked, str]


def as_text(files: Sequence[FileFound], commits: Commits, shown: frozenset[State]) -> str:
    """A line a reference whose state is among `shown`, one a part that was not read, and a summary."""
    lines: list[str] = []
    for file in files:
        for reference in file.found.references:
            if reference.state in shown:
                lines += _lines(file.path, reference, commits)
        for part in file.found.unparsed:
            lines.append(f"{_at(file.path, part.place)}: not read: {visible(part.why)}")
    return "\n".join([*lines, _summary(files), ""])


def as_json(files: Sequence[FileFound], commits: Commits) -> str:
    """All references of all states, in the order of the files."""
    document = {
        "schema": SCHEMA,
        "tool": {"name": "hubaudit", "version": __version__},
        "counts": {state.value: number for state, number in _counts(files).items()},
        "references": [
            _entry(file.path, one, commits) for file in files for one in file.found.references
        ],
        "unread": [
            {"path": encodable(file.path), **_place(part.place), "why": encodable(part.why)}
            for file in files
            for part in file.found.unparsed
        ],
    }
    return printable(json.dumps(document, indent=2)) + "\n"


def as_github(files: Sequence[FileFound], commits: Commits, shown: frozenset[State]) -> str:
    """An annotation for each of them, at its place in the checkout, and one with the summary."""
    made = []
    for file in files:
        for reference in file.found.references:
            if reference.state in shown:
                commit = _commit(reference, commits)
                pin = f"; write {paste(reference, commit)}" if commit is not None else ""
                title = _word(reference.state)
                said = f"{_said(reference)}{pin}"
                made.append(command("error", _where(file.path, reference.place, title), said))
        made += [
            command("error", _where(file.path, part.place, "not read"), part.why)
            for part in file.found.unparsed
        ]
    made.append(command("notice", {"title": "hubaudit pins"}, _summary(files)))
    return "".join(made)


def _where(path: str, place: Place, title: str) -> dict[str, str]:
    return {"file": path, "line": str(place.line), "col": str(place.column), "title": title}


def paste(reference: Reference, commit: str) -> str:
    """What to write at the place of the reference, so that it is pinned to `commit`."""
    match reference.form:
        case Form.ADDRESS:
            return f"{reference.repo_id}@{commit}"
        case Form.RESOLVE:
            return f"/resolve/{commit}/"
        case Form.YAML:
            return (
                f"{reference.key}: {commit}" if not commit.isdecimal() else f'revision: "{commit}"'
            )
        case Form.JSON:
            return f'{json.dumps(reference.key)}: "{commit}"'
        case Form.TOML:
            return f'{reference.key} = "{commit}"'
    return f'revision="{commit}"'


def _word(state: State) -> str:
    words = {State.UNPINNED: "not pinned", State.UNKNOWN: "cannot be told"}
    return words.get(state, state.value)


def _said(reference: Reference) -> str:
    kind = "" if reference.repo_type == "model" else f"{reference.repo_type}s/"
    what = f" loads {kind}{reference.repo_id}" if reference.repo_id else ""
    return f"{reference.via}{what}: {reference.why}"


def _lines(path: str, reference: Reference, commits: Commits) -> Iterator[str]:
    word = _word(reference.state)
    yield f"{_at(path, reference.place)}: {word}: {visible(_said(reference))}"
    if reference.reason:
        yield f"    ignored: {visible(reference.reason)}"
    commit = _commit(reference, commits)
    if commit is not None:
        yield f"    {visible(paste(reference, commit))}"


def _summary(files: Sequence[FileFound]) -> str:
    counts = _counts(files)
    whole = sum(counts.values())
    parts = [f"{count(whole, 'reference')} to the Hub in {count(len(files), 'file')}"]
    words = {
        State.PINNED: "pinned",
        State.UNPINNED: "not pinned",
        State.UNKNOWN: "cannot be told",
        State.IGNORED: "ignored with a reason",
    }
    parts += [f"{number} {words[state]}" for state, number in counts.items() if number]
    unread = sum(len(file.found.unparsed) for file in files)
    if unread:
        parts.append(f"{count(unread, 'part')} not read")
    return ", ".join(parts)


def _counts(files: Sequence[FileFound]) -> dict[State, int]:
    counted = Counter(one.state for file in files for one in file.found.references)
    return {state: counted[state] for state in State}


def _entry(path: str, reference: Reference, commits: Commits) -> dict[str, Any]:
    commit = _commit(reference, commits)
    texts = {
        "via": reference.via,
        "repo_id": reference.repo_id,
        "repo_type": reference.repo_type,
        "revision": reference.revision,
        "state": reference.state.value,
        "why": reference.why,
        "reason": reference.reason,
        "commit_hash": commit,
        "paste": commit and paste(reference, commit),
    }
    made = {key: text if text is None else encodable(text) for key, text in texts.items()}
    return {"path": encodable(path), **_place(reference.place), **made}


def _commit(reference: Reference, commits: Commits) -> str | None:
    question = asked(reference)
    if question is None or reference.state is State.PINNED:
        return None
    return commits.get(question)


def _place(place: Place) -> dict[str, int | None]:
    return {"line": place.line, "column": place.column, "cell": place.cell}


def _at(path: str, place: Place) -> str:
    cell = "" if place.cell is None else f" (cell {place.cell})"
    return f"{visible(path)}:{place.line}:{place.column}{cell}"
