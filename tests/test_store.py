"""The store: what is put comes back, several processes share it, and what is no store is left alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hubaudit import store as module
from hubaudit.errors import StoreUnusable
from hubaudit.store import AuditKey, Store, StoredAudit, default_path

ROOT = Path(__file__).parents[1]
KEY = AuditKey("https://hub", "model", "org/model", "main", "c" * 40, "rules", "policy", "settings")
AUDIT = StoredAudit(KEY, "[]", True, "pass", 0, '{"a": "é"}\n', 5.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "deep" / "store.sqlite3", clock=lambda: 7.0)


def test_an_audit_comes_back_as_it_was_put(store: Store) -> None:
    sweep = store.begin_sweep("list.txt")
    store.put_result(sweep, "org/model", "{}", AUDIT, b"[1]")
    assert store.find_audit(KEY) == AUDIT
    assert store.find_listing(KEY) == ("[]", b"[1]")
    assert store.find_audit(replace(KEY, ruleset="others")) is None
    assert store.history("model", "ORG/model") == (AUDIT,)
    assert list(store.results(sweep)) == [("org/model", "{}")]
    store.close()


def test_only_a_sweep_that_ended_is_the_last_one(store: Store) -> None:
    first = store.begin_sweep("a")
    assert store.last_sweep("a") is None
    assert store.broken_off("a") == first
    store.end_sweep(first)
    second = store.begin_sweep("a")
    last = store.last_sweep("a", before=second)
    assert last is not None
    assert (last.id, last.ended) == (first.id, 7.0)
    assert store.broken_off("b") is None
    store.close()


def test_the_results_of_old_sweeps_go_and_audits_stay(store: Store) -> None:
    other = store.begin_sweep("another list")
    store.put_result(other, "org/a", "{}")
    for number in range(25):
        sweep = store.begin_sweep("list")
        store.put_result(sweep, f"org/{number}", "{}", AUDIT, b"[]")
        store.end_sweep(sweep)
    assert [row.id for row in store.sweeps() if row.name == "list"] == list(range(17, 27))
    assert store.count("results") == 11
    assert store.count("audits") == 1


def test_an_error_in_the_middle_puts_nothing(store: Store) -> None:
    sweep = store.begin_sweep("a")
    with pytest.raises(StoreUnusable):
        store.put_result(sweep, None, "{}", AUDIT)  # type: ignore[arg-type]
    assert store.find_audit(KEY) is None
    store.close()


WRITER = """
import sys
from pathlib import Path
from hubaudit.store import Store
with Store(Path(sys.argv[1])) as store:
    for number in range(40):
        store.find_evidence("none")
        store.put_evidence(f"{sys.argv[2]}-{number}", b"x")
"""


def test_several_processes_open_and_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number)], cwd=ROOT, stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    with Store(path) as store:
        assert store.count("evidence") == 160


@pytest.mark.parametrize(
    "content", [b"hello, I am a text", b"SQLite format 3\0" + b"\xff" * 3000], ids=["text", "torn"]
)
def test_what_is_no_store_is_an_error_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.sqlite3"
    path.write_bytes(content)
    with pytest.raises(StoreUnusable) as caught:
        Store(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_another_programs_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE audits (a)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_a_store_of_the_future_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreUnusable, match="newer hubaudit"):
        Store(path)


def test_a_broken_page_is_found_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with Store(path) as store:
        for number in range(200):
            store.put_evidence(str(number), bytes(500))
    data = bytearray(path.read_bytes())
    data[4096 * 5 : 4096 * 9] = b"\xa5" * (4096 * 4)
    path.write_bytes(data)
    with pytest.raises(StoreUnusable):
        Store(path)
    assert path.read_bytes() == bytes(data)


def test_a_store_whose_end_is_missing_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with Store(path) as store:
        store.begin_sweep("list")
    path.write_bytes(path.read_bytes()[:-1000])
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="cut off"):
        Store(path)
    assert path.read_bytes() == before


def test_an_older_store_is_migrated_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite3"
    with Store(path) as store:
        store.put_evidence("a", b"1")
    later = "CREATE TABLE later (a);\nINSERT INTO later VALUES (3)"
    monkeypatch.setattr(module, "_MIGRATIONS", (*module._MIGRATIONS, later))
    with Store(path) as store:
        assert store.find_evidence("a") == b"1"
        assert store.rows("SELECT a FROM later", ()) == [(3,)]
    with Store(path) as store:
        assert store.rows("SELECT a FROM later", ()) == [(3,)]


def test_merging_takes_all_in_and_keeps_the_later_audit(tmp_path: Path) -> None:
    with Store(tmp_path / "a") as a, Store(tmp_path / "b") as b:
        for store, at in ((a, 5.0), (b, 4.0)):
            sweep = store.begin_sweep("list")
            store.put_result(sweep, "t", "{}", replace(AUDIT, at=at), b"[]")
        b.put_evidence("only", b"b")
        a.merge(b)
        found = a.find_audit(KEY)
        assert found is not None
        assert found.at == 5.0
        assert a.find_evidence("only") == b"b"


def test_the_store_lies_with_the_users_data_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HUBAUDIT_STORE", raising=False)
    assert default_path().name == "store.sqlite3"
    monkeypatch.setenv("HUBAUDIT_STORE", "/somewhere/else.db")
    assert default_path() == Path("/somewhere/else.db")


@pytest.mark.parametrize(
    ("repo_id", "revision", "origin", "asked", "approved"),
    [
        ("org/model", "", "approved", "main", "a" * 40),
        ("ORG/Model", "", "approved", "refs/heads/main", "a" * 40),
        ("org/model", "v1", "approved", "v1", "a" * 40),
        ("org/model", "v1", "approved", "main", None),
        ("org/model", "c" * 40, "approved", "c" * 40, None),
        ("org/model", "", "listed", "main", None),
        ("org/model", "", "first-seen", "main", None),
        ("org/other", "", "approved", "main", None),
    ],
)
def test_approved_is_what_somebody_approved_of_the_revision(
    store: Store, repo_id: str, revision: str, origin: str, asked: str, approved: str | None
) -> None:
    row = ("https://hub", "model", repo_id, revision, "a" * 40, origin, 1.0, b"")
    with store.writing() as database:
        database.execute("INSERT INTO approvals VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    assert store.approved_commit(replace(KEY, revision=asked)) == approved
    store.close()
