"""The operations of TensorFlow that leave a graph: they run Python, or read and write files.

Source: tensorflow 2.19, `tensorflow/core/ops/` (script_ops, io_ops, dataset_ops, experimental_dataset_ops,
logging_ops, summary_ops, word2vec_ops). Not listed, because every SavedModel has them: SaveV2, RestoreV2,
MergeV2Checkpoints, and the tables of asset files, InitializeTableFromTextFileV2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hubaudit.formats.contents import OddityKind

_CALLS = "it calls Python"
_OUTSIDE = "it runs code from outside the graph"
_WRITES = "it writes files"
_READS = "it reads files"

_CODE = {
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc", "PyCall"), _CALLS),
    # of no TensorFlow that is known, so that a library of its own has to bring them
    **dict.fromkeys(("LoadLibrary", "LoadLibraryV2", "ShellExecute", "ExecuteOp"), _OUTSIDE),
    **dict.fromkeys(
        (
            *("WriteFile", "DatasetToTFRecord", "ExperimentalDatasetToTFRecord"),
            *("SaveDataset", "SaveDatasetV2", "CreateSummaryFileWriter"),
        ),
        _WRITES,
    ),
}
_FILES = dict.fromkeys(
    (
        *(
            "ReadFile",
            "MatchingFiles",
            "MatchingFilesDataset",
            "ImmutableConst",
            "Skipgram",
            "LoadAndRemapMatrix",
        ),
        *("WholeFileReader", "WholeFileReaderV2", "TextLineReader", "TextLineReaderV2"),
        *("TFRecordReader", "TFRecordReaderV2", "FixedLengthRecordReader"),
        *("FixedLengthRecordReaderV2", "LMDBReader", "LMDBDataset", "ExperimentalLMDBDataset"),
        *("TextLineDataset", "TFRecordDataset", "TFRecordDatasetV2", "SqlDataset"),
        *("FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", "CSVDataset", "CSVDatasetV2"),
        *("ExperimentalSqlDataset", "ExperimentalCSVDataset", "LoadDataset"),
        *("ExperimentalMatchingFilesDataset", "FileSystemSetConfiguration"),
    ),
    _READS,
)
# `tf.io.write_file` and others, as the layers that Keras makes of bare calls spell them.
_FUNCTIONS = {
    **dict.fromkeys(("py_func", "py_function", "numpy_function", "eager_py_func"), _CALLS),
    **dict.fromkeys(("load_library", "load_op_library", "load_file_system_library"), _CALLS),
    "write_file": _WRITES,
}
_READING = dict.fromkeys(("read_file", "matching_files", "immutable_const"), _READS)
_WORD = re.compile(r"\w+")


def judge_op(op: str) -> tuple[OddityKind, str] | None:
    """What is to be said of an operation of a graph; None if it stays inside."""
    if (why := _CODE.get(op)) is not None:
        return OddityKind.MODEL_CODE, f"an operation of TensorFlow, {op}: {why}"
    if (why := _FILES.get(op)) is not None:
        return OddityKind.MODEL_FILES, f"an operation of TensorFlow, {op}: {why}"
    return None


def named_in(text: str, layer: str) -> Iterator[tuple[OddityKind, str]]:
    """The same for the operation that a Keras layer was made of; `text` is its configuration."""
    for word in dict.fromkeys(_WORD.findall(text)):
        if (why := _FUNCTIONS.get(word) or _CODE.get(word)) is not None:
            yield OddityKind.MODEL_CODE, f"a layer of Keras, {layer} of {word}: {why}"
        elif (why := _READING.get(word) or _FILES.get(word)) is not None:
            yield OddityKind.MODEL_FILES, f"a layer of Keras, {layer} of {word}: {why}"
