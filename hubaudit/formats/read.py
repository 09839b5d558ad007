"""A file's bytes and format → its contents. The one place that knows which reader reads what."""

from __future__ import annotations

from collections.abc import Callable

from hubaudit.formats.contents import Contents, Format, Gap
from hubaudit.formats.raw import read_pickles, read_uncertain
from hubaudit.formats.safetensors import read_safetensors
from hubaudit.formats.torch_legacy import read_torch_legacy
from hubaudit.formats.zip import read_zip
from hubaudit.source import Source

READERS: dict[Format, Callable[[Source], Contents]] = {
    Format.PICKLE: read_pickles,
    Format.UNCERTAIN: read_uncertain,
    Format.TORCH_LEGACY: read_torch_legacy,
    Format.ZIP: read_zip,
    Format.SAFETENSORS: read_safetensors,
}

# A pickle can be inside, and there is no reader yet: said so, never passed over.
UNREADABLE: dict[Format, str] = {
    Format.NUMPY: "numpy files can hold pickled objects and are not read yet",
    Format.GZIP: "compressed (gzip) files are not read yet",
    Format.BZIP2: "compressed (bzip2) files are not read yet",
    Format.XZ: "compressed (xz) files are not read yet",
    Format.ZLIB: "compressed (zlib) files are not read yet",
    Format.ZSTD: "compressed (zstd) files are not read yet",
    Format.LZ4: "compressed (lz4) files are not read yet",
    Format.SEVEN_ZIP: "7z archives are not read yet",
    Format.TAR: "tar archives are not read yet",
}


def read_contents(source: Source, format_: Format) -> Contents:
    """What is in a file that `sniff` took for `format_`. Never raises for what the bytes say."""
    if (reader := READERS.get(format_)) is not None:
        return reader(source)
    if (why := UNREADABLE.get(format_)) is not None:
        return Contents(format_, gaps=(Gap(None, why),))
    return Contents(format_)
