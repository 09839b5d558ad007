"""Models that are programs of another kind than pickles: `model-code`."""

from __future__ import annotations

from collections.abc import Iterator

from hubaudit.formats.contents import OddityKind
from hubaudit.model import Confidence, Finding, LoadRole, Severity
from hubaudit.rules.base import Evidence, Rule, unless_never_loaded

# Findings in one file: one made for it has a hundred thousand, and nobody reads those.
MOST = 20

# A class that the file only names is what custom layers look like, as with a pickle's unlisted classes.
_TOLD = {
    OddityKind.MODEL_CODE: (Severity.HIGH, Confidence.HIGH),
    OddityKind.MODEL_FILES: (Severity.MEDIUM, Confidence.HIGH),
    OddityKind.MODEL_CUSTOM: (Severity.MEDIUM, Confidence.MEDIUM),
}

# What the loaders of Keras and TensorFlow open in a folder, of which `loadpath` knows nothing
# (`keras.saving.load_model`, of `hf://` too, keras 3.15; `tf.saved_model.load`, tensorflow 2.21).
_OPENED = ("config.json", "saved_model.pb", "saved_model.pbtxt")


def _check(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    odd = [one for one in evidence.contents.oddities if one.kind in _TOLD]
    odd.sort(key=lambda one: _TOLD[one.kind][0].rank)
    for one in odd[:MOST]:
        severity, confidence = _TOLD[one.kind]
        yield rule.finding(
            evidence,
            unless_never_loaded(severity, _role(evidence)),
            one.detail,
            confidence=confidence,
            member=one.member,
        )
    if len(odd) > MOST:
        severity, _ = _TOLD[odd[MOST].kind]
        yield rule.finding(
            evidence,
            unless_never_loaded(severity, _role(evidence)),
            f"{len(odd) - MOST:,} more of this kind",
        )


def _role(evidence: Evidence) -> LoadRole:
    is_opened = evidence.file.path.rpartition("/")[2] in _OPENED
    return LoadRole.LOADED if is_opened else evidence.load_role


MODEL_CODE = Rule(
    id="model-code",
    summary="A Keras or TensorFlow model runs code, opens files, or needs code that is not in it.",
    advice="Do not load this model; take its weights alone, into a model built by code that you trust.",
    worst=Severity.HIGH,
    references=("CWE-94", "CWE-502", "AML.T0010.003", "AML.T0011.000", "LLM03:2025"),
    check=_check,
)
