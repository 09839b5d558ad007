"""What a reader found in one file: pickles, oddities, and what it could not read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hubaudit.pvm.values import Trace


class Format(StrEnum):
    """What a file is, by its bytes. The value is the word of the report."""

    PICKLE = "pickle"
    TORCH_ZIP = "torch-zip"
    TORCH_LEGACY = "torch-legacy"
    TORCHSCRIPT = "torchscript"
    ZIP = "zip"
    SAFETENSORS = "safetensors"
    NUMPY = "numpy"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    LZMA = "lzma"
    ZLIB = "zlib"
    ZFILE = "joblib-z"
    ZSTD = "zstd"
    LZ4 = "lz4"
    SEVEN_ZIP = "7z"
    TAR = "tar"
    HDF5 = "hdf5"
    GGUF = "gguf"
    GGML = "ggml"
    TFLITE = "tflite"
    IMAGE = "image"
    AUDIO = "audio"
    PARQUET = "parquet"
    ARROW = "arrow"
    PDF = "pdf"
    TEXT = "text"
    EMPTY = "empty"
    DATA = "data"
    UNCERTAIN = "uncertain"  # perhaps a pickle: the first bytes do not tell


@dataclass(frozen=True, slots=True)
class PickleRead:
    """One interpreted pickle. `member` is None if it lies in the file itself."""

    member: str | None
    trace: Trace


@dataclass(frozen=True, slots=True)
class Trailing:
    """`size` bytes at `offset` that belong to no pickle and that nothing accounts for."""

    member: str | None
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of the file that was not interpreted, and why."""

    member: str | None
    why: str


class OddityKind(StrEnum):
    """What can be odd about a container."""

    DISAGREEMENT = "disagreement"  # two readers of it would see different things
    SEVERAL = "several"  # archives of torch one after the other
    HIDDEN = "hidden"  # a member that some readers do not see
    LEADS_OUT = "leads-out"  # a name or link out of the folder that it is unpacked in
    OWN_PATH = "own-path"  # an absolute name, of the archive itself
    EXPANSION = "expansion"  # it unpacks to more than is read
    TORCHSCRIPT_CODE = "torchscript-code"
    PACKAGE_CODE = "package-code"  # Python, in an archive of torch.package
    # Of a model that is a program:
    MODEL_CODE = "model-code"  # it brings code along, or writes files
    MODEL_FILES = "model-files"  # it reads files, or calls what the loader has
    MODEL_CUSTOM = "model-custom"  # it names code that is not in it
    # Of a safetensors header:
    SAFETENSORS_AMBIGUOUS = "safetensors-ambiguous"  # readers would take different tensors
    SAFETENSORS_HIDDEN = "safetensors-hidden"  # bytes that are no tensor's
    SAFETENSORS_REFUSED = "safetensors-refused"  # by the official reader
    SAFETENSORS_STRAY = "safetensors-stray"  # against the format, but read alike by all


@dataclass(frozen=True, slots=True)
class Oddity:
    """`offset` counts bytes from the start of the container; `detail` is a sentence without its end."""

    kind: OddityKind
    member: str | None
    offset: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Contents:
    format: Format
    pickles: tuple[PickleRead, ...] = ()
    trailing: tuple[Trailing, ...] = ()
    gaps: tuple[Gap, ...] = ()
    oddities: tuple[Oddity, ...] = ()

    def __add__(self, other: Contents) -> Contents:
        """What two readers found in the same file. The format is the left one's."""
        return together(self.format, (self, other))


def together(format_: Format, parts: Iterable[Contents]) -> Contents:
    """What is in a file of many parts, in their order."""
    pickles: list[PickleRead] = []
    trailing: list[Trailing] = []
    gaps: list[Gap] = []
    oddities: list[Oddity] = []
    for part in parts:
        pickles += part.pickles
        trailing += part.trailing
        gaps += part.gaps
        oddities += part.oddities
    return Contents(format_, tuple(pickles), tuple(trailing), tuple(gaps), tuple(oddities))
