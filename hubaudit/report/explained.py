"""What `hubaudit explain TARGET::FILE::MEMBER` prints: pickles as pseudo-Python, as text or as JSON.

Both come in pieces, so that a listing of any length takes no memory and can be broken off.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from hubaudit.explain import Opened
from hubaudit.formats.contents import PickleRead
from hubaudit.formats.raw import why_stopped
from hubaudit.model import RepoRef
from hubaudit.pvm.values import StopKind, Trace
from hubaudit.report.escape import encodable, visible
from hubaudit.report.json import printable
from hubaudit.report.page import Page
from hubaudit.report.pseudo import Extent, Kind, LeftOut, Line, Mark, Pseudo, programs
from hubaudit.report.words import count
from hubaudit.rules import catalogue_under

SCHEMA = "hubaudit.explain/1"

_COMMENTS_FROM = 44  # the column; most imports are shorter
_MOST_GAPS = 20  # of what was not read, in the text: the audit's report has them all
_STYLES = {Mark.DANGEROUS: "1;31", Mark.COMPUTED: "1;31", Mark.UNLISTED: "33", Mark.INERT: "2"}
_WORDS = {
    Mark.DANGEROUS: "DANGEROUS",
    Mark.COMPUTED: "COMPUTED NAME",
    Mark.UNLISTED: "unlisted",
    Mark.INERT: "inert",
}
_ENDS = {
    StopKind.COMPLETE: "complete",
    StopKind.TRUNCATED: "cut off",
    StopKind.BROKEN: "broken",
    StopKind.LIMIT: "not read to its end",
}


def as_text(opened: Opened, extent: Extent, page: Page) -> Iterator[str]:
    """Lines with their newlines. What came from the repository is visible: all escapes are colours."""
    for line in _heading(opened):
        yield _comment(line)
    for program in programs(opened.contents, catalogue_under(opened.policy), extent):
        yield "\n"
        if isinstance(program, LeftOut):
            yield _comment(
                f"… {program.lines:,} more pickles, which import nothing but inert names"
            )
            continue
        yield from _program(opened, program, page)


def as_json(opened: Opened, extent: Extent, _page: Page) -> Iterator[str]:
    """One object, ASCII only, a line of the program on a line of its own."""
    head = _dumps(_head(opened))
    yield f'{head[:-1]}, "pickles": ['
    left_out, separator = 0, "\n"
    for program in programs(opened.contents, catalogue_under(opened.policy), extent):
        if isinstance(program, LeftOut):
            left_out = program.lines
            continue
        yield f'{separator}{_dumps(_described(program.pickle))[:-1]}, "lines": ['
        separator = "\n"
        for line in program.lines:
            yield f"{separator}  {_dumps(_plain(line))}"
            separator = ",\n"
        yield "]}"
        separator = ",\n"
    yield f'], "left_out": {left_out}}}\n'


def _heading(opened: Opened) -> Iterator[str]:
    contents = opened.contents
    what = f"{contents.format.value}, {count(len(contents.pickles), 'pickle')}"
    yield f"{_subject(opened.repo)} › {opened.file.path} — {what}"
    if opened.verified is False:
        yield "These bytes are not those of the commit: their hash is not the listed one."
    for gap in contents.gaps[:_MOST_GAPS]:
        yield f"not read to the end: {gap.member or opened.file.path}: {gap.why}"
    if len(contents.gaps) > _MOST_GAPS:
        yield f"… {len(contents.gaps) - _MOST_GAPS:,} more that were not read to the end"


def _subject(repo: RepoRef) -> str:
    if repo.commit_hash is None:
        return f"{repo.repo_id} on this machine" if repo.repo_type == "local" else repo.repo_id
    kind = "" if repo.repo_type == "model" else f"{repo.repo_type} "
    return f"{kind}{repo.repo_id} at {repo.commit_hash}"


def _program(opened: Opened, program: Pseudo, page: Page) -> Iterator[str]:
    trace = program.pickle.trace
    where = program.pickle.member or opened.file.path
    at = f" from byte {trace.start:,}" if trace.start else ""
    size = f"{trace.end - trace.start:,} bytes"
    end = _ENDS[trace.stop.kind]
    yield _comment(f"{where}{at} — protocol {trace.protocol}, {size}, {end}")
    for note in trace.notes[:_MOST_GAPS]:
        yield _comment(note)
    for line in program.lines:
        yield _told(line, page)
    if not trace.complete:
        yield _comment(_lost(trace))


def _lost(trace: Trace) -> str:
    if trace.stop.kind is StopKind.LIMIT:
        return f"Here hubaudit lost track: {why_stopped(trace.stop)}. What follows is not known."
    return f"Here it ends: {why_stopped(trace.stop)}. What stands above runs all the same."


def _told(line: Line | LeftOut, page: Page) -> str:
    if isinstance(line, LeftOut):
        return _comment(f"… {line.lines:,} more")
    code = visible(line.code)
    said = _remark(line)
    text = f"{code:<{_COMMENTS_FROM - 1}}  # {visible(said)}" if said else code
    if page.color and line.mark is not None:
        text = f"\x1b[{_STYLES[line.mark]}m{text}\x1b[0m"
    return f"{text}\n"


def _remark(line: Line) -> str:
    """By imports what they are; by calls where they stand, and what they are if that matters."""
    if line.kind is Kind.RETURN:
        return ""
    word = "" if line.mark is None else _WORDS[line.mark]
    judged = f"{word}: {line.note}" if word and line.note else word
    if line.kind is Kind.IMPORT:
        return judged
    return f"byte {line.offset:,}, {judged}" if judged else f"byte {line.offset:,}"


def _comment(text: str) -> str:
    return f"# {visible(text)}\n"


def _head(opened: Opened) -> dict[str, Any]:
    repo, file, contents = opened.repo, opened.file, opened.contents
    return {
        "schema": SCHEMA,
        "repo": {
            "repo_id": repo.repo_id,
            "repo_type": repo.repo_type,
            "revision": repo.revision,
            "commit_hash": repo.commit_hash,
            "endpoint": repo.endpoint,
        },
        "path": file.path,
        "size": file.size,
        "format": contents.format.value,
        "verified": opened.verified,
        "unread": [{"member": gap.member, "why": gap.why} for gap in contents.gaps],
    }


def _described(pickle: PickleRead) -> dict[str, Any]:
    trace = pickle.trace
    return {
        "member": pickle.member,
        "offset": trace.start,
        "size": trace.end - trace.start,
        "protocol": trace.protocol,
        "end": {
            "kind": trace.stop.kind.value,
            "offset": trace.stop.offset,
            "why": trace.stop.detail,
        },
        "notes": trace.notes,
    }


def _plain(line: Line | LeftOut) -> dict[str, Any]:
    if isinstance(line, LeftOut):
        return {"left_out": line.lines}
    mark = None if line.mark is None else line.mark.value
    return {
        "offset": line.offset,
        "kind": line.kind.value,
        "code": line.code,
        "class": mark,
        "why": line.note,
    }


def _dumps(value: dict[str, Any]) -> str:
    return printable(json.dumps(_encodable(value), allow_nan=False))


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return encodable(value)
        case dict():
            return {key: _encodable(entry) for key, entry in value.items()}
        case list():
            return [_encodable(entry) for entry in value]
        case _:
            return value


EXPLAINED: dict[str, Callable[[Opened, Extent, Page], Iterator[str]]] = {
    "text": as_text,
    "json": as_json,
}
