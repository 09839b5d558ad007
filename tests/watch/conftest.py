"""A repository on a stand-in Hub that changes, and what is seen of it."""

from __future__ import annotations

import time
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
from hubaudit.model import Severity
from hubaudit.store import Store
from hubaudit.watch.alert import Name
from hubaudit.watch.changes import Change
from hubaudit.watch.gather import changes_between
from hubaudit.watch.glance import Asks
from hubaudit.watch.ledger import Ledger
from hubaudit.watch.look import Looked, Looker
from hubaudit.watch.look import Watched as Entry
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
    ledger: Ledger
    seen: list[State] = field(default_factory=list)

    @property
    def name(self) -> Name:
        return Name(self.client.endpoint, "model", "org/model")

    def look(self) -> State:
        self.looked()
        return self.seen[-1]

    def looked(self, asks: Asks = Asks(), entry: Entry | None = None) -> Looked:  # noqa: B008 -- frozen
        """A whole look, as the watch does it."""
        looker = Looker(self.client, self.ledger, {"sink": Severity.INFO}, time.time)
        found = looker.look(entry or Entry(self.name), asks)
        state = self.ledger.state(self.name)
        assert state is not None
        self.seen.append(state)
        return found

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
def watched(tmp_path: Path) -> Iterator[Watched]:
    repo = HubRepo("org/model", model_files())
    hub = StandInHub([repo], page_size=1000)
    client = HubClient(endpoint=hub.endpoint, token=False, patience=Patience(1.0, (0.01,)))
    with hub, client, Store(tmp_path / "store.sqlite3") as store:
        one = Watched(repo, hub, client, Ledger(store, time.time))
        one.look()
        yield one
