"""What was read is kept whole: the rules find the same in it, and it is read once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from hypothesis import given
from hypothesis import strategies as st

from hubaudit import pipeline, remembering, rules
from hubaudit.comparing import table_of
from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.demo.checkpoints import floats, safetensors, state_dict, torch_zip
from hubaudit.demo.faults import Status
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.hub.client import HubClient
from hubaudit.model import LoadRole, RepoFile, RepoReport, Severity, Target
from hubaudit.pvm.state import DEFAULT_LIMITS
from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, SetOf, Unknown
from hubaudit.remembering import Reading, Remembering, Unfit, frozen, thawed
from hubaudit.rules.uses import judge
from hubaudit.selection import reader_for
from hubaudit.source.local import LocalSource

REAL = Path(__file__).parent / "fixtures" / "real"
INDEX: dict[str, dict[str, Any]] = json.loads((REAL / "index.json").read_text(encoding="utf-8"))
WEIGHTS = {"w": floats((64, 64), 1)}
FILES = {
    "README.md": b"# A model\n",
    "config.json": b'{"model_type": "bert"}',
    "pytorch_model.bin": torch_zip(state_dict(WEIGHTS)),
    "model.safetensors": safetensors(WEIGHTS),
    "training_args.bin": torch_zip(state_dict({"a": floats((2,), 2)})),
}


def read(path: str) -> Reading:
    with LocalSource(REAL / path) as source:
        contents = reader_for(path)(source, DEFAULT_POLICY.max_archive_depth, DEFAULT_LIMITS)
        return Reading(contents, True, None, table_of(source, contents))


def found_in(path: str, reading: Reading) -> object:
    uses = judge(rules.catalogue_under(DEFAULT_POLICY), reading.contents)
    file = RepoFile(path, (REAL / path).stat().st_size)
    evidence = rules.Evidence(file, LoadRole.LOADED, reading.contents, uses, True)
    shown = [(use.module, use.name, use.use, use.offset, use.count, use.name_class) for use in uses]
    return shown, rules.check(evidence)


@pytest.mark.parametrize("folder", sorted({path.partition("/")[0] for path in INDEX}))
def test_the_rules_find_the_same_in_what_was_kept_of_a_real_file(folder: str) -> None:
    for path in (path for path in INDEX if path.startswith(f"{folder}/")):
        reading = read(path)
        again = thawed(frozen(reading))
        assert isinstance(again, Reading)
        assert found_in(path, again) == found_in(path, reading), path
        assert again.table == reading.table
        assert frozen(again) == frozen(reading)


plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**60, max_value=2**5000)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)


@given(st.recursive(plain, lambda inner: st.lists(inner) | st.lists(inner).map(tuple)))
def test_constants_and_sequences_come_back_as_they_were(value: object) -> None:
    again = thawed(frozen(value))
    assert again == value
    assert repr(again) == repr(value)


def test_two_surrogates_do_not_become_one_character() -> None:
    assert thawed(frozen("\ud83d\ude00")) == "\ud83d\ude00"


def test_no_number_is_not_a_number_again() -> None:
    again = thawed(frozen((math.nan, math.inf, -0.0)))
    assert repr(again) == "(nan, inf, -0.0)"


def test_what_is_the_same_stays_the_same_also_in_a_cycle() -> None:
    shared: list[object] = []
    call = Call("REDUCE", Global("a", "b"), (shared, (1, (shared,))), 5)
    shared.append(call)
    call.add_state(Mapping([1, SetOf([call], frozen=True)]))
    again = thawed(frozen((call, shared, PersistentId(shared), Unknown("why"))))
    assert isinstance(again, tuple)
    first, second, persistent, _ = again
    assert second == [first]
    assert first.args[0] is second
    assert first.args[1][1][0] is second
    assert persistent.pid is second
    assert first.state[0].flat[1].items[0] is first


def test_nesting_may_be_as_deep_as_a_pickle_makes_it() -> None:
    value: object = 1
    for number in range(20_000):
        value = (value,) if number % 2 else [value]
    again = thawed(frozen(value))
    for _ in range(20_000):
        assert isinstance(again, list | tuple)
        [again] = again
    assert again == 1


def test_what_is_in_no_table_or_too_much_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unfit):
        frozen([object()])
    monkeypatch.setattr(remembering, "MOST_NODES", 3)
    with pytest.raises(Unfit):
        frozen([[1], [2], [3]])


@pytest.mark.parametrize("kept", [b"", b"x", b"\x78\x9c\x03\x00\x00\x00\x00\x01"])
def test_what_is_damaged_is_told(kept: bytes) -> None:
    with pytest.raises(Unfit):
        thawed(kept)


class Shelf(dict[str, bytes]):
    def find_evidence(self, key: str) -> bytes | None:
        return self.get(key)

    def put_evidence(self, key: str, value: bytes) -> None:
        self[key] = value


Audit = Callable[..., RepoReport]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HUBAUDIT_CACHE", str(tmp_path / "ranges"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repos = [HubRepo("org/model", dict(FILES)), HubRepo("fork/model", dict(FILES))]
    with StandInHub(repos) as hub:
        yield hub


def audit(hub: StandInHub, folder: Path, name: str, shelf: Shelf, **how: Any) -> RepoReport:
    """With caches of its own, so that nothing but the shelf can spare a request."""
    with HubClient(endpoint=hub.endpoint, token=False, cache_dir=folder / name) as client:
        repo = client.pin(Target(name))
        listing = client.list_files(repo)
        memory = Remembering(shelf, repo)
        return pipeline.audit_listing(client, listing, memory=memory, **how)


def file_requests(hub: StandInHub) -> list[str]:
    paths = [one.path for one in hub.requests if one.host == "cdn" or "/resolve" in one.path]
    return [path.partition("?")[0] for path in paths]


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """A new place for the caches, time and again."""
    places = iter(range(100))

    def move() -> Path:
        place = tmp_path / str(next(places))
        monkeypatch.setenv("HUBAUDIT_CACHE", str(place / "ranges"))
        return place

    return move


def test_other_rules_judge_without_reading_a_byte(
    hub: StandInHub, apart: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    first = audit(hub, apart(), "org/model", shelf)
    hub.clear_log()
    assert audit(hub, apart(), "org/model", shelf) == first
    strict = Policy(fail_on=Severity.LOW, denied_formats=frozenset({"torch-zip"}))
    other = audit(hub, apart(), "org/model", shelf, policy=strict)
    assert {finding.rule for finding in other.findings} >= {"denied-format"}
    assert not file_requests(hub)


def test_a_fork_reads_only_what_no_hash_of_its_files_tells(
    hub: StandInHub, apart: Callable[[], Path]
) -> None:
    shelf = Shelf()
    first = audit(hub, apart(), "org/model", shelf)
    hub.clear_log()
    fork = audit(hub, apart(), "fork/model", shelf)
    assert fork.files == first.files
    assert fork.comparisons == first.comparisons
    read = {path.rpartition("/")[2] for path in file_requests(hub)}
    assert read == {"README.md", "config.json"}  # known by git's sha1 only


def test_a_new_commit_reads_what_changed(hub: StandInHub, apart: Callable[[], Path]) -> None:
    shelf = Shelf()
    audit(hub, apart(), "org/model", shelf)
    repo = hub.repo("org/model")
    repo.commit(repo.files | {"extra.pkl": b"\x80\x04N."})
    hub.clear_log()
    report = audit(hub, apart(), "org/model", shelf)
    assert "extra.pkl" in {file.path for file in report.files}
    assert {path.rpartition("/")[2] for path in file_requests(hub) if "/resolve" in path} == {
        "extra.pkl"
    }


def test_what_the_hub_failed_to_give_is_asked_for_again(
    hub: StandInHub, apart: Callable[[], Path]
) -> None:
    shelf = Shelf()
    fault = hub.fault(Status(404, {"X-Error-Code": "EntryNotFound"}), path="/resolve/.*training")
    broken = audit(hub, apart(), "org/model", shelf)
    assert broken.verdict == "incomplete"
    assert fault.hits
    hub.clear_faults()
    assert audit(hub, apart(), "org/model", shelf).verdict == "pass"


def test_a_damaged_shelf_is_read_anew(hub: StandInHub, apart: Callable[[], Path]) -> None:
    shelf = Shelf()
    first = audit(hub, apart(), "org/model", shelf)
    whole = dict(shelf)
    shelf.update(dict.fromkeys(shelf, b"broken"))
    assert audit(hub, apart(), "org/model", shelf) == first
    assert shelf == whole
