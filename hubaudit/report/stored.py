"""Stored JSON reports back into `RepoReport`: strictly, for they come from wherever files come from."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from hubaudit import model
from hubaudit.errors import ReportUnusable
from hubaudit.report.json import SCHEMA

# The report on a commit of 5000 files with 3000 findings has 5 MB; fifty of them take 15 s and 1.4 GB.
MOST_BYTES = 1 << 28
# Whoever hands over something else than reports need not read of each of its lines.
_MOST_ERRORS = 20
_OURS = re.compile(r"hubaudit\.report/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Stored:
    """What a file holds, in its order. `single`: one report and nothing else, not a list of one."""

    reports: tuple[model.RepoReport, ...]
    errors: tuple[ReportUnusable, ...]
    single: bool


def read_reports(data: bytes, source: str) -> Stored:
    """The reports in `data`: one JSON report, an array of them, JSON Lines, or several in a row.

    What is no report is in `errors`, whose messages name `source` and the place; what stands behind it is
    read all the same. Nothing raises.
    """
    if len(data) > MOST_BYTES:
        return _nothing(
            f"{source} is larger than {MOST_BYTES:,} bytes", "give the reports one by one"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _nothing(f"{source} is not UTF-8: byte {error.start:,}", _HINT)
    reports: list[model.RepoReport] = []
    errors: list[ReportUnusable] = []
    documents = arrays = 0
    for where, value in _documents(text, source):
        documents += 1
        arrays += isinstance(value, list)
        for place, entry in _entries(where, value):
            try:
                reports.append(_report(place, entry))
            except ReportUnusable as error:
                errors.append(error)
                if len(errors) == _MOST_ERRORS:
                    return Stored(tuple(reports), (*errors, _too_many(source)), single=False)
    if not documents:
        return _nothing(f"{source} is empty", _HINT)
    return Stored(tuple(reports), tuple(errors), single=documents == 1 and not arrays)


def parse(text: str) -> model.RepoReport:
    """The report of which `report.json.render` wrote `text`. Raises ReportUnusable."""
    found = read_reports(text.encode("utf-8", "surrogatepass"), "the text")
    if found.errors:
        raise found.errors[0]
    if len(found.reports) != 1:
        raise ReportUnusable(f"the text holds {len(found.reports)} reports, not one", hint=_HINT)
    return found.reports[0]


_HINT = "give a file that hubaudit wrote with --format json or jsonl"
_NEWER = "if a newer hubaudit wrote it, read it with that one"


def _nothing(message: str, hint: str) -> Stored:
    return Stored((), (ReportUnusable(message, hint=hint),), single=True)


def _too_many(source: str) -> ReportUnusable:
    return ReportUnusable(f"{source} was not read further: too much of it is no report", hint=_HINT)


def _documents(text: str, source: str) -> Iterator[tuple[str, object]]:
    """Every JSON value at the top with its place. After a broken one, on at the next line with a `{`."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_no_constant)
    at = _after_space(text, 0)
    line, counted = 1, 0
    while at < len(text):
        line, counted = line + text.count("\n", counted, at), at
        where = source if line == 1 else f"{source}: line {line:,}"
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield where, _Broken(_why(error))
            end = text.find("\n{", at + 1)
            if end < 0:
                return
        else:
            yield where, value
        at = _after_space(text, end)


@dataclass(frozen=True, slots=True)
class _Broken:
    """In place of a value that is no JSON."""

    why: str


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, line {error.lineno:,} column {error.colno:,}"
    return str(error).partition(";")[0]  # a number of too many digits, with advice for programmers


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


_SPACE = re.compile(r"[ \t\r\n]*")


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of two equal keys other readers take one or the other: a report must not say two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        [(twin, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twin[:80]!r} stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _entries(where: str, value: object) -> Iterator[tuple[str, object]]:
    if not isinstance(value, list):
        yield where, value
        return
    for number, entry in enumerate(value):
        yield f"{where}: [{number}]", entry


def _report(where: str, entry: object) -> model.RepoReport:
    if isinstance(entry, _Broken):
        raise ReportUnusable(f"{where}: no JSON: {entry.why}", hint=_HINT)
    if not isinstance(entry, dict):
        raise ReportUnusable(f"{where}: no report, which is an object", hint=_HINT)
    _check_schema(where, entry.get("schema"))
    try:
        report = _Report.model_validate(entry).plain()
    except ValidationError as error:
        raise _explained(error, where) from None
    for path, times in Counter(file.path for file in report.files).most_common(1):
        if times > 1:  # a commit has a path once: of two rows a reader would believe one
            raise ReportUnusable(f"{where}: the file {path[:200]!r} stands twice", hint=_HINT)
    return report


def _check_schema(where: str, schema: object) -> None:
    if schema == SCHEMA:
        return
    found = _OURS.fullmatch(schema) if isinstance(schema, str) else None
    if found is None:
        said = f"schema {schema[:80]!r}" if isinstance(schema, str) else "no schema"
        raise ReportUnusable(f"{where}: no report of hubaudit: it has {said}", hint=_HINT)
    raise ReportUnusable(
        f"{where}: it has schema {found[0]}, and this version reads {SCHEMA}",
        hint="read it with the hubaudit that wrote it, or a newer one",
    )


def _explained(error: ValidationError, where: str) -> ReportUnusable:
    """The first thing that is wrong, an unknown key before what may be its lack, and how many more."""
    found = error.errors(include_url=False, include_context=False)
    first, *more = sorted(found, key=lambda one: one["type"] != "extra_forbidden")
    said = f"{where}: {_place(first)}: {_said(first)}"
    if more:
        said += f" (and {len(more):,} more)"
    return ReportUnusable(said, hint=_NEWER if first["type"] == "extra_forbidden" else _HINT)


def _place(error: ErrorDetails) -> str:
    parts = (f"[{one}]" if isinstance(one, int) else f".{one[:80]}" for one in error["loc"])
    return "".join(parts).removeprefix(".")


def _said(error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "this key is not known"
        case "missing":
            return "this key is missing"
        case _:
            return error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")


# As in schema.json. The upper bound is the largest size that a file system has: a size that is not a
# machine's number would break who adds them up.
_Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
_Rule = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
# It becomes the beginning of links, so it has to be a plain URL of the web: no `javascript:`, no markup.
_Endpoint = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9\-._~:/\[\]%+]+$")]


# It becomes a keyword in the line of code that people copy.
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Tool(_Strict):
    name: Literal["hubaudit"]
    version: Annotated[str, Field(max_length=100)]  # a bill of materials takes 1024
    ruleset: str
    policy: _Sha256 | None = None

    def plain(self) -> model.Tool:
        return model.Tool(self.name, self.version, self.ruleset, self.policy)


class _Repo(_Strict):
    repo_id: str
    repo_type: model.RepoType
    revision: str | None
    commit_hash: _Commit | None
    endpoint: _Endpoint | None

    def plain(self) -> model.RepoRef:
        return model.RepoRef(
            self.repo_id, self.repo_type, self.revision, self.commit_hash, self.endpoint
        )


class _Load(_Strict):
    library: str
    arguments: dict[_Name, bool | str | dict[_Name, bool | str]]
    bases: list[str]

    def plain(self) -> model.LoadAdvice:
        return model.LoadAdvice(self.library, dict(self.arguments), tuple(self.bases))


class _Scanner(_Strict):
    status: str
    message: str | None


class _HubScan(_Strict):
    status: str
    scanners: dict[str, _Scanner]

    def plain(self) -> model.HubScan:
        rows = self.scanners.items()
        scanners = (model.ScannerVerdict(name, one.status, one.message) for name, one in rows)
        return model.HubScan(self.status, tuple(scanners))


class _File(_Strict):
    path: str
    size: _Count
    sha256: _Sha256 | None
    blob_id: str | None
    format: str
    load_role: Annotated[model.LoadRole, Field(strict=False)]
    load_reason: str = ""
    read: Annotated[model.ReadHow, Field(strict=False)]
    verified: bool | None
    hub_scan: _HubScan | None

    def plain(self) -> model.FileReport:
        return model.FileReport(
            path=self.path,
            size=self.size,
            sha256=self.sha256,
            blob_id=self.blob_id,
            format=self.format,
            load_role=self.load_role,
            read=self.read,
            verified=self.verified,
            hub_scan=self.hub_scan.plain() if self.hub_scan else None,
            load_reason=self.load_reason,
        )


class _Finding(_Strict):
    rule: _Rule
    severity: Annotated[model.Severity, Field(strict=False)]
    confidence: Annotated[model.Confidence, Field(strict=False)]
    path: str
    member: str | None
    offset: _Count | None
    message: str
    evidence: str
    references: list[str]
    waived: str | None

    def plain(self) -> model.Finding:
        return model.Finding(
            rule=self.rule,
            severity=self.severity,
            confidence=self.confidence,
            path=self.path,
            member=self.member,
            offset=self.offset,
            message=self.message,
            evidence=self.evidence,
            references=tuple(self.references),
            waived=self.waived,
        )


class _Global(_Strict):
    path: str
    member: str | None
    module: str
    name: str
    name_class: Annotated[model.NameClass, Field(strict=False, alias="class")]
    count: Annotated[int, Field(ge=1, le=2**63 - 1)]

    def plain(self) -> model.GlobalUse:
        return model.GlobalUse(
            self.path, self.member, self.module, self.name, self.name_class, self.count
        )


class _Difference(_Strict):
    tensor: str
    how: str


class _Comparison(_Strict):
    """What has a default came into the schema later, by an addition that left its version."""

    pickle: str
    safetensors: str
    result: Literal["equal", "differs", "not-compared"]
    depth: Literal["metadata", "sampled", "full"]
    tensors: _Count
    missing: list[str]
    extra: list[str]
    differing: list[str]
    differences: list[_Difference] = []
    not_comparable: list[str] = []
    tensors_read: _Count = 0
    bytes_read: _Count = 0
    bytes_total: _Count = 0
    pickle_files: list[str] = []
    safetensors_files: list[str] = []
    notes: list[str] = []
    why: str = ""
    agreed_at: str | None = None

    def plain(self) -> model.Comparison:
        return model.Comparison(
            pickle=self.pickle,
            safetensors=self.safetensors,
            result=self.result,
            depth=self.depth,
            tensors=self.tensors,
            missing=tuple(self.missing),
            extra=tuple(self.extra),
            differing=tuple(self.differing),
            pickle_files=tuple(self.pickle_files),
            safetensors_files=tuple(self.safetensors_files),
            tensors_read=self.tensors_read,
            bytes_read=self.bytes_read,
            bytes_total=self.bytes_total,
            differences=tuple(
                model.TensorDifference(one.tensor, one.how) for one in self.differences
            ),
            not_comparable=tuple(self.not_comparable),
            notes=tuple(self.notes),
            why=self.why,
            agreed_at=self.agreed_at,
        )


class _Unread(_Strict):
    path: str
    member: str | None
    why: str

    def plain(self) -> model.Unread:
        return model.Unread(self.path, self.member, self.why)


class _Cost(_Strict):
    requests: _Count
    received: _Count

    def plain(self) -> model.Cost:
        return model.Cost(self.requests, self.received)


class _Opinion(_Strict):
    engine: str
    version: str | None
    path: str
    status: model.OpinionStatus
    detail: str

    def plain(self) -> model.Opinion:
        return model.Opinion(self.engine, self.version, self.path, self.status, self.detail)


class _Report(_Strict):
    schema_: Annotated[Literal["hubaudit.report/1"], Field(alias="schema")]
    tool: _Tool
    repo: _Repo
    verdict: Annotated[model.Verdict, Field(strict=False)]
    summary: str
    load: _Load | None = None
    files: list[_File]
    findings: list[_Finding]
    globals: list[_Global]
    comparisons: list[_Comparison]
    unread: list[_Unread]
    cost: _Cost | None = None
    opinions: list[_Opinion] = []

    def plain(self) -> model.RepoReport:
        return model.RepoReport(
            tool=self.tool.plain(),
            repo=self.repo.plain(),
            verdict=self.verdict,
            summary=self.summary,
            files=tuple(one.plain() for one in self.files),
            findings=tuple(one.plain() for one in self.findings),
            globals=tuple(one.plain() for one in self.globals),
            comparisons=tuple(one.plain() for one in self.comparisons),
            unread=tuple(one.plain() for one in self.unread),
            load=self.load.plain() if self.load else None,
            cost=self.cost.plain() if self.cost else None,
            opinions=tuple(one.plain() for one in self.opinions),
        )
