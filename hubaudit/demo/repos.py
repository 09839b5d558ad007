"""The repositories of `hubaudit demo`: what is ordinary on the Hub, and what is not.

Their bytes are the same on every run and every machine. A payload is `os.system("true")`, which
does nothing where somebody loads it after all; hubaudit does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hubaudit.demo.assemble import Instruction, assemble, frame
from hubaudit.demo.checkpoints import (
    Tensor,
    floats,
    safetensors,
    state_dict,
    torch_legacy,
    torch_parts,
    torch_zip,
    torch_zip_of,
)
from hubaudit.demo.objects import Call, Global, New, pickle_of
from hubaudit.demo.repository import HubRepo, file_scan
from hubaudit.demo.trainer import fetched, optimizer, rng_state, scheduler, training_args

# Old or one-word ids that the Hub answers with a redirect: the `renames` of the stand-in Hub.
RENAMES: Mapping[str, str] = MappingProxyType({"oneword": "demo/oneword"})

# Imports os.system, calls it and forgets the result, so that it fits before any other object.
PAYLOAD: tuple[Instruction, ...] = (
    ("GLOBAL", "os", "system"),
    ("BINUNICODE", "true"),
    "TUPLE1",
    "REDUCE",
    "POP",
)
# No opcode of protocols 0 to 5 has this code.
NO_OPCODE = b"\x0b"


@dataclass(frozen=True, slots=True)
class DemoRepo:
    """A repository, why it is there, and what an audit of it ends with.

    `command` is what a user types after `hubaudit`.
    """

    repo: HubRepo
    title: str
    command: tuple[str, ...]
    exit_code: int


def demo_repos() -> tuple[DemoRepo, ...]:
    """All of them, made anew: a stand-in Hub may change what it is given."""
    return (
        _ordinary(),
        _os_system(),
        _broken_payload(),
        _disguised(),
        _trainer(),
        _legacy_format(),
        _whole_object(),
        _oneword(),
        _dataset(),
        _hub_unsafe(),
        _hub_queued(),
        _hostile_names(),
        _truncated(),
        _gated(),
    )


def _ordinary() -> DemoRepo:
    return DemoRepo(
        _approved("demo/ordinary", _model_files()),
        "An ordinary model: a torch checkpoint and its safetensors twin.",
        ("demo/ordinary",),
        0,
    )


def _os_system() -> DemoRepo:
    files = _model_files() | {"pytorch_model.bin": _armed_checkpoint()}
    return DemoRepo(
        HubRepo("demo/os-system", files),
        "A checkpoint that calls os.system and then loads as usual, beside a proper safetensors.",
        ("demo/os-system",),
        1,
    )


def _broken_payload() -> DemoRepo:
    # The loader fails at the last byte; by then it has made the call.
    broken = assemble(("PROTO", 2), *PAYLOAD, NO_OPCODE)
    return DemoRepo(
        HubRepo("demo/broken-payload", _texts() | {"pytorch_model.bin": broken}),
        "A call, then a byte that is no opcode: loading fails, but only after the call.",
        ("demo/broken-payload",),
        1,
    )


def _disguised() -> DemoRepo:
    disguised = assemble(("PROTO", 4), frame(assemble(*PAYLOAD, "NONE", "STOP")))
    return DemoRepo(
        HubRepo(
            "demo/disguised",
            _texts() | {"model.safetensors": disguised},
            scans={"model.safetensors": file_scan("safe")},
        ),
        "A pickle by the name of model.safetensors, which the Hub's pickle scanner left alone.",
        ("demo/disguised",),
        1,
    )


def _trainer() -> DemoRepo:
    weights = _weights()
    step = {
        "model.safetensors": safetensors(weights, {"format": "pt"}),
        "optimizer.pt": torch_zip(optimizer(tuple(weights.values())), root="optimizer"),
        "scheduler.pt": torch_zip(scheduler(), root="scheduler"),
        "rng_state.pth": torch_zip(rng_state(42), root="rng_state"),
        "trainer_state.json": _json({"epoch": 1.0, "global_step": 10, "log_history": []}),
        "training_args.bin": torch_zip(training_args(fetched), root="training_args"),
    }
    files = _model_files() | {
        "training_args.bin": torch_zip(training_args(), root="training_args"),
        **{f"checkpoint-10/{name}": data for name, data in step.items()},
    }
    return DemoRepo(
        _approved("demo/trainer", files, tags=["generated_from_trainer"]),
        "What transformers' Trainer uploads: its arguments, optimizer and random state are pickles.",
        ("demo/trainer",),
        0,
    )


def _legacy_format() -> DemoRepo:
    files = _texts() | {"pytorch_model.bin": torch_legacy(_state())}
    return DemoRepo(
        _approved("demo/legacy-format", files),
        "A checkpoint of torch before 1.6: five pickles in a row, then the bytes of the tensors.",
        ("demo/legacy-format",),
        0,
    )


def _whole_object() -> DemoRepo:
    classifier = New(
        Global("tiny_project.modeling", "TinyClassifier"),
        state={"labels": ["bad", "good"], "hidden_size": 4, "weights": _state()},
    )
    files = _texts() | {"pytorch_model.bin": torch_zip(classifier, root="pytorch_model")}
    return DemoRepo(
        _approved("demo/whole-object", files),
        "An object saved whole: loading it imports a class of a project that nobody knows.",
        ("demo/whole-object",),
        0,
    )


def _oneword() -> DemoRepo:
    return DemoRepo(
        _approved("demo/oneword", _model_files()),
        "A legacy id of one word, which the Hub redirects to the id of today.",
        ("oneword",),
        0,
    )


def _dataset() -> DemoRepo:
    rows = [{"text": "a book", "label": 0}, {"text": "a film", "label": 1}]
    files = {
        "README.md": b"---\nlicense: apache-2.0\n---\n# Two rows\n",
        "data/train.pkl": pickle_of(rows),
        "data/train.csv": b"text,label\na book,0\na film,1\n",
    }
    return DemoRepo(
        _approved("demo/rows", files, repo_type="dataset"),
        "A dataset that keeps its rows in a pickle: plain lists, dicts and texts.",
        ("datasets/demo/rows",),
        0,
    )


def _hub_unsafe() -> DemoRepo:
    unsafe = file_scan("unsafe", [("os", "system", "dangerous")])
    files = _texts() | {"pytorch_model.bin": _armed_checkpoint()}
    return DemoRepo(
        HubRepo("demo/hub-unsafe", files, scans={"pytorch_model.bin": unsafe}),
        "A checkpoint that the Hub itself calls unsafe.",
        ("demo/hub-unsafe",),
        1,
    )


def _hub_queued() -> DemoRepo:
    waiting = ("pytorch_model.bin", "model.safetensors")
    return DemoRepo(
        HubRepo(
            "demo/hub-queued",
            _model_files(),
            scans={name: file_scan("queued") for name in waiting},
        ),
        "A new upload that the Hub's scanners have not looked at yet.",
        ("demo/hub-queued",),
        0,
    )


def _hostile_names() -> DemoRepo:
    armed = _armed_checkpoint()
    files = _texts() | {
        "\x1b[2J\x1b[1;32mPASS\x1b[0m.bin": armed,
        "[bold green]PASS[/bold green] [link=x]model[/link].bin": armed,
        "model.bin\nPASS: nothing found.bin": _checkpoint(),
        "\u202enib.ledom\u202c\u200b.bin": _checkpoint(),
    }
    return DemoRepo(
        HubRepo("demo/hostile-names", files),
        "File names that try to write into the report: ANSI escapes, markup, a new line, bidi.",
        ("demo/hostile-names",),
        1,
    )


def _truncated() -> DemoRepo:
    whole = _checkpoint()
    # half of an archive has its first members but no central directory
    files = _texts() | {"pytorch_model.bin": whole[: len(whole) // 2]}
    return DemoRepo(
        HubRepo("demo/truncated", files),
        "An upload that broke off in the middle: what is not there cannot be judged.",
        ("demo/truncated",),
        3,
    )


def _gated() -> DemoRepo:
    return DemoRepo(
        HubRepo("demo/gated", _model_files(), gated="manual"),
        "A gated model: without an approved request its files cannot be read.",
        ("demo/gated",),
        2,
    )


def _approved(repo_id: str, files: dict[str, bytes], **how: Any) -> HubRepo:
    """A repository in which the Hub's scanners found nothing, as in most."""
    return HubRepo(repo_id, files, scans={path: file_scan("safe") for path in files}, **how)


def _model_files() -> dict[str, bytes]:
    twin = safetensors(_weights(), {"format": "pt"})
    return _texts() | {"pytorch_model.bin": _checkpoint(), "model.safetensors": twin}


def _weights() -> dict[str, Tensor]:
    shapes = {
        "embeddings.word_embeddings.weight": (8, 4),
        "encoder.layer.0.dense.weight": (4, 4),
        "encoder.layer.0.dense.bias": (4,),
        "classifier.weight": (2, 4),
        "classifier.bias": (2,),
    }
    return {name: floats(shape, seed) for seed, (name, shape) in enumerate(shapes.items())}


def _state() -> Call:
    modules = ["", "embeddings.word_embeddings", "encoder.layer.0.dense", "classifier"]
    return state_dict(_weights(), dict.fromkeys(modules, 1))


def _checkpoint() -> bytes:
    return torch_zip(_state(), root="pytorch_model")


def _armed_checkpoint() -> bytes:
    """The ordinary checkpoint with the payload before its first object."""
    ordinary, storages = torch_parts(_state())
    proto = assemble(("PROTO", 2))
    armed = assemble(proto, *PAYLOAD, ordinary.removeprefix(proto))
    return torch_zip_of(armed, storages, root="pytorch_model")


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _texts() -> dict[str, bytes]:
    words = ["[PAD]", "[UNK]", "a", "bad", "book", "film", "good", "is"]
    vocabulary = {word: index for index, word in enumerate(words)}
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    return {
        ".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n"
        b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
        "README.md": b"---\nlicense: apache-2.0\npipeline_tag: text-classification\n---\n# Tiny\n",
        "config.json": _json(_config(len(words))),
        "special_tokens_map.json": _json(special),
        "tokenizer.json": _json(_tokenizer(vocabulary)),
        "tokenizer_config.json": _json({**special, "tokenizer_class": "PreTrainedTokenizerFast"}),
        "vocab.txt": "".join(f"{word}\n" for word in words).encode(),
    }


def _config(vocabulary: int) -> dict[str, Any]:
    return {
        "architectures": ["BertForSequenceClassification"],
        "hidden_size": 4,
        "intermediate_size": 4,
        "model_type": "bert",
        "num_attention_heads": 1,
        "num_hidden_layers": 1,
        "vocab_size": vocabulary,
    }


def _tokenizer(vocabulary: dict[str, int]) -> dict[str, Any]:
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
