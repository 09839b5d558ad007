"""Whether `torch.load(weights_only=True)` would refuse a checkpoint: `weights-only`. A note, no verdict.

The restricted unpickler (torch/_weights_only_unpickler.py) knows few opcodes, imports nothing and takes names
from a list. Its checks are repeated here; what it accepts is data, in weights_only.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice

from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.torch_legacy import PICKLES
from hubaudit.model import Finding, Severity
from hubaudit.pvm.opcodes import OPCODES
from hubaudit.pvm.values import Call, Global, PersistentId, SetOf, Trace, Value
from hubaudit.rules.base import Evidence, Rule
from hubaudit.rules.names import canonical

# Reasons of one kind in one pickle. A hostile one has a million; of those nobody reads more than the first.
MOST = 20

_OPCODES = {opcode.code[0]: opcode for opcode in OPCODES}
_BINPERSID = 0x51
# What these allowed functions give is neither a tensor nor of another type whose state may be set.
_GIVE_NO_TENSOR = frozenset({"_codecs.encode", "torch.serialization._get_layout"})
_ITEMS_MAY_BE_SET = frozenset({"collections.OrderedDict", "collections.Counter"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that the restricted unpickler stops at, with `it` as the subject: "imports os.system"."""

    offset: int
    what: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one version of torch accepts. Names are `module.name`, after those of Python 2 were mapped."""

    torch: str
    opcodes: frozenset[str]
    names: frozenset[str]


def refusals(trace: Trace) -> tuple[Refusal, ...]:
    """What in one pickle torch would refuse, in the order of the bytes; empty if it accepts all.

    Of each kind of reason the first `MOST`.

    Right about what it names. A hostile pickle may be refused for more: nothing is said of values that
    fit no class, of the arguments of functions, and of what the loader makes of a storage.
    """
    kinds = (_opcodes(trace), _imports(trace), _persistent_ids(trace), _calls(trace))
    found = (one for kind in kinds for one in islice(kind, MOST))
    return tuple(sorted(found, key=lambda one: one.offset))


@cache
def allowed() -> Allowed:
    """The shipped list, read once. Raises nothing: the tests validate the data."""
    lists = tomllib.loads(data())
    return Allowed(lists["torch"], frozenset(lists["opcodes"]), frozenset(lists["names"]))


@cache
def data() -> str:
    """The shipped list as text. Part of the ruleset's digest."""
    return (resources.files("hubaudit.rules") / "weights_only.toml").read_text(encoding="utf-8")


def _opcodes(trace: Trace) -> Iterator[Refusal]:
    # those that a trace does not note are all known to torch
    for code, offset in trace.opcodes.items():
        opcode = _OPCODES.get(code)
        if opcode is not None and opcode.name not in allowed().opcodes:
            yield Refusal(offset, f"uses {opcode.name}, an opcode of protocol {opcode.protocol}")


def _imports(trace: Trace) -> Iterator[Refusal]:
    for (module, name), seen in trace.imports.items():
        qualified = ".".join(canonical(module, name))
        if qualified not in allowed().names:
            yield Refusal(seen.offset, f"imports {qualified}")


def _persistent_ids(trace: Trace) -> Iterator[Refusal]:
    for persistent in trace.persistent_ids:
        match persistent.pid:
            case bool() | str() | bytes():
                is_storage = False
            case int() | () | ("storage" | b"storage", *_):
                is_storage = True
            case _:
                is_storage = False
        if not is_storage:
            offset = trace.opcodes.get(_BINPERSID, trace.start)
            yield Refusal(offset, "has a persistent id that is no storage")


def _calls(trace: Trace) -> Iterator[Refusal]:
    for call in trace.calls:
        what = _what_is_wrong(call)
        if what is not None:
            yield Refusal(call.offset, what)


def _what_is_wrong(call: Call) -> str | None:
    """With a call of an allowed name; another name is refused when it is imported."""
    match call.how:
        case "BUILD" if not _state_may_be_set(call.function):
            return "sets the state of what is no tensor, parameter or OrderedDict"
        case "REDUCE" | "NEWOBJ" if not isinstance(call.function, Global):
            return "calls what is no name"
        case "APPENDS":
            return "appends to what is no list"
        case "SETITEMS":
            return "sets items of what is no dict"
    if call.items:
        return "appends to what is no list"
    if call.flat and _name_of(call) not in _ITEMS_MAY_BE_SET:
        return "sets items of what is no dict"
    return None


def _state_may_be_set(value: Value) -> bool:
    match value:
        case Call():
            return _name_of(value) not in _GIVE_NO_TENSOR
        case SetOf():
            return not value.frozen
        case _:
            return isinstance(value, PersistentId)


def _name_of(call: Call) -> str | None:
    function = call.function
    if not isinstance(function, Global):
        return None
    return ".".join(canonical(function.module, function.name))


def _check(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    refused = _refused(evidence.contents)
    if refused is None:
        return
    member, (first, *more) = refused
    reasons = " (first of several reasons)" if more else ""
    yield rule.finding(
        evidence,
        Severity.INFO,
        "torch.load(weights_only=True), the default since torch 2.6, refuses this file: "
        f"it {first.what}{reasons}; by the list of torch {allowed().torch}",
        member=member,
        offset=first.offset,
    )


def _refused(contents: Contents) -> tuple[str | None, tuple[Refusal, ...]] | None:
    """Where, and why; None if torch may accept the file, or reads it otherwise.

    Of an archive with several candidates nobody knows which one torch reads: all have to be refused.
    """
    match contents.format:
        case Format.TORCH_LEGACY:
            own = [pickle.trace for pickle in contents.pickles if pickle.member is None]
            reasons = tuple(one for trace in own[:PICKLES] for one in refusals(trace))
            return (None, reasons) if reasons else None
        case Format.TORCH_ZIP:
            found = [
                (pickle.member, refusals(pickle.trace))
                for pickle in contents.pickles
                if _is_what_torch_reads(pickle.member)
            ]
            return found[0] if found and all(reasons for _, reasons in found) else None
        case _:
            return None


def _is_what_torch_reads(member: str | None) -> bool:
    folder, _, name = (member or "").rpartition("/")
    return name == "data.pkl" and "/" not in folder


WEIGHTS_ONLY = Rule(
    id="weights-only",
    summary="A torch file that torch.load(weights_only=True), the default, refuses.",
    advice="Keep weights_only=True, and ask for a file of weights only, or for safetensors.",
    worst=Severity.INFO,
    references=("CWE-502", "AML.T0010.003", "LLM03:2025"),
    check=_check,
)
