"""Two ways to ask a stand-in Hub: one raw request, and the real client in a process of its own."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hubaudit.demo.hub import StandInHub

WEIGHTS = bytes(range(256)) * 1000
FILES = {
    "README.md": b"# hello\n",
    "config.json": b'{"model_type":"bert","architectures":["BertModel"]}',
    "empty.txt": b"",
    "onnx/model.onnx": b"onnx",
    "onnx/sub/a.txt": b"a",
    "pytorch_model.bin": WEIGHTS,
    "we ird+\u00e9#%[1].pkl": b"pickle",
}


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        value = self.headers[name]
        assert value is not None, f"no {name} in {self.headers.keys()}"
        return value


def ask(
    hub: StandInHub,
    path: str,
    method: str = "GET",
    *,
    body: bytes | None = None,
    token: str | None = None,
    timeout: float = 20,
    **headers: str,
) -> Got:
    """One request, no redirect followed. `path` may be an absolute URL. ``Content_Type=`` is a header."""
    url = urlsplit(path if path.startswith("http") else hub.endpoint + path)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
    try:
        target = url.path + (f"?{url.query}" if url.query else "")
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        return Got(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def run_client(
    hub: StandInHub, home: Path, script: str, extra: Mapping[str, str] | None = None
) -> Any:
    """Run a script with `api` (an HfApi) and `out` (a dict) at hand; returns `out` as JSON has it."""
    whole = f"import json\nfrom huggingface_hub import *\napi, out = HfApi(), {{}}\n{script}\n"
    whole += "print(json.dumps(out, default=str))\n"
    done = subprocess.run(
        [sys.executable, "-c", whole],
        env=hub.env(home) | dict(extra or {}),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
