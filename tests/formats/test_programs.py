"""Keras models and TensorFlow graphs: what in them is code, by whatever bytes a loader reads the same."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from hubaudit.formats.contents import Contents, OddityKind
from hubaudit.pvm.state import DEFAULT_LIMITS as DEFAULT
from hubaudit.selection import reader_for
from hubaudit.source.memory import MemorySource
from hubaudit.source.remote import RemoteSource
from tests.formats.containers import tarred, zipped

CODE, FILES, CUSTOM = OddityKind.MODEL_CODE, OddityKind.MODEL_FILES, OddityKind.MODEL_CUSTOM
LAMBDA = {"class_name": "Lambda", "config": {"function": ["4wEA", None, None]}}
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(88)


def read(path: str, data: bytes) -> Contents:
    return reader_for(path)(MemorySource(data), 3, DEFAULT)


def kinds(path: str, data: bytes) -> list[OddityKind]:
    contents = read(path, data)
    assert not contents.gaps
    return [one.kind for one in contents.oddities]


def model(*layers: dict[str, Any]) -> bytes:
    return json.dumps({"class_name": "Sequential", "config": {"layers": layers}}).encode()


def h5(config: bytes, name: bytes = b"model_config") -> bytes:
    return HDF5 + name + bytes(20) + config + bytes(64)


def varint(value: int, padding: int = 0) -> bytes:
    """`padding`: bytes more than are needed, which protobuf accepts."""
    out = bytearray()
    while value > 0x7F or padding:
        out.append(value & 0x7F | 0x80)
        value, padding = value >> 7, padding - (value <= 0x7F)
    return bytes([*out, value])


def field(number: int, content: bytes, padding: int = 0) -> bytes:
    tag = varint(number << 3 | 2, padding)
    return tag + varint(len(content), padding) + content


def node(op: str, *more: bytes, padding: int = 0) -> bytes:
    return field(1, b"name") + field(2, op.encode(), padding) + b"".join(more)


def saved_model(*nodes: bytes) -> bytes:
    graph = b"".join(field(1, one) for one in nodes)
    return b"\x08\x01" + field(2, field(1, b"") + field(2, graph))


@pytest.mark.parametrize("path", ["model.keras", "a.zip", "model.tar"])
def test_a_lambda_layer_in_an_archive_is_code(path: str) -> None:
    pack = tarred if path.endswith(".tar") else zipped
    assert kinds(path, pack({"config.json": model(LAMBDA)})) == [CODE]
    assert kinds(path, pack({"m/config.json": model({**LAMBDA, "class_name": "Dense"})})) == []


def test_an_archive_in_an_archive_is_opened_for_its_configuration() -> None:
    inner = zipped({"config.json": model(LAMBDA)})
    contents = read("models.zip", zipped({"model.keras": inner}))
    assert [one.member for one in contents.oddities] == ["model.keras/config.json"]


@pytest.mark.parametrize("wrapper", ["TimeDistributed", "Bidirectional", "Functional", "Own"])
def test_a_layer_is_found_however_deep_it_lies(wrapper: str) -> None:
    wrapped = {"class_name": wrapper, "config": {"layer": {"x": [LAMBDA]}}}
    assert CODE in kinds("config.json", model(wrapped))


def test_an_escaped_name_is_the_same_name() -> None:
    config = model(LAMBDA).replace(b"Lambda", rb"\u004cambda").replace(b"class_n", rb"class\u005fn")
    assert kinds("config.json", config) == [CODE]
    assert kinds("model.h5", h5(config)) == [CODE]


def test_a_configuration_in_utf_16_is_read_as_python_reads_it() -> None:
    text = model(LAMBDA).decode().encode("utf-16")
    assert kinds("model.keras", zipped({"config.json": text})) == [CODE]


def test_objects_of_what_is_no_object_itself_are_made_all_the_same() -> None:
    assert kinds("config.json", json.dumps({"any": [LAMBDA]}).encode()) == [CODE]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ({"class_name": "__lambda__", "config": {"code": "4wEA"}}, CODE),
        ({"class_name": "keras>Lambda", "config": {}}, CODE),
        ({"class_name": "Lambda", "config": {"function": "lambda x: x"}}, CODE),
        ({"class_name": "TorchModuleWrapper", "config": {"module": "gAJ9"}}, CODE),
        ({"class_name": "TFSMLayer", "config": {"filepath": "/x"}}, FILES),
        ({"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, FILES),
        ({"class_name": "StringLookup", "config": {"vocabulary": ["/etc/passwd"]}}, None),
        ({"class_name": "function", "config": "system", "module": "os"}, CODE),
        ({"class_name": "function", "config": "eval", "module": "builtins"}, CODE),
        ({"class_name": "function", "config": "relu", "module": "builtins"}, None),
        ({"class_name": "function", "config": "get_file", "module": "keras.utils"}, CODE),
        ({"class_name": "run", "config": {}, "module": "subprocess"}, CODE),
        ({"class_name": "Dense", "config": {}, "module": "os"}, CODE),
        ({"class_name": "keras.layers.Lambda", "config": {"function": "x + 1"}}, CODE),
        ({"class_name": "keras.layers.Dense", "config": {}}, None),
        ({"class_name": "os.system", "config": {}}, CODE),
        ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}, CODE),
        ({"class_name": "TFOpLambda", "config": {"function": "io.read_file"}}, FILES),
        ({"class_name": "TFOpLambda", "config": {"function": "math.add"}}, None),
        ({"class_name": "TensorFlowOpLayer", "config": {"node_def": '{"op": "PyFunc"}'}}, CODE),
        ({"class_name": "Own", "config": {}}, CUSTOM),
        ({"class_name": "Own", "config": {}, "module": "keras_hub.src.models"}, None),
        ({"class_name": "Custom>Adam", "config": {}}, None),
        ({"class_name": "own>Dense", "config": {}, "module": "own"}, CUSTOM),
        ({"class_name": "Dense", "config": {"name": "Lambda os.system eval"}}, None),
    ],
)
def test_a_layer_is_what_its_class_and_module_say(
    layer: dict[str, Any], kind: OddityKind | None
) -> None:
    assert kinds("config.json", model(layer)) == ([] if kind is None else [kind])


def test_a_lambda_of_a_named_function_has_no_code_of_its_own() -> None:
    named = {"class_name": "function", "config": "own", "module": "builtins"}
    config = {"class_name": "Lambda", "config": {"function": named}}
    assert CODE not in kinds("config.json", model(config))
    assert FILES in kinds("config.json", model(config))


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"function": "system", "function_type": "function", "module": "os"}, CODE),
        ({"function": "os.system", "function_type": "function"}, CODE),
        ({"function": "own", "function_type": "function", "module": "__main__"}, FILES),
        ({"function": "own", "function_type": "lambda"}, CODE),
        ({"function": None}, CODE),
        (None, CODE),
    ],
)
def test_a_lambda_of_keras_2_is_told_by_the_type_and_module_of_its_function(
    config: Any, kind: OddityKind
) -> None:
    assert kinds("model.h5", h5(model({"class_name": "Lambda", "config": config}))) == [kind]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("config.json", b'{"model_type": "bert", "architectures": ["Lambda"]}'),
        ("config.json", b'{"text": "{\\"class_name\\": \\"Lambda\\", \\"config\\": {}}"}'),
        ("data.json", b'[{"class_name": "Student", "config": 1}]'),
        ("notes.txt", model(LAMBDA)),
        ("config.json", b'{"class_name": "Lambda", "conf'),
        ("README.md", b"PyFunc and WriteFile"),
        ("words.pb", b"\x12\x06PyFunc"),
        ("words.pbtxt", b'name: "op" value: "PyFunc"'),
    ],
)
def test_text_that_only_has_the_words_is_nothing(path: str, data: bytes) -> None:
    assert kinds(path, data) == []


def test_only_what_keras_would_take_for_its_own_is_asked_after_its_classes() -> None:
    other = json.dumps({"data": {"class_name": "Student", "config": {}}}).encode()
    assert kinds("config.json", other) == []


def test_hdf5_is_searched_if_it_has_a_model_and_not_if_it_has_data() -> None:
    assert kinds("model.h5", h5(model(LAMBDA))) == [CODE]
    assert kinds("anything", h5(model(LAMBDA))) == [CODE]
    assert kinds("model.h5", h5(model(LAMBDA), b"configuration")) == []
    assert kinds("model.h5", HDF5 + b"model_config" + bytes(9) + model()) == []


def test_hdf5_behind_a_user_block_is_found_by_its_name() -> None:
    assert kinds("model.h5", b"user".ljust(512) + h5(model(LAMBDA))) == [CODE]


def test_a_long_configuration_between_weights_is_found_where_it_lies() -> None:
    noise = random.Random(0).randbytes(3_000_000)
    config = model(
        *[{"class_name": "Dense", "config": {"units": n}} for n in range(20_000)], LAMBDA
    )
    assert kinds("model.h5", h5(noise + config + noise)) == [CODE]


def test_a_model_configuration_that_is_not_found_is_a_gap() -> None:
    contents = read("model.h5", HDF5 + b"model_config" + bytes(99))
    assert [gap.why for gap in contents.gaps] == [
        "it has a model_config, as Keras models have, that was not found"
    ]


@pytest.mark.parametrize(
    "config", [b'{"class_name":' * 100_000, b'{"class_name": "' + b"[" * (40 << 20)]
)
def test_hostile_text_is_a_gap_and_ends(config: bytes) -> None:
    assert read("model.h5", h5(config)).gaps
    assert read("config.json", config + b'"config": 1').gaps


def far(data: bytes, limit: int) -> tuple[Contents, int]:
    """What is read of a file that lies elsewhere, and how many bytes were fetched."""
    fetched = 0

    def fetch(start: int, end: int) -> bytes:
        nonlocal fetched
        fetched += end - start
        assert fetched < limit
        return data[start:end]

    contents = reader_for("model.h5")(RemoteSource(len(data), fetch), 3, DEFAULT)
    return contents, fetched


def test_of_a_large_far_hdf5_file_its_ends_are_read() -> None:
    weights = bytes(9 << 20)
    contents, _ = far(h5(model(LAMBDA)) + weights, 2 << 20)
    assert [one.kind for one in contents.oddities] == [CODE]
    assert far(HDF5 + weights, 2 << 20)[0].gaps == ()
    hidden, _ = far(HDF5 + b"model_config" + weights + model(LAMBDA) + weights, 2 << 20)
    assert hidden.gaps


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        ("PyFunc", CODE),
        ("EagerPyFunc", CODE),
        ("WriteFile", CODE),
        ("ReadFile", FILES),
        ("MatchingFiles", FILES),
        ("SaveV2", None),
        ("Pyfunc", None),
        ("PyFuncs", None),
    ],
)
def test_a_graph_is_what_its_operations_do(op: str, kind: OddityKind | None) -> None:
    expected = [] if kind is None else [kind]
    assert kinds("saved_model.pb", saved_model(node("Const"), node(op))) == expected
    assert kinds("a.zip", zipped({"1/saved_model.pb": saved_model(node(op))})) == expected
    assert kinds("frozen.pb", field(1, node(op))) == expected
    assert kinds("x.ckpt.meta", field(2, field(1, node(op)))) == expected
    assert kinds("graph.pbtxt", f'node {{ name: "x" op: "{op}" }}'.encode()) == expected


def test_a_function_of_the_library_is_gone_through() -> None:
    function = field(1, field(3, node("PyFunc")))
    assert kinds("saved_model.pb", field(2, field(2, field(2, function)))) == [CODE]


@pytest.mark.parametrize(
    "written",
    [
        node("PyFunc", padding=3),
        field(2, b"Const") + field(2, b"PyFunc"),
        field(2, b"PyFunc") + field(1, b"name"),
        field(9, b"unknown") + b"\x51" + bytes(8) + node("PyFunc"),
        b"\x0b\x08\x01\x0c" + node("PyFunc"),  # a group
    ],
)
def test_an_operation_is_found_in_whatever_way_it_is_encoded(written: bytes) -> None:
    assert kinds("saved_model.pb", saved_model(written)) == [CODE]


def test_the_name_of_a_node_or_a_text_in_it_is_no_operation() -> None:
    text = field(1, b"PyFunc") + field(2, b"Const") + field(5, field(2, b"\x12\x06PyFunc"))
    assert kinds("saved_model.pb", saved_model(text)) == []


def test_printing_is_writing_if_it_goes_to_a_file() -> None:
    def stream(to: bytes) -> bytes:
        return field(5, field(1, b"output_stream") + field(2, field(2, to)))

    assert kinds("saved_model.pb", saved_model(node("PrintV2", stream(b"stderr")))) == []
    written = saved_model(node("PrintV2", stream(b"file:///tmp/x")))
    assert kinds("saved_model.pb", written) == [CODE]


def test_keras_objects_of_a_saved_model_are_looked_at() -> None:
    metadata = field(1, field(4, b"_tf_keras_layer") + field(5, json.dumps(LAMBDA).encode()))
    assert kinds("keras_metadata.pb", metadata) == [CODE]
    objects = field(
        1, field(4, field(1, b"_tf_keras_layer") + field(3, json.dumps(LAMBDA).encode()))
    )
    assert kinds("saved_model.pb", field(2, field(7, objects))) == [CODE]


@pytest.mark.parametrize("quoted", ['"Py" "Func"', r'"\x50yFunc"', r"'\120yFunc'", ' "PyFunc"'])
def test_a_text_of_the_text_format_is_what_protobuf_makes_of_it(quoted: str) -> None:
    assert kinds("graph.pbtxt", f"node {{ op:{quoted} }}".encode()) == [CODE]


def test_random_bytes_and_cut_graphs_are_no_graph_and_no_gap() -> None:
    source = random.Random(1)
    whole = saved_model(*[node("Const")] * 20)
    for _ in range(200):
        assert kinds("x.pb", source.randbytes(source.randrange(200))) == []
        assert kinds("x.pb", whole[: source.randrange(len(whole))]) == []


def test_a_graph_of_too_many_fields_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubaudit.formats.graphs.MAX_FIELDS", 100)
    assert read("saved_model.pb", saved_model(*[node("Const")] * 100)).gaps
    assert not read("saved_model.pb", saved_model(*[node("Const")] * 10)).gaps


@pytest.mark.parametrize("text", [b"op:" + b'"a" ' * (1 << 20), b"op" + b" " * (4 << 20) + b"'"])
def test_hostile_text_of_the_text_format_takes_no_time(text: bytes) -> None:
    assert kinds("graph.pbtxt", text) == []


def test_bytes_that_begin_like_json_everywhere_are_a_gap() -> None:
    contents = read("model.h5", HDF5 + b"model_config" + b'{"":1}' * 200_000)
    assert [gap.why for gap in contents.gaps] == [
        "too much of it begins like JSON to parse all of that"
    ]
