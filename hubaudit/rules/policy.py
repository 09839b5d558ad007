"""What the policy forbids beyond what is dangerous: formats, protocols, publishers, missing scans.

Their severity is high wherever the file lies: the policy says what may not be there at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from hubaudit.config import GlobalName, Policy
from hubaudit.errors import ConfigError
from hubaudit.formats.contents import Format, PickleRead
from hubaudit.model import Confidence, Finding, NameClass, RepoRef, Severity
from hubaudit.pvm.opcodes import OPCODES
from hubaudit.rules.base import Evidence, Rule
from hubaudit.rules.names import (
    Catalogue,
    Entry,
    Use,
    canonical,
    load_catalogue,
    rows,
    spellings,
)

_SOURCE = "the policy"
_PROTOCOL_OF = {opcode.code[0]: opcode.protocol for opcode in OPCODES}

# Made of pickles, or nothing without one: what `formats.deny = ["pickle"]` is meant to keep out.
_PICKLED = frozenset({Format.PICKLE, Format.TORCH_ZIP, Format.TORCH_LEGACY, Format.TORCHSCRIPT})


def catalogue_under(policy: Policy) -> Catalogue:
    """The shipped catalogue with the names that `policy` allows and denies.

    An allowed name is inert in every use, a denied one is dangerous. Raises ConfigError if a name is
    allowed that the catalogue has as dangerous.
    """
    if not policy.allowed_globals and not policy.denied_globals:
        return load_catalogue()
    return _merged(policy.allowed_globals, policy.denied_globals)


@lru_cache(maxsize=8)  # a sweep has one policy; a process with more than a few is a test
def _merged(allowed: frozenset[GlobalName], denied: frozenset[GlobalName]) -> Catalogue:
    shipped = load_catalogue()
    own = [_allow(shipped, module, name) for module, name in sorted(allowed)]
    own += [row for module, name in sorted(denied) for row in _deny(module, name)]
    return Catalogue([*rows(), *own])


def _allow(shipped: Catalogue, module: str, name: str) -> Entry:
    listed = shipped.find(module, name)
    if listed is not None and listed.name_class is NameClass.DANGEROUS:
        raise ConfigError(
            f"globals.allow: {module}.{name} {listed.why}, and a dangerous name cannot be allowed",
            hint="waive the finding in the one file that needs it: [[waivers]], see docs/policy.md",
        )
    if "*" in (module, name) or module.endswith(".*"):
        raise ConfigError(
            f"globals.allow: {module.removesuffix('.*')}.* is no name, and a whole module cannot be allowed",
            hint="allow each name that you have read",
        )
    return Entry(module, name, NameClass.INERT, frozenset(Use), "the policy allows it", _SOURCE)


def _deny(module: str, name: str) -> Iterator[Entry]:
    """The name under every spelling that loads the same object."""
    for place, called in {(module, name), canonical(module, name)}:
        for spelled in spellings(place):
            yield Entry(
                spelled,
                called,
                NameClass.DANGEROUS,
                frozenset(),
                "the policy denies it",
                _SOURCE,
                Severity.HIGH,
            )


def check_repo(repo: RepoRef, policy: Policy) -> tuple[Finding, ...]:
    """What the policy has against the repository as a whole. A finding of that has an empty path."""
    if policy.publishers is None or repo.repo_type == "local":
        return ()
    owner = repo.repo_id.partition("/")[0] if "/" in repo.repo_id else None
    if owner in policy.publishers:
        return ()
    said = f"{owner} is" if owner else "a repository without an owner is"
    return (
        Finding(
            PUBLISHER.id,
            Severity.HIGH,
            Confidence.HIGH,
            "",
            None,
            None,
            f"{said} not among the publishers that the policy allows",
            repo.repo_id,
            PUBLISHER.references,
        ),
    )


def _check_format(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    denied = evidence.policy.denied_formats
    found = evidence.contents.format
    if found.value in denied:
        yield rule.finding(
            evidence, Severity.HIGH, f"a {found.value} file, which the policy denies"
        )
    elif Format.PICKLE.value in denied and (found in _PICKLED or evidence.contents.pickles):
        yield rule.finding(
            evidence,
            Severity.HIGH,
            f"a pickle in a {found.value} file, and the policy denies pickles",
            member=next((pickle.member for pickle in evidence.contents.pickles), None),
        )


def _check_protocol(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    """One finding for each protocol: an archive of a hundred thousand pickles has no more to say."""
    allowed = evidence.policy.protocols
    if allowed is None:
        return
    first: dict[int, PickleRead] = {}
    for pickle in evidence.contents.pickles:
        first.setdefault(_protocol(pickle), pickle)
    for protocol, pickle in sorted(first.items()):
        if protocol not in allowed and not (protocol == 0 and 1 in allowed):
            listed = ", ".join(str(one) for one in sorted(allowed))
            yield rule.finding(
                evidence,
                Severity.HIGH,
                f"a pickle of protocol {protocol}; the policy allows {listed}",
                member=pickle.member,
                offset=pickle.trace.start,
            )


def _protocol(pickle: PickleRead) -> int:
    """The protocol that it declares, or a higher one whose opcodes it uses all the same.

    0 stands for 1 as well: neither declares itself, and any unpickler reads both.
    """
    used = (_PROTOCOL_OF.get(code, 0) for code in pickle.trace.opcodes)
    needed = max(pickle.trace.protocol, *used, 0)
    return needed if needed > 1 else 0


def _check_scanned(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    required = evidence.policy.hub_scan
    if required is None or not _is_on_the_hub(evidence) or not _can_execute(evidence):
        return
    scan = evidence.file.hub_scan
    status = "no result" if scan is None else scan.status
    if status not in required:
        listed = " or ".join(sorted(required))
        yield rule.finding(
            evidence,
            Severity.HIGH,
            f"the Hub's scan of this file says {status}; the policy requires {listed}",
        )


def _is_on_the_hub(evidence: Evidence) -> bool:
    return evidence.file.blob_id is not None


def _can_execute(evidence: Evidence) -> bool:
    return evidence.contents.format in _PICKLED or bool(
        evidence.contents.pickles or evidence.contents.gaps
    )


def _nothing_of_one_file(_rule: Rule, _evidence: Evidence) -> Iterator[Finding]:
    """For rules about a repository as a whole: `check_repo`, and waivers."""
    yield from ()


DENIED_FORMAT = Rule(
    id="denied-format",
    summary="A file has a format that the policy denies.",
    advice="Load a copy in a format that the policy allows, or waive this one file.",
    worst=Severity.HIGH,
    references=("CWE-502", "AML.T0010.003", "LLM03:2025"),
    check=_check_format,
)

DENIED_PROTOCOL = Rule(
    id="denied-protocol",
    summary="A pickle is of a protocol that the policy does not allow.",
    advice="Have the file written anew with a protocol that the policy allows, or waive this one.",
    worst=Severity.HIGH,
    references=("CWE-502", "AML.T0010.003", "LLM03:2025"),
    check=_check_protocol,
)

PUBLISHER = Rule(
    id="publisher",
    summary="The repository belongs to somebody whom the policy does not list.",
    advice="Look who publishes it, then add the owner to publishers.allow or use another repository.",
    worst=Severity.HIGH,
    references=("CWE-829", "AML.T0010.003", "LLM03:2025"),
    check=_nothing_of_one_file,
)

SCAN_REQUIRED = Rule(
    id="hub-scan-required",
    summary="The Hub's scan of a file has not the result that the policy requires.",
    advice="Wait until the Hub has scanned the file, or read what its scanners say of it.",
    worst=Severity.HIGH,
    references=("AML.T0010.003", "LLM03:2025"),
    check=_check_scanned,
)

WAIVER = Rule(
    id="waiver",
    summary="A waiver of the policy is expired, or matches nothing any more.",
    advice="Look at the finding again; then remove the waiver, or renew it for the bytes of today.",
    worst=Severity.LOW,
    references=("CWE-693",),
    check=_nothing_of_one_file,
)
