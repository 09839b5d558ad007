"""The pages that explain: one for each rule, and what to do after a dangerous load."""

from __future__ import annotations

from importlib import resources

INCIDENT = "incident"


def page(name: str) -> str | None:
    """The Markdown of the page, with a newline at its end; None if there is no such page."""
    return _pages().get(name)


def names() -> tuple[str, ...]:
    """The names of all pages, sorted: ids of rules, and `INCIDENT`."""
    return tuple(sorted(_pages()))


def _pages() -> dict[str, str]:
    folder = resources.files("hubaudit.rules.pages")
    return {
        file.name.removesuffix(".md"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".md")
    }
