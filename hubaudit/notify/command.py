"""A command of the user's: the alert on its stdin, exit code 0 is the acknowledgement. No shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from hubaudit.errors import ConfigError
from hubaudit.notify.notifier import DeliveryFailed, Notifier, name_of
from hubaudit.notify.payload import event, payload
from hubaudit.notify.wording import worst
from hubaudit.watch.alert import Alert

LIMIT = 60.0  # seconds; what takes longer is put into the background by the command itself
# Of ours these are none of the command's business. What else is in the environment it may have.
_SECRET = re.compile(r"HUBAUDIT_\w*(SECRET|PASSWORD|TOKEN)")


class Command:
    """What it prints goes nowhere: it might be the very secrets that it was given.

    Each run has a process group of its own, which is killed when the time is over.
    """

    def __init__(
        self, words: Sequence[str], environ: Mapping[str, str], *, limit: float = LIMIT
    ) -> None:
        self.name = name_of("command", Path(words[0]).name, "\0".join(words))
        self._words = list(words)
        self._environ = {
            name: value for name, value in environ.items() if not _SECRET.fullmatch(name)
        }
        self._limit = limit
        self._running: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Command {self.name}>"

    def send(self, alerts: Sequence[Alert], key: str) -> None:
        said = self._run(payload(alerts) + b"\n", self._environ | _described(alerts, key))
        if said:
            raise DeliveryFailed(said)

    def close(self) -> None:
        """Kills what is still running."""
        running = self._running
        if running is not None:
            _kill(running)

    def _run(self, given: bytes, environ: Mapping[str, str]) -> str:
        """What went wrong; "" for nothing."""
        try:
            running = self._started(given, environ)
        except OSError as error:
            return f"the command cannot be started: {error.strerror}"
        self._running = running
        try:
            running.wait(self._limit)
        except subprocess.TimeoutExpired:
            _kill(running)
            running.wait()
            return f"the command took longer than {self._limit:g} seconds, and was ended"
        finally:
            self._running = None
        code = running.returncode
        if code < 0:
            return f"the command was ended by signal {-code}"
        return f"the command ended with exit code {code}" if code else ""

    def _started(self, given: bytes, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Its stdin is a file without a name: a pipe that it leaves unread would have to be waited for."""
        with TemporaryFile() as stdin:
            stdin.write(given)
            stdin.seek(0)
            return subprocess.Popen(  # noqa: S603 - the user's own words, without a shell
                self._words,
                env=environ,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )


def from_spec(rest: str, environ: Mapping[str, str]) -> tuple[Notifier, ...]:
    """A program and its arguments, quoted as in a shell. Raises ConfigError."""
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise ConfigError(
            f"the command of --notify cannot be taken apart: {error}", hint="check its quotes"
        ) from None
    if not words:
        raise ConfigError("command: names no program", hint="write command:PROGRAM ARGUMENT…")
    if shutil.which(words[0], path=environ.get("PATH")) is None:
        raise ConfigError(
            f"there is no program {Path(words[0]).name!r}",
            hint="install it or give its whole path; a shell's own words need sh -c '…'",
        )
    return (Command(words, environ),)


def _described(alerts: Sequence[Alert], key: str) -> dict[str, str]:
    """`KIND` is that of the worst change: empty for a closing and for a digest, see `EVENT`."""
    kind = alerts[0].kind if len(alerts) == 1 else None
    return {
        "HUBAUDIT_ALERT_KEY": key,
        "HUBAUDIT_ALERT_EVENT": event(alerts),
        "HUBAUDIT_ALERT_KIND": kind.value if kind else "",
        "HUBAUDIT_ALERT_SEVERITY": worst(alerts).value,
    }


def _kill(running: subprocess.Popen[bytes]) -> None:
    """The whole group, of which it is the leader, with all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(running.pid, signal.SIGKILL)
        else:
            running.kill()
