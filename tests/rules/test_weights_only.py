"""What torch.load(weights_only=True) would say is what torch said (tests/fixtures/make_weights_only.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hubaudit import rules
from hubaudit.demo.assemble import OPCODES, Instruction, assemble
from hubaudit.formats.contents import Contents, Format, PickleRead
from hubaudit.formats.read import read_contents
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.model import Finding, LoadRole, RepoFile, Severity
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.values import Trace
from hubaudit.rules.weights_only import MOST, allowed, refusals
from hubaudit.source.memory import MemorySource

FIXTURES = Path(__file__).parents[1] / "fixtures"
ANSWERS: dict[str, Any] = json.loads((FIXTURES / "weights_only.json").read_text(encoding="utf-8"))
FILES: dict[str, str | None] = {
    path: answer for path, answer in ANSWERS["files"].items() if "TorchScript" not in (answer or "")
}
PICKLES: dict[str, dict[str, Any]] = ANSWERS["pickles"]


def in_the_words_of_torch(what: str) -> str:
    """The beginning of torch's message for a reason of ours."""
    match what.split(maxsplit=1):
        case ["imports", name]:
            return f"Unsupported global: GLOBAL {name.removeprefix('builtins.')}"
        case ["uses", rest]:
            return f"Unsupported operand {OPCODES[rest.partition(',')[0]][0][0]}"
    return {
        "sets the state of what is no tensor, parameter or OrderedDict": "Can only build Tensor",
        "appends to what is no list": "Can only append to lists",
        "sets items of what is no dict": "Can only SETITEM",
        "has a persistent id that is no storage": "",  # two messages
    }.get(what, what)


def run(*program: Instruction) -> Trace:
    return interpret(MemorySource(assemble(*program)))


def noted(contents: Contents) -> list[Finding]:
    file = RepoFile("pytorch_model.bin", 10)
    seen = rules.Evidence(file, LoadRole.LOADED, contents, (), True)
    return [finding for finding in rules.check(seen) if finding.rule == "weights-only"]


@pytest.mark.parametrize("path", FILES)
def test_of_the_libraries_files_those_are_refused_that_torch_refuses(path: str) -> None:
    source = MemorySource((FIXTURES / "real" / path).read_bytes())
    found = noted(read_contents(source, sniff(source.read(0, HEAD_SIZE), source.size)))
    assert len(found) == (FILES[path] is not None)
    for finding in found:
        assert finding.severity is Severity.INFO
        said = (FILES[path] or "").removeprefix("Unsupported global: GLOBAL ")
        assert (
            said in finding.message or "it uses FRAME, an opcode of protocol 4" in finding.message
        )


@pytest.mark.parametrize("what", PICKLES)
def test_of_small_pickles_the_first_reason_is_the_one_that_torch_gives(what: str) -> None:
    found = refusals(interpret(MemorySource(bytes.fromhex(PICKLES[what]["hex"]))))
    answer = PICKLES[what]["answer"]
    assert bool(found) == (answer is not None), (found, answer)
    if found and found[0].what != "calls what is no name":
        assert answer.startswith(in_the_words_of_torch(found[0].what))


def test_the_answers_and_the_list_are_of_the_same_torch() -> None:
    assert ANSWERS["torch"].partition("+")[0] == allowed().torch
    assert {"None", "str"} == {
        type(row["answer"]).__name__.removesuffix("Type") for row in PICKLES.values()
    }


def test_the_list_has_known_opcodes_and_names_with_a_module() -> None:
    assert allowed().opcodes < set(OPCODES)
    assert all("." in name for name in allowed().names)
    assert {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2"} < allowed().names
    assert not {"os.system", "builtins.getattr", "builtins.eval"} & allowed().names


def test_reasons_stand_in_the_order_of_the_bytes() -> None:
    trace = run(
        ("GLOBAL", "os", "system"), ("SHORT_BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP"
    )
    assert [(one.offset, one.what) for one in refusals(trace)] == [
        (0, "imports os.system"),
        (11, "uses SHORT_BINUNICODE, an opcode of protocol 4"),
    ]


ARMED = run(("GLOBAL", "os", "system"), "STOP")
HARMLESS = run("NONE", "STOP")


def test_the_note_names_torch_and_the_first_reason() -> None:
    trace = run(("GLOBAL", "own", "a"), ("GLOBAL", "own", "b"), "TUPLE2", "STOP")
    (found,) = noted(Contents(Format.TORCH_ZIP, (PickleRead("m/data.pkl", trace),)))
    assert found.message == (
        "torch.load(weights_only=True), the default since torch 2.6, refuses this file: it imports own.a "
        f"(first of several reasons); by the list of torch {allowed().torch}"
    )
    assert (found.member, found.offset) == ("m/data.pkl", 0)


@pytest.mark.parametrize("format_", [Format.PICKLE, Format.TORCHSCRIPT, Format.ZIP, Format.NUMPY])
def test_nothing_is_said_of_what_torch_loads_otherwise(format_: Format) -> None:
    assert not noted(Contents(format_, (PickleRead("m/data.pkl", ARMED),)))


@pytest.mark.parametrize("member", ["m/other.pkl", "m/a/data.pkl", "data.pkl", "m/data.pkl.bak"])
def test_nothing_is_said_of_pickles_that_torch_load_does_not_read(member: str) -> None:
    both = (PickleRead("m/data.pkl", HARMLESS), PickleRead(member, ARMED))
    assert not noted(Contents(Format.TORCH_ZIP, both))


def test_of_two_candidates_both_have_to_be_refused() -> None:
    one, other = PickleRead("m/data.pkl", ARMED), PickleRead("n/data.pkl", HARMLESS)
    assert not noted(Contents(Format.TORCH_ZIP, (one, other)))
    assert noted(Contents(Format.TORCH_ZIP, (one, one)))


def test_each_of_the_five_pickles_of_a_legacy_file_counts_and_no_sixth() -> None:
    for place in range(7):
        traces = [ARMED if place == here else HARMLESS for here in range(7)]
        contents = Contents(Format.TORCH_LEGACY, tuple(PickleRead(None, one) for one in traces))
        assert bool(noted(contents)) == (place < 5)


def test_of_a_million_reasons_only_the_first_are_kept() -> None:
    trace = interpret(MemorySource(b"}" + b"}b" * 100_000 + b"."))
    assert [one.offset for one in refusals(trace)] == list(range(2, 2 + 2 * MOST, 2))
