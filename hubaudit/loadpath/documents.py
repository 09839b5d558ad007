"""Which small documents of a commit have to be read to know what a loader would open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hubaudit.loadpath.names import is_index
from hubaudit.loadpath.paths import split
from hubaudit.model import RepoFile

# Each is one more request, so what an ordinary model has comes to two or three. A pipeline of diffusers
# has seven components, and its largest published ones some thirty documents.
MOST_DOCUMENTS = 64
# The index of DeepSeek-V3 (91 991 tensors) has 9 MB. All other documents are written by hand or by
# `save_pretrained` and have kilobytes.
MOST_BYTES_OF_AN_INDEX = 32 << 20
MOST_BYTES = 1 << 20

MODEL_INDEX = "model_index.json"
MODULES = "modules.json"
CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
OPEN_CLIP_CONFIG = "open_clip_config.json"
# What names classes by `auto_map`: transformers 5.23, `models/auto/*_auto.py`, `configuration_utils.py`.
PROCESSOR_CONFIGS = (
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
# sentence-transformers 6.2, `base/modules/router.py`: its modules lie in folders that this names.
ROUTER_CONFIG = "router_config.json"

_AT_THE_ROOT = (
    MODEL_INDEX,
    MODULES,
    CONFIG,
    ADAPTER_CONFIG,
    OPEN_CLIP_CONFIG,
    *PROCESSOR_CONFIGS,
)
_INDEXED = ("model.", "pytorch_model.", "diffusion_pytorch_model.")
_IN_ANY_FOLDER = (CONFIG, ADAPTER_CONFIG)
# Only where folders are parts of one model, which is what these two say.
_IN_A_PART = (*PROCESSOR_CONFIGS, ROUTER_CONFIG)


def wanted(files: Sequence[RepoFile]) -> tuple[str, ...]:
    """The paths to read, those nearest to the root first: at most 64, none of them large."""
    sizes = {file.path: file.size for file in files}
    fitting = [path for path in relevant(files) if sizes[path] <= _limit(path)]
    return tuple(fitting[:MOST_DOCUMENTS])


def relevant(files: Sequence[RepoFile]) -> tuple[str, ...]:
    """The same without the limits: what is missing of these is not known."""
    # by rank too: any number of files can be given names of an index that nobody asks for
    return tuple(sorted(_relevant(files), key=lambda path: (path.count("/"), _rank(path), path)))


def _rank(path: str) -> int:
    name = split(path)[1]
    if not is_index(name):
        return 0
    return 1 if name.startswith(_INDEXED) else 2


def _relevant(files: Sequence[RepoFile]) -> Iterator[str]:
    names = {file.path for file in files}
    parts = MODEL_INDEX in names or MODULES in names
    in_folders = _IN_ANY_FOLDER + _IN_A_PART if parts else _IN_ANY_FOLDER
    for path in names:
        folder, name = split(path)
        if is_index(name) or name in (in_folders if folder else _AT_THE_ROOT):
            yield path


def _limit(path: str) -> int:
    return MOST_BYTES_OF_AN_INDEX if is_index(split(path)[1]) else MOST_BYTES
