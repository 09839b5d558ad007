"""What `--notify` is given, made into sinks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from hubaudit.errors import UsageError
from hubaudit.notify import NOTIFIERS, Notifier

_EXAMPLES = (
    "stdout, jsonl:FILE, https://HOST/PATH, webhook:env:NAME, mailto:ADDRESS, command:PROGRAM or "
    "apprise:env:NAME"
)


def notifiers(specs: Sequence[str], environ: Mapping[str, str]) -> tuple[Notifier, ...]:
    """A sink for each of `specs`, of a list of addresses or URLs one for each of these.

    Secrets come from `environ` or from files that it names. Raises UsageError or ConfigError; what was
    typed is not repeated there, since somebody may have typed a secret.
    """
    found = [one for spec in specs for one in _of(spec, environ)]
    twice = [name for name, times in Counter(one.name for one in found).items() if times > 1]
    if twice:
        raise UsageError(f"the sink {twice[0]} is named twice", hint="name it once with --notify")
    return tuple(found)


def _of(spec: str, environ: Mapping[str, str]) -> tuple[Notifier, ...]:
    scheme, colon, rest = spec.strip().partition(":")
    make = NOTIFIERS.get(scheme.lower())
    if make is None or (not colon and scheme.lower() != "stdout"):
        raise _unknown(scheme, rest)
    return make(rest, environ)


def _unknown(scheme: str, rest: str) -> UsageError:
    """Only a word is repeated: anything else may be an address, and that a secret."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z+]{1,15}", scheme):
        hint = f"write {_EXAMPLES}"
        return UsageError("--notify is given what names no sink", hint=hint)
    said = f"there is no sink {scheme!r}"
    close = get_close_matches(scheme.lower(), NOTIFIERS, n=1)
    if close:
        return UsageError(said, hint=f"did you mean {close[0]!r}? There are {_EXAMPLES}")
    if rest.startswith("//"):
        return UsageError(
            said,
            hint="if it is a URL for apprise, put it into a variable or a file, since it holds secrets: "
            "apprise:env:NAME or apprise:file:PATH",
        )
    return UsageError(said, hint=f"write {_EXAMPLES}")
