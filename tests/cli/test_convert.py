"""`hubaudit convert` as a user types it."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hubaudit.demo.checkpoints import floats, safetensors, state_dict, torch_zip
from hubaudit.demo.faults import WrongBytes
from hubaudit.demo.hub import HubRepo, StandInHub
from tests.cli.conftest import ROOT, Ran
from tests.tensors.programs import call, named, number, tensor, text, zipped

WEIGHTS = {"w": floats((8, 8), 1)}
FILES = {
    "config.json": b"{}",
    "pytorch_model.bin": torch_zip(state_dict(WEIGHTS)),
    "armed/pytorch_model.bin": zipped(named(w=tensor(), x=call("os", "system", text("true")))),
    "training_args.bin": zipped(named(w=tensor())),
    "old.safetensors": safetensors(WEIGHTS),
}


@dataclass(frozen=True)
class User:
    hub: StandInHub
    home: Path

    def types(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hubaudit", "convert", *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
            cwd=self.home,
            env={**self.hub.env(self.home), "PYTHONPATH": str(ROOT)},
        )


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with StandInHub([HubRepo("org/model", FILES)]) as hub:
        yield User(hub, tmp_path)


def metadata_of(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack_from("<Q", data)[0]])
    metadata: dict[str, str] = header["__metadata__"]
    return metadata


def test_a_repository_is_converted_at_one_commit_which_is_noted(user: User) -> None:
    sha = user.hub.repo("org/model").sha
    done = user.types("org/model@main", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "written: model.safetensors" in done.stdout
    assert "byte for byte" in done.stdout
    written = user.home / "out" / "model.safetensors"
    assert written.read_bytes().endswith(WEIGHTS["w"].data)
    metadata = metadata_of(written)
    assert (metadata["source_repo"], metadata["source_commit"]) == ("org/model", sha)
    assert [path.name for path in (user.home / "out").rglob("*.safetensors")] == [
        "model.safetensors",
        "model.safetensors",
    ]
    for request in user.hub.requests[1:]:
        assert "/main" not in request.path


def test_a_dangerous_checkpoint_is_converted_and_said_to_be_one(user: User) -> None:
    done = user.types("org/model", "-o", "out", "--file", "armed/pytorch_model.bin")
    assert done.returncode == 0, done.stderr
    assert "CRITICAL" in done.stdout
    assert "os.system" in done.stdout
    assert (user.home / "out" / "armed" / "model.safetensors").exists()


def test_bytes_that_are_not_the_listed_ones_are_refused(user: User) -> None:
    user.hub.fault(WrongBytes(), path="pytorch_model|cdn|resolve")
    done = user.types("org/model", "-o", "out", "--file", "pytorch_model.bin")
    assert done.returncode == 1, done.stderr
    assert "not those listed" in done.stdout
    assert not list((user.home / "out").rglob("*.*"))


def test_a_file_whose_name_cannot_be_used_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    checkpoint = FILES["pytorch_model.bin"]
    files = {"../x.bin": checkpoint, "w.bin": checkpoint}
    with StandInHub([HubRepo("org/model", files)]) as hub:
        done = User(hub, tmp_path).types("org/model", "-o", "out")
    assert done.returncode == 1, done.stderr
    assert "CONVERTED  w.bin" in done.stdout
    assert "REFUSED  ../x.bin\n  its name climbs out of the repository" in done.stdout


@pytest.mark.parametrize("named", [(), ("--file", "../x.bin")])
def test_the_file_that_is_left_is_not_taken_for_a_checkpoint(
    named: tuple[str, ...], tmp_path: Path
) -> None:
    files = {"../x.bin": FILES["pytorch_model.bin"], "config.json": b"{}"}
    with StandInHub([HubRepo("org/model", files)]) as hub:
        done = User(hub, tmp_path).types("org/model", "-o", "out", *named)
    assert done.returncode == 1, done.stderr
    assert done.stdout == "REFUSED  ../x.bin\n  its name climbs out of the repository\n"


def test_a_repository_without_checkpoints_is_an_error(tmp_path: Path) -> None:
    with StandInHub([HubRepo("org/model", {"config.json": b"{}"})]) as hub:
        done = User(hub, tmp_path).types("org/model", "-o", "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no torch checkpoint to convert" in done.stderr


def test_a_revision_that_is_missing_is_an_error(user: User) -> None:
    done = user.types("org/model@nowhere", "-o", "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert not (user.home / "out").exists()


def test_a_local_file_is_converted_and_what_is_left_out_is_told(
    run: Callable[..., Ran], here: Path
) -> None:
    program = named(a=tensor(), b=tensor(), epoch=number(1), hidden=named(x=number(1)))
    (here / "x.pt").write_bytes(zipped(program))
    ran = run("convert", "x.pt", "-o", "out")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        "CONVERTED  x.pt",
        "  written: x.safetensors",
        "  1 tensor, 24 B, read again and equal to the source, byte for byte",
        "  left out, tied: b (the same as a)",
        "  skipped, no tensor to write: epoch",
        "  skipped, no tensor to write: hidden",
    ]


def test_a_refusal_is_1_and_says_why(run: Callable[..., Ran], here: Path) -> None:
    (here / "x.pt").write_bytes(zipped(named(q=call("torch._utils", "_rebuild_qtensor"))))
    ran = run("convert", "./x.pt", "-o", "out")
    assert ran.code == 1
    assert ran.out.splitlines() == ["REFUSED  x.pt", "  x.pt: q: it is quantised"]


def test_a_file_that_is_there_is_an_error_without_force(
    run: Callable[..., Ran], here: Path
) -> None:
    (here / "x.pt").write_bytes(zipped(named(w=tensor())))
    assert run("convert", "x.pt", "-o", ".").code == 0
    again = run("convert", "x.pt", "-o", ".")
    assert again.code == 2
    assert "--force" in again.err
    assert run("convert", "x.pt", "-o", ".", "--force").code == 0


def test_names_from_the_file_are_shown_harmlessly(run: Callable[..., Ran], here: Path) -> None:
    program = named(w=tensor(), **{"\x1b[31mred": number(1)})
    (here / "x.pt").write_bytes(zipped(program))
    ran = run("convert", "x.pt", "-o", "out")
    assert ran.code == 0
    assert "\x1b" not in ran.out


def test_many_names_are_counted_unless_all_are_asked_for(
    run: Callable[..., Ran], here: Path
) -> None:
    program = named(w=tensor(), **{f"n{n}": number(n) for n in range(15)})
    (here / "x.pt").write_bytes(zipped(program))
    assert "5 more, which -v shows" in run("convert", "x.pt", "-o", "out").out
    assert "n14" in run("convert", "x.pt", "-o", "out", "--force", "-v").out


def test_a_wrapper_in_the_names_is_told_with_the_option_for_it(
    run: Callable[..., Ran], here: Path
) -> None:
    (here / "x.ckpt").write_bytes(zipped(named(state_dict=named(w=tensor()), epoch=number(1))))
    assert "--only state_dict" in run("convert", "x.ckpt", "-o", "a").out
    assert "--only" not in run("convert", "x.ckpt", "-o", "b", "--only", "state_dict").out


def test_a_folder_to_write_to_has_to_be_named(run: Callable[..., Ran]) -> None:
    assert run("convert", "x.pt").code == 2
