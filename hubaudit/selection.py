"""Which files can execute, and how each is read."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from pathlib import PurePosixPath

from hubaudit.formats.contents import Contents, Format
from hubaudit.formats.read import (
    CONTAINERS,
    PROGRAMS,
    read_file,
    read_promised,
    read_promised_archive,
)
from hubaudit.model import ReadHow
from hubaudit.pvm.state import Limits
from hubaudit.source import Source

# What torch.load, pickle.load and joblib.load are given. `.bin` is for anything, so it counts only
# with the names that transformers, diffusers, PEFT and accelerate give to checkpoints. A plain `model.bin`
# is as often CTranslate2's or fastText's: its bytes have to say what it is.
_PICKLE_SUFFIXES = frozenset(
    {".pkl", ".pickle", ".pt", ".pth", ".pt2", ".ckpt", ".joblib", ".dill", ".ot"}
)
# What joblib, pandas and people add to the name of a pickle that they compress.
_COMPRESSION_SUFFIXES = frozenset({".gz", ".gzip", ".bz2", ".xz", ".lzma", ".z", ".zlib", ".zip"})
# What the members of an archive make of it, and what is no archive but can hold a pickle.
_HOLDING = (Format.TORCH_ZIP, Format.TORCHSCRIPT, Format.NUMPY)
# What zipfile and torch.jit.load are given, which find an archive behind other bytes, too;
# torch.load and numpy.load do not.
_ARCHIVE_SUFFIXES = frozenset(
    {".zip", ".npz", ".skops", ".keras", ".mar", ".ptl", ".whl", ".egg", ".jar"}
)
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


def reader_for(path: str) -> Callable[[Source, int, Limits], Contents]:
    """How the bytes of a file are read, by what its name makes people and loaders take it for.

    The reader is given the bytes, how deep archives are opened, and the limits of each pickle.
    """
    if promises_pickle(path):
        return read_promised
    name = PurePosixPath(path)
    suffix = name.suffix.lower()
    if (program := PROGRAMS.get(name.name.lower()) or PROGRAMS.get(suffix)) is not None:
        return program
    is_archive = suffix in _ARCHIVE_SUFFIXES
    return read_promised_archive if is_archive else read_file


class _Inside(Enum):
    """What a pickle has to do with a file."""

    ITSELF = auto()  # it is one, or is named like one and has the bytes of nothing else
    MEMBER = auto()  # it may hold some
    NAME = auto()  # it is only named like one: its bytes are an image's, say
    PERHAPS = auto()  # its first bytes do not tell
    NOTHING = auto()


def _inside(path: str, format_: Format) -> _Inside:
    if format_ in (Format.PICKLE, Format.TORCH_LEGACY):
        return _Inside.ITSELF
    if format_ in CONTAINERS or format_ in _HOLDING:
        return _Inside.MEMBER
    if promises_pickle(path):
        is_open = format_ in (Format.DATA, Format.TEXT, Format.UNCERTAIN)
        return _Inside.ITSELF if is_open else _Inside.NAME
    return _Inside.PERHAPS if format_ is Format.UNCERTAIN else _Inside.NOTHING


def how_to_read(path: str, format_: Format) -> ReadHow:
    """Pickles, also those by name alone, go whole into the cache, where the loader finds the bytes
    that were judged.

    Archives, compressed files and arrays that no name promises to be checkpoints, and what may turn
    out to be no pickle at all, are read in place; of everything else, safetensors too, only the
    beginning is.
    """
    match _inside(path, format_):
        case _Inside.ITSELF:
            return ReadHow.CACHE
        case _Inside.MEMBER:
            named = promises_pickle(path) or path.lower().endswith(".bin")
            return ReadHow.CACHE if named else ReadHow.RANGE
        case _Inside.PERHAPS:
            return ReadHow.RANGE
        case _Inside.NAME | _Inside.NOTHING:
            return ReadHow.HEADER


def can_execute(path: str, format_: Format) -> bool:
    """Whether a pickle is or may be inside, or is promised: what the coverage line counts."""
    return _inside(path, format_) not in (_Inside.PERHAPS, _Inside.NOTHING)
