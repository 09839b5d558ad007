"""Whether a trace is that of a pickle, or of other bytes that begin with opcodes by chance."""

from __future__ import annotations

from hubaudit.pvm.values import Trace

_PROTO = 0x80


def is_name(imported: tuple[str, str]) -> bool:
    """Identifiers. Two lines of prose after a `c` are no import that could succeed."""
    return all(part.isidentifier() for part in ".".join(imported).split("."))


def imports_plausibly(trace: Trace) -> bool:
    """Whether it imports something that has the form of a name, or imports and calls anything.

    For a place where a loader would begin. An extension code that nothing follows is two bytes, and those
    stand in any data.
    """
    if trace.calls:
        return trace.imports_anything
    return any(map(is_name, trace.imports))


def is_evident(trace: Trace) -> bool:
    """Whether it is a pickle that imports something, at a place that no loader is known to begin at.

    A file has millions of these, so that more is asked of each: a name, and that the pickle comes to its
    end, or to a call, or says its protocol first. One that only computes what it imports does both first.
    """
    if not any(map(is_name, trace.imports)):
        return bool(trace.computed and trace.calls and trace.complete)
    says_protocol = trace.opcodes.get(_PROTO) == trace.start
    return bool(trace.complete or trace.calls or says_protocol)
