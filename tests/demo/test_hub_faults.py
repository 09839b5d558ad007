"""Each thing that can go wrong on the wire does, when and where a rule says so."""

from __future__ import annotations

import gzip
import http.client
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hubaudit.demo.exchange import Answer
from hubaudit.demo.faults import (
    Alter,
    ContentRange,
    Cut,
    Delay,
    Drop,
    Gzip,
    IgnoreRange,
    LeaveOut,
    Run,
    Stall,
    StallBody,
    Status,
    Trickle,
    WrongBytes,
    html_page,
    rate_limited,
)
from hubaudit.demo.hub import HubRepo, StandInHub
from tests.demo.hubclient import WEIGHTS, ask, run_client

INFO = "/api/models/org/model"


def weights_url(hub: StandInHub) -> str:
    return ask(hub, "/org/model/resolve/main/pytorch_model.bin").header("Location")


def test_a_status_comes_as_often_as_told_and_only_where_told(hub: StandInHub) -> None:
    rule = hub.fault(Status(503, {"Retry-After": "1"}), path="^/api/models/org/model$", times=2)
    assert ask(hub, INFO + "/refs").status == 200
    first = ask(hub, INFO)
    assert (first.status, first.header("Retry-After")) == (503, "1")
    assert first.header("RateLimit").startswith('"api"')
    assert [ask(hub, INFO).status for _ in range(2)] == [503, 200]
    assert rule.hits == 2


def test_a_rule_can_spare_the_first_requests_name_the_method_and_the_host(hub: StandInHub) -> None:
    hub.fault(Status(500), skip=1, times=1, path=INFO)
    assert [ask(hub, INFO).status for _ in range(3)] == [200, 500, 200]
    hub.fault(Status(502), method="HEAD")
    assert [ask(hub, INFO, method).status for method in ("GET", "HEAD")] == [200, 502]
    hub.clear_faults()
    hub.fault(Status(504), host="cdn")
    assert ask(hub, weights_url(hub)).status == 504


def test_a_rule_that_another_pre_empted_is_not_used_up(hub: StandInHub) -> None:
    hub.fault(Status(500), times=1)
    second = hub.fault(Status(502), times=1)
    assert ask(hub, INFO).status == 500
    assert second.hits == 0
    assert ask(hub, INFO).status == 502


def test_a_rate_limit_says_how_long_nothing_is_left(hub: StandInHub) -> None:
    hub.fault(rate_limited(7))
    got = ask(hub, INFO)
    assert (got.status, got.header("RateLimit")) == (429, '"api";r=0;t=7')


def test_a_web_page_comes_where_json_is_expected(hub: StandInHub) -> None:
    hub.fault(html_page())
    got = ask(hub, INFO)
    assert (got.status, got.header("Content-Type")) == (200, "text/html; charset=utf-8")
    assert got.body.startswith(b"<!DOCTYPE html>")


def test_a_delayed_answer_comes_late(hub: StandInHub) -> None:
    hub.fault(Delay(0.3), times=1)
    started = time.monotonic()
    assert ask(hub, INFO).status == 200
    assert time.monotonic() - started >= 0.3


def test_a_stalled_request_gets_nothing_and_ends_with_the_hub(repo: HubRepo) -> None:
    with StandInHub([repo]) as hub:
        hub.fault(Stall())
        with pytest.raises(TimeoutError):
            ask(hub, INFO, timeout=0.3)
        assert [(request.path, request.status) for request in hub.requests] == [(INFO, 0)]
    assert not [thread for thread in threading.enumerate() if "stand-in" in thread.name]


def test_a_dropped_request_gets_a_closed_connection(hub: StandInHub) -> None:
    hub.fault(Drop(), times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(hub, INFO)
    assert hub.requests[-1].status == 0
    assert ask(hub, INFO).status == 200


def test_a_cut_body_promises_more_than_it_gives(hub: StandInHub) -> None:
    where = weights_url(hub)
    hub.fault(Cut(1000), host="cdn", times=1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(hub, where)
    assert (caught.value.partial, caught.value.expected) == (WEIGHTS[:1000], len(WEIGHTS) - 1000)
    assert hub.requests[-1].sent_bytes == 1000
    assert ask(hub, where).body == WEIGHTS


def test_a_stalled_body_stops_in_the_middle(hub: StandInHub) -> None:
    where = weights_url(hub)
    hub.fault(StallBody(1000), host="cdn")
    with pytest.raises(TimeoutError):
        ask(hub, where, timeout=0.3)
    assert hub.requests[-1].sent_bytes == 1000


def test_a_trickling_body_is_whole_but_slow(hub: StandInHub) -> None:
    hub.fault(Trickle(100_000, 0.1), host="cdn")
    started = time.monotonic()
    assert ask(hub, weights_url(hub)).body == WEIGHTS
    assert time.monotonic() - started >= 0.2


def test_a_trickle_ends_with_the_hub(repo: HubRepo) -> None:
    with StandInHub([repo]) as hub:
        hub.fault(Trickle(1, 60), host="cdn")
        with pytest.raises(TimeoutError):
            ask(hub, weights_url(hub), timeout=0.3)


def test_wrong_bytes_have_the_right_length_and_headers(hub: StandInHub) -> None:
    where = weights_url(hub)
    right = ask(hub, where)
    hub.fault(WrongBytes(), host="cdn")
    wrong = ask(hub, where)
    assert wrong.headers.items() == right.headers.items()
    assert len(wrong.body) == len(WEIGHTS)
    assert wrong.body == bytes(255 - byte for byte in WEIGHTS)
    assert ask(hub, where, Range="bytes=0-1").body == b"\xff\xfe"


def test_a_redirect_does_not_use_up_a_fault_of_bodies(hub: StandInHub) -> None:
    hub.fault(WrongBytes(), path="config.json", times=1)
    where = ask(hub, "/org/model/resolve/main/config.json").header("Location")
    ask(hub, where, "HEAD")
    assert ask(hub, where).body[0] == 255 - ord("{")
    assert ask(hub, where).body[0] == ord("{")


def test_an_ignored_range_gives_the_whole_file(hub: StandInHub) -> None:
    hub.fault(IgnoreRange(), host="cdn")
    got = ask(hub, weights_url(hub), Range="bytes=5-9")
    assert (got.status, got.body, got.headers["Content-Range"]) == (200, WEIGHTS, None)


def test_a_content_range_can_lie(hub: StandInHub) -> None:
    hub.fault(ContentRange("bytes 0-4/5"), host="cdn")
    got = ask(hub, weights_url(hub), Range="bytes=5-9")
    assert (got.status, got.body, got.header("Content-Range")) == (
        206,
        WEIGHTS[5:10],
        "bytes 0-4/5",
    )


def test_a_body_can_come_compressed(hub: StandInHub) -> None:
    hub.fault(Gzip(), host="cdn")
    got = ask(hub, weights_url(hub))
    assert got.header("Content-Encoding") == "gzip"
    assert gzip.decompress(got.body) == WEIGHTS


def test_a_header_can_be_left_out(hub: StandInHub) -> None:
    hub.fault(LeaveOut("x-repo-commit"), path="/resolve/")
    got = ask(hub, "/org/model/resolve/main/pytorch_model.bin", "HEAD")
    assert got.headers["X-Repo-Commit"] is None
    assert got.headers["X-Linked-ETag"]


def test_any_answer_can_be_altered(hub: StandInHub) -> None:
    def emptied(answer: Answer) -> Answer:
        return replace(answer, body=b"[]").without("Link")

    hub.fault(Alter(emptied), path=r"/tree/.*cursor=")
    first = ask(hub, INFO + "/tree/main?recursive=true")
    second = ask(hub, first.header("Link").partition("<")[2].partition(">")[0])
    assert (second.json, second.headers["Link"]) == ([], None)


def test_something_can_happen_between_two_requests(hub: StandInHub, repo: HubRepo) -> None:
    hub.fault(Run(lambda: repo.commit({"zzz.bin": b"evil"})), path="cursor=", times=1)
    first = ask(hub, INFO + "/tree/main?recursive=true")
    before = repo.sha
    second = ask(hub, first.header("Link").partition("<")[2].partition(">")[0])
    assert [entry["path"] for entry in second.json] == ["zzz.bin"]
    assert repo.sha != before


def test_the_client_resumes_a_cut_body_and_believes_wrong_bytes(
    hub: StandInHub, repo: HubRepo, tmp_path: Path
) -> None:
    script = f"""
from pathlib import Path
out["got"] = Path(hf_hub_download("org/model", "pytorch_model.bin", revision={repo.sha!r})).read_bytes().hex()
"""
    hub.fault(Cut(1000), host="cdn", times=1)
    assert bytes.fromhex(run_client(hub, tmp_path / "cut", script)["got"]) == WEIGHTS
    hub.fault(WrongBytes(), host="cdn")
    assert bytes.fromhex(run_client(hub, tmp_path / "wrong", script)["got"])[:2] == b"\xff\xfe"


def test_the_client_waits_out_a_rate_limit(hub: StandInHub, tmp_path: Path) -> None:
    rule = hub.fault(rate_limited(1), path="/tree/.*cursor=", times=1)
    out = run_client(
        hub, tmp_path, "out['n'] = len(list(api.list_repo_tree('org/model', recursive=True)))"
    )
    assert (out, rule.hits) == ({"n": 10}, 1)
