"""Which libraries a commit is for, and what these together would open."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubaudit.formats.contents import Format
from hubaudit.loadpath.code import place_base, place_code, runs_by_name
from hubaudit.loadpath.diffusers import place_diffusers
from hubaudit.loadpath.documents import ADAPTER_CONFIG, CONFIG, MODEL_INDEX, MODULES, relevant
from hubaudit.loadpath.names import is_training_state
from hubaudit.loadpath.options import LoadOptions
from hubaudit.loadpath.paths import join, split
from hubaudit.loadpath.repository import Problem, Repository, open_repository
from hubaudit.loadpath.roles import Roles
from hubaudit.loadpath.sentence_transformers import place_sentence_transformers
from hubaudit.loadpath.shards import check_all
from hubaudit.loadpath.timm import is_timm, place_timm
from hubaudit.loadpath.transformers import has_weights, place_named, place_transformers
from hubaudit.loadpath.unknown import place_everything, place_unknown
from hubaudit.model import LoadRole, RepoFile

# Keys that `save_pretrained` of transformers writes into a config.json (5.23, `configuration_utils.py`).
_TRANSFORMERS_KEYS = {"model_type", "architectures", "auto_map", "transformers_version"}
# Libraries without rules here, which open pickles of their own beside what transformers opens: SetFit,
# skops (`{"sklearn": …}`), speechbrain, fastai, NeMo, AutoGPTQ (`gptq_model-4bit-128g.bin`).
_OTHERS = re.compile(
    r"model_head\.pkl|config_setfit\.json|hyperparams\.yaml|pyproject\.toml|.*\.nemo"
    r"|quantize_config\.json"
)
_OTHER_KEYS = {"sklearn", "skops", "speechbrain_interface"}
# Enough for the index of every part of the largest published pipelines to miss all of its shards.
_MOST_PROBLEMS = 200
_VARIANT = re.compile(
    r".*?\.(?P<new>\w+)(?:-\d{5}-of-\d{5})?\.(bin|safetensors)|.*-\d{5}-of-\d{5}\.(?P<old>\w+)\.\w+"
)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """`roles` and `reasons` have every file, a reason is one sentence without a full stop.

    `library`: the one that the commit is for, "none" if it is not known. `arguments`: what makes its
    load the least risky one, without the revision. `bases`: other repositories that it would open.
    """

    roles: Mapping[str, LoadRole]
    reasons: Mapping[str, str]
    library: str
    arguments: Mapping[str, object]
    problems: tuple[Problem, ...]
    bases: tuple[str, ...]


def plan(
    files: Sequence[RepoFile],
    formats: Mapping[str, Format],
    documents: Mapping[str, bytes],
    options: LoadOptions = LoadOptions(),  # noqa: B008 -- frozen
) -> LoadPlan:
    """What the load of `files` would open. Whatever the documents say, nothing is raised.

    `documents`: the bytes of the paths that `wanted` gave, as far as they could be had. Where they
    leave a doubt, the more dangerous role is given.
    """
    repo, problems = open_repository(files, formats, documents, relevant(files))
    libraries = _libraries(repo, options)
    code: dict[str, str] = {}
    each = [_place(repo, library, options, code) for library in libraries]
    roles = each[0]
    for other in each[1:]:
        roles.add(other)
    if options.library != "none":
        _place_rest(repo, roles, code, libraries, options)
    roles.problems += check_all(repo)
    return LoadPlan(
        roles={path: _given(roles, path)[0] for path in repo.paths},
        reasons={path: _given(roles, path)[1] for path in repo.paths},
        library=libraries[0],
        arguments=roles.arguments,
        problems=_in_order([*problems, *roles.problems]),
        bases=tuple(sorted(roles.bases)),
    )


def _libraries(repo: Repository, options: LoadOptions) -> list[str]:
    """The libraries whose layout this is, the one that it is meant for first."""
    if options.library != "auto":
        return [options.library]
    config = repo.object_at(join(options.folder, CONFIG))
    found = []
    if repo.has(MODEL_INDEX) or {"_class_name", "_diffusers_version"} & config.keys():
        found.append("diffusers")
    if repo.has(MODULES):
        found.append("sentence-transformers")
    if is_timm(repo):
        found.append("timm")
    if _is_transformers(repo, options.folder, set(found)):
        found.append("transformers")
    elif repo.has(join(options.folder, ADAPTER_CONFIG)):
        found.append("peft")
    unknown = not found
    if unknown and any(name.endswith(".gguf") for name in repo.names_in(options.folder)):
        found.append("transformers")
    telling = {MODEL_INDEX, MODULES, join(options.folder, CONFIG)}
    if unknown or _has_others(repo) or telling & repo.unread:
        found.append("none")
    return found


def _is_transformers(repo: Repository, folder: str, others: set[str]) -> bool:
    path = join(folder, CONFIG)
    if not repo.has(path):
        return False
    config = repo.object_at(path)
    if _TRANSFORMERS_KEYS & config.keys():
        return True
    if _OTHER_KEYS & config.keys():
        return False
    # old checkpoints have none of these keys, and their classes find out by the repository's name
    return not others and has_weights(repo, folder)


def _has_others(repo: Repository) -> bool:
    named = any(_OTHERS.fullmatch(name) for name in repo.names_in(""))
    return named or bool(_OTHER_KEYS & repo.object_at(CONFIG).keys())


def _place(repo: Repository, library: str, options: LoadOptions, code: dict[str, str]) -> Roles:
    match library:
        case "diffusers":
            return place_diffusers(repo, options, code)
        case "sentence-transformers":
            return place_sentence_transformers(repo, options, code)
        case "timm":
            return place_timm(repo)
        case "none":
            return place_everything(repo) if options.library == "none" else place_unknown(repo)
        case _:
            return place_transformers(repo, options)


def _place_rest(
    repo: Repository,
    roles: Roles,
    code: dict[str, str],
    libraries: Sequence[str],
    options: LoadOptions,
) -> None:
    """What every library has: adapters' bases, code, and files that only a document names."""
    for folder in sorted({options.folder, *_adapter_folders(repo)}):
        place_base(repo, roles, folder)
    doubt = ""
    if place_code(repo, options.folder, roles, code) or runs_by_name(repo):
        doubt = "the repository's own code may open it, if that is trusted"
    elif unread := repo.unread_configs(options.folder):
        doubt = f"{unread[0]} could not be read and may name it"
    if "none" not in libraries:
        place_named(repo, roles)
    for path in repo.paths if doubt else ():
        if repo.may_execute(path) and path not in roles.given and not is_training_state(path):
            roles.give(path, LoadRole.FALLBACK, doubt)


def _adapter_folders(repo: Repository) -> set[str]:
    return {split(path)[0] for path in repo.documents if split(path)[1] == ADAPTER_CONFIG}


def _given(roles: Roles, path: str) -> tuple[LoadRole, str]:
    given = roles.given.get(path)
    return given if given is not None else (LoadRole.NEVER, _why_never(path))


def _why_never(path: str) -> str:
    if is_training_state(path):
        return "only resuming the training opens it"
    folder, name = split(path)
    variant = _VARIANT.fullmatch(name)
    if variant is not None and name.endswith((".bin", ".safetensors")):
        return f"only a load with variant={variant['new'] or variant['old']!r} opens it"
    if folder:
        return f"only a load with subfolder={folder!r}, or one by the file's name, opens it"
    return "no loader opens a file of this name by itself"


def _in_order(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    ordered = sorted(set(problems), key=lambda one: (one.path, one.message, one.kind))
    if len(ordered) <= _MOST_PROBLEMS:
        return tuple(ordered)
    more = f"and {len(ordered) - _MOST_PROBLEMS} more that do not fit"
    return (*ordered[:_MOST_PROBLEMS], Problem(ordered[_MOST_PROBLEMS].path, more))
