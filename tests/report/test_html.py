"""The HTML report without a browser: what stands in it, and that nothing of a repository becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from hubaudit.model import (
    Comparison,
    GlobalUse,
    LoadAdvice,
    LoadRole,
    NameClass,
    RepoReport,
    Severity,
    TensorDifference,
    Unread,
    Verdict,
)
from hubaudit.report import html, terminal
from hubaudit.report.coverage import coverage_text
from hubaudit.report.html.picture import picture
from hubaudit.report.page import Page
from hubaudit.report.tally import by_severity, counts_text, worst
from tests.report import samples
from tests.report.test_formats import TRICKS, tricky

EVERYTHING = [build() for build in samples.ALL.values()]
every_sample = pytest.mark.parametrize("report", EVERYTHING, ids=samples.ALL)
VOID = {"meta", "link", "input", "rect"}


class Parsed(HTMLParser):
    """The elements of a page in their order, with the text in each; raises where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[list[str]] = []
        self._open: list[int] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append([])
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        # within svg a rect may have a title, so it is not void there
        if tag == "rect":
            return
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for number in self._open:
            self.texts[number].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str], str]]:
        return [
            (attrs, "".join(text))
            for (name, attrs), text in zip(self.elements, self.texts, strict=True)
            if name == tag
        ]

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def page_of(report: RepoReport) -> Parsed:
    return Parsed(html.render(report))


def text_of(report: RepoReport) -> str:
    [(_, text)] = page_of(report).all("main")
    return " ".join(text.split())


@every_sample
def test_the_page_says_verdict_counts_and_worst_severity(report: RepoReport) -> None:
    page = page_of(report)
    [(article, _)] = page.all("article")
    highest = worst(report)
    assert article["data-verdict"] == report.verdict.value
    assert article["data-worst"] == (highest.value if highest else "none")
    counts = {
        attrs["data-severity"]: (int(attrs["data-count"]), text)
        for attrs, text in page.all("li")
        if "data-count" in attrs
    }
    assert counts == {
        severity.value: (number, f"{number} {severity.value}")
        for severity, number in by_severity(report).items()
        if number
    }
    [(_, title)] = page.all("title")[:1]
    assert title.startswith(f"{report.verdict.value.upper()}: ")
    assert counts_text(report) in html.render(report)


@every_sample
def test_the_coverage_is_the_terminals(report: RepoReport) -> None:
    assert coverage_text(report) in terminal.render(report, Page(width=10_000))
    assert coverage_text(report) in text_of(report)


@pytest.mark.parametrize("verdict", Verdict)
def test_the_pin_is_there_to_paste_only_where_it_may_be_loaded(verdict: Verdict) -> None:
    text = text_of(replace(samples.ordinary(), verdict=verdict))
    pinned = f'from_pretrained("org/model", revision="{samples.COMMIT}")' in text
    assert pinned == (verdict in {Verdict.PASS, Verdict.REVIEW})


@every_sample
def test_the_policy_names_the_hashes_of_the_style_and_the_script(report: RepoReport) -> None:
    page = page_of(report)
    [policy] = [
        attrs["content"]
        for attrs, _ in page.all("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        [(attrs, text)] = page.all(tag)
        assert attrs == {}
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("trick", TRICKS)
def test_text_of_a_repository_makes_no_element_attribute_or_address(trick: str) -> None:
    plain, tricked = page_of(tricky("harmless")), page_of(tricky(trick))
    assert [tag for tag in tricked.tags() if tag != "mark"] == [
        tag for tag in plain.tags() if tag != "mark"
    ]
    assert [sorted(attrs) for tag, attrs in tricked.elements if tag != "mark"] == [
        sorted(attrs) for tag, attrs in plain.elements if tag != "mark"
    ]


@every_sample
def test_nothing_is_loaded_and_nothing_runs_from_an_attribute(report: RepoReport) -> None:
    hub = f"https://huggingface.co/{report.repo.repo_id}/"
    data = f"https://huggingface.co/datasets/{report.repo.repo_id}/"
    for tag, attrs in page_of(report).elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "form", "video", "use"}
        assert not [name for name in attrs if name.startswith("on")]
        assert not attrs.keys() & {"style", "src", "srcset", "action", "background", "ping"}
        href = attrs.get("href", "#")
        assert href.startswith(("#", hub, data, "https://cwe.mitre.org/data/definitions/")) or (
            (tag, href) == ("link", "data:,")
        )


@pytest.mark.parametrize("endpoint", ["javascript:alert(1)//", "data:text/html,", "file:///etc"])
def test_an_endpoint_that_is_not_on_the_web_is_no_link(endpoint: str) -> None:
    page = page_of(replace(samples.malicious(), repo=samples.repo(endpoint=endpoint)))
    assert not [attrs for attrs, _ in page.all("a") if endpoint in attrs["href"]]


@every_sample
def test_every_link_into_the_page_leads_somewhere_and_no_id_is_there_twice(
    report: RepoReport,
) -> None:
    for page in (page_of(report), Parsed(html.render_many([report, *EVERYTHING]))):
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        named = [
            word
            for _, attrs in page.elements
            for name in ("for", "aria-labelledby")
            for word in attrs.get(name, "").split()
        ]
        inside = [attrs["href"][1:] for attrs, _ in page.all("a") if attrs["href"][0] == "#"]
        assert set(named + inside) <= set(ids)


@every_sample
def test_tables_have_captions_and_scopes_and_headings_skip_no_level(report: RepoReport) -> None:
    page = page_of(report)
    assert page.tags().count("table") == page.tags().count("caption")
    assert all("scope" in attrs for attrs, _ in page.all("th"))
    levels = [int(tag[1]) for tag in page.tags() if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attrs.get("aria-label") or attrs.get("aria-hidden") for attrs, _ in page.all("svg"))


def test_the_dangerous_name_is_marked_in_the_evidence() -> None:
    use = GlobalUse("pytorch_model.bin", "m", "os", "system", NameClass.DANGEROUS, 1)
    evidence = "_1 = print(os.systematic, os.system('true'))"
    [first, *_] = samples.malicious().findings[1:]
    report = replace(
        samples.malicious(), globals=(use,), findings=(replace(first, evidence=evidence),)
    )
    page = page_of(report)
    assert page.all("mark") == [({"class": "m-dangerous"}, "os.system")]
    assert evidence in [text for _, text in page.all("code")]


def test_the_worst_finding_comes_first_and_heaps_are_counted() -> None:
    page = page_of(samples.sharded())
    rows = [attrs["data-severity"] for attrs, _ in page.all("tr") if "data-severity" in attrs]
    assert rows == sorted(rows, key=lambda word: Severity(word).rank)
    assert "× 12" in text_of(samples.sharded())


def test_the_advice_stands_once_a_rule() -> None:
    [rule] = [rule for rule in samples.RULES if rule.id == "unlisted-import"]
    before_the_rules = text_of(samples.crowded()).split("Rules that found something")[0]
    assert before_the_rules.count(rule.advice) == 1


def test_what_was_not_read_and_why_is_told() -> None:
    assert "7z archives need the extra hubaudit[archives]" in text_of(samples.incomplete())


def test_what_is_waived_has_its_own_section_and_decides_nothing() -> None:
    finding = samples.finding(waived="accepted by the security team")
    report = replace(samples.ordinary(), findings=(finding,))
    page = page_of(report)
    tables = {attrs["id"]: text for attrs, text in page.all("table") if "id" in attrs}
    assert "r1-findings" not in tables
    assert "accepted by the security team" in tables["r1-waived-table"]


def test_a_file_has_its_role_reason_format_reading_and_the_hubs_verdicts() -> None:
    report = samples.malicious()
    [row] = [
        text for attrs, text in page_of(report).all("tr") if attrs.get("data-load-role") == "loaded"
    ]
    for word in (
        *("pytorch_model.bin", "transformers opens it", "torch-zip", "4.1 MB", "in the cache"),
        *("hash matches", "unsafe", "protectAiScan", "This file has an unsafe import", "avScan"),
    ):
        assert word in row


def test_differing_tensors_come_first_and_equal_is_never_said_without_a_depth() -> None:
    comparison = Comparison(
        *("a.bin", "a.safetensors", "differs", "full", 5, ("only.there",), ("only.here",)),
        differing=("second", "first"),
        differences=(TensorDifference("first", "dtype F32 in the pickle, BF16 in the other"),),
        not_comparable=("opaque",),
    )
    page = page_of(replace(samples.ordinary(), comparisons=(comparison,)))
    [table] = [text for attrs, text in page.all("table") if "tensors" in attrs.get("class", "")]
    places = [table.index(name) for name in ("first", "second", "only.there", "only.here", "opaq")]
    assert places == sorted(places)
    assert "dtype F32" in table
    assert "2 more in both: no difference found (every byte)" in table
    for depth in ("metadata", "sampled", "full"):
        alike = Comparison("a.bin", "a.safetensors", "equal", depth, 5)
        page = page_of(replace(samples.ordinary(), comparisons=(alike,)))
        assert "equal" not in [text.strip() for _, text in page.all("span")]


def test_the_arguments_and_the_other_repositories_of_a_load_are_told() -> None:
    advice = LoadAdvice("transformers", {"use_safetensors": True}, ("org/base", "a/b"))
    text = text_of(replace(samples.ordinary(), load=advice))
    assert "use_safetensors=True" in text
    assert "a/b, org/base: audit these, too" in text


def test_other_scanners_are_heard_and_absent_ones_are_named() -> None:
    text = text_of(samples.opinionated())
    for words in ("flagged: dangerous import os system", "modelaudit itself absent", "no answer"):
        assert words in text
    assert "Second opinions" not in text_of(samples.malicious())


def test_the_digests_of_tool_rules_and_policy_are_told() -> None:
    text = text_of(samples.ordinary())
    for word in ("hubaudit 0.1.0", samples.TOOL.ruleset, samples.TOOL.policy or "", samples.COMMIT):
        assert word in text


def test_the_picture_has_the_bytes_of_every_role_and_format() -> None:
    files = [
        replace(samples.file(f"{number}.bin", size=100), format=format_, load_role=role)
        for number, (format_, role) in enumerate(
            (format_, role)
            for format_ in ("torch-zip", "pickle", "text", "gguf", "image", "audio", "pdf", "hdf5")
            for role in LoadRole
        )
    ]
    drawn = picture(files)
    assert drawn is not None
    assert {bar.role for bar in drawn.bars} == set(LoadRole)
    assert sum(bar.size for bar in drawn.bars) == sum(key.size for key in drawn.legend) == 3200
    for bar in drawn.bars:
        assert sum(share.width for share in bar.shares) == pytest.approx(bar.percent)
    hot = {key.label for key in drawn.legend if key.executes}
    assert hot >= {"torch-zip", "pickle"}
    assert all(key.colour.startswith("hot") == key.executes for key in drawn.legend)
    assert len({key.colour for key in drawn.legend}) == len(drawn.legend)
    assert picture([samples.file("empty", size=0)]) is None


def test_a_bar_says_its_figures_to_those_who_do_not_see_it() -> None:
    labels = [attrs["aria-label"] for attrs, _ in page_of(samples.malicious()).all("svg")[:1]]
    assert labels == ["loaded: 1 file, 4.1 MB: torch-zip 4.1 MB"]


def huge() -> RepoReport:
    """More of everything than a page can hold."""
    tensors = tuple(TensorDifference(f"layer.{n}.weight", "shape") for n in range(100_000))
    words = [
        f"{chr(97 + n // 676 % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(3_000)
    ]
    return replace(
        samples.malicious(),
        files=tuple(samples.file(f"file-{n}.bin") for n in range(5_000)),
        findings=tuple(samples.finding(message=f"calls {word}.run") for word in words),
        globals=tuple(
            GlobalUse("a.bin", None, word, "run", NameClass.UNLISTED, 1) for word in words
        ),
        unread=tuple(Unread(f"u-{n}.bin", None, "truncated") for n in range(3_000)),
        comparisons=(
            Comparison(
                *("a.bin", "a.safetensors", "differs", "sampled", 100_000),
                differences=tensors,
                differing=tuple(one.name for one in tensors),
            ),
        ),
    )


def test_a_large_report_stays_a_page_that_says_what_it_leaves_out() -> None:
    written = html.render(huge())
    assert len(written) < 3_000_000
    text = " ".join("".join(text for _, text in Parsed(written).all("p")).split())
    for more in ("4,000", "2,700", "99,700"):
        assert f"and {more} more: see the JSON report" in text
    many = html.render_many([huge()] * 3)
    assert len(many) < 3 * 300_000


def test_many_reports_have_an_index_and_a_section_each() -> None:
    page = Parsed(html.render_many(EVERYTHING))
    assert len(page.all("article")) == len(EVERYTHING)
    index = next(text for attrs, text in page.all("table") if attrs.get("id") == "index")
    assert index.count("FAIL") == sum(one.verdict is Verdict.FAIL for one in EVERYTHING)
    for report in EVERYTHING:
        assert counts_text(report) in index
    assert [tag for tag in page.tags() if tag == "h1"] == ["h1"]
    Parsed(html.render_many([]))


@every_sample
def test_the_order_in_which_things_were_found_does_not_show(report: RepoReport) -> None:
    turned = replace(
        report,
        files=report.files[::-1],
        findings=report.findings[::-1],
        globals=report.globals[::-1],
        comparisons=report.comparisons[::-1],
        unread=report.unread[::-1],
    )
    assert html.render(report) == html.render(turned)


def test_a_page_has_no_line_that_a_runner_takes_for_a_command() -> None:
    for trick in ("::error::x", "\n::set-output name=x::y", "##[error]x"):
        written = html.render(tricky(trick))
        assert not [line for line in written.splitlines() if line.lstrip().startswith("::")]
        assert "##[" not in written


def test_jinja2_is_loaded_only_where_html_is_written() -> None:
    script = (
        "import sys; from hubaudit.report import REPORTS, html; from tests.report import samples\n"
        "before = 'jinja2' in sys.modules; html.render(samples.ordinary())\n"
        "print(before, 'jinja2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("False True\n", "")


@pytest.mark.parametrize("path", ["../../../../evil/model/x.bin", "a/./../b", ".."])
def test_a_path_that_walks_up_is_no_link_to_another_page(path: str) -> None:
    report = replace(samples.malicious(), files=(samples.file(path),), findings=())
    links = set(re.findall(r'href="(https://huggingface[^"]*)"', html.render(report)))
    assert links == {f"https://huggingface.co/evil/model/tree/{samples.COMMIT}"}
