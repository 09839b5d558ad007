"""Whether a trace is that of a pickle, or of other bytes that begin with opcodes by chance."""

from __future__ import annotations

from hubaudit.pvm.values import Call, Global, Trace, Unknown

_PROTO = 0x80
_CALLS = frozenset({"REDUCE", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX"})


def is_name(imported: tuple[str, str]) -> bool:
    """Identifiers. Two lines of prose after a `c` are no import that could succeed."""
    return all(part.isidentifier() for part in ".".join(imported).split("."))


def is_call(called: Call) -> bool:
    """Whether it calls what a pickle imported or made. BUILD is none."""
    return called.how in _CALLS and isinstance(called.function, Global | Call)


def _is_computed(called: Call) -> bool:
    is_call = called.how in _CALLS and isinstance(called.function, Unknown)
    return is_call and isinstance(called.args, tuple)


def imports_plausibly(trace: Trace) -> bool:
    """Whether it imports something that has the form of a name, or computes a name and calls something.

    For a place where a loader would begin. An extension code that nothing calls is two bytes, and one in
    2500 files of random numbers begins with that.
    """
    if any(map(is_name, trace.imports)):
        return True
    return trace.imports_anything and any(
        is_call(call) or _is_computed(call) for call in trace.calls
    )


def is_evident(trace: Trace) -> bool:
    """Whether it is a pickle that imports something, at a place that no loader is known to begin at.

    A file has millions of these, so that more is asked of each: names, and PROTO first or a call. One that
    only computes what it imports makes a call and comes to its end.
    """
    if not any(map(is_name, trace.imports)):
        return bool(trace.computed and trace.calls and trace.complete)
    if trace.opcodes.get(_PROTO) == trace.start:
        return True
    # base64 and lists of words have such opcodes, too, but with other arguments
    calls = any(is_call(call) and _has_arguments(call, trace) for call in trace.calls)
    return calls and all(map(is_name, trace.imports))


def _has_arguments(call: Call, trace: Trace) -> bool:
    return isinstance(call.args, tuple) and bool(call.how != "INST" or trace.complete or call.args)
