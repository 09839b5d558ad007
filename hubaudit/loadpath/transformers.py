"""What transformers opens: `AutoModel.from_pretrained`, its tokenizers and processors.

The rules are those of transformers 5.23, `modeling_utils.py`, `_get_resolved_checkpoint_files`, where
no other file is named. Of 4.x the same, and TensorFlow's and Flax's files.
"""

from __future__ import annotations

import re

from hubaudit.loadpath.code import strings_of
from hubaudit.loadpath.documents import ADAPTER_CONFIG, CONFIG
from hubaudit.loadpath.ladder import (
    Checkpoint,
    add_variant,
    find,
    place,
    place_by_options,
    place_refused,
)
from hubaudit.loadpath.names import is_index, is_shard, is_training_state
from hubaudit.loadpath.options import LoadOptions
from hubaudit.loadpath.paths import join, resolve, show, split
from hubaudit.loadpath.repository import Problem, Repository
from hubaudit.loadpath.roles import Roles
from hubaudit.model import LoadRole

_LOADER = "transformers"
SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_ADAPTER_SAFE, _ADAPTER_PICKLED = "adapter_model.safetensors", "adapter_model.bin"

# Other frameworks' weights (4.x: `utils/__init__.py`, TF2_WEIGHTS_NAME, FLAX_WEIGHTS_NAME, TF_WEIGHTS_NAME;
# rust-bert, PaddleNLP, MindNLP). Their own loaders take them first,
# `from_pretrained` with from_tf or from_flax only.
_OTHER_FRAMEWORKS = re.compile(
    r"(tf_model.*\.h5|flax_model.*\.msgpack|model\.ckpt.*|rust_model\.ot|model.*\.onnx"
    r"|.*\.pdparams|mindspore_model.*\.ckpt)"
    r"(\.index\.json)?"
)
# Pickles that are no weights: transfo-xl's vocabulary (4.x, `tokenization_transfo_xl.py`), the voices
# of qwen2_5_omni, wav2vec2's adapters (`load_adapter`); and what is named as people name the like.
_SIDE_PICKLES = re.compile(
    r"(?i).*(vocab|tokenizer|spk_dict|speaker|processor|feature_extractor).*"
)
_LANGUAGE_ADAPTER = re.compile(r"adapter\.(?P<language>[^.]+)\.(?P<suffix>bin|safetensors)")
_VARIANT = re.compile(
    r"(?:pytorch_model|model)(?:\.(?P<new>[^.]+?)(?:-\d{5}-of-\d{5})?|-\d{5}-of-\d{5}\.(?P<old>[^.]+))"
    r"\.(?:bin|safetensors)"
)
# `auto_conversion` (5.23 `safetensors_conversion.py`): what it takes then is in no listing of the commit.
_CONVERTED = (
    "with use_safetensors=True transformers refuses it, and without a pinned revision takes the "
    "safetensors file of a pull request by the Hub's converter"
)
# What `from_pretrained` of a configuration, tokenizer or processor reads beside the weights. Their
# names differ from tokenizer to tokenizer, so the suffixes decide.
_TEXTS = (".json", ".txt", ".model", ".spm", ".codes", ".tiktoken", ".jinja", ".vocab", ".bpe")


def place_transformers(repo: Repository, options: LoadOptions) -> Roles:
    """The load of the folder that the options name."""
    roles = Roles()
    place_model(repo, options.folder, options, roles)
    place_adapter(repo, options.folder, options, roles)
    roles.arguments = _arguments(options, roles)
    return roles


def place_model(repo: Repository, folder: str, options: LoadOptions, roles: Roles) -> None:
    """The model, tokenizer and processors in `folder`."""
    place_explicit(repo, folder, roles)
    safe, pickled = _checkpoints(repo, folder, options.variant)
    if options.variant is not None:
        plain = [one for found in _checkpoints(repo, folder, None) for one in found]
        for checkpoint in plain:
            paths = (checkpoint.path, *checkpoint.shards)
            roles.give_all(paths, LoadRole.FALLBACK, "transformers takes it without variant=")
    elif not safe and not pickled:
        for variant in sorted(_variants(repo, folder)):
            more_safe, more_pickled = _checkpoints(repo, folder, variant)
            safe, pickled = safe + more_safe, pickled + more_pickled
    if not safe and options.use_safetensors == "true":
        place_refused(roles, pickled, _CONVERTED)
    place_by_options(roles, safe, pickled, _LOADER, options)
    _place_without_index(repo, folder, roles, bool(safe or pickled))
    _place_gguf(repo, folder, roles, bool(safe or pickled))
    _place_other_frameworks(repo, folder, roles, bool(safe or pickled))
    place_side_files(repo, folder, roles)


def _checkpoints(
    repo: Repository, folder: str, variant: str | None
) -> tuple[list[Checkpoint], list[Checkpoint]]:
    safe = find(repo, folder, [add_variant(name, variant) for name in SAFE])
    pickled = find(repo, folder, [add_variant(name, variant) for name in PICKLED])
    return safe, pickled


def has_weights(repo: Repository, folder: str) -> bool:
    """Whether `save_pretrained` may have written weights into `folder`, by their names."""
    found = _checkpoints(repo, folder, None)
    return any(found) or bool(_variants(repo, folder))


def _variants(repo: Repository, folder: str) -> set[str]:
    matches = (_VARIANT.fullmatch(name) for name in repo.names_in(folder))
    return {match["new"] or match["old"] for match in matches if match is not None}


def place_explicit(repo: Repository, folder: str, roles: Roles) -> None:
    """`transformers_weights` of config.json comes before every other name and before the options.

    It has to be a safetensors file or index, or, by the code if not by intent, `adapter_model.bin`.
    """
    config = join(folder, CONFIG)
    name = repo.object_at(config).get("transformers_weights")
    if not isinstance(name, str):
        return
    path, stays = resolve(folder, name)
    if not stays or not repo.has(path):
        why = "is not there" if stays else "leads out of its folder"
        roles.problems.append(
            Problem(config, f"transformers_weights names {show(name)}, which {why}")
        )
    where, file = split(path)
    for checkpoint in find(repo, where, [file]):
        paths = (checkpoint.path, *checkpoint.shards)
        roles.give_all(paths, LoadRole.LOADED, f"{config} names it as transformers_weights")


def _place_without_index(repo: Repository, folder: str, roles: Roles, others: bool) -> None:
    """Shards that no index names: no loader finds them, people who write their own do."""
    role = LoadRole.FALLBACK if others else LoadRole.LOADED
    for name in repo.names_in(folder):
        path = join(folder, name)
        if is_shard(name) and name.endswith((".bin", ".safetensors")) and path not in roles.given:
            roles.give(path, role, "it is named like a shard of the weights, but no index names it")


def _place_gguf(repo: Repository, folder: str, roles: Roles, others: bool) -> None:
    for name in repo.names_in(folder):
        if name.endswith(".gguf"):
            role = LoadRole.FALLBACK if others else LoadRole.LOADED
            roles.give(join(folder, name), role, f"transformers takes it with gguf_file={name!r}")


def _place_other_frameworks(repo: Repository, folder: str, roles: Roles, others: bool) -> None:
    for name in repo.names_in(folder):
        if _OTHER_FRAMEWORKS.fullmatch(name):
            role = LoadRole.FALLBACK if others else LoadRole.LOADED
            reason = "it holds the weights for another framework, whose classes open it"
            roles.give(join(folder, name), role, reason)


def place_side_files(repo: Repository, folder: str, roles: Roles) -> None:
    """Configuration, vocabularies, and pickles that are part of a tokenizer or processor."""
    for name in repo.names_in(folder):
        path = join(folder, name)
        adapter = _LANGUAGE_ADAPTER.fullmatch(name)
        if adapter is not None:
            twin = f"adapter.{adapter['language']}.safetensors"
            first = adapter["suffix"] == "safetensors" or not repo.has(join(folder, twin))
            role = LoadRole.LOADED if first else LoadRole.FALLBACK
            roles.give(path, role, "transformers takes it for the target_lang of its name")
        elif repo.may_execute(path) and _SIDE_PICKLES.fullmatch(name):
            roles.give(
                path, LoadRole.LOADED, "its name is that of a tokenizer's or processor's file"
            )
        elif path not in roles.given and name.endswith(_TEXTS) and not is_index(name):
            roles.give(path, LoadRole.LOADED, "configuration or vocabulary beside the weights")


def place_named(repo: Repository, roles: Roles) -> None:
    """Executable files that some document names by their path or name, for whatever purpose."""
    executable = {path for path in repo.files if repo.may_execute(path)}
    if not executable:
        return
    for document, value in sorted(repo.documents.items()):
        folder, name = split(document)
        if is_index(name):
            continue
        for text in sorted(set(strings_of(value))):
            path, _ = resolve(folder, text)
            if path in executable and path not in roles.given and not is_training_state(path):
                roles.give(path, LoadRole.LOADED, f"{document} names it")


def place_adapter(repo: Repository, folder: str, options: LoadOptions, roles: Roles) -> None:
    """A PEFT adapter, as transformers and PEFT 0.21 (`utils/save_and_load.py`) open it.

    Both try the safetensors file first. transformers (`integrations/peft.py`, `load_adapter`) then
    takes the pickle even with use_safetensors=True; with False it begins with it.
    """
    config = join(folder, ADAPTER_CONFIG)
    names = [_ADAPTER_SAFE, _ADAPTER_PICKLED]
    if not repo.has(config) and not any(repo.has(join(folder, name)) for name in names):
        return
    otherwise = " or with use_safetensors=False"
    if options.use_safetensors == "false":
        names.reverse()
        otherwise = ""
    place(roles, find(repo, folder, names), "PEFT", otherwise)
    roles.give(config, LoadRole.LOADED, "PEFT reads it")


def _arguments(options: LoadOptions, roles: Roles) -> dict[str, object]:
    arguments: dict[str, object] = {"trust_remote_code": False, "weights_only": True}
    if options.variant is not None:
        arguments["variant"] = options.variant
    if options.folder:
        arguments["subfolder"] = options.folder
    loaded = [path for path, (role, _) in roles.given.items() if role is LoadRole.LOADED]
    if any(path.endswith(".safetensors") for path in loaded) and options.use_safetensors != "false":
        arguments["use_safetensors"] = True
    gguf = [split(path)[1] for path in loaded if path.endswith(".gguf")]
    if len(gguf) == 1:
        arguments["gguf_file"] = gguf[0]
    return arguments
