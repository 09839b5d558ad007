"""What diffusers opens: a pipeline of components in folders, or one model.

The rules are those of diffusers 0.42: `pipelines/pipeline_utils.py`, `download`, with
`pipelines/pipeline_loading_utils.py`, and `models/modeling_utils.py`, `from_pretrained`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hubaudit.loadpath.documents import CONFIG, MODEL_INDEX
from hubaudit.loadpath.ladder import add_variant, find, place_by_options
from hubaudit.loadpath.names import is_index
from hubaudit.loadpath.options import LoadOptions
from hubaudit.loadpath.paths import join, resolve, show, split
from hubaudit.loadpath.repository import Problem, Repository
from hubaudit.loadpath.roles import Roles
from hubaudit.loadpath.shards import read_index
from hubaudit.loadpath.transformers import place_explicit, place_side_files
from hubaudit.model import LoadRole

_LOADER = "diffusers"
_PREFIXES = "diffusion_pytorch_model|pytorch_model|model|weights"
_SUFFIXES = "bin|safetensors|onnx|pb"
_STEMS = tuple(_PREFIXES.split("|"))
_SHARD = r"\d{5}-of-\d{5}"
# `filter_model_files`: a folder with one of these is taken for a model's.
_MODEL_SUFFIXES = (".bin", ".safetensors", ".onnx", ".pb", ".flashpack")
_PLAIN = re.compile(rf"(?:{_PREFIXES})(?:-{_SHARD})?\.(?:{_SUFFIXES})")
_PLAIN_INDEX = re.compile(rf"(?:{_PREFIXES})\.(?:{_SUFFIXES})\.index\.json")
_SAFE = ("diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model.safetensors")
_PICKLED = ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.bin.index.json")
# `TRANSFORMERS_COMPONENT_AUX_FILES` and the patterns that `download` always adds.
_AT_THE_ROOT = (
    MODEL_INDEX,
    CONFIG,
    "scheduler_config.json",
    "chat_template.jinja",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
_NO_PARTS = ("_class_name", "_ignore_files")  # of model_index.json, where lists are parts otherwise
_CUSTOM_PIPELINE = "pipeline.py"


def place_diffusers(repo: Repository, options: LoadOptions, code: dict[str, str]) -> Roles:
    """The pipeline if there is a model_index.json and no subfolder is asked for, else the model.

    Python files that the load imports go into `code`, with the reason.
    """
    roles = Roles()
    if repo.has(MODEL_INDEX) and not options.folder:
        _place_pipeline(repo, options, code, roles)
    else:
        _place_single(repo, options.folder, options, roles)
    roles.arguments = _arguments(options, roles)
    return roles


def _place_single(repo: Repository, folder: str, options: LoadOptions, roles: Roles) -> None:
    """One model: the sharded safetensors first, then the single file, then the pickle."""
    safe = find(repo, folder, [add_variant(name, options.variant) for name in _SAFE])
    if options.variant is not None:  # `_fetch_index_file_legacy`
        legacy = f"diffusion_pytorch_model.safetensors.{options.variant}.index.json"
        safe += find(repo, folder, [legacy])
        plain = find(repo, folder, [*_SAFE, *_PICKLED])
        for one in plain:
            paths = (one.path, *one.shards)
            roles.give_all(paths, LoadRole.FALLBACK, "diffusers takes it without variant=")
    pickled = find(repo, folder, [add_variant(name, options.variant) for name in _PICKLED])
    place_by_options(roles, safe, pickled, _LOADER, options)
    if options.variant is None and not safe and not pickled:
        _place_variants(repo, folder, roles)
    _place_texts(repo, folder, roles)


def _place_pipeline(
    repo: Repository, options: LoadOptions, code: dict[str, str], roles: Roles
) -> None:
    index = repo.object_at(MODEL_INDEX)
    parts = _parts(repo, index, roles)
    names = repo.files.keys() - set(_texts_of(index.get("_ignore_files")))
    with_weights = {split(path)[0] for path in names if path.endswith(_MODEL_SUFFIXES)} & parts
    safe = options.use_safetensors == "true" or (
        options.use_safetensors == "auto" and _all_safe(names, with_weights, options.variant)
    )
    usable = _usable(names, ".safetensors" if safe else ".bin", options.variant)
    for path in sorted(usable):
        _place_usable(repo, path, parts, roles)
    _place_unused(repo, usable, with_weights, safe, options, roles)
    if options.variant is None:
        for folder in sorted(with_weights - {split(path)[0] for path in usable}):
            _place_variants(repo, folder, roles)
    for component in sorted(parts):
        _place_component(repo, component, component in with_weights, roles)
    _place_code(repo, index, parts, code)
    read = [path for path in _AT_THE_ROOT if repo.has(path)]
    roles.give_all(read, LoadRole.LOADED, "diffusers reads it")


def _parts(repo: Repository, index: Mapping[str, object], roles: Roles) -> set[str]:
    """The folders of the components that have files."""
    if MODEL_INDEX in repo.unread:  # then any folder may be a component
        return {folder for folder in repo.folders if folder and "/" not in folder}
    named = [key for key, value in index.items() if isinstance(value, list)]
    folders = [key for key in named if key not in _NO_PARTS and _is_folder(key, roles)]
    return {folder for folder in folders if repo.below(folder)}


def _is_folder(name: str, roles: Roles) -> bool:
    where, stays = resolve("", name)
    if not stays or where != name:
        message = f"the component {show(name)} is no folder of the repository"
        roles.problems.append(Problem(MODEL_INDEX, message))
    return where == name


def _all_safe(names: Iterable[str], folders: set[str], variant: str | None) -> bool:
    """`is_safetensors_compatible`: one component without safetensors, and all are loaded as pickles."""
    components: dict[str, list[str]] = {}
    for path in names:
        folder, name = split(path)
        if folder and (folder in folders or not folders) and path.endswith(_MODEL_SUFFIXES):
            components.setdefault(folder, []).append(name)
    if not components:  # a flat repository, as its root says
        flat = _fitting([path for path in names if "/" not in path], variant)
        return any(name.endswith(".safetensors") for name in flat)
    return all(
        any(name.endswith(".safetensors") for name in _fitting(found, variant))
        for found in components.values()
    )


def _fitting(names: Iterable[str], variant: str | None) -> list[str]:
    """The files of the variant, or the plain ones where there are none."""
    found = list(names)
    with_variant = [name for name in found if variant is not None and _is_variant(name, variant)]
    return with_variant or [name for name in found if _PLAIN.fullmatch(name)]


def _is_variant(name: str, variant: str) -> bool:
    escaped = re.escape(variant)
    shapes = (
        rf"(?:{_PREFIXES})\.{escaped}(?:-{_SHARD})?\.(?:{_SUFFIXES})",
        rf"(?:{_PREFIXES})\.(?:{_SUFFIXES})\.(?:index\.{escaped}|{escaped}\.index)\.json",
        rf".*-{_SHARD}\.{escaped}\.[a-z]+",
    )
    return any(re.fullmatch(shape, name) for shape in shapes)


def _usable(names: Iterable[str], suffix: str, variant: str | None) -> set[str]:
    """`variant_compatible_siblings`: the weights that are downloaded, also from folders that
    model_index.json does not name. In what is no component's folder, by the name alone."""
    groups: dict[str, list[str]] = {}
    for path in names:
        folder = split(path)[0]
        groups.setdefault(folder if "/" not in folder else "", []).append(path)
    usable = set()
    for paths in groups.values():
        fitting = [path for path in paths if _is_weight(path) and suffix in split(path)[1]]
        of_variant = [
            path for path in fitting if variant is not None and _is_variant(split(path)[1], variant)
        ]
        plain = [
            path
            for path in fitting
            if _PLAIN.fullmatch(split(path)[1]) or _PLAIN_INDEX.fullmatch(split(path)[1])
        ]
        usable.update(of_variant or plain)
    return usable


def _is_weight(path: str) -> bool:
    name = split(path)[1]
    return name.endswith((".bin", ".safetensors")) or is_index(name)


def _place_usable(repo: Repository, path: str, components: set[str], roles: Roles) -> None:
    folder = split(path)[0]
    if folder not in components:
        reason = (
            "diffusers downloads it with the pipeline, though model_index.json names no such part"
        )
        roles.give(path, LoadRole.FALLBACK, reason)
        return
    roles.give(path, LoadRole.LOADED, f"diffusers takes it for the weights of {folder}")
    if is_index(split(path)[1]):
        for shard in read_index(repo, path).shards:
            roles.give(shard, LoadRole.LOADED, f"diffusers takes it as a shard of {path}")


def _place_unused(
    repo: Repository,
    usable: set[str],
    components: set[str],
    safe: bool,
    options: LoadOptions,
    roles: Roles,
) -> None:
    """The other weights of the components: the other format, the other variant."""
    refused = {"auto": None, "true": ".bin", "false": ".safetensors"}[options.use_safetensors]
    for folder in sorted(components):
        for name in repo.names_in(folder):
            path = join(folder, name)
            if path in usable or not _is_weight(path):
                continue
            if refused is not None and refused in name:
                why = f"diffusers takes no {refused[1:]} file with this use_safetensors"
                roles.give(path, LoadRole.NEVER, why)
            elif _is_default(name, options):
                other = "safetensors" if safe else "pickled"
                reason = f"diffusers takes the {other} files; it takes this one if one of them is missing"
                roles.give(path, LoadRole.FALLBACK, reason)


def _place_variants(repo: Repository, folder: str, roles: Roles) -> None:
    """Without a file of the usual name, a load has to ask for some variant."""
    for name in repo.names_in(folder):
        path = join(folder, name)
        if _is_weight(path) and name.startswith(_STEMS):
            roles.give(path, LoadRole.LOADED, "only variants are there, and diffusers takes one")


def _is_default(name: str, options: LoadOptions) -> bool:
    """Whether the name is one that is looked for with these options, or without any variant."""
    if _PLAIN.fullmatch(name) or _PLAIN_INDEX.fullmatch(name):
        return True
    return options.variant is not None and _is_variant(name, options.variant)


def _place_component(repo: Repository, folder: str, has_weights: bool, roles: Roles) -> None:
    if has_weights:
        _place_texts(repo, folder, roles)
        return
    # tokenizers, schedulers: their folders are downloaded whole
    place_side_files(repo, folder, roles)
    for path in repo.below(folder):
        if path not in roles.given and not path.endswith(".py"):
            executes = repo.may_execute(path)
            role = LoadRole.FALLBACK if executes else LoadRole.LOADED
            roles.give(path, role, f"diffusers downloads all of {folder}, in which no weights are")


def _place_texts(repo: Repository, folder: str, roles: Roles) -> None:
    """A transformers component names its weights itself, and every model has a config.json."""
    place_explicit(repo, folder, roles)
    place_side_files(repo, folder, roles)


def _place_code(
    repo: Repository,
    index: Mapping[str, object],
    components: set[str],
    code: dict[str, str],
) -> None:
    """`_get_custom_components_and_folders`: `component/module.py`; a pipeline's class by a list."""
    named = [
        (f"{part}/{first}.py", part)
        for part in sorted(components)
        for first in _first(index.get(part))
    ]
    named += [(f"{first}.py", "_class_name") for first in _first(index.get("_class_name"))]
    for path, key in named:
        if repo.has(path):
            code[path] = f"{MODEL_INDEX} names it for {key}"
    if repo.has(_CUSTOM_PIPELINE):
        code.setdefault(_CUSTOM_PIPELINE, "diffusers downloads it as the custom pipeline")


def _first(value: object) -> list[str]:
    return [value[0]] if isinstance(value, list) and value and isinstance(value[0], str) else []


def _texts_of(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _arguments(options: LoadOptions, roles: Roles) -> dict[str, object]:
    arguments: dict[str, object] = {"trust_remote_code": False}
    if options.variant is not None:
        arguments["variant"] = options.variant
    if options.folder:
        arguments["subfolder"] = options.folder
    loaded = [path for path, (role, _) in roles.given.items() if role is LoadRole.LOADED]
    pickled = [path for path in loaded if path.endswith(".bin")]
    if any(path.endswith(".safetensors") for path in loaded) and not pickled:
        arguments["use_safetensors"] = True
    return arguments
