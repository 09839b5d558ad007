"""Models that are programs of another kind than pickles: which reader looks at which file.

Loaders of these formats go by names and not by bytes: TensorFlow opens `saved_model.pb`, Keras what ends in
`.keras`, `.h5` or `.hdf5`, and `config.json` in a folder or archive. HDF5 is known by its bytes, too.
"""

from __future__ import annotations

from hubaudit.formats import keras
from hubaudit.formats.contents import Contents, Format, Gap
from hubaudit.formats.graphs import read_graph, read_text_graph
from hubaudit.formats.hdf5 import read_hdf5
from hubaudit.formats.place import MAX_HELD, Effort
from hubaudit.formats.unpacked import HeldSource, UnpackedSource
from hubaudit.source import Source

GRAPHS = (".pb", ".meta")
TEXT_GRAPHS = (".pbtxt",)
CONFIGURATIONS = (".json",)
KERAS_FILES = (".h5", ".hdf5", ".keras")
NAMED = (*GRAPHS, *TEXT_GRAPHS, *CONFIGURATIONS, *KERAS_FILES)
_KERAS_JSON = ("config.json", "metadata.json")
MODEL_NAMES = (*_KERAS_JSON, *NAMED)
_HEAD = 8192  # bytes of other JSON, in which Keras's own begins with its class
_OPEN = frozenset({Format.DATA, Format.TEXT, Format.UNCERTAIN})


def read_programs(source: Source, name: str, format_: Format, effort: Effort) -> Contents:
    """What a file or member of this name, with bytes of `format_`, would run, other than pickles.

    Nothing if it is no model of a format that is known here. Raises OutOfReach.
    """
    return _read(source, name, None, format_, effort)


def read_member_programs(
    source: Source, member: str | None, format_: Format, effort: Effort
) -> Contents:
    """The same of a member of an archive."""
    return _read(source, member or "", member, format_, effort)


def hold(source: Source, member: str | None) -> Source:
    """A compressed member whose name asks for more than one look, in memory if it is not too large."""
    if not isinstance(source, UnpackedSource) or not (member or "").lower().endswith(NAMED):
        return source
    held = HeldSource(source, MAX_HELD)
    return source if held.is_cut else held


def _read(
    source: Source, name: str, member: str | None, format_: Format, effort: Effort
) -> Contents:
    lowered = name.lower()
    if lowered.endswith(KERAS_FILES) and format_ is not Format.ZIP:
        # behind a user block, of whatever bytes, HDF5 begins at byte 512 or later
        return read_hdf5(source, member, effort)
    if format_ not in _OPEN:
        return Contents(format_)
    if lowered.endswith(GRAPHS):
        return read_graph(source, member, effort)
    if lowered.endswith(TEXT_GRAPHS):
        return read_text_graph(source, member)
    if lowered.endswith(CONFIGURATIONS):
        return _read_json(source, lowered, member)
    return Contents(format_)


def _read_json(source: Source, name: str, member: str | None) -> Contents:
    head = source.read(0, _HEAD)
    if name.rpartition("/")[2] not in _KERAS_JSON and b'"class_name"' not in head:
        return Contents(Format.TEXT)
    text = source.read(0, keras.MAX_PARSED + 1)
    try:
        value = keras.parse(text)
    except keras.TooMuch as error:
        gaps = (Gap(member, str(error)),) if b"class_name" in text else ()
        return Contents(Format.TEXT, gaps=gaps)
    return Contents(Format.TEXT, oddities=tuple(keras.judge(value, member)))
