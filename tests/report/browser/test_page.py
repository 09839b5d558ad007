"""The HTML report in Chromium: it renders, asks for nothing, runs nothing foreign, and can be used."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from hubaudit.model import HubScan, LoadRole, RepoReport, ScannerVerdict
from hubaudit.report import html
from hubaudit.report.escape import no_command
from tests.report import samples
from tests.report.browser.conftest import Site, resize, show
from tests.report.test_formats import TRICKS, tricky
from tests.report.test_html import huge

EVERYTHING = [build() for build in samples.ALL.values()]
PAGES = {name: html.render(build()) for name, build in samples.ALL.items()}
PAGES["many"] = html.render_many(EVERYTHING)
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)

# The colour behind a text is that of its nearest ancestor that has one.
LOW_CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
const rgb = (color) => {
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = (color) => rgb(color)
  .map((part) => part / 255)
  .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
const behind = (element) => {
  const color = getComputedStyle(element).backgroundColor;
  return color === "rgba(0, 0, 0, 0)" && element.parentElement ? behind(element.parentElement) : color;
};
const found = [];
let looked = 0;
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || element.closest("script, style, title")) continue;
  looked += 1;
  const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) found.push(`${element.tagName}.${element.className} ${ratio}: ${element.textContent}`);
}
return [looked, found];
"""


def messages(browser: Chrome) -> list[dict[str, Any]]:
    return browser.get_log("browser")  # type: ignore[no-untyped-call, no-any-return]


def requested(browser: Chrome) -> list[str]:
    log = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    return [
        one["params"]["request"]["url"]
        for one in log
        if one["method"] == "Network.requestWillBeSent"
    ]


def rows(browser: Chrome, table: str) -> list[str]:
    """The first cells of the rows that are shown."""
    found = browser.find_elements(By.CSS_SELECTOR, f"#{table} > tbody > tr > :first-child")
    return [cell.text.splitlines()[0] for cell in found if cell.is_displayed()]


def head(browser: Chrome, table: str, name: str) -> WebElement:
    [found] = [
        cell
        for cell in browser.find_elements(By.CSS_SELECTOR, f"#{table} thead th")
        if cell.text.startswith(name)
    ]
    return found


@every_page
def test_it_renders_without_a_message_and_asks_for_nothing_else(
    browser: Chrome, site: Site, page: str
) -> None:
    address = site.put(page)
    browser.get(address)
    assert browser.find_element(By.TAG_NAME, "h1").is_displayed()
    style = "return getComputedStyle(document.querySelector('.lead')).borderLeftWidth"
    assert browser.execute_script(style) == "6px"
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.END)
    assert messages(browser) == []
    assert [url for url in requested(browser) if url != "data:,"] == [address]
    assert [site.base + path for path in site.asked] == [address]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_hostile_name_shows_as_text_and_runs_nothing(
    browser: Chrome, site: Site, trick: str
) -> None:
    browser.get(site.put(html.render(tricky(trick))))
    shown = browser.find_element(By.ID, "r1-files-table").text
    first_word = trick.split()[0].encode("ascii", "ignore").decode().replace("##", "#\\x23")
    if first_word.isprintable():
        assert (no_command(first_word) if trick.startswith("::") else first_word) in shown
    assert messages(browser) == []
    assert not browser.find_elements(By.CSS_SELECTOR, "img, main script, iframe, [onerror]")


def test_markup_that_came_through_would_run_and_load_nothing(browser: Chrome, site: Site) -> None:
    injected = (
        f"<script>document.title = 'owned'</script><img src='{site.base}/x.png'>"
        f"<link rel=stylesheet href='{site.base}/x.css'><a id=x onclick=\"document.title = 'owned'\">x</a>"
    )
    address = site.put(PAGES["malicious"].replace("<h1", f"{injected}<h1"))
    browser.get(address)
    browser.find_element(By.ID, "x").click()
    assert browser.title.startswith("FAIL")
    assert [site.base + path for path in site.asked] == [address]
    assert any("Content Security Policy" in one["message"] for one in messages(browser))


def test_files_are_filtered_by_text_and_by_role(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["ordinary"]))
    table = "r1-files-table"
    everything = rows(browser, table)
    box = browser.find_element(By.ID, f"{table}-text")
    box.send_keys("PYTORCH")
    assert rows(browser, table) == ["pytorch_model.bin"]
    assert "1 of 5 rows" in browser.find_element(By.CSS_SELECTOR, f"[data-for={table}]").text
    box.send_keys(Keys.CONTROL, "a", Keys.DELETE)
    assert rows(browser, table) == everything
    browser.find_element(By.ID, f"{table}-load-role").send_keys("never")
    assert rows(browser, table) == ["README.md", "config.json", "model.safetensors"]


def test_findings_are_filtered_by_severity(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["malicious"]))
    assert rows(browser, "r1-findings") == ["critical", "info"]
    browser.find_element(By.ID, "r1-findings-severity").send_keys("info")
    assert rows(browser, "r1-findings") == ["info"]


def test_a_table_is_sorted_by_the_keyboard_and_says_so(browser: Chrome, site: Site) -> None:
    files = tuple(samples.file(name, size=n) for name, n in (("b", 9), ("a", 1_000), ("c", 20)))
    browser.get(site.put(html.render(replace(samples.ordinary(), files=files))))
    table = "r1-files-table"
    assert rows(browser, table) == ["a", "b", "c"]
    size = head(browser, table, "Size")
    for state, order in (("ascending", "b c a"), ("descending", "a c b")):
        size.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
        assert size.get_attribute("aria-sort") == state
        assert rows(browser, table) == order.split()
    head(browser, table, "File").find_element(By.TAG_NAME, "button").click()
    assert rows(browser, table) == ["a", "b", "c"]
    assert size.get_attribute("aria-sort") is None


def test_a_narrow_page_is_sorted_by_the_keyboard_too(browser: Chrome, site: Site) -> None:
    resize(browser, 320)
    files = tuple(samples.file(name, size=n) for name, n in (("b", 9), ("a", 1_000), ("c", 20)))
    browser.get(site.put(html.render(replace(samples.ordinary(), files=files))))
    table = "r1-files-table"
    buttons = browser.find_elements(By.CSS_SELECTOR, f"#{table} thead button")
    assert len(buttons) == 6
    assert all(button.is_displayed() for button in buttons)
    size = head(browser, table, "Size")
    size.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert rows(browser, table) == ["b", "c", "a"]
    assert size.get_attribute("aria-sort") == "ascending"


def test_a_narrow_table_of_one_row_has_nothing_to_sort(browser: Chrome, site: Site) -> None:
    resize(browser, 320)
    browser.get(site.put(PAGES["local"]))
    assert not browser.find_element(By.CSS_SELECTOR, "#r1-files-table thead").is_displayed()


def test_findings_sort_by_severity_and_not_by_its_letters(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["malicious"]))
    button = head(browser, "r1-findings", "Severity").find_element(By.TAG_NAME, "button")
    button.click()
    assert rows(browser, "r1-findings") == ["critical", "info"]
    button.click()
    assert rows(browser, "r1-findings") == ["info", "critical"]


def test_everything_is_expanded_and_collapsed(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["for_review"]))
    for selector, state in (("[data-open]", True), ("[data-close]", False)):
        browser.find_element(By.CSS_SELECTOR, selector).click()
        folds = browser.find_elements(By.TAG_NAME, "details")
        assert {fold.get_property("open") for fold in folds} == {state}


def test_the_pin_is_copied(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["ordinary"]))
    permission = {"permission": {"name": "clipboard-write"}, "setting": "granted"}
    browser.execute_cdp_cmd("Browser.setPermission", permission)
    button = browser.find_element(By.CSS_SELECTOR, "[data-copy]")
    button.click()
    WebDriverWait(browser, 5).until(lambda _: button.text == "Copied")
    box = browser.find_element(By.ID, "r1-files-table-text")
    box.send_keys(Keys.CONTROL, "v")
    pinned = browser.find_element(By.ID, "r1-pin").text
    assert box.get_property("value") == pinned
    assert samples.COMMIT in pinned


def test_without_script_all_is_there_but_what_needs_it(without_script: Chrome, site: Site) -> None:
    without_script.get(site.put(PAGES["for_review"]))
    shown = without_script.find_element(By.TAG_NAME, "main").text
    for words in ("REVIEW", "constructs trl.DPOConfig", "head.weight", samples.COMMIT):
        assert words in shown
    assert not without_script.find_elements(By.CSS_SELECTOR, "thead button")
    for selector in ("input", "select", "button"):
        for control in without_script.find_elements(By.CSS_SELECTOR, selector):
            assert not control.is_displayed()
    fold = without_script.find_element(By.CSS_SELECTOR, "details.names")
    assert "OrderedDict" not in fold.text
    fold.find_element(By.TAG_NAME, "summary").click()
    assert "OrderedDict" in fold.text


@every_page
@pytest.mark.parametrize("width", [320, 1600])
def test_the_page_never_scrolls_sideways(
    browser: Chrome, site: Site, page: str, width: int
) -> None:
    resize(browser, width)
    browser.get(site.put(page))
    measured = browser.execute_script(
        "document.querySelectorAll('details').forEach((one) => { one.open = true; });"
        "const page = document.scrollingElement;"
        "return [page.scrollWidth - page.clientWidth, innerWidth];"
    )
    assert measured == [0, width]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@every_page
def test_every_text_has_the_contrast_of_wcag_aa(
    browser: Chrome, site: Site, page: str, scheme: str
) -> None:
    show(browser, scheme)
    browser.get(site.put(page))
    looked, low = browser.execute_script(LOW_CONTRAST)
    assert looked > 30
    assert low == []


def test_light_and_dark_differ(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["ordinary"]))
    color = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(color)
    show(browser, "dark")
    assert browser.execute_script(color) != light


def test_print_shows_what_is_folded_and_no_controls(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["for_review"]))
    seen = "return document.querySelector('details.names:not([open]) table').checkVisibility()"
    assert browser.execute_script(seen) is False
    show(browser, "dark", media="print")
    assert browser.execute_script(seen) is True
    assert not browser.find_element(By.CSS_SELECTOR, ".filter").is_displayed()
    assert not browser.find_element(By.CSS_SELECTOR, ".tools").is_displayed()
    paper = "return getComputedStyle(document.body).color"
    assert browser.execute_script(paper) == "rgb(28, 33, 39)"


def test_print_lists_the_scanners_of_the_hub_where_they_object(browser: Chrome, site: Site) -> None:
    report = samples.malicious()
    calm = HubScan("safe", (ScannerVerdict("avScan", "safe"),))
    files = (*report.files, replace(samples.file("calm.bin"), hub_scan=calm))
    browser.get(site.put(html.render(replace(report, files=files))))
    show(browser, "light", media="print")
    seen = "return [...document.querySelectorAll('.hub ul')].map((one) => one.checkVisibility())"
    assert browser.execute_script(seen) == [True, False]


def test_every_control_is_reached_by_the_keyboard_and_shows_it(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["for_review"]))
    expected = browser.execute_script(
        "return [...document.querySelectorAll('a, button, input, select, summary')]"
        ".filter((one) => one.checkVisibility()).length"
    )
    seen = set()
    for _ in range(expected + 5):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        here = browser.switch_to.active_element
        if here.tag_name in {"a", "button", "input", "select", "summary"}:
            seen.add(here.id)
            outline = here.value_of_css_property("outline-style")
            assert outline != "none", here.text
    assert len(seen) == expected


def test_a_large_report_is_filtered_and_sorted_in_a_second(browser: Chrome, site: Site) -> None:
    browser.get(site.put(html.render(huge())))
    box = browser.find_element(By.ID, "r1-files-table-text")
    box.send_keys("file-10")
    assert "of 1000 rows" in browser.find_element(By.CSS_SELECTOR, "[data-for=r1-files-table]").text
    took = browser.execute_script(
        "const before = performance.now();"
        "document.querySelector('#r1-files-table thead button').click();"
        "document.querySelector('#r1-tensors-1 thead button').click();"
        "document.body.getBoundingClientRect();"
        "return performance.now() - before;"
    )
    assert took < 1_000


def test_the_roles_of_the_filter_are_those_of_the_model(browser: Chrome, site: Site) -> None:
    browser.get(site.put(PAGES["ordinary"]))
    options = browser.find_elements(By.CSS_SELECTOR, "#r1-files-table-load-role option")
    assert {option.text for option in options} == {"all", *LoadRole}


def test_a_report_of_no_files_is_a_page_too(browser: Chrome, site: Site) -> None:
    empty: RepoReport = replace(samples.ordinary(), files=(), globals=())
    browser.get(site.put(html.render(empty)))
    assert messages(browser) == []
    assert "PASS" in browser.find_element(By.TAG_NAME, "h1").text
