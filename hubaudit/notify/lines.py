"""A line of JSON for each alert: on stdout, or at the end of a file."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import UnsupportedOperation
from pathlib import Path

from hubaudit.errors import ConfigError, UsageError
from hubaudit.notify.notifier import DeliveryFailed, Notifier, name_of
from hubaudit.notify.payload import line
from hubaudit.watch.alert import Alert


class Stdout:
    """Written is acknowledged: whoever reads from a pipe gives no answer."""

    name = "stdout"

    def send(self, alerts: Sequence[Alert], key: str) -> None:  # noqa: ARG002 - it is in each line
        text = "".join(f"{line(alert)}\n" for alert in alerts)
        try:
            sys.stdout.flush()
            _write(sys.stdout.fileno(), text.encode("ascii"))
        except (UnsupportedOperation, ValueError):  # somebody put another object in its place
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            raise DeliveryFailed(f"stdout takes nothing: {error.strerror}") from None

    def close(self) -> None:
        pass


class Lines:
    """A file that only grows, opened for each message so that it may be moved away between two.

    A line is in it once it is on the disk. After a crash the last line may be half of one: then the next
    one begins behind it, and the alert of the broken one is written again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self.name = name_of("jsonl", path.name, str(self._path))

    def __repr__(self) -> str:
        return f"<Lines {self.name}>"

    def send(self, alerts: Sequence[Alert], key: str) -> None:  # noqa: ARG002 - it is in each line
        try:
            opened = _opened(self._path)
            try:
                for alert in alerts:
                    start = b"" if _ends_whole(opened) else b"\n"
                    _write(opened, start + line(alert).encode("ascii") + b"\n")
                if stat.S_ISREG(os.fstat(opened).st_mode):  # pipes and terminals have no disk
                    os.fsync(opened)
            finally:
                os.close(opened)
        except OSError as error:
            raise DeliveryFailed(f"the file cannot be written: {error.strerror}") from None

    def close(self) -> None:
        pass


def stdout_from_spec(rest: str, _environ: Mapping[str, str]) -> tuple[Notifier, ...]:
    if rest:
        raise UsageError("stdout takes nothing after it", hint="for a file: jsonl:FILE")
    return (Stdout(),)


def from_spec(rest: str, _environ: Mapping[str, str]) -> tuple[Notifier, ...]:
    """Raises ConfigError for what can be no file."""
    if not rest:
        raise UsageError("jsonl: names no file", hint="write jsonl:alerts.jsonl")
    path = Path(rest)
    with suppress(RuntimeError):  # of a user that nobody knows: then it is in no folder
        path = path.expanduser()
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(
            f"{path} cannot be written: it is a folder or in no folder",
            hint="name a file in a folder that exists",
        )
    return (Lines(path),)


def _opened(path: Path) -> int:
    """For appending. A pipe needs somebody who reads it: without one, what is written is lost."""
    if not path.is_fifo():
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    opened = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # an error where nobody reads (POSIX, open)
    os.set_blocking(opened, True)
    return opened


def _ends_whole(opened: int) -> bool:
    if os.fstat(opened).st_size == 0:
        return True
    os.lseek(opened, -1, os.SEEK_END)
    return os.read(opened, 1) == b"\n"


def _write(number: int, data: bytes) -> None:
    """In one piece where the system takes it so; a pipe takes less."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(number, rest) :]
