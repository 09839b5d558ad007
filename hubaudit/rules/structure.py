"""What is odd about a file as a whole: `broken-pickle`, `trailing-data`, `wrong-extension`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from hubaudit.formats.contents import Format
from hubaudit.formats.raw import why_stopped
from hubaudit.model import Finding, Severity
from hubaudit.pvm.values import StopKind
from hubaudit.rules.base import Evidence, Rule, unless_never_loaded

_PICKLES = frozenset({Format.PICKLE, Format.TORCH_ZIP, Format.TORCH_LEGACY, Format.TORCHSCRIPT})

# Suffixes that promise another format, so that people and scanners pass over what is behind them. `.model`
# is none: it is sentencepiece's, but gensim's `save` gives it to pickles, too, by its own documentation.
_PROMISES = frozenset(
    ".safetensors .json .jsonl .md .txt .yaml .yml .toml .csv .tsv .gguf .onnx .h5 .hdf5 .keras .tflite "
    ".pb .msgpack .parquet .arrow .py .ipynb .html .xml .png .jpg .jpeg .gif .webp .svg .pdf .mp3 .wav "
    ".flac .ogg .mp4 .vocab .merges .spm .lock .cfg .ini .gitattributes".split()
)


def _check_broken(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    for pickle in evidence.contents.pickles:
        if pickle.trace.stop.kind in (StopKind.BROKEN, StopKind.TRUNCATED):
            yield rule.finding(
                evidence,
                unless_never_loaded(Severity.MEDIUM, evidence.load_role),
                f"{why_stopped(pickle.trace.stop)}; what comes before it runs all the same",
                member=pickle.member,
                offset=pickle.trace.stop.offset,
            )


def _check_trailing(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    if evidence.contents.format is Format.SAFETENSORS:
        return  # `safetensors-invalid` says it
    for trailing in evidence.contents.trailing:
        yield rule.finding(
            evidence,
            Severity.LOW,
            f"{trailing.size:,} bytes follow that belong to nothing in the file",
            member=trailing.member,
            offset=trailing.offset,
        )


def _check_extension(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    path = PurePosixPath(evidence.file.path)
    suffix = (path.suffix or path.name).lower()
    if evidence.contents.format in _PICKLES and suffix in _PROMISES:
        yield rule.finding(
            evidence,
            Severity.HIGH,
            f"named {suffix}, but its bytes are a {evidence.contents.format.value} file",
            offset=0,
        )


BROKEN_PICKLE = Rule(
    id="broken-pickle",
    summary="A pickle breaks off before its end; the unpickler runs what comes before.",
    advice="Do not load this file; get it again, or from somebody who can say what it should hold.",
    worst=Severity.MEDIUM,
    references=("CWE-502", "AML.T0010.003", "LLM03:2025"),
    check=_check_broken,
)

TRAILING_DATA = Rule(
    id="trailing-data",
    summary="Bytes follow that belong to nothing in the file.",
    advice="Compare the file with the one that its author published: loaders ignore such bytes.",
    worst=Severity.LOW,
    references=("CWE-506", "AML.T0010.003", "LLM03:2025"),
    check=_check_trailing,
)

WRONG_EXTENSION = Rule(
    id="wrong-extension",
    summary="A pickle carries the name of another format.",
    advice="Do not load this file: nobody gives a pickle another format's name by accident.",
    worst=Severity.HIGH,
    references=("CWE-646", "AML.T0074", "LLM03:2025"),
    check=_check_extension,
)
