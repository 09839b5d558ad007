"""What the status page shows, over real HTTP: texts, order, links, and nothing that it should not."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

import pytest
import requests

from hubaudit.model import Severity, Verdict
from hubaudit.report import html as html_report
from hubaudit.report.escape import encodable
from hubaudit.watch.alert import Name, closed
from hubaudit.watch.kinds import Kind, change
from hubaudit.watch.ledger import Origin
from hubaudit.watch.page import Asked, Pages
from hubaudit.watch.page_rows import address, span, time_of
from hubaudit.watch.state import Presence
from tests.report import samples
from tests.report.test_formats import TRICKS
from tests.serve.conftest import HUB, NEW, NOW, OLD, Serve, Served, World


class Shown(HTMLParser):
    """The texts, links and elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.rows: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in {"meta", "link", "input", "br"}:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append("")
        if tag == "a":
            self._href = dict(attrs).get("href") or ""
            self.links.setdefault(self._href, "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "every element is closed in its turn"

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.words.append(data)
        if "tr" in self._open:
            self.rows[-1] = " ".join((self.rows[-1] + " " + data).split())
        if "a" in self._open:
            self.links[self._href] += data


def look(served: Served, path: str = "/", status: int = 200) -> Shown:
    answer = requests.get(urljoin(served.base, path), timeout=10)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return Shown(answer.text)


def names(shown: Shown) -> list[str]:
    """The first words of the table's rows."""
    return [row.split()[0] for row in shown.rows if "/" in row.split()[0]]


def test_what_needs_attention_comes_first(world: World, serve: Serve) -> None:
    world.watch("org/b-same")
    world.watch("org/a-same")
    world.list(Name(HUB, "model", "org/never"))
    world.watch("org/review", verdict=Verdict.REVIEW, commit=NEW)
    world.watch("org/incomplete", verdict=Verdict.INCOMPLETE, commit=NEW)
    world.ledger.put_trouble(world.watch("org/troubled"), "503 of the Hub")
    world.watch("org/failing", verdict=Verdict.FAIL, commit=NEW)
    world.watch("org/gone", presence=Presence.MISSING, verdict=None)
    world.alert(world.watch("org/changed"), change(Kind.FILE_ADDED, "a new file"))
    world.alert(world.watch("org/worse"), change(Kind.REPOSITORY_RECREATED, "made anew"))
    shown = look(serve())
    assert names(shown) == [
        *("org/worse", "org/changed", "org/gone", "org/failing", "org/troubled"),
        *("org/incomplete", "org/review", "org/never", "org/a-same", "org/b-same"),
    ]
    assert "5 of 10 watched repositories need attention" in shown.text


def test_a_row_says_how_the_repository_stands(world: World, serve: Serve) -> None:
    name = world.watch("org/model", origin=Origin.FIRST_SEEN)
    world.alert(name, verdict=Verdict.FAIL)
    world.audit(name, samples.ALL["malicious"](), NEW)
    shown = look(serve())
    [row] = [row for row in shown.rows if row.startswith("org/model")]
    for part in ("FAIL", OLD[:12], NEW[:12], "first seen", "medium 1 open", "2026-09-21 14:13 UTC"):
        assert part in row
    assert NEW[:12] in shown.links[f"{HUB}/org/model/tree/{NEW}"]
    report = address(name, of="report", commit=NEW)
    assert shown.links[report].startswith("report")
    assert address(name, of="report", commit=OLD) not in shown.links


def test_the_report_of_a_stored_audit_is_what_hubaudit_writes(world: World, serve: Serve) -> None:
    name = world.watch("Org/Model")
    world.audit(name, samples.ALL["malicious"]())
    answer = requests.get(
        serve().base + address(replace(name, repo_id="org/model"), of="report", commit=OLD),
        timeout=20,
    )
    assert answer.status_code == 200
    assert "<title>FAIL: Org/Model" in answer.text
    meta = re.search(r'Content-Security-Policy" content="([^"]*)"', answer.text)
    assert meta is not None
    sent = answer.headers["Content-Security-Policy"]
    assert sent == f"{unescape(meta[1])}; frame-ancestors 'none'"
    assert "script-src 'sha256-" in sent
    assert "unsafe" not in sent
    assert answer.text.count("<script>") == html_report.render(samples.ALL["malicious"]()).count(
        "<script>"
    )


def test_only_what_is_watched_is_shown(world: World, serve: Serve) -> None:
    name = world.watch("org/model")
    world.alert(name, change(Kind.CODE_CHANGED, "its secret code changed"))
    world.audit(name, samples.ALL["ordinary"]())
    world.beat.vitals = replace(world.beat.vitals, watched=())
    served = serve()
    shown = look(served)
    assert "Nothing is watched" in shown.text
    assert "secret" not in shown.text
    for path in (address(name), address(name, of="report", commit=OLD)):
        look(served, path, 404)


@pytest.mark.parametrize(
    "path",
    [
        *("/repository/model/no/body", "/repository/local/org/model", "/repository/model/"),
        *("/repository/x/org/model", "/report/model/org/model", "/repository/model/" + "a" * 999),
        *("/report/model/org/model?commit=main", f"/report/model/org/model?commit={NEW}"),
        *("/repository/model/org/model?revision=v1", "/repository/model/org/model?hub=http://x"),
        *("/repository/model/org/model/../../../etc/passwd", "/repository/model/%00%ff%ed%a0%80"),
        "/report/model/org/model?commit=' OR 1=1 --",
    ],
)
def test_what_is_not_there_is_404(world: World, serve: Serve, path: str) -> None:
    world.watch("org/model")
    shown = look(serve(), path, 404)
    assert "Not found" in shown.text
    assert shown.links["/"]


def test_an_address_without_a_hub_finds_the_repository(world: World, serve: Serve) -> None:
    world.watch("org/model")
    world.watch("org/model", revision="v1.0")
    served = serve()
    assert "org/model" in look(served, "/repository/model/ORG/model").text
    assert "org/model@v1.0" in look(served, "/repository/model/org/model?revision=v1.0").text


def test_a_timeline_tells_changes_the_newest_first(world: World, serve: Serve) -> None:
    name = world.watch("org/model")
    first = world.alert(
        name,
        change(Kind.CODE_CHANGED, "model.py changed", paths=("model.py",), detail=("+import os",)),
        change(Kind.README_CHANGED, "README.md changed"),
    )
    world.clock.now += 60
    seen, state = world.ledger.seen(name), world.ledger.state(name)
    assert seen is not None
    assert state is not None
    over = closed(
        name,
        seen.serial + 1,
        "2026-09-21T14:14:20Z",
        "back to the approved state",
        [first],
        commit=OLD,
        verdict=Verdict.PASS,
    )
    back = replace(state, commit=OLD)
    assert world.ledger.put(
        replace(seen, serial=seen.serial + 1, commit=OLD), back, [over], {"hook": Severity.INFO}
    )
    shown = look(serve(), address(name))
    assert shown.text.index("back to the approved state") < shown.text.index("model.py changed")
    for part in ("+import os", "2 changes", "readme-changed", "closed 2026-09-21 14:14:20 UTC"):
        assert part in shown.text
    assert "No open alert." in shown.text


def test_a_long_timeline_is_paged(world: World, serve: Serve) -> None:
    name = world.watch("org/model")
    for number in range(60):
        world.alert(name, change(Kind.FILE_ADDED, f"file-{number:02} is new"))
    served, path, told = serve(), address(name), []
    for pages in (25, 25, 10):
        shown = look(served, path)
        found = list(dict.fromkeys(re.findall(r"file-(\d\d)", shown.text)))
        assert len(found) == pages
        told += found
        path = next((href for href, text in shown.links.items() if text == "Older changes"), "")
    assert not path
    assert told == [f"{number:02}" for number in reversed(range(60))]


def test_a_thousand_repositories_are_paged_and_found_at_once(world: World) -> None:
    for number in range(1000):
        world.watch(f"acme/model-{number:04}")
    world.alert(world.watch("zoo/changed"))
    pages = Pages(world.ledger, world.beat, world.clock)
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        first = Shown(pages.status(Asked()).text)
        took.append(time.perf_counter() - begun)
    assert min(took) < 1
    assert names(first)[:2] == ["zoo/changed", "acme/model-0000"]
    seen = [
        name
        for page in range(1, 12)
        for name in names(Shown(pages.status(Asked(number=page)).text))
    ]
    assert len(seen) == len(set(seen)) == 1001
    assert "Page 11 of 11" in Shown(pages.status(Asked(number=999_999)).text).text
    found = Shown(pages.status(Asked(text="MODEL-07")).text)
    assert len(names(found)) == 100
    assert names(Shown(pages.status(Asked(attention=True)).text)) == ["zoo/changed"]
    assert "No repository fits" in Shown(pages.status(Asked(text="?")).text).text


def test_what_needs_attention_is_counted_whatever_is_asked_for(world: World) -> None:
    world.alert(world.watch("org/changed"))
    world.watch("org/same")
    shown = Shown(Pages(world.ledger, world.beat, world.clock).status(Asked(text="same")).text)
    assert "1 of 2 watched repositories needs attention" in shown.text
    assert names(shown) == ["org/same"]


def test_an_alert_of_any_size_is_a_page_of_some_screens(world: World) -> None:
    name = world.watch("org/model")
    large = [
        change(
            Kind.CODE_CHANGED if number % 2 else Kind.CONFIG_CHANGED,
            f"{number} changed " + "m" * 9000,
            paths=tuple(f"{number}-{part}" * 30 for part in range(300)),
            detail=tuple("+" + "x" * 500 for _ in range(200)),
        )
        for number in range(60)
    ]
    world.alert(name, *large)
    page = Pages(world.ledger, world.beat, world.clock).repository(name)
    assert page is not None
    assert len(page.text) < 500_000
    for said in ("and 20 more changes", "and 140 more lines", ">200 lines of details", "290 more"):
        assert said in page.text


def test_what_was_asked_for_goes_along_with_every_link(world: World, serve: Serve) -> None:
    for number in range(250):
        world.watch(f"acme/model-{number}")
    shown = look(serve(), "/?q=MODEL&refresh=1&page=2")
    assert shown.links["/?q=MODEL&page=3&refresh=1"] == "Next"
    assert shown.links["/?q=MODEL&page=1&refresh=1"] == "Previous"
    assert shown.links["/?q=MODEL&page=2"] == "Stop refreshing"
    for asked in ("page=0", "page=-1", "page=x", "page=" + "9" * 400, "refresh=2", "q=%ff%00"):
        look(serve(), f"/?{asked}")


def test_nothing_moves_by_itself_unless_asked_to(world: World, serve: Serve) -> None:
    served = serve()
    assert 'http-equiv="refresh"' not in requests.get(served.base, timeout=5).text
    assert (
        '<meta http-equiv="refresh" content="60">'
        in requests.get(f"{served.base}/?refresh=1", timeout=5).text
    )


@pytest.mark.parametrize("trick", TRICKS)
def test_hostile_texts_are_shown_as_text(world: World, serve: Serve, trick: str) -> None:
    name = world.watch(f"org/{encodable(trick)}".replace("\n", " "))
    world.alert(
        name,
        change(
            Kind.CODE_CHANGED, trick, paths=(trick,), before=trick, after=trick, detail=(trick,)
        ),
    )
    world.ledger.put_trouble(name, encodable(trick))
    served = serve()
    for path in ("/", address(name), f"/?{urlencode({'q': encodable(trick)})}"):
        shown = look(served, path)
        assert set(shown.tags) <= _TAGS
        assert not [one for one in shown.attributes if one.startswith("on") or one == "src"]
        assert not [href for href in shown.links if not href.startswith(("/", "#", f"{HUB}/"))]
        assert all(char.isprintable() or char in " \n" for char in shown.text)


_TAGS = {
    *("html head meta title link style body header main nav section div span p a b h1 h2".split()),
    *("dl dt dd ul ol li table caption thead tbody tr th td time form label input button".split()),
    *("details summary pre".split()),
}


def test_no_error_of_a_sink_is_shown(world: World, serve: Serve) -> None:
    served = serve()
    shown = look(served)
    assert "hook failing" in shown.text
    assert "T0KEN" not in requests.get(served.base, timeout=5).text


def test_a_silent_watch_says_so(world: World, serve: Serve) -> None:
    world.watch("org/model")
    served = serve()
    assert "silent" not in look(served).text
    world.clock.now = NOW + 10_000
    assert "The watch is silent." in look(served).text


def test_a_hub_that_is_no_web_address_is_not_linked(world: World, serve: Serve) -> None:
    name = world.watch("org/model")
    world.beat.vitals = replace(
        world.beat.vitals, watched=(replace(name, endpoint="javascript:alert(1)//"),)
    )
    assert not [href for href in look(serve()).links if href.startswith("javascript")]


def test_deliveries_are_told_by_what_became_of_them(world: World, serve: Serve) -> None:
    served = serve()
    assert "none came yet" in look(served).text
    requests.post(f"{served.base}/webhook", data=b"{}", timeout=5)
    assert "1 forged" in look(served).text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, "0.5 s"), (90, "90 s"), (120, "2 min"), (900, "15 min"), (7200, "2 h"), (86400, "24 h")],
)
def test_spans_are_in_units_that_one_can_read(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_time_of_no_calendar_is_shown_as_a_number() -> None:
    assert time_of(1e30).text.endswith(" s since 1970")
    assert time_of(0).iso == "1970-01-01T00:00:00Z"
