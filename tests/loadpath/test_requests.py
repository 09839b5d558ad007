"""`plan` against what the libraries themselves requested: see tests/fixtures/make_requests.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hubaudit.formats.contents import Format
from hubaudit.loadpath import LoadOptions, LoadPlan, plan, wanted
from hubaudit.model import LoadRole, RepoFile

# Cases in which more is called loaded than this load took, each for a reason.
MORE_IS_SAID = {
    "tokenizer": "only a tokenizer was loaded, and the model may be",
    "transformers-weights": "versions that do not know transformers_weights take the usual name",
    "adapter-both-false": "4.57 takes the safetensors all the same, 5.23 the pickle",
    "gguf": "beside a GGUF file alone there is no known layout, so that any pickle counts as loaded",
}
RECORDED = Path(__file__).parents[1] / "fixtures" / "requests"


@dataclass(frozen=True)
class Recorded:
    """A case of the recordings, and what `plan` says of it."""

    case: dict[str, Any]
    plan: LoadPlan

    def paths(self, key: str) -> set[str]:
        return set(self.case[key])

    def having(self, *roles: LoadRole) -> set[str]:
        return {path for path, role in self.plan.roles.items() if role in roles}


def _recorded(fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> list[Any]:
    found = []
    for path in sorted(RECORDED.glob("*.json")):
        library = json.loads(path.read_text(encoding="utf-8"))
        for case in filter(fits, library["cases"]):
            name = f"{library['library']}-{library['version']}-{case['name']}"
            found.append(pytest.param(case, id=name))
    return found


def _is_exact(case: dict[str, Any]) -> bool:
    """Loaded, and not one of those of which more is said for a reason."""
    return case["error"] is None and case["name"] not in MORE_IS_SAID


def _is_advised(case: dict[str, Any]) -> bool:
    return case["as_advised"] is not None


def _takes_safetensors(case: dict[str, Any]) -> bool:
    if not _is_advised(case):
        return False
    arguments = case["as_advised"]["arguments"]
    return bool({**arguments, **arguments.get("model_kwargs", {})}.get("use_safetensors"))


@pytest.fixture(params=_recorded())
def recorded(request: pytest.FixtureRequest) -> Recorded:
    case = request.param
    files = [RepoFile(path, size) for path, size in case["files"].items()]
    formats = {path: Format(word) for path, word in case["formats"].items()}
    documents = {path: text.encode() for path, text in case["documents"].items()}
    return Recorded(case, plan(files, formats, documents, LoadOptions(**case["options"])))


def test_what_was_downloaded_is_not_called_never(recorded: Recorded) -> None:
    wrong = recorded.paths("downloaded") & recorded.having(LoadRole.NEVER)
    assert {path: recorded.plan.reasons[path] for path in wrong} == {}


def test_what_was_requested_is_not_called_never(recorded: Recorded) -> None:
    # a HEAD of the other format is a question whether to convert, and opens nothing
    asked = recorded.paths("requested") - {"model.safetensors", "model.safetensors.index.json"}
    wrong = asked & recorded.having(LoadRole.NEVER)
    assert {path: recorded.plan.reasons[path] for path in wrong} == {}


@pytest.mark.parametrize("recorded", _recorded(_is_exact), indirect=True)
def test_every_weight_file_called_loaded_was_downloaded(recorded: Recorded) -> None:
    said = recorded.having(LoadRole.LOADED)
    weights = {path for path in said if path.endswith((".bin", ".safetensors", ".gguf", ".pkl"))}
    assert weights <= recorded.paths("downloaded"), recorded.plan.reasons


def test_every_executable_file_that_was_downloaded_is_at_least_a_fallback(
    recorded: Recorded,
) -> None:
    executed = {path for path in recorded.paths("downloaded") if path.endswith((".bin", ".pkl"))}
    assert executed <= recorded.having(LoadRole.LOADED, LoadRole.FALLBACK)


def test_code_that_was_downloaded_is_called_code(recorded: Recorded) -> None:
    code = {path for path in recorded.paths("downloaded") if path.endswith(".py")}
    assert code <= recorded.having(LoadRole.CODE)


def test_what_only_a_training_opens_was_not_requested(recorded: Recorded) -> None:
    state = {"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"}
    assert not state & recorded.paths("requested")
    assert state & recorded.paths("files") <= recorded.having(LoadRole.NEVER)


def test_other_repositories_that_were_asked_are_named(recorded: Recorded) -> None:
    assert recorded.paths("other_repositories") <= set(recorded.plan.bases)


@pytest.mark.parametrize("recorded", _recorded(_is_advised), indirect=True)
def test_the_advised_arguments_load_what_the_usual_ones_load(recorded: Recorded) -> None:
    advised = recorded.case["as_advised"]
    assert dict(recorded.plan.arguments) == advised["arguments"]
    own_code = LoadRole.CODE in {recorded.plan.roles[path] for path in recorded.paths("files")}
    refused = recorded.case["error"] is not None or own_code
    assert (advised["error"] is None) or refused


@pytest.mark.parametrize("recorded", _recorded(_takes_safetensors), indirect=True)
def test_the_advised_arguments_open_no_pickle_that_can_be_done_without(recorded: Recorded) -> None:
    advised = recorded.case["as_advised"]
    taken = {path for path in advised["downloaded"] if path.endswith(".bin")}
    named = {path for path in taken if "weights.bin" in path or path.startswith("2_Dense/")}
    assert taken == named, "an index or a module without a choice took it, nothing else"


def test_every_file_has_a_role_and_a_reason(recorded: Recorded) -> None:
    assert recorded.plan.roles.keys() == recorded.paths("files")
    assert recorded.plan.reasons.keys() == recorded.paths("files")
    assert all(recorded.plan.reasons.values())


def test_the_documents_of_a_case_are_the_wanted_ones(recorded: Recorded) -> None:
    files = [RepoFile(path, size) for path, size in recorded.case["files"].items()]
    assert set(wanted(files)) == recorded.paths("documents")


def test_both_versions_of_transformers_and_every_library_are_recorded() -> None:
    names = {path.name.rpartition("-")[0] for path in RECORDED.glob("*.json")}
    assert names == {"transformers", "diffusers", "sentence_transformers", "timm"}
    assert len(list(RECORDED.glob("transformers-*.json"))) == 2
