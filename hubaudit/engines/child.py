"""Run another program on a hostile file: for so long, in so much memory, with nothing of ours."""

from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Of what a program prints, and of the file that it writes: reports on a checkpoint are a few kB, of one of
# many findings a few hundred.
_MOST_BYTES = 4 << 20
_LARGEST_FILE = 1 << 30  # bytes that it may write into one file, as an unpacked member
_NOWHERE = "http://127.0.0.1:9"  # the port of the discard service, where hardly anything listens
_QUIET = {
    "LANG": "C.UTF-8",
    "COLUMNS": "200",
    "NO_COLOR": "1",
    "PYTHONUTF8": "1",
    "PYTHONSAFEPATH": "1",  # nothing is imported from the folder that it stands in
    "PYTHONDONTWRITEBYTECODE": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "NO_ANALYTICS": "1",
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",  # each thread of numpy's takes addresses, of which there are few
    "OPENBLAS_NUM_THREADS": "1",
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """For one process. `address_space` in bytes, where the system can limit it."""

    seconds: int
    address_space: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `code`: its exit code, negative for a signal; None if its time was over.

    `said`: the beginning of what it printed on either stream. `result`: the same of the file that it was
    to write; None if there is none.
    """

    code: int | None
    said: str
    result: str | None


def run(command: Sequence[str], folder: Path, result: Path, limits: Limits) -> Ended:
    """Run `command` in `folder`, which is its home, too, and wait. Raises nothing for how it ends."""
    output = folder / "output.txt"
    with output.open("wb") as out:
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell reads any of the arguments
                [*_limiting(limits), *command],
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Ended(126, f"it cannot be started: {error.strerror}", None)
        try:
            code: int | None = process.wait(limits.seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
    said, written = _beginning(output), _beginning(result)
    # where it lay is nobody's business, and another place each time
    return Ended(
        code,
        (said or "").replace(str(folder), "…"),
        None if written is None else written.replace(str(folder), "…"),
    )


def environment(folder: Path, ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a program gets of our environment: where programs are, and nothing that names anybody."""
    path = [
        part for part in ours.get("PATH", os.defpath).split(os.pathsep) if Path(part).is_absolute()
    ]
    kept = {name: ours[name] for name in ("SYSTEMROOT", "PATHEXT") if name in ours}
    home = dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(folder))
    base = {"PATH": os.pathsep.join(path), "PYTHONUSERBASE": site.getuserbase()}
    return {**kept, **home, **base, **_QUIET}


def _limiting(limits: Limits) -> list[str]:
    """A prefix to the command. A shell sets the limits: between fork and exec Python should not run."""
    if sys.platform == "win32":
        return []
    script = (
        f"ulimit -c 0; ulimit -t {limits.seconds}; ulimit -f {_LARGEST_FILE // 512}\n"
        f"ulimit -v {limits.address_space // 1024} 2>/dev/null\n"
        'exec "$@"'
    )
    return ["/bin/sh", "-c", script, "limited"]


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started, if anything of that still runs."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _beginning(path: Path) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
