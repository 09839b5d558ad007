"""Secrets from the environment or a file, and what keeps them out of logs and error texts."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import local

from hubaudit.errors import ConfigError
from hubaudit.report.escape import visible

_MOST = 1 << 16  # bytes: a file with more is no secret, but the wrong file


def setting(environ: Mapping[str, str], name: str) -> str | None:
    """The secret in the variable `name`, or in the file that `name`_FILE names; None without both.

    Raises ConfigError.
    """
    file = environ.get(f"{name}_FILE")
    if environ.get(name) and file:
        raise ConfigError(f"both {name} and {name}_FILE are set", hint="set one of them")
    if file:
        return from_file(file)
    return from_variable(environ, name) if environ.get(name) else None


def from_source(source: str, environ: Mapping[str, str], example: str) -> str:
    """The secret that `env:NAME` or `file:PATH` stand for. Raises ConfigError, which never repeats `source`.

    Someone may have typed the secret in its place. `example` is for the hint.
    """
    kind, colon, name = source.partition(":")
    if colon and name and kind == "env":
        return from_variable(environ, name)
    if colon and name and kind == "file":
        return from_file(name)
    raise ConfigError("a place that is a secret is not typed, but named", hint=f"write {example}")


def from_variable(environ: Mapping[str, str], name: str) -> str:
    if not name.replace("_", "").isalnum():
        raise ConfigError("this is no name of an environment variable", hint="write env:NAME")
    found = environ.get(name, "").strip()
    if not found:
        raise ConfigError(f"the environment variable {name} is not set", hint=f"export {name}=…")
    return found


def from_file(path: str) -> str:
    """All that is in the file, without white space around it."""
    try:
        with Path(path).expanduser().open("rb") as opened:
            found = opened.read(_MOST + 1)
        text = found.decode().strip()
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else _WHY[type(error)]
        raise ConfigError(f"the file {path} cannot be read: {why}", hint="check the name") from None
    if not text or len(found) > _MOST:
        raise ConfigError(
            f"the file {path} holds no secret: it has {len(found)} bytes", hint="check the name"
        )
    return text


# What has no `strerror`: `expanduser` raises RuntimeError for a user that it does not know.
_WHY = {RuntimeError: "nobody has that home", UnicodeDecodeError: "it is no UTF-8"}


def why(error: BaseException) -> str:
    """What went wrong on the way to a sink, in words that hold nothing of the sink's address.

    Exceptions of `requests` and of `smtplib` say the whole URL or repeat what the server said.
    """
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({visible(one.verify_message)[:120]})"
    for one in chain:
        if isinstance(one, ssl.SSLError):
            return "it cannot be talked to over TLS"
        if isinstance(one, TimeoutError) or "Timeout" in type(one).__name__:
            return "it gave no answer in time"
    for one in chain:
        if "NameResolution" in type(one).__name__ or type(one).__name__ == "gaierror":
            return "its name cannot be resolved"
        if isinstance(one, OSError) and isinstance(one.errno, int) and one.errno > 0:
            return f"it cannot be reached: {os.strerror(one.errno)}"
    return f"the connection failed ({type(error).__name__})"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and all that it came from, also inside of its arguments, as urllib3 keeps it."""
    seen: list[BaseException] = []
    todo = [error]
    while todo and len(seen) < 20:
        one = todo.pop(0)
        if one is None or any(one is other for other in seen):
            continue
        seen.append(one)
        inside = [given for given in one.args if isinstance(given, BaseException)]
        reason = getattr(one, "reason", None)
        inside += [reason] if isinstance(reason, BaseException) else []
        todo += [*inside, one.__cause__, one.__context__]
    yield from seen


class _Silence(logging.Filter):
    """Drops what is logged by threads that are `quiet` at the time."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = local()

    def filter(self, _record: logging.LogRecord) -> bool:
        return not getattr(self.thread, "quiet", 0)


_SILENCE = _Silence()
# Those that log the path of a URL, with whatever is secret in it. A filter holds for the logger itself only.
_TALKATIVE = ("urllib3.connectionpool", "urllib3.util.retry", "apprise")


@contextmanager
def quiet() -> Iterator[None]:
    """In this thread, libraries that would log where a message goes say nothing."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_SILENCE)  # once: filters are a set in effect
    before = getattr(_SILENCE.thread, "quiet", 0)
    _SILENCE.thread.quiet = before + 1
    try:
        yield
    finally:
        _SILENCE.thread.quiet = before
