"""Which Python files a load would import, and which other repositories the documents name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hubaudit.loadpath.documents import ADAPTER_CONFIG
from hubaudit.loadpath.names import is_index
from hubaudit.loadpath.paths import join, resolve, show, split
from hubaudit.loadpath.repository import Problem, Repository
from hubaudit.loadpath.roles import Roles
from hubaudit.model import LoadRole

# Of one document so many values are looked at; the largest published configurations have some 3000.
_MOST_VALUES = 100_000
_REPO_ID = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?", re.ASCII)
# transformers 5.23, `integrations/hub_kernels.py`, `is_kernel`: org/repo, perhaps @revision and :function.
_KERNEL = re.compile(r"(?:paged\|)?([\w.-]+/[\w.-]+)(?:@[^:|]+)?(?::[\w.-]+)?", re.ASCII)
# Run without being named: by `generate(custom_generate=…)` (transformers 5.23, `generation/utils.py`)
# and by the Hub's Inference Endpoints.
_RUN_BY_NAME = {
    "custom_generate/generate.py": "generate() runs it with trust_remote_code=True",
    "handler.py": "Inference Endpoints run it",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """`repo_id`: None for this repository. `module`: as written, without `.py`."""

    document: str
    repo_id: str | None
    module: str


def references(repo: Repository) -> Iterator[Reference]:
    """Every class that some document takes from Python code of a repository.

    `auto_map` and `custom_pipelines` of transformers 5.23 (`dynamic_module_utils.py`,
    `get_class_from_dynamic_module`; `pipelines/__init__.py`): ``module.Class``, and with another
    repository ``org/name--module.Class``. Looked for at any depth, for configurations are nested.
    """
    for path, document in _configs(repo):
        for key, value in _walk(document):
            if key == "auto_map":
                yield from (_reference(path, text) for text in _strings(value))
            if key == "custom_pipelines" and isinstance(value, dict):
                pipelines = [one for one in value.values() if isinstance(one, dict)]
                yield from (
                    _reference(path, t) for one in pipelines for t in _strings(one.get("impl"))
                )


def _reference(document: str, text: str) -> Reference:
    other, dashes, local = text.rpartition("--")
    return Reference(document, other if dashes else None, local.rpartition(".")[0] or local)


def place_code(repo: Repository, folder: str, roles: Roles, named: dict[str, str]) -> bool:
    """Gives every Python file its role; whether the load needs code of a repository at all.

    `named`: path → reason, of files that a library's own rules found. A module can import its
    neighbours, so that if one is named, all may be.
    """
    found = list(references(repo))
    for reference in found:
        _place_reference(repo, roles, reference, named)
    _place_kernels(repo, roles)
    _place_backbones(repo, roles)
    reason = ""
    if named:
        reason = f"{min(named)} may import it"
    elif found:
        reason = "the configuration takes classes from Python code"
    elif runs_by_name(repo):
        reason = "handler.py or custom_generate may import it"
    elif unread := repo.unread_configs(folder):
        reason = f"{unread[0]} could not be read and may name it"
    for path in repo.paths:
        if path.endswith(".py"):
            _place_python(roles, path, named, reason)
    return bool(named or found)


def runs_by_name(repo: Repository) -> bool:
    """Whether there is code that runs without being named, and may open any file."""
    return any(repo.has(path) for path in _RUN_BY_NAME)


def _place_python(roles: Roles, path: str, named: dict[str, str], reason: str) -> None:
    if path in named:
        roles.give(path, LoadRole.CODE, f"{named[path]}; it runs with trust_remote_code=True")
    elif path in _RUN_BY_NAME:
        roles.give(path, LoadRole.CODE, _RUN_BY_NAME[path])
    elif path.startswith("custom_generate/"):
        roles.give(path, LoadRole.CODE, "custom_generate/generate.py may import it")
    elif reason:
        roles.give(path, LoadRole.CODE, f"{reason}; it runs with trust_remote_code=True")
    else:
        roles.give(path, LoadRole.NEVER, "nothing in the configuration takes a class from it")


def _place_reference(
    repo: Repository, roles: Roles, reference: Reference, named: dict[str, str]
) -> None:
    if reference.repo_id is not None:
        add_base(roles, reference.document, reference.repo_id)
        return
    # From the root, whatever folder the document is in: `get_cached_module_file` takes no subfolder.
    # A local folder is its own root, so the document's folder is tried too.
    for folder in ("", split(reference.document)[0]):
        path, stays = resolve(folder, f"{reference.module}.py")
        if not stays:
            message = f"it names {show(reference.module)}, which leads out of the repository"
            roles.problems.append(Problem(reference.document, message))
            return
        if repo.has(path):
            named[path] = f"{reference.document} names it"
            return
    message = f"it names {show(reference.module + '.py')}, which is not there"
    roles.problems.append(Problem(reference.document, message))


def place_base(repo: Repository, roles: Roles, folder: str) -> None:
    """The base model of an adapter (PEFT 0.21, `config.py`: `base_model_name_or_path`)."""
    path = join(folder, ADAPTER_CONFIG)
    name = repo.object_at(path).get("base_model_name_or_path")
    if isinstance(name, str) and name:
        add_base(roles, path, name)
    elif name is not None:
        roles.problems.append(Problem(path, "base_model_name_or_path is no name"))


def add_base(roles: Roles, document: str, name: str) -> None:
    """Another repository that is opened. A path is opened too, but on the loader's own disk."""
    if _REPO_ID.fullmatch(name) and ".." not in name and len(name) <= 96:
        roles.bases.add(name)
    else:
        message = f"it names {show(name)}, which is no repository of the Hub"
        roles.problems.append(Problem(document, message))


def _place_kernels(repo: Repository, roles: Roles) -> None:
    """Attention kernels are native code of another repository, and a configuration can name one."""
    for _, document in _configs(repo):
        for key, value in _walk(document):
            if key not in ("attn_implementation", "_attn_implementation"):
                continue
            for text in _strings(value):
                kernel = _KERNEL.fullmatch(text)
                if kernel is not None:
                    roles.bases.add(kernel[1])


def _place_backbones(repo: Repository, roles: Roles) -> None:
    """transformers 4.57, `utils/backbone_utils.py`, `load_backbone`: a vision model may fetch the
    weights of its backbone from the repository that it names. timm's names have no slash."""
    for path, document in _configs(repo):
        for _, value in _walk(document):
            if isinstance(value, dict) and value.get("use_pretrained_backbone"):
                backbone = value.get("backbone")
                if isinstance(backbone, str) and "/" in backbone:
                    add_base(roles, path, backbone)


def _configs(repo: Repository) -> list[tuple[str, object]]:
    """Every document but the indexes, which no library takes for a configuration."""
    found = repo.documents.items()
    configs = (one for one in found if not is_index(split(one[0])[1]))
    return sorted(configs, key=lambda one: one[0])


def strings_of(document: object) -> Iterator[str]:
    """Every string value of the document, so far as it is looked at."""
    for _, value in _walk(document):
        if isinstance(value, str):
            yield value


def _walk(document: object) -> Iterator[tuple[str, object]]:
    """Every key (or "" in a list) with its value, at any depth, the bound included."""
    waiting: list[tuple[str, object]] = [("", document)]
    seen = 0
    while waiting and seen < _MOST_VALUES:
        key, value = waiting.pop()
        seen += 1
        yield key, value
        if isinstance(value, dict):
            waiting.extend(value.items())
        elif isinstance(value, list):
            waiting.extend(("", one) for one in value)


def _strings(value: object) -> Iterator[str]:
    """The strings of a text, a list of texts, or an object of these: the shapes of `auto_map`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one) if not isinstance(one, dict) else ()
    elif isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))
