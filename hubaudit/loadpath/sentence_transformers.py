"""What sentence-transformers opens: the modules that modules.json names, each in its folder.

The rules are those of sentence-transformers 6.2: `base/model.py`, `_load_config_modules`,
`base/modules/module.py`, `load_torch_weights`, `util/misc.py`, `import_module_class`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hubaudit.loadpath.documents import MODULES, ROUTER_CONFIG
from hubaudit.loadpath.ladder import find, place
from hubaudit.loadpath.options import LoadOptions
from hubaudit.loadpath.paths import join, resolve, show
from hubaudit.loadpath.repository import Problem, Repository
from hubaudit.loadpath.roles import Roles
from hubaudit.loadpath.transformers import place_adapter, place_model, place_side_files
from hubaudit.loadpath.unknown import place_everything
from hubaudit.model import LoadRole

_LOADER = "sentence-transformers"
# `load_torch_weights` takes no use_safetensors: that goes to the Transformer module alone.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OWN = "sentence_transformers."
_READ = ("config_sentence_transformers.json", MODULES, "README.md")
_BACKENDS = ("onnx", "openvino")
# Their weights go by `model_kwargs`; a static embedding's or a projection's by `load_torch_weights`.
_TRANSFORMERS = (".Transformer", ".MLMTransformer", ".CLIPModel")
# Published models have two to six; a router of each kind some twenty.
_MOST_MODULES = 256


def place_sentence_transformers(
    repo: Repository, options: LoadOptions, code: dict[str, str]
) -> Roles:
    """Every module; without a modules.json, the transformers model at the root.

    Python files that the load imports go into `code`, with the reason.
    """
    roles = Roles()
    for name in _READ:
        if repo.has(name):
            roles.give(name, LoadRole.LOADED, f"{_LOADER} reads it")
    for kind, folder in _modules(repo, roles) or [(f"{_OWN}models.Transformer", options.folder)]:
        if kind.startswith(_OWN):
            _place_own(repo, kind, folder, options, roles)
        else:
            _place_foreign(repo, kind, folder, options, code, roles)
    for backend in _BACKENDS:
        reason = f"{_LOADER} takes it with backend={backend!r}"
        roles.give_all(repo.below(backend), LoadRole.FALLBACK, reason)
    roles.arguments = _arguments(roles, options)
    return roles


def _modules(repo: Repository, roles: Roles) -> list[tuple[str, str]]:
    """Class and folder of each module, those that a router names included, each once."""
    listed = repo.documents.get(MODULES)
    if listed is not None and not isinstance(listed, list):
        roles.problems.append(Problem(MODULES, "it is no list of modules"))
    waiting = list(_entries(listed if isinstance(listed, list) else [], roles))
    found: dict[tuple[str, str], None] = {}
    while waiting and len(found) < _MOST_MODULES:
        kind, folder = waiting.pop()
        if (kind, folder) not in found:
            found[kind, folder] = None
            waiting += _routed(repo, folder, roles)
    if waiting:
        message = f"more than {_MOST_MODULES} modules: of the others any file may be opened"
        roles.problems.append(Problem(MODULES, message, "unread"))
        roles.add(place_everything(repo))
    return sorted(found)


def _entries(listed: Sequence[Any], roles: Roles) -> Iterator[tuple[str, str]]:
    for number, module in enumerate(listed):
        kind = module.get("type") if isinstance(module, dict) else None
        where = module.get("path") if isinstance(module, dict) else None
        if isinstance(kind, str) and isinstance(where, str):
            yield from _entry(MODULES, kind, "", where, roles)
        else:
            roles.problems.append(Problem(MODULES, f"its entry {number} has no type or no path"))


def _routed(repo: Repository, folder: str, roles: Roles) -> Iterator[tuple[str, str]]:
    """The modules that the router of `folder` has in folders of its own, if there is one."""
    router = join(folder, ROUTER_CONFIG)
    types = repo.object_at(router).get("types")
    for name, kind in types.items() if isinstance(types, dict) else ():
        if isinstance(kind, str):
            yield from _entry(router, kind, folder, name, roles)
        else:
            roles.problems.append(Problem(router, f"its part {show(name)} has no type"))


def _entry(
    document: str, kind: str, folder: str, where: str, roles: Roles
) -> Iterator[tuple[str, str]]:
    path, stays = resolve(folder, where or ".")
    if stays:
        yield kind, path
    else:
        message = f"the module path {show(where)} leads out of the repository"
        roles.problems.append(Problem(document, message))


def _place_own(
    repo: Repository, kind: str, folder: str, options: LoadOptions, roles: Roles
) -> None:
    if not _holds_tensors_only(repo, folder):
        place_model(repo, folder, options, roles)
        place_adapter(repo, folder, options, roles)
    if not kind.endswith(_TRANSFORMERS):
        place(roles, find(repo, folder, _WEIGHTS), _LOADER, "")
        place_side_files(repo, folder, roles)


def _holds_tensors_only(repo: Repository, folder: str) -> bool:
    """Whether the folder is that of a Dense, LSTM or the like and not of a transformers model, which
    has its type in config.json."""
    config = repo.object_at(join(folder, "config.json"))
    return bool(config) and not ({"model_type", "architectures", "auto_map"} & config.keys())


def _place_foreign(
    repo: Repository,
    kind: str,
    folder: str,
    options: LoadOptions,
    code: dict[str, str],
    roles: Roles,
) -> None:
    """A class of the repository's own, or of an installed package: it may open all of its folder,
    which is downloaded whole for classes whose `load` takes a path only."""
    module = kind.rpartition("--")[2].rpartition(".")[0].replace(".", "/")
    if repo.has(f"{module}.py"):
        code[f"{module}.py"] = f"{MODULES} names it"
    place_model(repo, folder, options, roles)
    for path in repo.below(folder):
        if repo.may_execute(path):
            roles.give(path, LoadRole.FALLBACK, f"the class {show(kind)} of its folder may open it")
        elif folder and not path.endswith(".py"):
            roles.give(path, LoadRole.LOADED, f"{_LOADER} downloads all of {folder}")


def _arguments(roles: Roles, options: LoadOptions) -> dict[str, object]:
    inner: dict[str, object] = {"weights_only": True}
    loaded = [path for path, (role, _) in roles.given.items() if role is LoadRole.LOADED]
    if any(path.endswith(".safetensors") for path in loaded) and options.use_safetensors != "false":
        inner["use_safetensors"] = True
    if options.variant is not None:
        inner["variant"] = options.variant
    return {"trust_remote_code": False, "model_kwargs": inner}
