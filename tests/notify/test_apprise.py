"""Slack and the rest through apprise, with its own JSON service against a sink on loopback."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from pathlib import Path

import pytest

from hubaudit.errors import ConfigError
from hubaudit.notify import DeliveryFailed, Notifier
from hubaudit.notify.apprise import from_spec

from .conftest import HOSTILE, WebSink, alert, closing

# It imports all of its services when it is first asked for one, and some import what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TOKEN = "T0KEN-of-the-service"


def place(sink: WebSink) -> str:
    return sink.url.replace("http://", "json://user:passw0rd@", 1).replace("/hook", f"/{TOKEN}")


def made(url: str) -> Notifier:
    pytest.importorskip("apprise", reason="the extra alerts is not installed")
    [notifier] = from_spec("env:PLACE", {"PLACE": url})
    return notifier


def test_an_alert_reaches_the_service_in_words(sink: WebSink) -> None:
    told = alert(said=HOSTILE)
    made(place(sink)).send([told], told.key)
    [received] = sink.received
    found = json.loads(received.body)
    assert found["title"] == "hubaudit: medium: executable-added"
    assert found["type"] == "warning"
    assert "`org/model`" in found["message"]
    assert "<!channel>" not in found["message"]
    assert "@everyone" not in found["message"]
    assert "://" not in found["message"]


def test_a_closing_is_good_news(sink: WebSink) -> None:
    told = closing([alert()])
    made(place(sink)).send([told], told.key)
    assert json.loads(sink.received[0].body)["type"] == "success"


def test_slack_is_given_no_mention_and_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    slack = made("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general")
    posted: list[str] = []

    class Answer:
        status_code, content, text, headers = 200, b"ok", "ok", dict[str, str]()

    def post(*_args: object, **given: object) -> Answer:
        posted.append(str(given["data"]))
        return Answer()

    monkeypatch.setattr("apprise.plugins.slack.requests.request", lambda _m, *a, **k: post(*a, **k))
    monkeypatch.setattr("apprise.plugins.slack.requests.post", post)
    slack.send([alert(said=HOSTILE, repo=HOSTILE)], "k")
    assert posted
    for data in posted:
        for bad in ("<!", "<@", "&lt;", "<http", "evil.example|", "https://evil"):
            assert bad not in data.encode().decode("unicode_escape")


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_refusal_is_a_failure_and_holds_no_secret(
    sink: WebSink, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    sink.act = lambda _: (status, {})
    notifier = made(place(sink))
    with caplog.at_level(logging.DEBUG), pytest.raises(DeliveryFailed) as caught:
        notifier.send([alert()], "k")
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(notifier)
    assert TOKEN not in shown + notifier.name
    assert "passw0rd" not in shown + notifier.name
    assert notifier.name.startswith("apprise:json:")


def test_a_file_may_name_several_services(tmp_path: Path, sink: WebSink) -> None:
    pytest.importorskip("apprise", reason="the extra alerts is not installed")
    file = tmp_path / "services"
    file.write_text(f"# ours\n{place(sink)}\n\n{place(sink)}/other\n")
    found = from_spec(f"file:{file}", {})
    assert len({one.name for one in found}) == 2
    for one in found:
        one.send([alert()], "k")
    assert len(sink.received) == 2


def test_what_apprise_does_not_know_is_told_without_repeating_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError) as caught:
        made(f"nosuchservice://{TOKEN}")
    assert "URL 1" in str(caught.value)
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + caplog.text
    with pytest.raises(ConfigError, match="no URL"):
        from_spec("env:PLACE", {"PLACE": "# nothing"})


def test_without_the_extra_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigError) as caught:
        from_spec("env:PLACE", {"PLACE": f"json://{TOKEN}"})
    assert caught.value.hint == 'pip install "hubaudit[alerts]"'
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
