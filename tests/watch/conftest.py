"""A repository on a stand-in Hub that changes, and what is seen of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import constants

from hubaudit.demo.assemble import assemble
from hubaudit.demo.checkpoints import (
    Tensor,
    floats,
    safetensors,
    state_dict,
    torch_parts,
    torch_zip,
    torch_zip_of,
)
from hubaudit.demo.hub import HubRepo, StandInHub
from hubaudit.demo.repos import PAYLOAD
from hubaudit.hub.client import HubClient
from hubaudit.hub.wire import Patience
from hubaudit.watch.changes import Change
from hubaudit.watch.gather import changes_between, observe
from hubaudit.watch.state import State

README = b"---\nlicense: mit\ntags:\n- a\n---\n# Hello\n"
CONFIG = b'{"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 4}'
CHAT = b'{"chat_template": "{{ messages }}", "pad_token": "x"}'


def weights(seed: int = 1, side: int = 8) -> dict[str, Tensor]:
    return {f"layer.{n}.weight": floats((side, 4), 100 * seed + n) for n in range(5)}


def checkpoint(seed: int = 1, side: int = 8) -> bytes:
    return torch_zip(state_dict(weights(seed, side)), root="pytorch_model")


def armed(seed: int = 1) -> bytes:
    """The checkpoint with a call of os.system("true") in front."""
    ordinary, storages = torch_parts(state_dict(weights(seed)))
    proto = assemble(("PROTO", 2))
    return torch_zip_of(
        assemble(proto, *PAYLOAD, ordinary.removeprefix(proto)), storages, root="pytorch_model"
    )


def twin(seed: int = 1, side: int = 8) -> bytes:
    return safetensors(weights(seed, side), {"format": "pt"})


def model_files(seed: int = 1) -> dict[str, bytes]:
    return {
        "README.md": README,
        "config.json": CONFIG,
        "tokenizer_config.json": CHAT,
        "vocab.txt": b"a\nb\n",
        "pytorch_model.bin": checkpoint(seed),
        "model.safetensors": twin(seed),
    }


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBAUDIT_CACHE", str(tmp_path / "hubaudit"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@dataclass
class Watched:
    """The repository org/model, and the states that were seen of it."""

    repo: HubRepo
    hub: StandInHub
    client: HubClient
    seen: list[State] = field(default_factory=list)

    def look(self) -> State:
        known = self.seen[-1] if self.seen else None
        self.seen.append(observe(self.client, "org/model", known=known))
        return self.seen[-1]

    def commit(self, **files: bytes | None) -> str:
        """Files by their names with `__` for a dot; None removes one."""
        held = dict(self.repo.files)
        for name, data in files.items():
            path = name.replace("__", ".")
            if data is None:
                del held[path]
            else:
                held[path] = data
        return self.repo.commit(held)

    def changes(self) -> tuple[Change, ...]:
        """What a new look shows that is not as at the last one."""
        if not self.seen:
            self.look()
        before = self.seen[-1]
        return changes_between(self.client, before, self.look())

    def change(self) -> Change:
        """The one change there is."""
        (one,) = self.changes()
        return one


@pytest.fixture
def watched() -> Iterator[Watched]:
    repo = HubRepo("org/model", model_files())
    hub = StandInHub([repo], page_size=1000)
    client = HubClient(endpoint=hub.endpoint, token=False, patience=Patience(1.0, (0.01,)))
    with hub, client:
        one = Watched(repo, hub, client)
        one.look()
        yield one
