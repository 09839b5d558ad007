"""What `--notify` takes, and what it says of the rest without repeating it."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from hubaudit.errors import ConfigError, HubauditError, UsageError
from hubaudit.notify import NOTIFIERS
from hubaudit.notify.spec import notifiers

from .conftest import alert

TOKEN = "T0KEN"
MAIL = {"HUBAUDIT_SMTP_HOST": "mail.example.org", "HUBAUDIT_SMTP_FROM": "hubaudit@example.org"}


def names(*specs: str, **environ: str) -> list[str]:
    return [one.name.rpartition(":")[0] or one.name for one in notifiers(specs, environ)]


def wrong(spec: str, **environ: str) -> HubauditError:
    """The error, of which nothing repeats the token."""
    with pytest.raises((UsageError, ConfigError)) as caught:
        notifiers([spec], environ)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + error.hint
    assert TOKEN not in shown
    assert error.hint
    return error


def test_every_kind_of_sink_is_made(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("https://hooks.example.org/y\n")
    found = names(
        "stdout",
        f"jsonl:{tmp_path}/a.jsonl",
        "https://hooks.example.org/x",
        "http://localhost:8000/x",
        "webhook:env:HOOK",
        f"webhook:file:{tmp_path}/hook",
        "mailto:a@example.org, b@example.net",
        "command:sh -c true",
        HOOK="https://other.example.org/z",
        PATH="/usr/bin:/bin",
        **MAIL,
    )
    assert found == [
        "stdout",
        "jsonl:a.jsonl",
        "webhook:hooks.example.org",
        "webhook:localhost",
        "webhook:other.example.org",
        "webhook:hooks.example.org",
        "mailto:example.org",
        "mailto:example.net",
        "command:sh",
    ]


def test_a_slip_of_the_finger_is_told_what_was_meant() -> None:
    assert "'mailto'" in wrong("mail:a@b").hint
    assert "'stdout'" in wrong("stdot").hint
    assert "'webhook'" in wrong("webhok:env:X").hint
    assert "'command'" in wrong("comand:x").hint


def test_a_url_of_apprise_is_told_where_it_belongs() -> None:
    assert "apprise:env:NAME" in wrong(f"slack://{TOKEN}/B/C").hint
    assert "apprise:env:NAME" in wrong(f"apprise:slack://{TOKEN}").hint
    assert "webhook:env:NAME" in wrong(f"webhook:https://hooks.example.org/{TOKEN}").hint


@pytest.mark.parametrize(
    "spec",
    [
        "",
        TOKEN + "://x",
        f"hooks.example.org/{TOKEN}",
        f"https:{TOKEN}",
        f"https://user:{TOKEN}@",
        f"https://[{TOKEN}/x",
        f"https://hooks.example.org:99999/{TOKEN}",
        f"https://hooks.example.org/{TOKEN} x",
        f"https://hooks.example.org/{TOKEN}\r\nX: y",
        f"http://hooks.example.org/{TOKEN}",
        f"webhook:env:https://{TOKEN}",
        f"mailto:{TOKEN}",
        f"mailto:a@b\r\nBcc: {TOKEN}@c",
        f"mailto:<{TOKEN}@c>",
        "jsonl:",
        "jsonl",
        "stdout:x",
    ],
)
def test_anything_else_is_an_error_that_does_not_repeat_it(spec: str) -> None:
    wrong(spec, **MAIL)


def test_plain_http_needs_a_word_beyond_this_machine() -> None:
    url = "http://sink.svc.cluster.local/x"
    assert "not encrypted" in str(wrong(url))
    assert names(url, HUBAUDIT_WEBHOOK_SECURITY="none") == ["webhook:sink.svc.cluster.local"]
    for here in ("http://127.0.0.1:1/x", "http://[::1]:1/x", "http://LOCALHOST/x"):
        assert names(here)
    assert "not encrypted" in str(wrong("http://127.0.0.1.example.org/"))
    wrong("https://x/", HUBAUDIT_WEBHOOK_SECURITY="maybe")


def test_a_secret_comes_from_the_environment_or_a_file_and_not_from_both(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("  s3cret\n")
    [sink] = notifiers(["https://x/"], {"HUBAUDIT_WEBHOOK_SECRET_FILE": str(file)})
    assert vars(sink)["_secret"] == b"s3cret"
    both = {"HUBAUDIT_WEBHOOK_SECRET": TOKEN, "HUBAUDIT_WEBHOOK_SECRET_FILE": str(file)}
    assert "both" in str(wrong("https://x/", **both))
    assert "not set" in str(wrong("webhook:env:GONE"))
    assert "cannot be read" in str(wrong(f"webhook:file:{tmp_path}/gone"))
    file.write_text("\n")
    assert "holds no secret" in str(wrong(f"webhook:file:{file}"))
    file.write_bytes(b"\xff")
    assert "UTF-8" in str(wrong(f"webhook:file:{file}"))
    assert "is no URL" in str(wrong("webhook:env:HOOK", HOOK=f"{TOKEN}/x"))


def test_a_home_that_nobody_has_is_told() -> None:
    assert "cannot be written" in str(wrong("jsonl:~no-such-user/alerts.jsonl"))
    assert "cannot be read" in str(wrong("webhook:file:~no-such-user/url"))


def test_a_name_that_is_no_utf_8_is_shown_in_ascii(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\x1b.jsonl")
    [found] = notifiers([f"jsonl:{path}"], {})
    assert found.name.isprintable()
    found.send([alert()], alert().key)
    assert Path(path).read_text().count("\n") == 1


def test_a_mail_server_is_asked_for_what_it_needs() -> None:
    assert "HUBAUDIT_SMTP_HOST" in wrong("mailto:a@b").hint
    assert "HUBAUDIT_SMTP_FROM" in wrong("mailto:a@b", HUBAUDIT_SMTP_HOST="m").hint
    wrong("mailto:a@b", **MAIL, HUBAUDIT_SMTP_SECURITY="ssl")
    wrong("mailto:a@b", **MAIL, HUBAUDIT_SMTP_PORT="smtp")
    plain = {"HUBAUDIT_SMTP_SECURITY": "none", "HUBAUDIT_SMTP_USER": "u"}
    assert "over the network" in str(
        wrong("mailto:a@b", **MAIL, **plain, HUBAUDIT_SMTP_PASSWORD=TOKEN)
    )


def test_a_sink_is_named_once() -> None:
    with pytest.raises(UsageError, match="the sink stdout is named twice"):
        notifiers(["stdout", "stdout"], {})


def test_every_scheme_is_explained_in_the_documents() -> None:
    text = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    for scheme in NOTIFIERS:
        assert f"`{scheme}" in text
