"""Lengths of time as they are typed: `90s`, `15m`, `1h`, `2d`, or put together, `1h30m`."""

from __future__ import annotations

import re

from hubaudit.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PART = r"(\d{1,9}(?:\.\d{1,3})?)([smhd])"
_WHOLE = re.compile(rf"(?:{_PART})+", re.ASCII | re.IGNORECASE)
_ONE = re.compile(_PART, re.ASCII | re.IGNORECASE)
_MOST = 366 * 86_400  # a year: beyond that it is a slip of the finger


def parse_duration(text: str, option: str = "") -> float:
    """Seconds, more than 0 and at most a year. Raises UsageError, which names `option` if it is given."""
    typed = text.strip()
    if not _WHOLE.fullmatch(typed):
        raise _unusable(text, option, "it needs a number and a unit")
    seconds = sum(float(many) * _SECONDS[unit.lower()] for many, unit in _ONE.findall(typed))
    if not 0 < seconds <= _MOST:
        raise _unusable(text, option, "it must be more than 0 and at most a year")
    return seconds


def _unusable(text: str, option: str, why: str) -> UsageError:
    subject = f"{option} {text!r}" if option else repr(text)
    return UsageError(f"{subject} is no duration: {why}", hint="write 90s, 15m, 1h, 2d or 1h30m")
