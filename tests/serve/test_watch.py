"""The whole of it: `hubaudit watch --serve` in a process of its own, a stand-in Hub, and its webhook."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from hubaudit.demo.hub import HubRepo, StandInHub
from tests.serve.conftest import SECRET
from tests.serve.payloads import body
from tests.watch.conftest import armed, model_files

pytest.importorskip("uvicorn", reason="the extra `server` is not installed")


@dataclass
class Running:
    base: str
    process: subprocess.Popen[bytes]
    out: Path

    def deliver(self, name: str, **headers: str) -> int:
        given = {"X-Webhook-Secret": SECRET.decode(), **headers}
        url = f"{self.base}/webhook"
        return requests.post(url, data=body(name), headers=given, timeout=10).status_code

    def get(self, path: str) -> requests.Response:
        return requests.get(self.base + path, timeout=10)


@contextmanager
def watching(tmp_path: Path, hub: StandInHub, *names: str) -> Iterator[Running]:
    """A watch that looks every hour, so that what is noticed in seconds came by a webhook."""
    (tmp_path / "list.txt").write_text("\n".join(names))
    environment = {
        **{
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("HF_", "HUBAUDIT"))
        },
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HUBAUDIT_CACHE": str(tmp_path / "cache"),
        "HUBAUDIT_STORE": str(tmp_path / "store.sqlite3"),
        "HUBAUDIT_HUB_SECRET": SECRET.decode(),
    }
    command = [sys.executable, "-m", "hubaudit", "watch", "list.txt", "--every", "1h"]
    out, err = tmp_path / "out", tmp_path / "err"
    with (
        out.open("w") as stdout,
        err.open("w") as stderr,
        subprocess.Popen(
            [*command, "--serve", "127.0.0.1:0", "--notify", "stdout"],
            cwd=tmp_path,
            env=environment,
            stdout=stdout,
            stderr=stderr,
        ) as process,
    ):
        try:
            yield Running(_listens(err), process, out)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _listens(err: Path) -> str:
    until = time.monotonic() + 30
    while (found := re.search(r"listening on (http://[^\s,]+)\s", err.read_text())) is None:
        assert time.monotonic() < until, err.read_text()
        time.sleep(0.05)
    return found[1]


def wait_for(text: str, running: Running, path: str, seconds: float) -> str:
    until = time.monotonic() + seconds
    while text not in (page := running.get(path).text):
        assert time.monotonic() < until, page
        time.sleep(0.05)
    return page


def test_a_webhook_is_an_alert_in_five_seconds_and_a_page(tmp_path: Path) -> None:
    repo, other = HubRepo("org/model", model_files()), HubRepo("org/other", model_files())
    with (
        StandInHub([repo, other], page_size=1000) as hub,
        watching(tmp_path, hub, "org/model", "org/other") as running,
    ):
        wait_for("hubaudit_rounds_total 1.0", running, "/metrics", 30)
        assert running.get("/healthz").json()["status"] == "ok"
        commit = repo.commit({**repo.files, "pytorch_model.bin": armed()})
        assert running.deliver("nobody/knows") == 202
        assert running.deliver("org/model", **{"X-Webhook-Secret": "forged"}) == 401
        time.sleep(1)
        assert "hubaudit_changes_total{" not in running.get("/metrics").text
        assert running.deliver("org/model", **{"Webhook-Id": "one"}) == 202
        wait_for('hubaudit_changes_total{kind="imports-changed"', running, "/metrics", 5)
        assert running.deliver("org/model", **{"Webhook-Id": "one"}) == 202
        page = running.get("/").text
        for part in ("1 of 2 watched repositories needs attention", commit[:12], "FAIL"):
            assert part in page
        [report] = set(re.findall(rf'href="(/report/[^"]*{commit})"', page))
        assert "imports-changed" in running.get("/repository/model/org/model").text
        shown = running.get(report.replace("&amp;", "&"))
        assert shown.status_code == 200
        assert "<title>FAIL: org/model" in shown.text
        metrics = running.get("/metrics").text
        for outcome in ("accepted", "unwatched", "forged", "replayed"):
            assert f'hubaudit_webhooks_total{{outcome="{outcome}"}} 1.0' in metrics
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(10)
        alerts = [json.loads(line) for line in running.out.read_text().splitlines()]
    assert [one["kind"] for one in alerts] == ["imports-changed"]
