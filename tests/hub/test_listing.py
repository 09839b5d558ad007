from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.errors import HubAnswerInvalid
from hubaudit.hub.listing import TreeReader, unusable_name
from hubaudit.model import Listing, RepoRef, ScannerVerdict

SHA = "a" * 40
REPO = RepoRef("org/model", "model", "main", SHA, "http://hub")


def entry(path: str, **changed: Any) -> dict[str, Any]:
    return {"type": "file", "oid": SHA, "size": 3, "path": path, **changed}


def read(*pages: Any) -> Listing:
    reader = TreeReader(REPO)
    for page in pages:
        reader.add_page(page)
    return reader.listing()


def test_files_come_sorted_with_their_hashes() -> None:
    lfs = {"oid": "b" * 64, "size": 3, "pointerSize": 130}
    listing = read([entry("z")], [entry("a", lfs=lfs)])
    assert [(f.path, f.size, f.blob_id, f.sha256) for f in listing.files] == [
        ("a", 3, SHA, "b" * 64),
        ("z", 3, SHA, None),
    ]
    assert listing.unread == ()


def test_every_scanner_of_the_hub_is_kept_also_one_nobody_knows_yet() -> None:
    names = ["jFrogScan", "avScan", "newScan", "virusTotalScan", "protectAiScan"]
    block: dict[str, Any] = {"status": "queued", **{n: {"status": "safe"} for n in names}}
    block["pickleImportScan"] = {"status": "unsafe", "message": "os.system", "pickleImports": []}
    scan = read([entry("a", securityFileStatus=block)]).files[0].hub_scan
    assert scan is not None
    assert scan.status == "queued"
    assert scan.scanners == (
        ScannerVerdict("avScan", "safe"),
        ScannerVerdict("pickleImportScan", "unsafe", "os.system"),
        ScannerVerdict("protectAiScan", "safe"),
        ScannerVerdict("jFrogScan", "safe"),
        ScannerVerdict("virusTotalScan", "safe"),
        ScannerVerdict("newScan", "safe"),
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"size": None},
        {"size": -1},
        {"size": "3"},
        {"size": True},
        {"size": 1.5},
        {"oid": None},
        {"oid": "A" * 40},
        {"oid": "a" * 39},
        {"lfs": "x"},
        {"lfs": {}},
        {"lfs": {"oid": "b" * 63}},
        {"lfs": {"oid": "b" * 64, "size": 4}},
        {"type": "unknown"},
        {"type": None},
        {"type": ["file"]},
    ],
)
def test_an_odd_entry_is_unread_not_left_out(changed: dict[str, Any]) -> None:
    listing = read([entry("a", **changed), entry("b")])
    assert [f.path for f in listing.files] == ["b"]
    assert [u.path for u in listing.unread] == ["a"]


@pytest.mark.parametrize("page", [None, {}, "x", [None], [[]], [{"type": "file"}], [{"path": 3}]])
def test_a_page_without_entries_that_have_a_path_is_invalid(page: Any) -> None:
    with pytest.raises(HubAnswerInvalid):
        read(page)


def test_a_path_listed_twice_is_unread_as_well() -> None:
    listing = read([entry("a")], [entry("a", oid="c" * 40)])
    assert [u.path for u in listing.unread] == ["a"]


def test_a_folder_without_files_is_unread_and_one_with_files_is_not() -> None:
    folders = [entry(p, type="directory", size=0) for p in ("full", "full/deep", "empty")]
    listing = read([*folders, entry("full/deep/a")])
    assert [u.path for u in listing.unread] == ["empty"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a\\..\\..\\x",
        "..",
        "a//b",
        "./a",
        "a/.",
        "a/",
        "C:\\x",
        "C:x",
        "a/C:x",
        "\\x",
        "\\\\host\\share\\x",
        "a\0b",
        "\ud800",
    ],
)
def test_a_name_that_could_leave_the_cache_is_unread(path: str) -> None:
    listing = read([entry(path)])
    assert listing.files == ()
    assert [u.path for u in listing.unread] == [path]


@pytest.mark.parametrize("path", ["a b", "é", "a\nb", "\x1b[31m", "a\\b", "w[1].pkl", "..a", "a.."])
def test_a_name_that_is_only_strange_is_used(path: str) -> None:
    assert unusable_name(path) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(["type", "path", "size", "oid", "lfs", "securityFileStatus", "status"])
ENTRIES = st.dictionaries(KEYS, JSON | st.sampled_from(["file", "directory", SHA, 3]))


@given(st.lists(ENTRIES | JSON, max_size=6))
def test_no_json_crashes_the_reader_and_no_path_is_lost(page: list[Any]) -> None:
    reader = TreeReader(REPO)
    try:
        reader.add_page(page)
    except HubAnswerInvalid:
        return
    listing = reader.listing()
    said = {f.path for f in listing.files} | {u.path for u in listing.unread}
    folders = {e["path"] for e in page if e.get("type") == "directory"}
    assert {e["path"] for e in page} <= said | folders
