"""Listings with documents in a line, for the tests of the load path."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from hubaudit.formats.contents import Format
from hubaudit.loadpath import LoadOptions, LoadPlan, plan
from hubaudit.model import LoadRole, RepoFile

LOADED, FALLBACK, NEVER, CODE = (
    LoadRole.LOADED,
    LoadRole.FALLBACK,
    LoadRole.NEVER,
    LoadRole.CODE,
)
BERT = {"config.json": {"model_type": "bert"}}
PICKLES = (".bin", ".pkl", ".pt", ".pth", ".ckpt")


def planned(
    names: str | Iterable[str],
    documents: Mapping[str, object] | None = None,
    options: LoadOptions = LoadOptions(),  # noqa: B008
    raw: Mapping[str, bytes] | None = None,
) -> LoadPlan:
    """`names` (a text is split) and the documents, which may also be given as they stand."""
    data = {path: json.dumps(value).encode() for path, value in (documents or {}).items()}
    data |= raw or {}
    listed = names.split() if isinstance(names, str) else names
    paths = sorted({*listed, *data})
    formats = {path: Format.TORCH_ZIP for path in paths if path.endswith(PICKLES)}
    return plan([RepoFile(path, 10) for path in paths], formats, data, options)


def messages(of: LoadPlan, path: str) -> list[str]:
    return [problem.message for problem in of.problems if problem.path == path]


FIRST, SECOND = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
SHARDED = "pytorch_model.bin.index.json"
