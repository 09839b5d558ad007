"""Which files can execute, how each is read, and which pickle has which safetensors sibling."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from hubaudit.formats.contents import Format
from hubaudit.formats.read import CONTAINERS
from hubaudit.model import ReadHow, RepoFile

# What torch.load, pickle.load and joblib.load are given. `.bin` is for anything, so it counts only
# with the names that transformers, diffusers, PEFT and accelerate give to checkpoints. A plain `model.bin`
# is as often CTranslate2's or fastText's: its bytes have to say what it is.
_PICKLE_SUFFIXES = frozenset(
    {".pkl", ".pickle", ".pt", ".pth", ".pt2", ".ckpt", ".joblib", ".dill", ".ot"}
)
# What joblib, pandas and people add to the name of a pickle that they compress.
_COMPRESSION_SUFFIXES = frozenset({".gz", ".gzip", ".bz2", ".xz", ".lzma", ".z", ".zlib", ".zip"})
_CHECKPOINT_STEMS = (
    "pytorch_model",
    "model-0",  # …0001-of-00002
    "adapter_model",
    "optimizer",
    "scheduler",
    "training_args",
)


def promises_pickle(path: str) -> bool:
    """Whether people and loaders will take this file for a pickle, whatever its bytes are."""
    name = PurePosixPath(path)
    if name.suffix.lower() in _COMPRESSION_SUFFIXES:
        name = name.with_suffix("")
    suffix = name.suffix.lower()
    if suffix == ".bin":
        return (
            name.stem.lower().startswith(_CHECKPOINT_STEMS) or "pytorch_model" in name.stem.lower()
        )
    return suffix in _PICKLE_SUFFIXES


def how_to_read(path: str, format_: Format) -> ReadHow:
    """Pickles, also those by name alone, go whole into the cache, where the loader finds the bytes
    that were judged.

    Archives, compressed files and arrays that no name promises to be checkpoints, and what may turn
    out to be no pickle at all, are read in place; of everything else, safetensors too, only the
    beginning is.
    """
    named = promises_pickle(path) or path.lower().endswith(".bin")
    match format_:
        case Format.PICKLE | Format.TORCH_LEGACY:
            return ReadHow.CACHE
        case Format.DATA | Format.TEXT | Format.UNCERTAIN if promises_pickle(path):
            return ReadHow.CACHE
        case Format.UNCERTAIN:
            return ReadHow.RANGE
        case _ if format_ in CONTAINERS or format_ is Format.NUMPY:
            return ReadHow.CACHE if named else ReadHow.RANGE
        case _:
            return ReadHow.HEADER


def can_execute(path: str, format_: Format) -> bool:
    """Whether a pickle is or may be inside: what the coverage line counts."""
    pickled = (
        Format.PICKLE,
        Format.TORCH_LEGACY,
        Format.TORCH_ZIP,
        Format.TORCHSCRIPT,
        Format.NUMPY,
    )
    return format_ in pickled or format_ in CONTAINERS or promises_pickle(path)


def sibling_of(path: str, files: Iterable[RepoFile]) -> str | None:
    """The safetensors file that should hold the same tensors as the pickle at `path`.

    transformers writes `pytorch_model-00001-of-00002.bin` beside `model-00001-of-00002.safetensors`;
    everybody else changes the suffix only.
    """
    name = PurePosixPath(path)
    stem = name.name.removesuffix(name.suffix)
    candidates = {str(name.with_name(f"{stem}.safetensors"))}
    if stem.startswith("pytorch_model"):
        stem = stem.removeprefix("pytorch_")
        candidates.add(str(name.with_name(f"{stem}.safetensors")))
    return min((file.path for file in files if file.path in candidates), default=None)
