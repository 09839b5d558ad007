"""E-mail over SMTP, a message for each address: STARTTLS unless somebody says otherwise."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal, cast, get_args

from hubaudit.errors import ConfigError, UsageError
from hubaudit.notify import hidden
from hubaudit.notify.notifier import DeliveryFailed, Notifier, name_of
from hubaudit.notify.payload import payload
from hubaudit.notify.watchdog import Watchdog
from hubaudit.notify.webhook import is_loopback
from hubaudit.notify.wording import subject, text
from hubaudit.watch.alert import Alert

Security = Literal["starttls", "tls", "none"]

WHOLE = 120.0  # seconds for one message; servers that hold back greetings against spam take 30
_WAIT = 30.0  # seconds between two answers
_PORTS: dict[Security, int] = {
    "starttls": 587,
    "tls": 465,
    "none": 25,
}  # RFC 6409, RFC 8314, RFC 5321
# What both ends of SMTP take without extensions, and nothing with a meaning in a header.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)
# Not every server takes 8 bits. Shorter lines would have a subject begin with a blank on its second line.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=998)
_REFERENCES = 20  # alerts that a closing names; a header is not for hundreds


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    security: Security
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


class Mail:
    """To one address: of several, one that is refused would have the others get it again and again."""

    def __init__(self, server: Server, address: str, *, whole: float = WHOLE) -> None:
        self._server = server
        self._address = address
        self._whole = whole
        self.name = name_of("mailto", address.rpartition("@")[2], address)

    def __repr__(self) -> str:
        return f"<Mail {self.name}>"

    def send(self, alerts: Sequence[Alert], key: str) -> None:
        data = message(alerts, key, self._server.sender, self._address).as_bytes()
        failed = self._try(data)
        if failed is not None:
            raise failed  # here, where no other exception is being handled that would go along

    def close(self) -> None:
        """Nothing stays open between messages."""

    def _try(self, data: bytes) -> DeliveryFailed | None:
        with Watchdog(self._whole) as watchdog:
            try:
                self._submit(data, watchdog)
                return None
            except (smtplib.SMTPException, OSError, ValueError) as error:
                failed = _explained(error)
        if watchdog.has_bitten:
            return DeliveryFailed(f"it took longer than {self._whole:g} seconds")
        return failed

    def _submit(self, data: bytes, watchdog: Watchdog) -> None:
        server = self._server
        client = _Client(server, watchdog)
        try:
            if server.security == "starttls":
                client.starttls(context=ssl.create_default_context())
            if server.user is not None:
                client.login(server.user, server.password or "")
            client.sendmail(server.sender, [self._address], data)
            with suppress(smtplib.SMTPException, OSError):
                watchdog.allow(0.5)  # it has the message; goodbyes are not waited for
                client.quit()
        finally:
            client.close()


def from_spec(rest: str, environ: Mapping[str, str]) -> tuple[Notifier, ...]:
    """Addresses with commas between. Raises UsageError or ConfigError."""
    addresses = [one.strip() for one in rest.split(",")]
    for one in addresses:
        if not _ADDRESS.fullmatch(one):
            raise UsageError(
                "mailto: is given what is no plain e-mail address",
                hint="write mailto:a@example.org,b@example.org",
            )
    server = _server(environ)
    return tuple(Mail(server, one) for one in addresses)


def message(alerts: Sequence[Alert], key: str, sender: str, address: str) -> EmailMessage:
    """The same for the same alerts: the date is that of the newest. The JSON goes along as a file."""
    made = EmailMessage(policy=_POLICY)
    domain = sender.rpartition("@")[2]
    made["From"] = sender
    made["To"] = address
    made["Subject"] = subject(alerts).encode("ascii", "backslashreplace").decode()
    made["Date"] = format_datetime(_newest(alerts))
    made["Message-ID"] = f"<{key}@{domain}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers to it
    closes = [f"<{one}@{domain}>" for alert in alerts for one in alert.closes if one.isalnum()]
    if closes:
        made["References"] = " ".join(closes[:_REFERENCES])
    made.set_content(text(alerts))
    made.add_attachment(
        payload(alerts), maintype="application", subtype="json", filename=f"alert-{key[:12]}.json"
    )
    return made


class _Client(smtplib.SMTP):
    """That of the library, with its socket under the eyes of a watchdog, and TLS from the start if told."""

    def __init__(self, server: Server, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._server = server
        # without it the library asks the resolver for our name, which may take its time
        here = socket.gethostname()
        name = here if "." in here else "[127.0.0.1]"
        super().__init__(server.host, server.port, local_hostname=name, timeout=_WAIT)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened = socket.create_connection((host, port), timeout)
        self._watchdog.watch(opened)
        if self._server.security != "tls":
            return opened
        return ssl.create_default_context().wrap_socket(opened, server_hostname=host)


def _server(environ: Mapping[str, str]) -> Server:
    host = environ.get("HUBAUDIT_SMTP_HOST", "")
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise ConfigError(
            "mailto: needs a mail server",
            hint="set HUBAUDIT_SMTP_HOST, and _PORT, _USER, _PASSWORD, _FROM as it wants them",
        )
    security = environ.get("HUBAUDIT_SMTP_SECURITY") or (
        "none" if is_loopback(host) else "starttls"
    )
    if security not in get_args(Security):
        raise ConfigError(
            "HUBAUDIT_SMTP_SECURITY is none of starttls, tls, none",
            hint="without it, it is starttls",
        )
    security = cast(Security, security)
    user = environ.get("HUBAUDIT_SMTP_USER") or None
    password = hidden.setting(environ, "HUBAUDIT_SMTP_PASSWORD")
    if user and security == "none" and not is_loopback(host):
        raise ConfigError(
            "the password for the mail server would go over the network as it is",
            hint="leave HUBAUDIT_SMTP_SECURITY away, or HUBAUDIT_SMTP_USER",
        )
    sender = environ.get("HUBAUDIT_SMTP_FROM") or user or ""
    if not _ADDRESS.fullmatch(sender):
        raise ConfigError(
            "mailto: needs an address that mails come from", hint="set HUBAUDIT_SMTP_FROM"
        )
    return Server(host, _port(environ, security), security, sender, user, password)


def _port(environ: Mapping[str, str], security: Security) -> int:
    said = environ.get("HUBAUDIT_SMTP_PORT") or str(_PORTS[security])
    if not re.fullmatch(r"\d{1,5}", said, re.ASCII) or not 0 < int(said) < 65536:
        raise ConfigError("HUBAUDIT_SMTP_PORT is no port", hint="for example 587")
    return int(said)


def _newest(alerts: Sequence[Alert]) -> datetime:
    try:
        found = datetime.fromisoformat(alerts[-1].at)
    except ValueError:
        return datetime.now(UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _explained(error: Exception) -> DeliveryFailed:
    """By the code only: the text of a server may repeat what it was sent."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return DeliveryFailed(f"it refuses user and password ({error.smtp_code})")
        case smtplib.SMTPRecipientsRefused():
            codes = ", ".join(str(code) for code, _ in error.recipients.values())
            return DeliveryFailed(f"it refuses the address ({codes})")
        case smtplib.SMTPDataError():
            return DeliveryFailed(
                f"it refuses the message ({error.smtp_code})", is_final=error.smtp_code >= 500
            )
        case smtplib.SMTPResponseException():
            # 552 to MAIL FROM: larger than the server takes (RFC 1870, section 6.1)
            return DeliveryFailed(f"it answered {error.smtp_code}", is_final=error.smtp_code == 552)
        case smtplib.SMTPNotSupportedError():
            return DeliveryFailed(
                "it lacks STARTTLS or a way to log in that we know",
                hint="see HUBAUDIT_SMTP_SECURITY in docs/alerts.md",
            )
        case smtplib.SMTPServerDisconnected():
            return DeliveryFailed("it closed the connection")
    return DeliveryFailed(hidden.why(error))
