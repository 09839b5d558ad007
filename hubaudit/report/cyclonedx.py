"""A CycloneDX 1.6 bill of materials: the model, its files with hashes, and what was found in them.

https://cyclonedx.org/docs/1.6/json/ and, for the package URL, the `huggingface` type of
package-url/purl-spec. No timestamp, and a serial number made from the contents: the same report gives the
same bytes.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from hubaudit.model import FileReport, Finding, RepoRef, RepoReport
from hubaudit.report.advice import advice_for
from hubaudit.report.escape import visible
from hubaudit.report.json import printable
from hubaudit.report.order import heaps
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
    """One document about all of them; of a single one, it is the document's subject.

    What two of them say alike is there once: the schema wants the items of its lists to be unique.
    """
    components = _distinct(_component(report) for report in reports)
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
        "vulnerabilities": _distinct(one for report in reports for one in _vulnerabilities(report)),
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


def _distinct(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(item): item for item in items}.values())


def _component(report: RepoReport) -> dict[str, Any]:
    repo = report.repo
    owner, _, name = visible(repo.repo_id).rpartition("/")
    facts = {
        **figures(report),
        **{f"count:{severity.value}": str(n) for severity, n in by_severity(report).items()},
        **{
            f"unread:{number}": f"{place(entry.path, entry.member)}: {entry.why}"
            for number, entry in enumerate(sorted(report.unread, key=lambda e: (e.path, e.why)), 1)
        },
    }
    component: dict[str, Any] = {
        "type": _TYPE[repo.repo_type],
        "bom-ref": _ref(repo),
        **({"group": owner} if owner else {}),
        "name": name,
        "properties": _properties(facts),
        "components": [_file(repo, file) for file in sorted(report.files, key=lambda f: f.path)],
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


def _file(repo: RepoRef, file: FileReport) -> dict[str, Any]:
    facts = {
        "format": file.format,
        "load_role": file.load_role.value,
        "read": file.read.value,
        "size": str(file.size),
    }
    is_model = repo.repo_type == "model" and file.format in _WEIGHTS
    return {
        "type": "machine-learning-model" if is_model else "file",
        "bom-ref": _ref(repo, file.path),
        "name": visible(file.path),
        **({"hashes": [{"alg": "SHA-256", "content": file.sha256}]} if file.sha256 else {}),
        "properties": _properties(facts),
    }


def _vulnerabilities(report: RepoReport) -> list[dict[str, Any]]:
    known = {file.path for file in report.files}
    made = []
    for heap in [*heaps(standing(report)), *heaps(tolerated(report))]:
        finding = heap.first
        ref = _ref(report.repo, finding.path) if finding.path in known else _ref(report.repo)
        made.append(_vulnerability(report, finding, heap.count, ref))
    return made


def _vulnerability(report: RepoReport, finding: Finding, count: int, ref: str) -> dict[str, Any]:
    where = f"{subject(report.repo)}: {place(finding.path, finding.member)}"
    cwes = [int(found[1]) for one in finding.references if (found := _CWE.fullmatch(one))]
    facts = {"offset": "" if finding.offset is None else str(finding.offset), "count": str(count)}
    vulnerability: dict[str, Any] = {
        "id": visible(finding.rule),
        "source": {"name": "hubaudit"},
        "ratings": [{"severity": finding.severity.value, "method": "other"}],
        **({"cwes": cwes} if cwes else {}),
        "description": visible(f"{where}: {finding.message}"),
        **({"detail": visible(finding.evidence)} if finding.evidence else {}),
        "recommendation": advice_for(finding.rule),
        "affects": [{"ref": ref}],
        "properties": _properties({**facts, "confidence": finding.confidence.value}),
    }
    if finding.waived is not None:
        vulnerability["analysis"] = {
            "state": "in_triage",
            "detail": visible(f"waived: {finding.waived}"),
        }
    return vulnerability


def _properties(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": f"hubaudit:{name}", "value": visible(value)} for name, value in values.items()]


def _ref(repo: RepoRef, path: str = "") -> str:
    ref = _purl(repo)
    return f"{ref}#{_quoted(path)}" if path else ref


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
