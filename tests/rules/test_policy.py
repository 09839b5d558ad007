"""Each rule of the policy: what triggers it, and the near miss; and the names it allows and denies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubaudit import rules
from hubaudit.config import GlobalName, Policy
from hubaudit.demo.assemble import Instruction
from hubaudit.errors import ConfigError
from hubaudit.formats.contents import Format
from hubaudit.model import Finding, HubScan, LoadRole, NameClass, RepoRef, RepoType, Severity
from hubaudit.rules.names import Use
from hubaudit.rules.uses import judge
from tests.rules.samples import FILE, TRUE, evidence
from tests.rules.test_rules import findings, only

ORDERED: tuple[Instruction, ...] = (
    ("GLOBAL", "collections", "OrderedDict"),
    "EMPTY_TUPLE",
    "REDUCE",
    "STOP",
)


def allowing(*names: GlobalName) -> Policy:
    return Policy(allowed_globals=frozenset(names))


def denying(*names: GlobalName) -> Policy:
    return Policy(denied_globals=frozenset(names))


def under(policy: Policy, seen: rules.Evidence) -> rules.Evidence:
    """The same file, judged by `policy`."""
    uses = judge(rules.catalogue_under(policy), seen.contents)
    return replace(seen, policy=policy, uses=uses)


def imports(policy: Policy, *program: Instruction) -> list[Finding]:
    found = rules.check(under(policy, evidence(*program)))
    return [one for one in found if one.rule in ("dangerous-import", "unlisted-import")]


def test_without_a_policy_none_of_its_rules_finds_anything() -> None:
    ids = {"denied-format", "denied-protocol", "publisher", "hub-scan-required", "waiver"}
    assert ids <= {rule.id for rule in rules.RULES}
    assert not ids & {found.rule for found in rules.check(evidence(*ORDERED))}
    assert rules.check_repo(repo("org/model"), Policy()) == ()


@pytest.mark.parametrize("use", [TRUE, ("EMPTY_TUPLE", "NEWOBJ"), ()])
def test_an_allowed_name_is_inert_in_every_use(use: tuple[Instruction, ...]) -> None:
    program = (("GLOBAL", "own", "Thing"), *use, "STOP")
    assert imports(Policy(), *program)
    assert imports(allowing(("own", "Thing")), *program) == []
    assert imports(allowing(("own", "Thin"), ("ow", "Thing")), *program)


def test_an_allowed_name_says_nothing_of_what_is_reached_through_it() -> None:
    found = imports(allowing(("own", "Thing")), ("GLOBAL", "own", "Thing.__globals__"), "STOP")
    assert [one.rule for one in found] == ["dangerous-import"]


@pytest.mark.parametrize(
    "name",
    [
        ("os", "system"),
        ("nt", "system"),
        ("shutil", "os.system"),
        ("__builtin__", "eval"),
        ("own", "__globals__"),
        ("own", "*"),
        ("own.*", "*"),
    ],
)
def test_a_dangerous_name_or_a_whole_module_cannot_be_allowed(name: GlobalName) -> None:
    with pytest.raises(ConfigError):
        rules.catalogue_under(allowing(name))


def test_a_denied_name_is_dangerous_though_the_catalogue_has_it_as_inert() -> None:
    assert imports(Policy(), *ORDERED) == []
    (found,) = imports(denying(("collections", "OrderedDict")), *ORDERED)
    assert (found.rule, found.severity) == ("dangerous-import", Severity.HIGH)
    assert found.message == "calls collections.OrderedDict: the policy denies it"


@pytest.mark.parametrize(
    ("denied", "spelled"),
    [
        (("own.loaders", "build"), ("own", "loaders.build")),
        (("own.*", "*"), ("own.deep.inside", "f")),
        (("own.*", "*"), ("own", "f")),
        (("builtins", "range"), ("__builtin__", "xrange")),
        (("__builtin__", "xrange"), ("builtins", "range")),
        (("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar")),
        (("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")),
    ],
)
def test_a_denied_name_is_found_under_its_other_spellings(
    denied: GlobalName, spelled: GlobalName
) -> None:
    entry = rules.catalogue_under(denying(denied)).find(*spelled, protocol=2)
    assert entry is not None
    assert entry.name_class is NameClass.DANGEROUS
    assert entry.why == "the policy denies it"


def test_a_neighbour_of_a_denied_name_is_what_it_was() -> None:
    catalogue = rules.catalogue_under(denying(("own.*", "*"), ("collections", "Counter")))
    assert catalogue.find("owner", "f") is None
    ordered = catalogue.find("collections", "OrderedDict")
    assert ordered is not None
    assert ordered.is_inert(Use.CALLED)


@pytest.mark.parametrize("role", LoadRole)
@pytest.mark.parametrize("format_", [Format.PICKLE, Format.TORCH_ZIP, Format.NUMPY])
def test_a_denied_pickle_is_found_in_whatever_is_around_it(format_: Format, role: LoadRole) -> None:
    seen = evidence("NONE", "STOP", format_=format_, role=role)
    assert only("denied-format", under(deny_formats("pickle"), seen)).severity is Severity.HIGH


def deny_formats(*words: str) -> Policy:
    return Policy(denied_formats=frozenset(words))


def test_a_denied_format_is_just_that_format() -> None:
    seen = evidence("NONE", "STOP", format_=Format.TORCH_ZIP)
    assert "torch-zip" in only("denied-format", under(deny_formats("torch-zip"), seen)).message
    assert not findings("denied-format", under(deny_formats("torch-legacy", "zip"), seen))


def test_a_file_without_a_pickle_is_no_denied_pickle() -> None:
    seen = evidence("NONE", "STOP", format_=Format.SAFETENSORS)
    empty = replace(seen, contents=replace(seen.contents, pickles=()))
    assert not findings("denied-format", under(deny_formats("pickle"), empty))


@pytest.mark.parametrize(
    ("program", "protocol"),
    [
        (("NONE", "STOP"), 0),
        (("EMPTY_LIST", "STOP"), 0),
        ((("PROTO", 2), "NONE", "STOP"), 2),
        ((("PROTO", 4), "NONE", "STOP"), 4),
        ((("PROTO", 2), ("SHORT_BINUNICODE", "a"), "STOP"), 4),
        ((("BYTEARRAY8", b"a"), "STOP"), 5),
    ],
)
def test_the_protocol_is_what_a_pickle_declares_or_the_opcodes_need(
    program: tuple[Instruction, ...], protocol: int
) -> None:
    seen = evidence(*program)
    every = frozenset(range(6))
    assert not findings("denied-protocol", under(Policy(protocols=every), seen))
    others = Policy(protocols=every - {protocol, 1 if protocol == 0 else protocol})
    found = only("denied-protocol", under(others, seen))
    assert f"protocol {protocol};" in found.message
    assert (found.severity, found.offset) == (Severity.HIGH, 0)


def test_protocols_0_and_1_are_not_told_apart() -> None:
    seen = evidence("NONE", "STOP")
    for allowed in (0, 1):
        policy = Policy(protocols=frozenset({allowed}))
        assert not findings("denied-protocol", under(policy, seen))


def test_many_pickles_of_a_denied_protocol_are_one_finding() -> None:
    seen = evidence("NONE", "STOP")
    many = replace(seen, contents=replace(seen.contents, pickles=seen.contents.pickles * 1000))
    only("denied-protocol", under(Policy(protocols=frozenset({4})), many))


def repo(repo_id: str, repo_type: RepoType = "model") -> RepoRef:
    return RepoRef(repo_id, repo_type, "main", "0" * 40, "https://huggingface.co")


@pytest.mark.parametrize("repo_id", ["evil/model", "Org/model", "org-2/model", "org"])
@pytest.mark.parametrize("repo_type", ["model", "dataset", "space"])
def test_a_publisher_that_is_not_listed_is_a_finding(repo_id: str, repo_type: RepoType) -> None:
    (found,) = rules.check_repo(repo(repo_id, repo_type), Policy(publishers=frozenset({"org"})))
    assert (found.rule, found.severity, found.path) == ("publisher", Severity.HIGH, "")
    assert found.evidence == repo_id


def test_a_listed_publisher_and_a_local_folder_are_none() -> None:
    policy = Policy(publishers=frozenset({"org"}))
    assert rules.check_repo(repo("org/model"), policy) == ()
    assert rules.check_repo(RepoRef("folder", "local", None, None, None), policy) == ()


SCANNED = Policy(hub_scan=frozenset({"safe", "caution"}))


@pytest.mark.parametrize("status", ["queued", "unscanned", "unsafe", "brand-new", None])
def test_a_scan_with_another_result_is_a_finding(status: str | None) -> None:
    scan = HubScan(status) if status else None
    seen = evidence("NONE", "STOP", file=replace(FILE, hub_scan=scan))
    found = only("hub-scan-required", under(SCANNED, seen))
    assert (status or "no result") in found.message
    assert found.severity is Severity.HIGH


def test_the_required_result_a_local_file_and_one_without_pickles_are_none() -> None:
    scanned = replace(FILE, hub_scan=HubScan("safe"))
    assert not findings("hub-scan-required", under(SCANNED, evidence("NONE", "STOP", file=scanned)))
    local = replace(FILE, blob_id=None, sha256=None)
    assert not findings("hub-scan-required", under(SCANNED, evidence("NONE", "STOP", file=local)))
    seen = evidence("NONE", "STOP", format_=Format.TEXT)
    empty = replace(seen, contents=replace(seen.contents, pickles=(), gaps=()))
    assert not findings("hub-scan-required", under(SCANNED, empty))
