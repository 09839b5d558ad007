"""A stored report is the report that was stored, or an error that says why not."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from junitparser import JUnitXml
from sarif_pydantic import Sarif

from hubaudit.errors import ReportUnusable
from hubaudit.model import (
    Comparison,
    Confidence,
    Cost,
    FileReport,
    Finding,
    GlobalUse,
    HubScan,
    LoadAdvice,
    LoadRole,
    NameClass,
    Opinion,
    OpinionStatus,
    ReadHow,
    RepoRef,
    RepoReport,
    RepoType,
    ScannerVerdict,
    Severity,
    TensorDifference,
    Tool,
    Unread,
    Verdict,
)
from hubaudit.report import REPORTS, Page
from hubaudit.report.json import as_dict, render, render_many, schema
from hubaudit.report.jsonl import render_many as render_lines
from hubaudit.report.stored import MOST_BYTES, parse, read_reports
from tests.report import samples

EVERYTHING = [build() for build in samples.ALL.values()]
every_sample = pytest.mark.parametrize("report", EVERYTHING, ids=samples.ALL)
every_format = pytest.mark.parametrize("form", REPORTS)
PAGE = Page()

# Local file names that are no UTF-8 have lone surrogates, some of which sort before what they become.
_text = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\ud800\udc80\udfff\x1b")))
_maybe_text = st.none() | _text
_texts = st.lists(_text, max_size=3).map(tuple)
_count = st.integers(0, 2**63 - 1)
_sha256 = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)
_commit = st.none() | st.text("0123456789abcdef", min_size=40, max_size=40)
_rule = st.text(string.ascii_lowercase, min_size=1)
_name = st.text(string.ascii_lowercase + "_", min_size=1)
_value = st.booleans() | st.text()


def _tuples(of: st.SearchStrategy[Any], **how: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=3, **how).map(tuple)


_scans = st.builds(
    HubScan,
    _text,
    _tuples(
        st.builds(ScannerVerdict, st.text(), _text, _maybe_text), unique_by=lambda one: one.scanner
    ),
)
_files = st.builds(
    FileReport,
    path=_text,
    size=_count,
    sha256=_sha256,
    blob_id=_maybe_text,
    format=_text,
    load_role=st.sampled_from(LoadRole),
    read=st.sampled_from(ReadHow),
    verified=st.none() | st.booleans(),
    hub_scan=st.none() | _scans,
    load_reason=_text,
)
_findings = st.builds(
    Finding,
    rule=_rule,
    severity=st.sampled_from(Severity),
    confidence=st.sampled_from(Confidence),
    path=_text,
    member=_maybe_text,
    offset=st.none() | _count,
    message=_text,
    evidence=_text,
    references=_texts,
    waived=_maybe_text,
)
_comparisons = st.builds(
    Comparison,
    pickle=_text,
    safetensors=_text,
    result=st.sampled_from(["equal", "differs", "not-compared"]),
    depth=st.sampled_from(["metadata", "sampled", "full"]),
    tensors=_count,
    missing=_texts,
    extra=_texts,
    differing=_texts,
    pickle_files=_texts,
    safetensors_files=_texts,
    tensors_read=_count,
    bytes_read=_count,
    bytes_total=_count,
    differences=_tuples(st.builds(TensorDifference, _text, _text)),
    not_comparable=_texts,
    notes=_texts,
    why=_text,
    agreed_at=_maybe_text,
)
any_report = st.builds(
    RepoReport,
    tool=st.builds(Tool, st.just("hubaudit"), st.text(max_size=9), _text, _sha256),
    repo=st.builds(
        RepoRef,
        _text,
        st.sampled_from(get_args(RepoType)),
        _maybe_text,
        _commit,
        st.sampled_from([None, "https://huggingface.co", "http://127.0.0.1:8080/hub"]),
    ),
    verdict=st.sampled_from(Verdict),
    summary=_text,
    files=_tuples(_files, unique_by=lambda file: file.path.encode("utf-8", "backslashreplace")),
    findings=_tuples(_findings),
    globals=_tuples(
        st.builds(
            GlobalUse,
            _text,
            _maybe_text,
            _text,
            _text,
            st.sampled_from(NameClass),
            st.integers(1, 9),
        )
    ),
    comparisons=_tuples(_comparisons),
    unread=_tuples(st.builds(Unread, _text, _maybe_text, _text)),
    load=st.none()
    | st.builds(
        LoadAdvice,
        _text,
        st.dictionaries(_name, _value | st.dictionaries(_name, _value, max_size=2), max_size=3),
        _texts,
    ),
    cost=st.none() | st.builds(Cost, _count, _count),
    opinions=_tuples(
        st.builds(
            Opinion, _text, _maybe_text, _text, st.sampled_from(get_args(OpinionStatus)), _text
        )
    ),
)


@settings(max_examples=60)
@given(any_report)
def test_what_was_written_is_read_as_it_was(report: RepoReport) -> None:
    text = render(report)
    assert as_dict(parse(text)) == as_dict(report) == json.loads(text)
    assert render(parse(text)) == text


@every_format
@settings(max_examples=40, deadline=None)
@given(report=any_report)
def test_every_format_of_a_stored_report_is_that_of_the_fresh_one(
    form: str, report: RepoReport
) -> None:
    """Whatever order a fresh report is in, and whatever its text sorts as."""
    assert REPORTS[form].one(parse(render(report)), PAGE) == REPORTS[form].one(report, PAGE)


@every_sample
def test_every_format_of_a_stored_sample_is_that_of_the_fresh_one(report: RepoReport) -> None:
    again = parse(render(report))
    for form in REPORTS.values():
        assert form.one(again, PAGE) == form.one(report, PAGE)


def test_arrays_lines_and_texts_in_a_row_are_read_in_their_order() -> None:
    texts = [
        render_many(EVERYTHING),
        render_lines(EVERYTHING),
        "\n\n".join(map(render, EVERYTHING)),
        "".join(map(render_many, [EVERYTHING[:3], EVERYTHING[3:]])),
    ]
    for text in texts:
        stored = read_reports(text.encode(), "x")
        assert [as_dict(one) for one in stored.reports] == [as_dict(one) for one in EVERYTHING]
        assert (stored.errors, stored.single) == ((), False)
    assert read_reports(render(EVERYTHING[0]).encode(), "x").single


def test_a_report_of_the_first_version_of_the_schema_is_read() -> None:
    plain = as_dict(samples.for_review())
    del plain["load"], plain["tool"]["policy"]
    for file in plain["files"]:
        del file["load_reason"]
    first = ("pickle", "safetensors", "result", "depth", "tensors", "missing", "extra", "differing")
    plain["comparisons"] = [{key: one[key] for key in first} for one in plain["comparisons"]]
    read = as_dict(parse(json.dumps(plain)))
    assert read["findings"] == plain["findings"]
    assert [one["notes"] for one in read["comparisons"]] == [[], []]


Change = Callable[[dict[str, Any]], object]
_WRONG: dict[str, tuple[Change, str, str]] = {
    "no schema": (lambda r: r.pop("schema"), "it has no schema", "--format json"),
    "another schema": (
        lambda r: r.update(schema="hubaudit.explain/1"),
        "it has schema 'hubaudit.explain/1'",
        "--format json",
    ),
    "a newer schema": (
        lambda r: r.update(schema="hubaudit.report/2"),
        "schema hubaudit.report/2, and this version reads hubaudit.report/1",
        "newer",
    ),
    "an unknown key": (lambda r: r.update(time=1), "time: this key is not known", "newer hubaudit"),
    "an unknown key far down": (
        lambda r: r["files"][0].update(owner="x"),
        "files[0].owner: this key is not known",
        "newer hubaudit",
    ),
    "a missing key": (lambda r: r.pop("unread"), "unread: this key is missing", "--format json"),
    "a null": (lambda r: r.update(findings=None), "findings: a valid list", ""),
    "an unknown verdict": (lambda r: r.update(verdict="clean"), "verdict: 'pass', 'review'", ""),
    "a verdict in capitals": (lambda r: r.update(verdict="PASS"), "verdict: 'pass'", ""),
    "a text for a number": (lambda r: r["files"][0].update(size="1"), "files[0].size: a valid", ""),
    "a truth for a number": (lambda r: r["files"][0].update(size=True), "files[0].size", ""),
    "half a byte": (lambda r: r["files"][0].update(size=0.5), "files[0].size", ""),
    "a float": (lambda r: r["files"][0].update(size=1.0), "files[0].size", ""),
    "less than nothing": (lambda r: r["files"][0].update(size=-1), "files[0].size", ""),
    "a size of no machine": (lambda r: r["files"][0].update(size=10**400), "files[0].size", ""),
    "a number for a truth": (lambda r: r["files"][0].update(verified=1), "files[0].verified", ""),
    "a hash of other letters": (lambda r: r["files"][0].update(sha256="x"), "files[0].sha256", ""),
    "a version of a thousand digits": (
        lambda r: r["tool"].update(version="9" * 1000),
        "tool.version",
        "",
    ),
    "a hash and a new line": (
        lambda r: r["files"][0].update(sha256=samples.SHA256 + "\n"),
        "files[0].sha256",
        "",
    ),
    "a branch for a commit": (lambda r: r["repo"].update(commit_hash="main"), "repo.commit_h", ""),
    "a script for an endpoint": (
        lambda r: r["repo"].update(endpoint="javascript:alert(1)//"),
        "repo.endpoint",
        "",
    ),
    "markup in an endpoint": (
        lambda r: r["repo"].update(endpoint='https://x"><script>'),
        "repo.endpoint",
        "",
    ),
    "code for an argument": (
        lambda r: r.update(load={"library": "x", "arguments": {"a=f(), b": True}, "bases": []}),
        "load.arguments",
        "",
    ),
    "code for an inner argument": (
        lambda r: r.update(
            load={"library": "x", "arguments": {"a": {"b=f(), c": True}}, "bases": []}
        ),
        "load.arguments",
        "",
    ),
    "a rule of other letters": (lambda r: r["findings"][0].update(rule="a b"), "findings[0].r", ""),
    "a file twice": (lambda r: r["files"].append(r["files"][0]), "stands twice", ""),
    "an array inside": (lambda r: r.update(repo=[]), "repo: a valid dictionary", ""),
}


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_no_report_is_an_error_that_says_where(name: str) -> None:
    change, said, hint = _WRONG[name]
    plain = as_dict(samples.malicious())
    change(plain)
    with pytest.raises(ReportUnusable) as caught:
        parse(json.dumps(plain))
    assert said in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "x is empty"),
        (b" \n ", "x is empty"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8: byte 0"),
        (b'{"schema": "\xe9"}', "not UTF-8: byte 12"),
        (b"\xef\xbb\xbf{}", "no JSON"),
        (b"\x80\x04]q\x00.", "not UTF-8"),
        (b"hello", "no JSON: Expecting value, line 1 column 1"),
        (b"{}", "it has no schema"),
        (b"[[]]", "no report, which is an object"),
        (b"null", "no report, which is an object"),
        (b'{"schema": "hubaudit.report/1", "schema": "x"}', "the key 'schema' stands twice"),
        (b'{"a": [{"b": 1, "c": 2, "b": 1}]}', "the key 'b' stands twice"),
        (b'{"size": NaN}', "NaN is no number of JSON"),
        (b'{"size": ' + b"9" * 5000 + b"}", "no JSON: Exceeds the limit"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_json_is_an_error_in_words(data: bytes, said: str) -> None:
    stored = read_reports(data, "x")
    assert stored.reports == ()
    assert said in str(stored.errors[0])
    assert str(stored.errors[0]).startswith("x")
    assert stored.errors[0].hint


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    [error] = read_reports(bytes(MOST_BYTES + 1), "x").errors
    assert "larger than" in str(error)


def test_a_broken_line_loses_none_of_the_others() -> None:
    first, second = samples.ordinary(), samples.malicious()
    for broken in ('{"schema": "hubaudit.report/1", "to', '{"a": 1}', '{"x": }', "{" * 9):
        text = f"{render_lines([first])}{broken}\n{render_lines([second])}"
        stored = read_reports(text.encode(), "x")
        assert list(map(as_dict, stored.reports)) == [as_dict(first), as_dict(second)]
        assert len(stored.errors) == 1
        assert str(stored.errors[0]).startswith("x: line 2")


def test_a_cut_report_loses_none_of_those_behind_it() -> None:
    text = render(samples.malicious())[:900] + "\n" + render(samples.ordinary())
    stored = read_reports(text.encode(), "x")
    assert list(map(as_dict, stored.reports)) == [as_dict(samples.ordinary())]
    assert len(stored.errors) == 1


def test_a_bad_entry_of_an_array_loses_none_of_the_others() -> None:
    entries = [as_dict(samples.ordinary()), {"schema": 1}, as_dict(samples.malicious())]
    stored = read_reports(json.dumps(entries).encode(), "x")
    assert [as_dict(one) for one in stored.reports] == [entries[0], entries[2]]
    assert [str(error) for error in stored.errors] == [
        "x: [1]: no report of hubaudit: it has no schema"
    ]


def test_a_file_of_nothing_but_errors_is_given_up_soon() -> None:
    stored = read_reports(b"{}\n" * 100_000, "x")
    assert len(stored.errors) == 21
    assert "not read further" in str(stored.errors[-1])


# Every text of a report at once: what a forger may write where a fresh report has our own words.
TRICKS = (
    "<script>alert(1)</script>",
    "\n::error file=x::owned\n##[add-mask]x",
    "\x1b[31m\u202e\x00\x7f",
    "`|` [x](https://example.invalid) @org #1 {0}",
    "CWE-\u00b2",
    "CWE-" + "9" * 5000,
    "CWE-0",
    "javascript:alert(1)",
    "=cmd|' /C calc'!A0",
    "",
)
_KEPT = (
    "version",
    "commit_hash",
    "sha256",
    "policy",
    "endpoint",
    "rule",
    "name",
    "schema",
    "repo_type",
)


def _forged(trick: str) -> RepoReport:
    """A sample in which every text that may be any text is `trick`, and which follows the schema."""

    def forge(value: Any, key: str) -> Any:
        match value:
            case dict():
                return {inner: forge(one, inner) for inner, one in value.items()}
            case list() if value and isinstance(value[0], dict):
                return [forge(one, key) for one in value]
            case list():
                return [trick] if key != "differences" else []
            case str() if key not in _KEPT and value not in words:
                return trick
            case _:
                return value

    enums = (Verdict, Severity, Confidence, LoadRole, ReadHow, NameClass)
    words = {*(one.value for kind in enums for one in kind), "equal", "differs", "not-compared"}
    words |= set(get_args(OpinionStatus))
    words |= {"metadata", "full", "hubaudit"}
    report = replace(
        samples.hostile(),
        files=samples.malicious().files[:1],
        load=LoadAdvice("transformers", {"use_safetensors": True, "variant": "x"}, ("a/b",)),
    )
    plain = forge(as_dict(report), "")
    Draft202012Validator(schema()).validate(plain)
    return parse(json.dumps(plain))


@every_format
@pytest.mark.parametrize("trick", TRICKS, ids=range(len(TRICKS)))
def test_a_forged_report_is_as_harmless_as_any(form: str, trick: str) -> None:
    report = _forged(trick)
    one, many = REPORTS[form].one(report, PAGE), REPORTS[form].many([report, report], PAGE)
    for written in (one, many):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", written)
        assert "##[" not in written
        commands = [line for line in written.splitlines() if line.lstrip().startswith("::")]
        ours = re.compile(r"::(error|warning|notice) title=[^:,]*::[^\r\n]*")
        assert all(ours.fullmatch(line) for line in commands)
    match form:
        case "sarif":
            Sarif.model_validate_json(many)
        case "cyclonedx":
            validator = JsonStrictValidator(SchemaVersion.V1_6)
            assert validator.validate_str(one) is None
            assert validator.validate_str(many) is None
        case "junit":
            JUnitXml.fromstring(many.encode())
        case "html":
            assert "<script>alert(1)" not in many
            assert 'href="javascript' not in many
