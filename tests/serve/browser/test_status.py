"""The status page in Chromium: it renders, asks for nothing else, runs nothing, and can be used."""

from __future__ import annotations

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from hubaudit.model import Severity, Verdict
from hubaudit.watch.alert import Name
from hubaudit.watch.kinds import Kind, change
from hubaudit.watch.page_rows import address
from hubaudit.watch.state import Presence
from tests.report import samples
from tests.report.browser.conftest import (
    BROWSER,
    DRIVER,
    resize,
    show,
)
from tests.report.browser.test_page import LOW_CONTRAST, messages, requested
from tests.serve.conftest import HUB, NEW, OLD, Serve, Served, World

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no chromium with chromedriver"),
]

TRICK = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b[31m\u202egnp"


@pytest.fixture
def site(world: World, serve: Serve) -> Served:
    """Repositories of every kind, one of them hostile in every text."""
    model = world.watch("org/model")
    world.alert(
        model,
        change(
            Kind.CODE_CHANGED,
            "model.py changed",
            at_least=[Severity.CRITICAL],
            paths=("model.py",),
            detail=("@@ -1 +1 @@", "-x = 1", "+import os"),
        ),
        change(Kind.WEIGHTS_REPLACED, "other weights", at_least=[Severity.HIGH]),
        change(Kind.TAG_MOVED, "a tag moved"),
        change(Kind.FILE_ADDED, "a new file"),
        change(Kind.README_CHANGED, "README.md changed"),
        verdict=Verdict.FAIL,
    )
    world.audit(model, samples.ALL["malicious"](), NEW)
    world.audit(model, samples.ALL["ordinary"](), OLD)
    hostile = world.watch(f"evil/{TRICK}")
    world.alert(
        hostile,
        change(Kind.FILE_ADDED, TRICK, paths=(TRICK, "long-" * 60), detail=(TRICK, "x" * 500)),
        verdict=Verdict.REVIEW,
    )
    world.ledger.put_trouble(hostile, TRICK)
    world.watch("org/gone", presence=Presence.MISSING, verdict=None)
    world.watch("org/unread", verdict=Verdict.INCOMPLETE, commit=NEW)
    world.watch("a" * 90 + "/" + "b" * 90)
    world.list(Name(HUB, "space", "org/never"))
    for number in range(120):
        world.watch(f"acme/model-{number}")
    return serve()


def every_page(site: Served) -> list[str]:
    watched = site.world.beat.vitals.watched
    return [
        f"{site.base}{path}"
        for path in ("/", "/?page=2&q=model", address(watched[0]), address(watched[1]))
    ]


def test_it_renders_without_a_message_and_asks_for_nothing_else(
    browser: Chrome,
    site: Served,
) -> None:
    for url in every_page(site):
        browser.get(url)
        assert browser.find_element(By.TAG_NAME, "h1").is_displayed()
        style = "return getComputedStyle(document.querySelector('.lead')).borderLeftWidth"
        assert browser.execute_script(style) == "6px"
        assert messages(browser) == []
        assert [one for one in requested(browser) if one != "data:,"] == [url]
        assert browser.get_cookies() == []


def test_hostile_texts_show_as_text_and_run_nothing(
    browser: Chrome,
    site: Served,
) -> None:
    for url in (every_page(site)[0], every_page(site)[-1]):
        browser.get(url)
        shown = browser.find_element(By.TAG_NAME, "main").text
        assert "<script>document.title='owned'</script>" in shown
        assert r"\x1b[31m\u202egnp" in shown
        assert "owned" not in browser.title.split("<")[0]
        assert not browser.find_elements(By.CSS_SELECTOR, "script, img, iframe, [onerror]")


def test_the_report_opens_and_its_script_runs(
    browser: Chrome,
    site: Served,
) -> None:
    name = site.world.beat.vitals.watched[0]
    browser.get(site.base + address(name))
    browser.find_element(By.PARTIAL_LINK_TEXT, "report").click()
    WebDriverWait(browser, 10).until(lambda driver: "/report/" in driver.current_url)
    assert browser.title.startswith(("FAIL: org/model", "PASS: org/model"))
    assert browser.find_element(By.CSS_SELECTOR, ".tools").is_displayed()
    assert messages(browser) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(
    browser: Chrome,
    site: Served,
    scheme: str,
) -> None:
    for url in every_page(site):
        browser.get(url)
        show(browser, scheme)
        looked, faint = browser.execute_script(LOW_CONTRAST)
        assert looked > 20
        assert faint == []


@pytest.mark.parametrize("width", [320, 600, 899, 1000, 1119, 1280, 2560])
def test_nothing_is_wider_than_the_window(
    browser: Chrome,
    site: Served,
    width: int,
) -> None:
    resize(browser, width)
    for url in every_page(site):
        browser.get(url)
        script = (
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert browser.execute_script(script) == 0, url
        # The tables hide what is wider than they are, so look into them, too
        script = (
            "return [...document.querySelectorAll('.table')]"
            ".map((one) => one.scrollWidth - one.clientWidth)"
        )
        assert set(browser.execute_script(script)) <= {0}, url


def test_it_is_used_with_the_keyboard(browser: Chrome, site: Served) -> None:
    browser.get(f"{site.base}/")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    browser.find_element(By.ID, "q").send_keys("gone", Keys.ENTER)
    wait = WebDriverWait(browser, 10)
    wait.until(lambda driver: "?q=gone" in driver.current_url)
    rows = browser.find_elements(By.CSS_SELECTOR, ".watched tbody tr")
    assert [row.find_element(By.TAG_NAME, "a").text for row in rows] == ["org/gone"]
    browser.find_element(By.LINK_TEXT, "Show all").click()
    wait.until(lambda driver: "?q=gone" not in driver.current_url)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".watched tbody tr")) == 100
    browser.find_element(By.LINK_TEXT, "Next").send_keys(Keys.ENTER)
    wait.until(lambda driver: "page=2" in driver.current_url)
    assert "Page 2 of 2" in browser.find_element(By.CSS_SELECTOR, ".pager").text
    assert messages(browser) == []


def test_everything_has_a_name_for_those_who_listen(
    browser: Chrome,
    site: Served,
) -> None:
    for url in every_page(site):
        browser.get(url)
        assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
        for one in browser.find_elements(By.CSS_SELECTOR, "a, button, input, [role=region], nav"):
            assert one.accessible_name, one.get_attribute("outerHTML")
        for table in browser.find_elements(By.TAG_NAME, "table"):
            assert table.find_element(By.TAG_NAME, "caption").text
            assert table.find_elements(By.CSS_SELECTOR, "thead th[scope=col]")
        identifiers = [
            one.get_attribute("id") for one in browser.find_elements(By.CSS_SELECTOR, "[id]")
        ]
        assert len(identifiers) == len(set(identifiers))


def test_what_is_printed_is_all_of_it(browser: Chrome, site: Served) -> None:
    browser.get(site.base + address(site.world.beat.vitals.watched[0]))
    show(browser, "light", "print")
    assert "+import os" in browser.find_element(By.TAG_NAME, "main").text
    printed = browser.execute_cdp_cmd("Page.printToPDF", {})
    assert len(printed["data"]) > 10_000
