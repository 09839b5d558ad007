"""Names that tell by themselves what a file is for."""

from __future__ import annotations

import re

from hubaudit.loadpath.repository import split

# What resuming a training opens, and nothing else: transformers 5.23 `trainer.py` (TRAINING_ARGS_NAME,
# OPTIMIZER_NAME, SCHEDULER_NAME, SCALER_NAME, `rng_state_0.pth`), accelerate 1.15 `checkpointing.py`
# (`random_states_0.pkl`, `optimizer_1.bin`). Exactly these: `optimizer_evil.pkl` is none of them.
_TRAINING_STATE = re.compile(
    r"training_args\.bin|(optimizer|scheduler|scaler)(_\d+)?\.(pt|bin)"
    r"|rng_state(_\d+)?\.pth|random_states_\d+\.pkl"
)


def is_training_state(path: str) -> bool:
    return _TRAINING_STATE.fullmatch(split(path)[1]) is not None
