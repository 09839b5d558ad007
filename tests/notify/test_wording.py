"""Words for people: text of a repository is harmless wherever it goes."""

from __future__ import annotations

import re

from hubaudit.model import Severity, Verdict
from hubaudit.notify.wording import headline, markdown, subject, text
from hubaudit.watch.alert import Alert, Name, changed
from hubaudit.watch.kinds import Kind, change

from .conftest import AT, HOSTILE, alert, closing


def many_changes(count: int) -> Alert:
    changes = [
        change(
            Kind.CODE_CHANGED if number % 2 else Kind.CONFIG_CHANGED,
            f"{HOSTILE} {number}",
            at_least=[Severity.CRITICAL],
            detail=(HOSTILE,) * 100,
        )
        for number in range(count)
    ]
    name = Name("https://hub.example", "model", "org/model", "v1")
    return changed(name, 1, AT, changes, commits=("a", "b"), approved="a", verdict=Verdict.FAIL)


def test_plain_text_has_no_character_that_a_terminal_acts_on() -> None:
    shown = text([many_changes(80)])
    assert all(line.isprintable() for line in shown.splitlines())
    assert "##" not in shown
    assert "and 60 more lines" in shown
    assert "and 30 more changes: see the JSON" in shown
    assert max(map(len, shown.splitlines())) < 700


def test_a_digest_of_thousands_stays_readable() -> None:
    shown = text([alert(number) for number in range(1000)])
    assert "and 900 more alerts: see the JSON" in shown
    assert shown.count("\n") < 5000


def test_a_chat_makes_neither_mentions_nor_links_of_it() -> None:
    for told in (
        [many_changes(3)],
        [alert(repo=HOSTILE, said=HOSTILE)],
        [alert(n, said=HOSTILE) for n in (1, 2)],
    ):
        shown = markdown(told)
        assert not re.search(r"[@<>&!\\|]", shown)
        assert "://" not in shown
        # outside of code spans there is nothing but our own words
        assert re.fullmatch(r"[\w\s:*,()·.-]*", re.sub(r"`[^`\n]+`", "", shown))
        assert all(line.isprintable() for line in shown.splitlines())


def test_a_chat_gets_no_more_than_it_takes() -> None:
    for told in ([many_changes(300)], [alert(n, said="x" * 1000) for n in range(400)]):
        assert len(markdown(told)) <= 2000
    assert "more" in markdown([many_changes(300)])


def test_headlines_are_words_of_our_own() -> None:
    assert headline([alert(said=HOSTILE, repo=HOSTILE)]) == "medium: executable-added"
    assert headline([closing([alert()])]) == "closed"
    assert headline([alert(1), alert(2)]) == "2 alerts, the worst medium"


def test_a_subject_is_one_line_with_the_repositories() -> None:
    assert subject([alert()]) == "[hubaudit] medium: executable-added: org/model"
    hostile = subject([alert(repo=HOSTILE + "x" * 500)])
    assert hostile.isprintable()
    assert len(hostile) < 260
