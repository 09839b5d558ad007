"""A Keras configuration, parsed from JSON: which of its objects bring code along, or name other code.

Source: keras 3.15, `saving/serialization_lib.py` (`deserialize_keras_object`, `_retrieve_class_or_fn`) and
`layers/core/lambda_layer.py`; TensorFlow's Keras 2.15, `layers/core/lambda_layer.py` and `tf_op_layer.py`. An
object is `{"class_name", "config"}`, and since Keras 2.13 `"module"` and `"registered_name"`, nested anywhere
in one another. What is found here is described and never decoded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hubaudit.formats.contents import Oddity, OddityKind
from hubaudit.formats.graph_ops import named_in
from hubaudit.formats.keras_names import KERAS_NAMES

# As in safetensors headers: as Python objects a mark takes up to 70 bytes. The largest configuration that
# Keras' own applications write, of EfficientNetV2L, has 2 MB and 90,000 marks.
MAX_PARSED = 32 << 20
MAX_MARKS = 3_000_000
_MARKS = b'"[{,'

# Who writes modules of these names is the library that the loader trusts already.
_LIBRARIES = frozenset(
    "keras keras_core keras_cv keras_hub keras_nlp keras_tuner tensorflow tf_keras "
    "tensorflow_addons tensorflow_hub tensorflow_model_optimization tensorflow_probability".split()
)
# Of Python itself, what Keras before 3.9 imported and called when a file said so (CVE-2025-1550).
_DANGEROUS_MODULES = frozenset(
    "asyncio bdb code codeop commands ctypes distutils ftplib http importlib io marshal "
    "multiprocessing nt os pathlib pdb pickle pip pkgutil platform posix profile pty runpy shutil "
    "site smtplib socket ssl subprocess sys tempfile timeit trace urllib webbrowser".split()
)
_DANGEROUS_BUILTINS = frozenset(
    "__import__ breakpoint compile eval exec execfile getattr globals input open setattr".split()
)
# Functions of Keras that fetch, unpack or load what they are told (CVE-2025-8747, CVE-2025-12060).
_DANGEROUS_KERAS = frozenset(
    "clone_model enable_unsafe_deserialization extract_archive get_file load_img load_model "
    "load_weights model_from_json model_from_yaml save_img save_model set_backend".split()
)
_NAMED_BY = frozenset({"function", "builtin", "class"})  # the class_name where config is a name
# How serialization_lib marks values that are no objects: `__tensor__`, `__numpy__`, `__tuple__`, …
_VALUE = re.compile(r"__(?!lambda__)\w+__")
_LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"})
# The packages of registered names: tf_keras calls its optimizers `Custom>Adam`.
_OF_KERAS = ("", "Custom", "keras", "Keras")
_LAMBDA = "a Lambda layer: Python code that calling the model runs"
_FUNCTION = "a Python function, as code, that Keras makes when it loads"
_NOTHING = frozenset({"", "None"})
_NAME = re.compile(r"[^\W\d][\w.>]*")
_MODULE_KEYS = ("module", "fn_module", "function_module")  # of a Lambda's configuration
_LONGEST_NAME = 80  # characters of one that are shown


class TooMuch(ValueError):
    """The text is too large, or nested too deep, to be parsed; the message says which."""


def parse(text: bytes) -> Any:
    """The value that `text` is; None if it is no JSON. Raises TooMuch.

    By Python's own parser, as in Keras: of a repeated key both take the last.
    """
    if len(text) > MAX_PARSED or sum(text.count(bytes([mark])) for mark in _MARKS) > MAX_MARKS:
        raise TooMuch(f"a Keras configuration of {len(text):,} bytes is not read")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise TooMuch("a Keras configuration is nested too deep") from error
    except ValueError:
        return None


def is_model(value: Any) -> bool:
    """Whether Keras would take it for a model or another object to make.

    What it makes of anything else is made of the objects inside that.
    """
    return (
        isinstance(value, dict) and isinstance(value.get("class_name"), str) and "config" in value
    )


def judge(value: Any, member: str | None) -> Iterator[Oddity]:
    """What of a configuration is code, opens files, or is neither in it nor Keras's. Each once."""
    told: dict[tuple[OddityKind, str], None] = {}
    custom = dict.fromkeys(_trained_with(value))
    is_keras = is_model(value) or bool(_training(value))
    for found in _dicts(value):
        for kind, said in _judge_object(found) if is_model(found) else ():
            if kind is OddityKind.MODEL_CUSTOM:
                custom[said] = None
            else:
                told[kind, said] = None
    if (OddityKind.MODEL_CODE, _LAMBDA) in told:  # the function in it is no other
        told.pop((OddityKind.MODEL_CODE, _FUNCTION), None)
    for kind, said in told:
        yield Oddity(kind, member, None, said)
    if custom and is_keras:  # other programs' JSON may have a class_name, too
        names = ", ".join(list(custom)[:5]) + (", …" if len(custom) > 5 else "")
        said = f"Keras objects of other code, that the file names and does not have: {names}"
        yield Oddity(OddityKind.MODEL_CUSTOM, member, None, said)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left += reversed(one.values())
        elif isinstance(one, list):
            left += reversed(one)


def _judge_object(found: dict[str, Any]) -> Iterator[tuple[OddityKind, str]]:
    name, config = found["class_name"], found["config"]
    match re.split("[>.]", name)[-1]:
        case "Lambda":
            yield from _judge_lambda(config)
        case "__lambda__":
            yield (
                OddityKind.MODEL_CODE,
                "a Python function, as code, that Keras makes when it loads",
            )
        case "TorchModuleWrapper":
            said = "a TorchModuleWrapper layer: torch.load unpickles what it holds"
            yield OddityKind.MODEL_CODE, said
        case "TFSMLayer":
            yield OddityKind.MODEL_FILES, "a TFSMLayer: it loads another SavedModel, by its path"
        case "TFOpLambda" | "TensorFlowOpLayer" | "SlicingOpLambda":
            yield from named_in(json.dumps(config), name)
        case short if short in _LOOKUPS and isinstance(config, dict):
            if isinstance(path := config.get("vocabulary"), str) and path not in _NOTHING:
                said = f"a {short} layer that reads its vocabulary from the file {_shown(path)}"
                yield OddityKind.MODEL_FILES, said
    yield from _judge_name(found, name, config)


def _judge_lambda(config: Any) -> Iterator[tuple[OddityKind, str]]:
    """By what its function is: code in some coding, or the name of a function that the loader has."""
    function = config.get("function") if isinstance(config, dict) else None
    if isinstance(function, dict) and function.get("class_name") == "function":
        named = function.get("config")
    else:
        named = function if _kind_of(config) == "function" else None
    places = (named, *(config.get(key) for key in _MODULE_KEYS)) if isinstance(config, dict) else ()
    if any(isinstance(one, str) and _root(one) in _DANGEROUS_MODULES for one in places):
        said = f"a Lambda layer that calls a function of Python's own library, {_shown(str(named))}"
        yield OddityKind.MODEL_CODE, said
        return
    if isinstance(named, str) and _NAME.fullmatch(named):
        said = f"a Lambda layer that calls {_shown(named)}, a function that the loader has to have"
        yield OddityKind.MODEL_FILES, said
        return
    yield OddityKind.MODEL_CODE, _LAMBDA


def _root(name: str) -> str:
    return name.partition(".")[0]


def _kind_of(config: Any) -> str | None:
    return config.get("function_type") if isinstance(config, dict) else None


def _judge_name(
    found: dict[str, Any], class_name: str, config: Any
) -> Iterator[tuple[OddityKind, str]]:
    """What is imported, where a file may say so: class_name, or of functions what config says."""
    is_function = class_name in _NAMED_BY
    name = config if is_function and isinstance(config, str) else class_name
    module = found.get("module")
    module = module if isinstance(module, str) else ""
    if not module:
        module, _, name = name.rpartition(".")
    package = _root(module)
    shown = _shown(f"{module}.{name}" if module else name)
    is_known = package in _LIBRARIES or not package
    if (
        package in _DANGEROUS_MODULES
        or (package == "builtins" and name in _DANGEROUS_BUILTINS)
        or (is_known and name.rpartition(".")[2] in _DANGEROUS_KERAS)
    ):
        yield OddityKind.MODEL_CODE, f"a Keras object that is to be made by {shown}"
    elif package not in _LIBRARIES and not _is_keras(name):
        yield OddityKind.MODEL_CUSTOM, shown


def _is_keras(name: str) -> bool:
    package, _, short = name.rpartition(">")
    is_listed = short in KERAS_NAMES or _VALUE.fullmatch(short) is not None or short == "__lambda__"
    return is_listed and package in _OF_KERAS


def _training(value: Any) -> dict[str, Any]:
    """The value, if it is what `compile` was called with, `compile_config` of which is such, too."""
    if not isinstance(value, dict):
        return {}
    inner = value.get("compile_config")
    found = inner if isinstance(inner, dict) else value
    is_one = "loss" in found and {"metrics", "optimizer_config", "optimizer"} & found.keys()
    return found if is_one else {}


def _trained_with(value: Any) -> Iterator[str]:
    """The names of losses and metrics that are not Keras's, of a training configuration."""
    found = _training(value)
    left = [found.get(key) for key in ("loss", "metrics", "weighted_metrics")]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left += one
        elif isinstance(one, dict):
            left += () if "class_name" in one else one.values()
        elif isinstance(one, str) and not _is_keras(one):
            yield _shown(one)


def _shown(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
