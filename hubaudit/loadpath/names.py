"""Names that tell by themselves what a file is for."""

from __future__ import annotations

import re

from hubaudit.loadpath.paths import split

# transformers 5.23 and diffusers 0.42, `_add_variant`: `X.safetensors.index.fp16.json`. diffusers' older
# spelling is `X.safetensors.fp16.index.json` (`_fetch_index_file_legacy`).
INDEX = re.compile(
    r"(?P<stem>.+)\.(?P<suffix>safetensors|bin|h5|msgpack)"
    r"(?:\.(?P<legacy>[^.]+))?\.index(?:\.(?P<variant>[^.]+))?\.json"
)
_SHARD = re.compile(r"(?P<stem>.+?)-\d{5}-of-\d{5}(?P<suffix>\..+)")
# What resuming a training opens, and nothing else: transformers 5.23 `trainer.py` (TRAINING_ARGS_NAME,
# OPTIMIZER_NAME, SCHEDULER_NAME, SCALER_NAME, `rng_state_0.pth`), accelerate 1.15 `checkpointing.py`
# (`random_states_0.pkl`, `optimizer_1.bin`). Exactly these: `optimizer_evil.pkl` is none of them.
_TRAINING_STATE = re.compile(
    r"training_args\.bin|(optimizer|scheduler|scaler)(_\d+)?\.(pt|bin)"
    r"|rng_state(_\d+)?\.pth|random_states_\d+\.pkl"
)


def is_index(name: str) -> bool:
    return INDEX.fullmatch(name) is not None


def is_shard(name: str) -> bool:
    return _SHARD.fullmatch(name) is not None


def shard_family(name: str) -> tuple[str, str] | None:
    """What is before and after the numbers of a shard's name; None if it is no shard's."""
    shard = _SHARD.fullmatch(name)
    return None if shard is None else (shard["stem"], shard["suffix"])


def is_training_state(path: str) -> bool:
    return _TRAINING_STATE.fullmatch(split(path)[1]) is not None
