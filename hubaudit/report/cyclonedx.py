"""A CycloneDX 1.6 bill of materials: the model, its files with hashes, and what was found in them.

https://cyclonedx.org/docs/1.6/json/ and, for the package URL, the `huggingface` type of
package-url/purl-spec. No timestamp, and a serial number made from the contents: the same report gives the
same bytes.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from hubaudit.model import FileReport, Finding, RepoRef, RepoReport
from hubaudit.report.advice import advice_for
from hubaudit.report.escape import visible
from hubaudit.report.json import printable
from hubaudit.report.page import Page
from hubaudit.report.pin import page_url
from hubaudit.report.tally import by_severity, figures, place, standing, subject, tolerated

_HUB = "https://huggingface.co"
_CWE = re.compile(r"CWE-([1-9][0-9]{0,5})")
_TYPE = {
    "model": "machine-learning-model",
    "dataset": "data",
    "space": "application",
    "local": "file",
}
_WEIGHTS = frozenset({"torch-zip", "torch-legacy", "torchscript", "safetensors", "gguf", "ggml"})


def render(report: RepoReport, page: Page | None = None) -> str:
    """A document about one repository."""
    return render_many([report], page)


def render_many(reports: Sequence[RepoReport], _page: Page | None = None) -> str:
    """One document about all of them; of a single one, it is the document's subject."""
    named = list(_named(reports))
    components = [_component(report, ref) for report, ref in named]
    tool = {"type": "application", "name": "hubaudit"}
    metadata: dict[str, Any] = {"tools": {"components": [tool]}}
    if len(reports) == 1:
        metadata["component"] = {k: v for k, v in components[0].items() if k != "components"}
        tool["version"] = reports[0].tool.version
        components = components[0].get("components", [])
    body: dict[str, Any] = {
        "version": 1,
        "metadata": metadata,
        "components": components,
        "vulnerabilities": [one for report, ref in named for one in _vulnerabilities(report, ref)],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        **body,
    }
    return printable(json.dumps(document, indent=2, allow_nan=False)) + "\n"


def _named(reports: Iterable[RepoReport]) -> Iterator[tuple[RepoReport, str]]:
    """Each report with a reference of its own; one that is given twice, once.

    Two may be about one commit, judged by two policies, or about two local files of one name.
    """
    told: dict[str, list[RepoReport]] = {}
    for report in reports:
        ref = _purl(report.repo)
        others = told.setdefault(ref, [])
        if report not in others:
            others.append(report)
            yield report, ref if len(others) == 1 else f"{ref} ({len(others)})"


def _component(report: RepoReport, ref: str) -> dict[str, Any]:
    repo = report.repo
    owner, _, name = visible(repo.repo_id).rpartition("/")
    facts = {
        **figures(report),
        **{f"count:{severity.value}": str(n) for severity, n in by_severity(report).items()},
        **{
            f"unread:{number}": f"{place(entry.path, entry.member)}: {entry.why}"
            for number, entry in enumerate(report.unread, 1)
        },
    }
    component: dict[str, Any] = {
        "type": _TYPE[repo.repo_type],
        "bom-ref": ref,
        **({"group": owner} if owner else {}),
        "name": name,
        "properties": _properties(facts),
        "components": [_file(repo, ref, file) for file in report.files],
    }
    if (url := page_url(repo)) is not None:
        component["version"] = repo.commit_hash
        component["purl"] = _purl(repo)
        component["hashes"] = [{"alg": "SHA-1", "content": repo.commit_hash}]
        component["externalReferences"] = [{"type": "distribution", "url": url}]
    if repo.repo_type == "model":
        formats = sorted({file.format for file in report.files if file.format in _WEIGHTS})
        card = {"weights": ", ".join(formats) or "none"}
        component["modelCard"] = {"properties": _properties(card)}
    return component


def _file(repo: RepoRef, ref: str, file: FileReport) -> dict[str, Any]:
    facts = {
        "format": file.format,
        "load_role": file.load_role.value,
        "read": file.read.value,
        "size": str(file.size),
    }
    is_model = repo.repo_type == "model" and file.format in _WEIGHTS
    return {
        "type": "machine-learning-model" if is_model else "file",
        "bom-ref": _file_ref(ref, file.path),
        "name": visible(file.path),
        **({"hashes": [{"alg": "SHA-256", "content": file.sha256}]} if file.sha256 else {}),
        "properties": _properties(facts),
    }


def _vulnerabilities(report: RepoReport, ref: str) -> list[dict[str, Any]]:
    """One for each finding; those that differ in nothing are one, as the schema wants."""
    known = {file.path for file in report.files}
    counts: Counter[str] = Counter()
    made = {}
    for finding in (*standing(report), *tolerated(report)):
        where = _file_ref(ref, finding.path) if finding.path in known else ref
        vulnerability = _vulnerability(report, finding, where)
        key = json.dumps(vulnerability)
        counts[key] += 1
        made[key] = vulnerability
    for key, vulnerability in made.items():
        vulnerability["properties"] += _properties({"count": str(counts[key])})
    return list(made.values())


def _vulnerability(report: RepoReport, finding: Finding, ref: str) -> dict[str, Any]:
    where = f"{subject(report.repo)}: {place(finding.path, finding.member)}"
    cwes = [int(found[1]) for one in finding.references if (found := _CWE.fullmatch(one))]
    facts = {
        "offset": "" if finding.offset is None else str(finding.offset),
        "confidence": finding.confidence.value,
    }
    vulnerability: dict[str, Any] = {
        "id": visible(finding.rule),
        "source": {"name": "hubaudit"},
        "ratings": [{"severity": finding.severity.value, "method": "other"}],
        **({"cwes": cwes} if cwes else {}),
        "description": visible(f"{where}: {finding.message}"),
        **({"detail": visible(finding.evidence)} if finding.evidence else {}),
        "recommendation": advice_for(finding.rule),
        "affects": [{"ref": ref}],
        "properties": _properties(facts),
    }
    if finding.waived is not None:
        vulnerability["analysis"] = {
            "state": "in_triage",
            "detail": visible(f"waived: {finding.waived}"),
        }
    return vulnerability


def _properties(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": f"hubaudit:{name}", "value": visible(value)} for name, value in values.items()]


def _file_ref(ref: str, path: str) -> str:
    return f"{ref}#{_quoted(path)}"


def _purl(repo: RepoRef) -> str:
    """`pkg:huggingface/org/model@commit`; a local folder has none, but needs a name of its own."""
    if repo.commit_hash is None:
        return f"local:{_quoted(repo.repo_id)}"
    folder = {"dataset": "datasets/", "space": "spaces/"}.get(repo.repo_type, "")
    purl = f"pkg:huggingface/{folder}{_quoted(repo.repo_id)}@{repo.commit_hash}"
    if repo.endpoint not in {None, _HUB}:
        purl += f"?repository_url={quote(repo.endpoint or '', safe='')}"
    return purl


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "backslashreplace"))
