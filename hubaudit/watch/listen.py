"""Where the server listens, and what it takes to listen there: `HOST:PORT` and the Hub's secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from hubaudit.errors import ConfigError, UsageError

SECRET = "HUBAUDIT_HUB_SECRET"
SECRET_FILE = "HUBAUDIT_HUB_SECRET_FILE"

# 16 random letters and digits have 95 bits: no one guesses them over a network.
LEAST_SECRET = 16
_MOST_FILE = 4096  # bytes of a file with a secret in it, so that a wrong one is told early
_FORMS = "write HOST:PORT as in 127.0.0.1:8080, [::1]:8080, or :8080 for every address"
_HOST_PORT = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")


@dataclass(frozen=True, slots=True)
class Address:
    """`host` is "" for every address of this machine; `port` 0 for any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Address:
    """`HOST:PORT`. Raises UsageError."""
    found = _HOST_PORT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"cannot listen on {text!r}: no HOST:PORT", hint=_FORMS)
    six, host, port = found["six"], found["host"], int(found["port"])
    if port > 65535:
        raise UsageError(f"cannot listen on {text!r}: ports end at 65535", hint=_FORMS)
    if six is not None and not (":" in six and _is_ip(six)):
        raise UsageError(f"cannot listen on {text!r}: no IPv6 address in the brackets", hint=_FORMS)
    if host and not (_is_ip(host) or _HOST_NAME.fullmatch(host)):
        raise UsageError(f"cannot listen on {text!r}: {host!r} is no host", hint=_FORMS)
    return Address(six or host or "", port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. Of names only `localhost` is known to be so."""
    return ip_address(host).is_loopback if _is_ip(host) else host.lower() == "localhost"


def check_listen(host: str, port: int, secret: bytes | None) -> None:
    """Raises UsageError if nobody should listen there with this secret, or with none."""
    if not 0 <= port <= 65535:
        raise UsageError(f"cannot listen on port {port}: ports end at 65535", hint=_FORMS)
    if is_loopback(host):
        return
    if secret is None:
        raise UsageError(
            f"listening on {Address(host, port)}, beyond this machine, needs the webhook's secret",
            hint=f"put it into {SECRET} or a file that {SECRET_FILE} names, or listen on 127.0.0.1",
        )
    if len(secret) < LEAST_SECRET:
        raise UsageError(
            f"the webhook's secret is too short to listen beyond this machine: "
            f"{len(secret)} of at least {LEAST_SECRET} characters",
            hint="make one with: openssl rand -hex 32",
        )


def secret_of(environment: Mapping[str, str]) -> bytes | None:
    """The Hub's secret, None if there is none. Raises ConfigError for one that cannot be meant."""
    given, file = environment.get(SECRET), environment.get(SECRET_FILE)
    if given is not None and file is not None:
        raise ConfigError(f"{SECRET} and {SECRET_FILE} are both set", hint="unset one of them")
    if file is not None:
        return _checked(_read(file), SECRET_FILE)
    return None if given is None else _checked(given, SECRET)


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as opened:
            data = opened.read(_MOST_FILE + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"the file that {SECRET_FILE} names cannot be read: {why}", hint="is it there?"
        ) from None
    if len(data) > _MOST_FILE:
        raise ConfigError(
            f"the file that {SECRET_FILE} names has more than {_MOST_FILE} bytes",
            hint="it should hold the secret and nothing else",
        )
    return data.decode("latin-1").rstrip("\r\n")


def _checked(secret: str, source: str) -> bytes:
    """It comes back in a header: printable ASCII, and no space at the ends, which HTTP cuts off."""
    if not secret:
        raise ConfigError(f"{source} is set, but empty", hint="unset it, or put the secret there")
    if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
        raise ConfigError(
            f"the secret in {source} has other than printable ASCII characters, or spaces around it",
            hint="the Hub could not send it; make one with: openssl rand -hex 32",
        )
    return secret.encode("ascii")


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
