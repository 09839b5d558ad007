"""What somebody opens who calls `hf_hub_download` and does the rest alone: it could be any file."""

from __future__ import annotations

from hubaudit.loadpath.ladder import find
from hubaudit.loadpath.names import is_training_state
from hubaudit.loadpath.paths import split
from hubaudit.loadpath.repository import Repository
from hubaudit.loadpath.roles import Roles
from hubaudit.model import LoadRole

# Pairs that only libraries write, and each of these prefers the first: transformers, timm,
# sentence-transformers and huggingface_hub's own mixin (`hub_mixin.py`) for the first pair, then
# PEFT, diffusers (its models and its LoRA loaders), and open_clip.
_PAIRS = (
    ("model.safetensors", "pytorch_model.bin"),
    ("model.safetensors.index.json", "pytorch_model.bin.index.json"),
    ("adapter_model.safetensors", "adapter_model.bin"),
    ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin"),
    ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
)
_WEIGHTS = (".safetensors", ".gguf", ".onnx", ".tflite", ".npz", ".pb")


def place_everything(repo: Repository) -> Roles:
    """The user has said that no library's rules hold: whatever may run counts as loaded."""
    roles = Roles()
    for path in repo.files:
        _place(repo, path, "a download by name can be followed by any load", roles)
    return roles


def place_unknown(repo: Repository) -> Roles:
    """No library is recognised. What only a training resumes is still never opened, and names that
    only libraries write are taken as these do."""
    roles = Roles()
    behind = _second_choices(repo)
    for path in repo.files:
        if is_training_state(path):
            continue
        if path in behind:
            reason = f"every library that writes such names prefers {behind[path]}"
            roles.give(path, LoadRole.FALLBACK, reason)
        else:
            _place(repo, path, "no known library's layout, so anything may open it", roles)
    return roles


def _place(repo: Repository, path: str, reason: str, roles: Roles) -> None:
    if path.endswith(".py"):
        roles.give(path, LoadRole.CODE, f"{reason}; it runs if it is imported")
    elif repo.may_execute(path) or path.endswith(_WEIGHTS):
        roles.give(path, LoadRole.LOADED, reason)
    else:
        roles.give(path, LoadRole.NEVER, "nothing in it can run, and no known library asks for it")


def _second_choices(repo: Repository) -> dict[str, str]:
    """Path → what is preferred to it."""
    found = {}
    for folder in {split(path)[0] for path in repo.files}:
        for pair in _PAIRS:
            checkpoints = find(repo, folder, pair)
            for checkpoint in checkpoints[1:]:
                paths = (checkpoint.path, *checkpoint.shards)
                found.update(dict.fromkeys(paths, checkpoints[0].path))
    return found
