"""The rules about archives: what triggers each, and the near miss that does not."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from hubaudit import rules
from hubaudit.demo.assemble import assemble
from hubaudit.formats.contents import Contents, Format, Oddity, OddityKind
from hubaudit.formats.place import Budget
from hubaudit.formats.read import read_contents
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.model import Finding, LoadRole, RepoFile, Severity
from hubaudit.rules.names import load_catalogue
from hubaudit.rules.uses import judge
from hubaudit.source.memory import MemorySource
from tests.formats.containers import INERT, tarred, zipped
from tests.formats.zips import Member, archive

OF_CONTAINERS = {
    "container-disagreement",
    "hidden-member",
    "path-traversal",
    "expansion",
    "torchscript-code",
}
FILE = RepoFile("pytorch_model.bin", 10)


def judged(contents: Contents, role: LoadRole = LoadRole.LOADED) -> list[Finding]:
    uses = judge(load_catalogue(), contents)
    found = rules.check(rules.Evidence(FILE, role, contents, uses, True))
    return [finding for finding in found if finding.rule in OF_CONTAINERS]


def findings(data: bytes, role: LoadRole = LoadRole.LOADED) -> list[Finding]:
    return judged(read_contents(MemorySource(data), sniff(data[:HEAD_SIZE], len(data))), role)


TRIGGERS = {
    "container-disagreement": (
        archive([Member(local={"method": 8})]),
        archive([Member(method=8)]),
        Severity.HIGH,
    ),
    "hidden-member": (
        archive([Member("m/version"), Member(is_listed=False)]),
        archive([Member("m/version"), Member()]),
        Severity.HIGH,
    ),
    "path-traversal": (
        tarred({"../x.pkl": INERT}),
        tarred({"..x/x..pkl": INERT}),
        Severity.MEDIUM,
    ),
    "torchscript-code": (
        zipped({"m/data.pkl": INERT, "m/code/a.py": b""}),
        zipped({"m/data.pkl": INERT, "m/extra/a.py": b""}),
        Severity.INFO,
    ),
}


@pytest.mark.parametrize("rule", TRIGGERS)
def test_each_rule_finds_its_own_and_not_the_near_miss(rule: str) -> None:
    trigger, near_miss, severity = TRIGGERS[rule]
    assert [(found.rule, found.severity) for found in findings(trigger)] == [(rule, severity)]
    assert findings(near_miss) == []


def test_a_bomb_is_an_expansion_and_a_large_file_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress(assemble(("PROTO", 3), ("BINBYTES", bytes(5 << 20)), "STOP"))
    assert findings(data) == []
    _, *others = Budget.__init__.__defaults__ or ()
    monkeypatch.setattr(Budget.__init__, "__defaults__", (1 << 20, *others))
    (found,) = findings(data)
    assert (found.rule, found.severity) == ("expansion", Severity.MEDIUM)
    assert "1,048,576" in found.message


def test_the_python_of_a_package_is_low() -> None:
    (found,) = findings(zipped({"p/.data/extern_modules": b"", "p/a.py": b"", "p/x.pkl": INERT}))
    assert found.severity is Severity.LOW
    assert "1 file of Python" in found.message


def test_in_a_file_that_nothing_loads_severity_drops_a_step() -> None:
    (found,) = findings(TRIGGERS["hidden-member"][0], LoadRole.NEVER)
    assert found.severity is Severity.MEDIUM


def test_of_many_findings_of_one_rule_the_rest_is_counted() -> None:
    odd = Oddity(OddityKind.LEADS_OUT, None, None, "its path leads out")
    contents = Contents(Format.TAR, oddities=(odd,) * 20)
    assert len(judged(contents)) == 20
    found = judged(replace(contents, oddities=(odd,) * 1021))
    assert len(found) == 21
    assert found[-1].message == "1,001 more of this kind"


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("/home/me/frame.pkl.zip", Severity.LOW),
        ("C:\\Users\\me\\frame.pkl.zip", Severity.LOW),
        ("/home/me/../frame.pkl.zip", Severity.MEDIUM),
        ("/home/me/.bashrc", Severity.MEDIUM),
        ("../frame.pkl.zip", Severity.MEDIUM),
    ],
)
def test_a_member_called_by_its_archives_own_path_is_what_old_pandas_wrote(
    name: str, severity: Severity
) -> None:
    """pandas 1.3 and before: `to_pickle("/home/me/frame.pkl.zip")`."""
    (found,) = findings(archive([Member(name)]))
    assert (found.rule, found.severity) == ("path-traversal", severity)
    two = findings(archive([Member(name), Member("other")]))
    assert [(one.rule, one.severity) for one in two] == [("path-traversal", Severity.MEDIUM)]
