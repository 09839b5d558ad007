"""Chromium, as the tests of the HTML report have it."""

from tests.report.browser.conftest import _chrome, browser

__all__ = ["_chrome", "browser"]
