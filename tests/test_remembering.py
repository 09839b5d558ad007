"""What was read is kept whole: the rules find the same in it, and it is read once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from threading import Barrier, Event
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
from hubaudit.model import LoadRole, RepoFile, RepoRef, RepoReport, Severity, Target
from hubaudit.pvm.state import DEFAULT_LIMITS
from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, SetOf, Unknown
from hubaudit.remembering import NO_MEMORY, Reading, Remembering, Turns, Unfit, frozen, thawed
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


# --- turns ---

LARGE, OTHER = (RepoFile("model.bin", 9, digest * 40, digest * 64) for digest in "ab")
SMALL = RepoFile("config.json", 2, "c" * 40)


def forks(turns: Turns) -> list[Remembering]:
    shelf = Shelf()
    names = ("org/model", "one/model", "two/model", "three/model")
    return [
        Remembering(shelf, RepoRef(name, "model", "main", "0" * 40, "http://hub"), turns)
        for name in names
    ]


def test_a_fork_waits_until_the_audit_that_reads_its_content_is_through() -> None:
    first, second, *_ = forks(Turns())
    entered = Event()

    def audit_again() -> None:
        with second.turn([OTHER, LARGE]):
            entered.set()

    with ThreadPoolExecutor() as threads:
        with first.turn([LARGE, SMALL]):
            waiting = threads.submit(audit_again)
            assert not entered.wait(0.1)
        waiting.result(10)
    assert entered.is_set()


def test_one_fork_answers_all_questions_about_a_content() -> None:
    asked: list[tuple[str, str]] = []
    start = Barrier(4)

    def ask(memory: Remembering, question: str, about: list[RepoFile]) -> None:
        def answer() -> str:
            Event().wait(0.01)  # so that the others come by
            asked.append((memory.repo.repo_id, question))
            return question

        assert memory.recall(question, about, answer) == question

    def ask_all(memory: Remembering, first: int) -> None:
        questions = [("format", [LARGE]), ("whole", [OTHER]), ("both", [OTHER, LARGE])]
        start.wait(10)
        with memory.turn([LARGE, OTHER]):
            for question, about in questions[first:] + questions[:first]:
                ask(memory, question, about)

    with ThreadPoolExecutor() as threads:
        list(threads.map(ask_all, forks(Turns()), range(4), timeout=20))
    assert sorted(question for _, question in asked) == ["both", "format", "whole"]
    assert len({repo for repo, _ in asked}) == 1


def test_nobody_waits_for_what_is_not_his_or_was_read_or_is_no_content() -> None:
    first, second, third, fourth = forks(Turns())
    with first.turn([LARGE]):
        pass
    with ExitStack() as together:
        together.enter_context(first.turn([LARGE, SMALL]))
        together.enter_context(second.turn([OTHER, LARGE]))
        together.enter_context(third.turn([LARGE, SMALL]))
        together.enter_context(fourth.turn([]))
        together.enter_context(NO_MEMORY.turn([OTHER]))


def test_an_audit_that_fails_gives_its_turn_back() -> None:
    first, second, *_ = forks(Turns())
    with pytest.raises(OSError, match="cut off"), first.turn([LARGE]):
        raise OSError("cut off")
    with second.turn([LARGE]):
        pass


def test_audits_whose_contents_overlap_in_any_order_all_end() -> None:
    turns, random = Turns(), Random(5)
    inside: set[int] = set()

    def work(names: list[int]) -> None:
        with turns.with_contents(set(names)):
            new = set(names) - through
            assert inside.isdisjoint(new)
            inside.update(new)
            Event().wait(0.001)
            inside.difference_update(new)
            through.update(new)

    through: set[int] = set()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [random.sample(range(150), 4) for _ in range(200)], timeout=30))
    assert inside == set()
