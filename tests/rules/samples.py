"""For each rule what triggers it, at its worst, and a near miss: one row a rule, none without."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from hubaudit import rules
from hubaudit.config import Policy, Waiver
from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.formats.contents import Contents, Format, Oddity, OddityKind
from hubaudit.formats.raw import read_pickles
from hubaudit.formats.read import read_file
from hubaudit.model import (
    FileReport,
    Finding,
    HubScan,
    LoadRole,
    ReadHow,
    RepoFile,
    RepoRef,
)
from hubaudit.rules.names import load_catalogue
from hubaudit.rules.uses import judge
from hubaudit.source.memory import MemorySource
from hubaudit.waivers import tolerate
from tests.formats.containers import INERT, tarred, zipped
from tests.formats.zips import Member, archive
from tests.rules.sibling_samples import NEAR_MISSES, TRIGGERS

FILE = RepoFile("pytorch_model.bin", 10, "b" * 40, "a" * 64)
REPO = RepoRef("org/model", "model", "main", "c" * 40, "https://huggingface.co")
TRUE: tuple[Instruction, ...] = (("BINUNICODE", "true"), "TUPLE1", "REDUCE")
SYSTEM: tuple[Instruction, ...] = (("GLOBAL", "os", "system"), *TRUE, "STOP")
ORDERED: tuple[Instruction, ...] = (
    *(("GLOBAL", "collections", "OrderedDict"), "EMPTY_TUPLE", "REDUCE", "STOP"),
)


def evidence(
    *program: Instruction,
    file: RepoFile = FILE,
    role: LoadRole = LoadRole.LOADED,
    format_: Format = Format.PICKLE,
    verified: bool | None = True,
) -> rules.Evidence:
    """Of a file with the pickle that `program` assembles to."""
    contents = replace(read_pickles(MemorySource(assemble(*program))), format=format_)
    return rules.Evidence(file, role, contents, judge(load_catalogue(), contents), verified)


def of_bytes(data: bytes) -> rules.Evidence:
    return _of(read_file(MemorySource(data)))


def _of(contents: Contents) -> rules.Evidence:
    uses = judge(load_catalogue(), contents)
    return rules.Evidence(FILE, LoadRole.LOADED, contents, uses, True)


Findings = Sequence[Finding]


@dataclass(frozen=True)
class Sample:
    """What the rules find in each. `near_miss` differs from `trigger` in the one thing that matters."""

    trigger: Callable[[], Findings]
    near_miss: Callable[[], Findings]


def of_files(trigger: rules.Evidence, near_miss: rules.Evidence) -> Sample:
    return Sample(lambda: rules.check(trigger), lambda: rules.check(near_miss))


def of_siblings(rule: str) -> Sample:
    return Sample(
        lambda: rules.check_siblings(TRIGGERS[rule]),
        lambda: rules.check_siblings(NEAR_MISSES[rule]),
    )


def _under(policy: Policy, *program: Instruction, file: RepoFile = FILE) -> rules.Evidence:
    return replace(evidence(*program, file=file), policy=policy)


def _in_repo(owner: str) -> Findings:
    policy = Policy(publishers=frozenset({"org"}))
    return rules.check_repo(replace(REPO, repo_id=f"{owner}/model"), policy)


def _waived(until: date) -> Findings:
    sha256 = FILE.sha256 or ""
    waiver = Waiver("dangerous-import", "org/model", FILE.path, sha256, "a test", "us", until)
    found = rules.check(evidence(*SYSTEM))
    file = FileReport(
        *(FILE.path, FILE.size, sha256, FILE.blob_id, "pickle"),
        *(LoadRole.LOADED, ReadHow.CACHE, True, None),
    )
    return tolerate(found, [file], REPO, Policy(waivers=(waiver,), today=date(2026, 6, 1)))


def _named_safetensors(header: str) -> rules.Evidence:
    for letter, at in (("T", 0), ("U", 4)):
        tensor = f'{{"dtype": "F32", "shape": [1], "data_offsets": [{at}, {at + 4}]}}'
        header = header.replace(letter, tensor)
    data = len(header).to_bytes(8, "little") + header.encode() + bytes(8)
    return replace(of_bytes(data), file=replace(FILE, path="model.safetensors"))


_BOMB = gzip.compress(INERT)
_EXPANDING = Oddity(OddityKind.EXPANSION, None, None, "it unpacks to over 2,147,483,648 bytes")
_LAMBDA = b'{"class_name": "Lambda", "config": {"function": ["4wEA", null, null]}}'

SAMPLES: dict[str, Sample] = {
    "dangerous-import": of_files(
        evidence(*SYSTEM),
        evidence(("BINUNICODE", "os.system('true')"), "STOP"),  # text only
    ),
    "unlisted-import": of_files(
        evidence(("GLOBAL", "own", "thing"), *TRUE, "STOP"),
        evidence(*ORDERED),
    ),
    "computed-import": of_files(
        evidence(("EXT1", 1), "STOP"),
        evidence(
            ("BINUNICODE", "collections"), ("BINUNICODE", "OrderedDict"), "STACK_GLOBAL", "STOP"
        ),
    ),
    "broken-pickle": of_files(
        evidence("NONE", b"\xff"),
        evidence("NONE", "STOP", b"\xff"),  # broken, but behind the end
    ),
    "trailing-data": of_files(
        evidence("NONE", "STOP", b"\xff\xff"),
        evidence("NONE", "STOP", "NONE", "STOP"),  # what follows is a pickle
    ),
    "wrong-extension": of_files(
        evidence("NONE", "STOP", file=replace(FILE, path="model.safetensors")),
        evidence("NONE", "STOP", file=replace(FILE, path="model.safetensors.pkl")),
    ),
    "container-disagreement": of_files(
        of_bytes(archive([Member(local={"method": 8})])),
        of_bytes(archive([Member(method=8)])),
    ),
    "hidden-member": of_files(
        of_bytes(archive([Member("m/version"), Member(is_listed=False)])),
        of_bytes(archive([Member("m/version"), Member()])),
    ),
    "path-traversal": of_files(
        of_bytes(tarred({"../x.pkl": INERT})),
        of_bytes(tarred({"..x/x..pkl": INERT})),
    ),
    # Real bombs take seconds and are unpacked in test_containers and test_nested.
    "expansion": of_files(
        _of(replace(read_file(MemorySource(_BOMB)), oddities=(_EXPANDING,))), of_bytes(_BOMB)
    ),
    "torchscript-code": of_files(
        of_bytes(zipped({"p/.data/extern_modules": b"", "p/a.py": b"", "p/x.pkl": INERT})),
        of_bytes(zipped({"m/data.pkl": INERT, "m/extra/a.py": b""})),
    ),
    "model-code": of_files(
        of_bytes(zipped({"config.json": _LAMBDA})),
        of_bytes(zipped({"config.json": _LAMBDA.replace(b"Lambda", b"Dense")})),
    ),
    "weights-only": of_files(
        evidence(("GLOBAL", "own", "thing"), "STOP", format_=Format.TORCH_LEGACY),
        evidence(*ORDERED, format_=Format.TORCH_LEGACY),
    ),
    "digest-mismatch": of_files(
        evidence("NONE", "STOP", verified=False),
        evidence("NONE", "STOP", verified=None),  # not all of the bytes were had
    ),
    "hub-scan": of_files(
        evidence("NONE", "STOP", file=replace(FILE, hub_scan=HubScan("unsafe"))),
        evidence("NONE", "STOP", file=replace(FILE, hub_scan=HubScan("safe"))),
    ),
    "denied-format": of_files(
        _under(Policy(denied_formats=frozenset({"pickle"})), "NONE", "STOP"),
        _under(Policy(denied_formats=frozenset({"torch-zip"})), "NONE", "STOP"),
    ),
    "denied-protocol": of_files(
        _under(Policy(protocols=frozenset({2})), ("PROTO", 4), "NONE", "STOP"),
        _under(Policy(protocols=frozenset({2})), ("PROTO", 2), "NONE", "STOP"),
    ),
    "hub-scan-required": of_files(
        _under(Policy(hub_scan=frozenset({"safe"})), "NONE", "STOP"),
        _under(
            Policy(hub_scan=frozenset({"safe"})),
            "NONE",
            "STOP",
            file=replace(FILE, hub_scan=HubScan("safe")),
        ),
    ),
    **{rule: of_siblings(rule) for rule in TRIGGERS},
    # Two tensors of one name, and two of two names.
    "safetensors-invalid": of_files(
        _named_safetensors('{"a": T, "a": T}'), _named_safetensors('{"a": T, "b": U}')
    ),
    "publisher": Sample(lambda: _in_repo("0rg"), lambda: _in_repo("org")),
    "waiver": Sample(lambda: _waived(date(2026, 5, 31)), lambda: _waived(date(2026, 6, 1))),
}
