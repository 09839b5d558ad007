"""`hubaudit: ignore[pin] reason`: comments that say that a reference is meant to follow a branch."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hubaudit.pins.reference import Reference, State

_COMMENT = re.compile(r"(?:#|//)\s*hubaudit:\s*ignore\[\s*pin\s*\](.*)", re.IGNORECASE)
_BESIDE = re.compile(r"(?:^|[\s,{\[])" + _COMMENT.pattern, re.IGNORECASE)

Silences = Mapping[int, str]  # line → the reason, "" where none is given


def silences_in_code(source: str) -> dict[int, str]:
    """Those of a Python module that parses, by line. Strings that look like one do not count."""
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            match = _COMMENT.match(token.string) if token.type == tokenize.COMMENT else None
            if match:
                found[token.start[0]] = _reason(match[1])
    except (tokenize.TokenError, SyntaxError):
        pass  # the tokenizer in Python is stricter than the parser: what was found so far holds
    return found


def silences_in_lines(text: str) -> dict[int, str]:
    """Those of a configuration, by line: `#` in YAML and TOML, `//` in JSON with comments."""
    lines = enumerate(text.split("\n"), start=1)
    return {line: _reason(match[1]) for line, said in lines if (match := _BESIDE.search(said))}


def silenced(reference: Reference, lines: Iterable[int], silences: Silences) -> Reference:
    """The reference as a comment on one of its lines leaves it."""
    said = [silences[line] for line in lines if line in silences]
    if not said or reference.state not in (State.UNPINNED, State.UNKNOWN):
        return reference
    reason = next(filter(None, said), "")
    if not reason:
        why = f"{reference.why} (the comment that would ignore this gives no reason)"
        return replace(reference, why=why)
    return replace(reference, state=State.IGNORED, reason=reason)


def _reason(text: str) -> str:
    """What follows the bracket, without what merely leads over to it; "" if it has no word."""
    text = text.strip().lstrip("-–—:,;").strip()
    return text if re.search(r"\w\w", text) else ""
