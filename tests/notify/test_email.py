"""E-mail: what is in it, how it is sent, and that nothing of it can become a header."""

from __future__ import annotations

import email
import email.policy
import json
import logging
import shutil
import time
import traceback
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from hubaudit.notify import DeliveryFailed, Notifier
from hubaudit.notify.email import Mail, Server, from_spec, message
from hubaudit.notify.payload import message_key

from .conftest import HOSTILE, alert, closing
from .mailserver import MailServer, make_certificate

PASSWORD = "pass-w0rd-of-the-server"
ADDRESS = "security@example.org"


def parsed(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def sink(server: MailServer, **environ: str) -> Notifier:
    given = {
        "HUBAUDIT_SMTP_HOST": "localhost",
        "HUBAUDIT_SMTP_PORT": str(server.port),
        "HUBAUDIT_SMTP_FROM": "hubaudit@example.org",
        **environ,
    }
    [made] = from_spec(ADDRESS, given)
    return made


def failure(made: Notifier) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        made.send([alert()], alert().key)
    return caught.value


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def plain() -> Iterator[MailServer]:
    with MailServer() as made:
        yield made


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[MailServer]:
    with MailServer(certificate) as made:
        yield made


def test_an_alert_is_a_mail_with_its_json(plain: MailServer) -> None:
    told = alert()
    sink(plain).send([told], told.key)
    [taken] = plain.taken
    assert (taken.sender, taken.to) == ("FROM:<hubaudit@example.org>", [f"TO:<{ADDRESS}>"])
    mail = parsed(taken.data)
    assert mail["Subject"] == "[hubaudit] medium: executable-added: org/model"
    assert mail["Message-ID"] == f"<{told.key}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.isoformat() == "2026-03-04T05:06:07+00:00"
    text, attached = mail.iter_parts()
    assert "medium executable-added: a file is new" in text.get_content()
    assert json.loads(attached.get_content())["key"] == told.key


def test_the_same_alert_is_the_same_message() -> None:
    told = alert(said=HOSTILE)
    one, other = (message([told], told.key, "a@b.c", ADDRESS) for _ in range(2))
    assert list(one.items())[:-1] == list(other.items())[:-1]  # the last has a boundary by chance
    assert [part.get_content() for part in one.iter_parts()] == [
        part.get_content() for part in other.iter_parts()
    ]


def test_no_text_of_a_repository_becomes_a_header_or_leaves_its_line(plain: MailServer) -> None:
    told = alert(repo=HOSTILE, said=HOSTILE)
    sink(plain).send([told], told.key)
    [taken] = plain.taken
    assert taken.to == [f"TO:<{ADDRESS}>"]
    assert taken.data.isascii()
    mail = parsed(taken.data)
    assert sorted(mail.keys()) == [
        *("Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID"),
        *("Subject", "To"),
    ]
    assert mail["Subject"].isprintable()
    text = next(mail.iter_parts()).get_content()
    assert all(line.isprintable() for line in text.splitlines())
    assert "\nBcc" not in text


def test_a_closing_answers_to_the_mails_that_it_closes(plain: MailServer) -> None:
    opened = [alert(1), alert(2)]
    told = closing(opened)
    sink(plain).send([told], told.key)
    mail = parsed(plain.taken[0].data)
    assert mail["References"].split() == [f"<{one.key}@example.org>" for one in opened]
    assert mail["Subject"] == "[hubaudit] closed: org/model"


def test_a_digest_is_one_mail(plain: MailServer) -> None:
    told = [alert(number, repo=f"org/m{number}") for number in range(1, 6)]
    key = message_key([one.key for one in told])
    sink(plain).send(told, key)
    mail = parsed(plain.taken[0].data)
    assert mail["Subject"] == (
        "[hubaudit] 5 alerts, the worst medium: org/m1, org/m2, org/m3 and 2 more"
    )
    text, attached = mail.iter_parts()
    assert all(str(one.name) in text.get_content() for one in told)
    assert len(json.loads(attached.get_content())["alerts"]) == 5


def test_a_line_with_a_dot_does_not_end_the_mail(plain: MailServer) -> None:
    told = alert(said=".\r\n.\r\nQUIT")
    sink(plain).send([told], told.key)
    assert len(plain.taken) == 1
    assert "QUIT" in next(parsed(plain.taken[0].data).iter_parts()).get_content()


def test_starttls_comes_before_user_password_and_mail(
    encrypted: MailServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    made = sink(
        encrypted,
        HUBAUDIT_SMTP_SECURITY="starttls",
        HUBAUDIT_SMTP_USER="me",
        HUBAUDIT_SMTP_PASSWORD=PASSWORD,
    )
    made.send([alert()], alert().key)
    [taken] = encrypted.taken
    assert taken.is_encrypted
    assert taken.login == f"\0me\0{PASSWORD}"


def test_tls_from_the_start_is_spoken_where_told(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with MailServer(certificate, is_tls=True) as server:
        sink(server, HUBAUDIT_SMTP_SECURITY="tls").send([alert()], alert().key)
        assert server.taken[0].is_encrypted


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_signed_is_not_trusted(certificate: Path, security: str) -> None:
    with MailServer(certificate, is_tls=security == "tls") as server:
        failed = failure(sink(server, HUBAUDIT_SMTP_SECURITY=security))
        assert "certificate is not trusted" in str(failed)
        assert not server.taken


def test_a_server_without_starttls_gets_nothing(plain: MailServer) -> None:
    made = sink(
        plain,
        HUBAUDIT_SMTP_SECURITY="starttls",
        HUBAUDIT_SMTP_USER="me",
        HUBAUDIT_SMTP_PASSWORD=PASSWORD,
    )
    assert "STARTTLS" in str(failure(made))
    assert not plain.taken


@pytest.mark.parametrize(
    ("verb", "answer", "said", "is_final"),
    [
        ("GREETING", "554 go away", "it answered 554", False),
        ("AUTH", f"535 {PASSWORD}", "it refuses user and password (535)", False),
        ("MAIL", f"550 {PASSWORD}", "it answered 550", False),
        ("MAIL", "552 too large", "it answered 552", True),
        ("RCPT", f"550 {PASSWORD} unknown", "it refuses the address (550)", False),
        ("DATA", "451 later", "it refuses the message (451)", False),
        (".", "552 too big", "it refuses the message (552)", True),
    ],
)
def test_every_refusal_is_a_failure_without_the_words_of_the_server(
    plain: MailServer,
    verb: str,
    answer: str,
    said: str,
    is_final: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain.answers[verb] = answer
    made = sink(plain, HUBAUDIT_SMTP_USER="me", HUBAUDIT_SMTP_PASSWORD=PASSWORD)
    with caplog.at_level(logging.DEBUG):
        failed = failure(made)
    assert (str(failed), failed.is_final) == (said, is_final)
    shown = "".join(traceback.format_exception(failed))
    shown += repr(made) + made.name + caplog.text + str([failed.__cause__, failed.__context__])
    for secret in (PASSWORD, ADDRESS):
        assert secret not in shown
    assert not plain.taken


def test_a_goodbye_that_never_comes_takes_no_acknowledgement_back(plain: MailServer) -> None:
    plain.answers["QUIT"] = ""
    began = time.monotonic()
    sink(plain).send([alert()], alert().key)
    assert time.monotonic() - began < 6
    assert len(plain.taken) == 1


@pytest.mark.parametrize("verb", ["GREETING", "MAIL", "."])
def test_a_server_that_hangs_is_given_up(plain: MailServer, verb: str) -> None:
    plain.answers[verb] = ""
    server = Server("localhost", plain.port, "none", "a@example.org")
    failed = failure(Mail(server, ADDRESS, whole=0.4))
    assert str(failed) == "it took longer than 0.4 seconds"


def test_the_password_is_in_no_repr() -> None:
    assert PASSWORD not in repr(Server("h", 1, "none", "a@b", "me", PASSWORD))
