"""Each rule: what triggers it, and the near miss that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubaudit import rules
from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.formats.contents import Contents, Format, PickleRead, Trailing
from hubaudit.model import Finding, HubScan, LoadRole, ScannerVerdict, Severity
from hubaudit.pvm.machine import interpret
from hubaudit.rules.names import load_catalogue
from hubaudit.rules.uses import judge
from hubaudit.source.memory import MemorySource
from tests.rules.samples import FILE, TRUE, evidence


def findings(rule: str, seen: rules.Evidence) -> list[Finding]:
    return [finding for finding in rules.check(seen) if finding.rule == rule]


def only(rule: str, seen: rules.Evidence) -> Finding:
    found = findings(rule, seen)
    assert len(found) == 1, found
    return found[0]


def test_rule_ids_are_kebab_case_words_and_every_rule_says_what_to_do() -> None:
    ids = [rule.id for rule in rules.RULES]
    assert len(set(ids)) == len(ids)
    for rule in rules.RULES:
        assert rule.id.replace("-", "").isalpha()
        assert rule.id.islower()
        assert rule.summary.endswith(".")
        assert rule.advice.endswith(".")
        assert rule.references


def test_a_call_of_os_system_is_critical_and_shown_as_a_call() -> None:
    found = only("dangerous-import", evidence(("GLOBAL", "os", "system"), *TRUE, "STOP"))
    assert found.severity is Severity.CRITICAL
    assert found.evidence == "os.system('true')"
    assert found.message.startswith("calls os.system: ")
    assert found.offset == len(assemble(("GLOBAL", "os", "system"), *TRUE)) - 1


def test_a_dangerous_name_that_nobody_calls_is_still_reported() -> None:
    found = only("dangerous-import", evidence(("GLOBAL", "os", "system"), "STOP"))
    assert found.evidence == "os.system"
    assert found.message.startswith("imports os.system: ")


def test_a_name_that_is_passed_on_is_shown_in_the_call_that_takes_it() -> None:
    seen = evidence(
        ("GLOBAL", "own", "apply"), ("GLOBAL", "os", "system"), "TUPLE1", "REDUCE", "STOP"
    )
    assert only("dangerous-import", seen).evidence == "own.apply(os.system)"


GETATTR = ("GLOBAL", "builtins", "getattr")


def fetch(owner: tuple[str, str, str], name: str) -> tuple[Instruction, ...]:
    return (GETATTR, owner, ("BINUNICODE", name), "TUPLE2", "REDUCE")


def test_getattr_of_a_listed_enum_is_inert() -> None:
    member = fetch(("GLOBAL", "transformers.trainer_utils", "IntervalStrategy"), "NO")
    assert rules.check(evidence(*member, "STOP")) == ()


def test_getattr_is_followed_to_the_name_that_it_yields() -> None:
    seen = evidence(*fetch(("GLOBAL", "shutil", "os"), "system"), *TRUE, "STOP")
    shown = [found.evidence for found in findings("dangerous-import", seen)]
    assert "builtins.getattr(shutil.os, 'system')('true')" in shown


def test_getattr_with_what_nobody_can_know_is_dangerous() -> None:
    seen = evidence(GETATTR, ("GLOBAL", "a", "b"), ("BINPERSID"), "TUPLE1", "REDUCE", "STOP")
    assert findings("dangerous-import", seen)


def test_an_unlisted_function_that_is_called_is_high_and_a_class_that_is_built_medium() -> None:
    called = only("unlisted-import", evidence(("GLOBAL", "own", "thing"), *TRUE, "STOP"))
    built = only(
        "unlisted-import", evidence(("GLOBAL", "own", "Thing"), "EMPTY_TUPLE", "NEWOBJ", "STOP")
    )
    assert (called.severity, built.severity) == (Severity.HIGH, Severity.MEDIUM)
    assert "own.Thing" in built.message


def test_a_class_rebuilt_by_copyreg_is_constructed_and_not_called() -> None:
    seen = evidence(
        ("GLOBAL", "copyreg", "_reconstructor"),
        ("GLOBAL", "own", "Thing"),
        ("GLOBAL", "builtins", "object"),
        "NONE",
        "TUPLE3",
        "REDUCE",
        "STOP",
    )
    found = only("unlisted-import", seen)
    assert found.severity is Severity.MEDIUM
    assert not findings("dangerous-import", seen)


def test_a_listed_function_called_as_libraries_do_is_nothing() -> None:
    seen = evidence(("GLOBAL", "collections", "OrderedDict"), "EMPTY_TUPLE", "REDUCE", "STOP")
    assert rules.check(seen) == ()


def test_text_that_names_os_system_is_nothing() -> None:
    assert rules.check(evidence(("BINUNICODE", "os.system('rm')\neval("), "STOP")) == ()


def test_in_a_file_that_nothing_loads_severity_drops_a_step() -> None:
    program: tuple[Instruction, ...] = (("GLOBAL", "own", "thing"), *TRUE, "STOP")
    seen = evidence(*program, role=LoadRole.NEVER)
    assert only("unlisted-import", seen).severity is Severity.MEDIUM


def test_a_computed_name_is_its_own_finding() -> None:
    computed = evidence(
        *(("GLOBAL", "own", "word"), "EMPTY_TUPLE", "REDUCE"),
        ("BINUNICODE", "system"),
        "STACK_GLOBAL",
        "STOP",
    )
    found = only("computed-import", computed)
    assert found.evidence == "find_class(own.word(), 'system')"
    constant = evidence(("BINUNICODE", "own"), ("BINUNICODE", "x"), "STACK_GLOBAL", "STOP")
    assert not findings("computed-import", constant)


def test_a_pickle_that_breaks_says_where() -> None:
    found = only("broken-pickle", evidence("NONE", b"\xff"))
    assert found.offset == 1
    assert not findings("broken-pickle", evidence("NONE", "STOP"))


def test_bytes_behind_the_pickle_are_low() -> None:
    found = only("trailing-data", evidence("NONE", "STOP", b"\xff\xff"))
    assert (found.severity, found.offset) == (Severity.LOW, 2)
    assert not findings("trailing-data", evidence("NONE", "STOP"))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "a/b/vocab.TXT", "README.md"])
def test_a_pickle_by_the_name_of_another_format_is_high(name: str) -> None:
    seen = evidence("NONE", "STOP", file=replace(FILE, path=name))
    assert only("wrong-extension", seen).severity is Severity.HIGH


@pytest.mark.parametrize(
    "name", ["model.bin", "model.pt", "weights", "model.safetensors.pkl", "word2vec.model"]
)
def test_a_pickle_by_its_own_name_or_none_is_not(name: str) -> None:
    seen = evidence("NONE", "STOP", file=replace(FILE, path=name))
    assert not findings("wrong-extension", seen)


def test_safetensors_by_its_own_name_is_not_wrong() -> None:
    file = replace(FILE, path="model.safetensors")
    contents = Contents(Format.SAFETENSORS)
    assert rules.check(rules.Evidence(file, LoadRole.LOADED, contents, (), None)) == ()


def test_bytes_that_are_not_the_listed_ones_are_critical() -> None:
    found = only("digest-mismatch", evidence("NONE", "STOP", verified=False))
    assert found.severity is Severity.CRITICAL
    assert "sha256 aaaaaaaaaaaa" in found.message
    for verified in (True, None):
        assert not findings("digest-mismatch", evidence("NONE", "STOP", verified=verified))


def scanned(status: str) -> rules.Evidence:
    scan = HubScan(status, (ScannerVerdict("avScan", status, "said so"),))
    return evidence("NONE", "STOP", file=replace(FILE, hub_scan=scan))


@pytest.mark.parametrize(
    ("status", "severity"),
    [
        ("unsafe", Severity.HIGH),
        ("suspicious", Severity.LOW),
        ("caution", Severity.LOW),
        ("queued", Severity.INFO),
        ("unscanned", Severity.INFO),
        ("error", Severity.INFO),
        ("somethingNew", Severity.INFO),
    ],
)
def test_what_the_hub_says_is_reported_as_what_it_is(status: str, severity: Severity) -> None:
    found = only("hub-scan", scanned(status))
    assert found.severity is severity
    assert status in found.message


def test_safe_by_the_hub_is_no_finding_and_no_excuse() -> None:
    assert not findings("hub-scan", scanned("safe"))
    bad = evidence(
        ("GLOBAL", "os", "system"), *TRUE, "STOP", file=replace(FILE, hub_scan=HubScan("safe"))
    )
    assert only("dangerous-import", bad).severity is Severity.CRITICAL


def test_torchscripts_own_types_are_inert_there_and_nowhere_else() -> None:
    program: tuple[Instruction, ...] = (
        *(("GLOBAL", "__torch__.nn", "Linear"), "EMPTY_TUPLE", "NEWOBJ", "STOP"),
    )
    assert not findings("unlisted-import", evidence(*program, format_=Format.TORCHSCRIPT))
    assert findings("unlisted-import", evidence(*program, format_=Format.PICKLE))


def test_every_member_is_named() -> None:
    trace = interpret(MemorySource(assemble(("GLOBAL", "os", "system"), "STOP")))
    contents = Contents(
        Format.TORCH_ZIP,
        (PickleRead("a/data.pkl", trace), PickleRead("a/other.pkl", trace)),
        trailing=(Trailing("a/data.pkl", 3, 4),),
    )
    uses = judge(load_catalogue(), contents)
    found = rules.check(rules.Evidence(FILE, LoadRole.LOADED, contents, uses, True))
    assert {(f.rule, f.member) for f in found} == {
        ("dangerous-import", "a/data.pkl"),
        ("dangerous-import", "a/other.pkl"),
        ("trailing-data", "a/data.pkl"),
        ("weights-only", "a/data.pkl"),
    }


def test_the_ruleset_changes_with_the_names_and_with_the_rules() -> None:
    digests = {
        rules.ruleset_digest("a"),
        rules.ruleset_digest("b"),
        rules.ruleset_digest("a", rules.RULES[:-1]),
    }
    assert len(digests) == 3


FOLLOWED: list[tuple[str, tuple[Instruction, ...]]] = [
    ("functools.partial", (("GLOBAL", "functools", "partial"), ("GLOBAL", "own", "run"), "TUPLE1")),
    (
        "numpy ufunc",
        (
            ("GLOBAL", "numpy.core", "_ufunc_reconstruct"),
            *(("BINUNICODE", "own"), ("BINUNICODE", "run"), "TUPLE2"),
        ),
    ),
    (
        "pandas index",
        (
            ("GLOBAL", "pandas.core.indexes.base", "_new_Index"),
            *(("GLOBAL", "own", "run"), "EMPTY_DICT", "TUPLE2"),
        ),
    ),
    (
        "numpy generator",
        (
            ("GLOBAL", "numpy.random._pickle", "__generator_ctor"),
            *(("BINUNICODE", "MT19937"), ("GLOBAL", "own", "run"), "TUPLE2"),
        ),
    ),
    (
        "torch subclass",
        (
            ("GLOBAL", "torch._tensor", "_rebuild_from_type_v2"),
            *("MARK", ("GLOBAL", "own", "run"), "NONE", "EMPTY_TUPLE", "NONE", "TUPLE"),
        ),
    ),
]


@pytest.mark.parametrize(("_name", "call"), FOLLOWED, ids=[case[0] for case in FOLLOWED])
def test_a_detour_is_judged_by_the_name_at_its_end(
    _name: str, call: tuple[Instruction, ...]
) -> None:
    found = only("unlisted-import", evidence(*call, "REDUCE", "STOP"))
    assert "own.run" in found.message
    assert not findings("dangerous-import", evidence(*call, "REDUCE", "STOP"))


@pytest.mark.parametrize(("_name", "call"), FOLLOWED, ids=[case[0] for case in FOLLOWED])
def test_a_detour_to_os_system_is_dangerous(_name: str, call: tuple[Instruction, ...]) -> None:
    texts = {"own": "os", "run": "system"}
    program = [
        tuple(texts.get(str(part), part) for part in step) if isinstance(step, tuple) else step
        for step in call
    ]
    found = findings("dangerous-import", evidence(*program, "REDUCE", "STOP"))
    assert [finding for finding in found if "os.system" in finding.message]


@pytest.mark.parametrize(("_name", "call"), FOLLOWED, ids=[case[0] for case in FOLLOWED])
def test_a_detour_that_cannot_be_followed_is_high(
    _name: str, call: tuple[Instruction, ...]
) -> None:
    function = call[0]
    seen = evidence(function, ("PERSID", "x"), "TUPLE1", "REDUCE", "STOP")
    assert [found for found in rules.check(seen) if found.severity.rank <= Severity.HIGH.rank]


def test_partial_is_followed_to_what_is_called_in_the_end() -> None:
    seen = evidence(
        *(("GLOBAL", "functools", "partial"), ("GLOBAL", "own", "run"), ("BININT1", 1)),
        *("TUPLE2", "REDUCE", "EMPTY_TUPLE", "REDUCE", "STOP"),
    )
    assert only("unlisted-import", seen).severity is Severity.HIGH


@pytest.mark.parametrize("base", ["own", "os"])
def test_a_reconstructor_with_another_base_than_object_calls_it(base: str) -> None:
    seen = evidence(
        ("GLOBAL", "copyreg", "_reconstructor"),
        ("GLOBAL", "own", "Thing"),
        ("GLOBAL", base, "system"),
        ("BINUNICODE", "true"),
        "TUPLE3",
        "REDUCE",
        "STOP",
    )
    found = max(rules.check(seen), key=lambda finding: -finding.severity.rank)
    assert found.severity.rank <= Severity.HIGH.rank
    assert f"{base}.system" in found.message


@pytest.mark.parametrize("method", [("NONE", "APPEND"), ("MARK", "NONE", "NONE", "SETITEMS")])
def test_a_method_of_an_unlisted_global_is_a_call(method: tuple[Instruction, ...]) -> None:
    seen = evidence(("GLOBAL", "own", "registry"), *method, "STOP")
    assert only("unlisted-import", seen).severity is Severity.HIGH


def test_posix_is_said_to_be_os_and_as_what_it_stands_there() -> None:
    found = only("dangerous-import", evidence(("GLOBAL", "posix", "system"), *TRUE, "STOP"))
    assert found.message.startswith("calls os.system (as posix.system): ")
