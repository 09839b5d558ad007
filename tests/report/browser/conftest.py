"""Chromium and a server on loopback for it. Without Chromium these tests are skipped, and say so."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not (BROWSER and DRIVER):
                item.add_marker(pytest.mark.skip(reason="there is no chromium with chromedriver"))


@dataclass
class Site:
    """Serves pages that are put into it, and keeps what it was asked for."""

    base: str
    pages: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, page: str) -> str:
        """The address of a page with this text."""
        path = f"/{len(self.pages)}.html"
        self.pages[path] = page
        return self.base + path


@pytest.fixture(scope="session")
def _served() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            body = served.pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(_served: Site) -> Site:
    _served.asked.clear()
    return _served


@pytest.fixture(scope="session")
def _chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    yield from _started(tmp_path_factory.mktemp("profile"), {})


@pytest.fixture
def browser(_chrome: Chrome) -> Chrome:
    """A window of 1280 × 900, light, with empty logs."""
    resize(_chrome, 1280)
    show(_chrome, "light")
    _chrome.get_log("browser")  # type: ignore[no-untyped-call]
    _chrome.get_log("performance")  # type: ignore[no-untyped-call]
    return _chrome


@pytest.fixture(scope="session")
def without_script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser whose user has turned JavaScript off."""
    setting = {"profile.managed_default_content_settings.javascript": 2}
    yield from _started(tmp_path_factory.mktemp("profile"), setting)


def _started(profile: Path, preferences: dict[str, int]) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=DRIVER))
    yield driver
    driver.quit()


def resize(browser: Chrome, width: int) -> None:
    """`width` in CSS pixels; a window of a headless browser would not get below 500."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def show(browser: Chrome, scheme: str, media: str = "screen") -> None:
    """`scheme`: light or dark; `media`: screen or print."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
