"""What sentence-transformers opens: the modules that modules.json names, each in its folder.

The rules are those of sentence-transformers 6.2: `base/model.py`, `_load_config_modules`,
`base/modules/module.py`, `load_torch_weights`, `util/misc.py`, `import_module_class`.
"""

from __future__ import annotations

from collections.abc import Iterator

from hubaudit.loadpath.documents import MODULES, ROUTER_CONFIG
from hubaudit.loadpath.ladder import find, place
from hubaudit.loadpath.options import LoadOptions
from hubaudit.loadpath.repository import Problem, Repository, join, resolve, show
from hubaudit.loadpath.roles import Roles
from hubaudit.loadpath.transformers import place_adapter, place_model, place_side_files
from hubaudit.model import LoadRole

_LOADER = "sentence-transformers"
# `load_torch_weights` takes no use_safetensors: that goes to the Transformer module alone.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OWN = "sentence_transformers."
_READ = ("config_sentence_transformers.json", MODULES, "README.md")
_BACKENDS = ("onnx", "openvino")
# A router can name a router; the published ones do not.
_DEEPEST_ROUTER = 4


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
    modules = list(_modules(repo, roles))
    for kind, folder in modules or [(f"{_OWN}models.Transformer", options.folder)]:
        _place_module(repo, kind, folder, options, code, roles)
    for backend in _BACKENDS:
        reason = f"{_LOADER} takes it with backend={backend!r}"
        roles.give_all(repo.below(backend), LoadRole.FALLBACK, reason)
    roles.arguments = _arguments(roles, options)
    return roles


def _modules(repo: Repository, roles: Roles) -> Iterator[tuple[str, str]]:
    """Class and folder of each module, those that a router names included."""
    listed = repo.documents.get(MODULES)
    if listed is None:
        return
    if not isinstance(listed, list):
        roles.problems.append(Problem(MODULES, "it is no list of modules"))
        return
    for number, module in enumerate(listed):
        kind = module.get("type") if isinstance(module, dict) else None
        where = module.get("path") if isinstance(module, dict) else None
        if not isinstance(kind, str) or not isinstance(where, str):
            roles.problems.append(Problem(MODULES, f"its entry {number} has no type or no path"))
            continue
        yield from _module(repo, roles, MODULES, kind, "", where, _DEEPEST_ROUTER)


def _module(
    repo: Repository, roles: Roles, document: str, kind: str, folder: str, where: str, deep: int
) -> Iterator[tuple[str, str]]:
    path, stays = resolve(folder, where or ".")
    if not stays:
        message = f"the module path {show(where)} leads out of the repository"
        roles.problems.append(Problem(document, message))
        return
    yield kind, path
    router = join(path, ROUTER_CONFIG)
    types = repo.object_at(router).get("types")
    if not isinstance(types, dict):
        return
    if deep == 0:
        roles.problems.append(Problem(router, "it is a router within too many others"))
        return
    for name, inner in sorted(types.items()):
        if isinstance(inner, str):
            yield from _module(repo, roles, router, inner, path, name, deep - 1)
        else:
            roles.problems.append(Problem(router, f"its part {show(name)} has no type"))


def _place_module(
    repo: Repository,
    kind: str,
    folder: str,
    options: LoadOptions,
    code: dict[str, str],
    roles: Roles,
) -> None:
    if kind.startswith(_OWN):
        if not _holds_tensors_only(repo, folder):
            place_model(repo, folder, options, roles)
            place_adapter(repo, folder, options, roles)
        else:
            place(roles, find(repo, folder, _WEIGHTS), _LOADER, "")
            place_side_files(repo, folder, roles)
        return
    _place_foreign(repo, kind, folder, options, code, roles)


def _holds_tensors_only(repo: Repository, folder: str) -> bool:
    """Whether the folder is that of a Dense, LSTM or the like and not of a transformers model.

    A transformers model has its type in config.json; without that its order of files is the same.
    """
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
