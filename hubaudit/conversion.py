"""Write safetensors files of torch checkpoints, on the Hub or on this machine, without unpickling them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from errno import EEXIST, EISDIR
from pathlib import Path, PurePosixPath

from hubaudit import rules
from hubaudit.config import DEFAULT_POLICY
from hubaudit.errors import FileUnavailable, HubauditError, UsageError
from hubaudit.events import Listener, Pinned, ignore
from hubaudit.formats.contents import Contents, Format, OddityKind
from hubaudit.formats.read import read_promised
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.hub.client import HubClient
from hubaudit.hub.targets import parse_target
from hubaudit.model import (
    Finding,
    Listing,
    LoadRole,
    ReadHow,
    RepoFile,
    RepoRef,
    RepoType,
    Severity,
)
from hubaudit.opening import Files, HubFiles, LocalFiles
from hubaudit.rules.uses import judge
from hubaudit.source import Source
from hubaudit.source.digest import matches_listing, sha256_of
from hubaudit.source.local import LocalSource
from hubaudit.tensors.convert import (
    CannotConvert,
    Plan,
    index_of,
    is_index,
    plan,
    shards_of,
    target_of,
)
from hubaudit.tensors.torch import torch_table
from hubaudit.tensors.write import ShortRead, differing, pieces

MAX_INDEX = 64 << 20  # bytes; an index has about 100 a tensor
_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
# What Trainer and accelerate keep beside the weights in the same suffixes, for themselves.
_NO_WEIGHTS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state", "random_states")
_TORCH = frozenset({Format.TORCH_ZIP, Format.TORCH_LEGACY})


@dataclass(frozen=True, slots=True)
class Converted:
    """A checkpoint that was written and found to have, byte for byte, the tensors of its source.

    `sources` and `written` are paths, in the repository and in the output folder. `tied` are names that
    were left out with the names that stand for them, `skipped` the entries that are no tensors, `wrapper`
    the key under which the tensors of the model are, if it is in their names, and `findings` what an audit
    says of the sources that fails one.
    """

    sources: tuple[str, ...]
    written: tuple[str, ...]
    tensors: int
    size: int  # bytes of the tensors
    tied: tuple[tuple[str, str], ...] = ()
    skipped: tuple[str, ...] = ()
    wrapper: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A checkpoint of which nothing was written, and why: sentences without their end."""

    sources: tuple[str, ...]
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


Outcome = Converted | Refused


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be converted and to where. `files` names some of the target's, none for all checkpoints.

    `only`: of nested checkpoints what lies under this name, without it. `force`: files that are there
    already are replaced.
    """

    folder: Path
    files: tuple[str, ...] = ()
    only: str = ""
    force: bool = False


def convert(
    target: str,
    order: Order,
    *,
    revision: str | None = None,
    repo_type: RepoType | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    listener: Listener = ignore,
) -> tuple[Outcome, ...]:
    """Convert the torch checkpoints of a repository on the Hub, from its HF cache, at one commit.

    Files that its listing could not take are refused, whatever they are. Raises UsageError where the
    order cannot be followed, and what `audit` raises. Nothing is left half written.
    """
    wanted = parse_target(target, repo_type=repo_type, revision=revision)
    with HubClient(endpoint=endpoint, token=token, listener=listener) as hub:
        repo = hub.pin(wanted)
        listener(Pinned(repo))
        files = HubFiles(hub, repo, "cache")
        return tuple(_Job(files, hub.list_files(repo), order).run())


def convert_local(path: str | Path, order: Order) -> tuple[Outcome, ...]:
    """The same for a local file or folder. Raises PathError if there is none."""
    root = Path(path)
    if root.is_file() and not order.files:
        order = replace(order, files=(root.name,))
    files = LocalFiles(root)
    return tuple(_Job(files, files.list(), order).run())


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """Files that are converted together. `index` is the list of shards, if there is one."""

    paths: tuple[str, ...]
    index: str | None = None
    weights: dict[str, str] = field(default_factory=dict)
    problem: str = ""


class _Job:
    """One order for one listing."""

    def __init__(self, files: Files, listing: Listing, order: Order) -> None:
        self._files = files
        self._repo = listing.repo
        self._lost = {entry.path: entry.why for entry in listing.unread}
        self._listed = {f.path: f for f in listing.files if f.path not in self._lost}
        self._order = order

    def run(self) -> Iterator[Outcome]:
        """Raises UsageError before anything is written."""
        checkpoints = list(self._checkpoints())
        lost = [path for path in self._order.files or self._lost if path in self._lost]
        if not checkpoints and not lost:
            raise UsageError(
                "there is no torch checkpoint to convert", hint="name one with --file PATH"
            )
        self._check_places(checkpoints)
        for checkpoint in checkpoints:
            yield self._convert(checkpoint)
        for path in lost:
            yield Refused((path,), (self._lost[path],))

    def _checkpoints(self) -> Iterator[_Checkpoint]:
        for path in self._order.files:
            if path not in self._listed and path not in self._lost:
                raise UsageError(f"there is no file {path}", hint="give its path in the target")
        asked = [path for path in self._order.files or self._listed if path in self._listed]
        indexes = [self._sharded(path) for path in asked if is_index(path)]
        yield from indexes
        in_shards = {path for one in indexes for path in one.paths}
        for path in asked:
            if path not in in_shards and not is_index(path) and self._is_wanted(path):
                yield _Checkpoint((path,))

    def _is_wanted(self, path: str) -> bool:
        """What is named, and what is a torch checkpoint by its name and its bytes."""
        if path in self._order.files:
            return True
        name = PurePosixPath(path)
        if name.suffix not in _SUFFIXES or name.name.startswith(_NO_WEIGHTS):
            return False
        file = self._listed[path]
        with self._files.open_start(file) as source:
            found = sniff(source.read(0, HEAD_SIZE), file.size)
        return found in (Format.ZIP, *_TORCH)

    def _sharded(self, index: str) -> _Checkpoint:
        file = self._listed[index]
        if file.size > MAX_INDEX:
            return _Checkpoint((), index, problem=f"the index has over {MAX_INDEX:,} bytes")
        try:
            with self._files.open(file, self._how(file)) as source:
                weights = shards_of(source.read(0, file.size))
        except (CannotConvert, FileUnavailable) as error:
            return _Checkpoint((), index, problem=str(error))
        folder = PurePosixPath(index).parent
        paths = tuple(sorted({str(folder / shard) for shard in weights.values()}))
        missing = [path for path in paths if path not in self._listed]
        problem = f"the index names {missing[0]}, which is not there" if missing else ""
        return _Checkpoint(paths, index, weights, problem)

    def _how(self, file: RepoFile) -> ReadHow:
        return self._files.how(file, Format.PICKLE, LoadRole.LOADED)

    def _check_places(self, checkpoints: Sequence[_Checkpoint]) -> None:
        """Every file that is to be written: inside the folder, once, and not there yet."""
        seen: dict[str, str] = {}
        for checkpoint in checkpoints:
            for path in _with_index(checkpoint):
                place = target_of(path)
                if (other := seen.setdefault(place, path)) != path:
                    raise UsageError(
                        f"{other} and {path} would both be written as {place}",
                        hint="name one of them with --file",
                    )
                found = inside(self._order.folder, place)
                if not self._order.force and (found.exists() or found.is_symlink()):
                    raise UsageError(
                        f"{found} is there already",
                        hint="replace it with --force, or give another DIR",
                    )
                if _is_folder(found):
                    raise UsageError(
                        f"{found} is a folder, and a file is to be written there",
                        hint="move it away, or give another DIR",
                    )

    def _convert(self, checkpoint: _Checkpoint) -> Outcome:
        sources = checkpoint.paths or _with_index(checkpoint)
        if checkpoint.problem:
            return Refused(sources, (checkpoint.problem,))
        writing = _Writing(self._order)
        findings: list[Finding] = []
        try:
            with ExitStack() as on_failure:
                on_failure.callback(writing.discard)
                for path in checkpoint.paths:
                    self._convert_file(self._listed[path], writing, findings)
                _check_index(checkpoint, writing)
                if checkpoint.index is not None:
                    writing.add_index(target_of(checkpoint.index))
                written = writing.keep()
                on_failure.pop_all()
        except CannotConvert as error:
            return Refused(sources, error.reasons, tuple(findings))
        return Converted(
            sources,
            written,
            len(writing.weights),
            writing.size,
            tuple(writing.tied),
            tuple(writing.skipped),
            _wrapper(writing.weights),
            tuple(findings),
        )

    def _convert_file(self, file: RepoFile, writing: _Writing, findings: list[Finding]) -> None:
        """Raises CannotConvert."""
        try:
            with self._files.open(file, self._how(file)) as source:
                if matches_listing(file, source) is False:
                    raise CannotConvert(["its bytes are not those listed"])
                contents = read_promised(source)
                findings += _failing(file, contents)
                planned = _planned(source, contents, self._metadata(file, source), self._order.only)
                writing.add(file.path, source, planned)
        except CannotConvert as error:
            raise CannotConvert([f"{file.path}: {why}" for why in error.reasons]) from error
        except (FileUnavailable, ShortRead) as error:
            raise CannotConvert([f"{file.path}: {error}"]) from error

    def _metadata(self, file: RepoFile, source: Source) -> dict[str, str]:
        """`format` is what transformers asks for; the rest says where the tensors are from."""
        return {
            "format": "pt",
            "source_file": file.path,
            "source_sha256": file.sha256 or sha256_of(source),
            **_commit(self._repo),
        }


# Lightning's key for the model among what else it keeps, and the one that torch's tutorials use.
_WRAPPERS = "state_dict", "model_state_dict"


def _wrapper(names: Iterable[str]) -> str:
    first = {name.partition(".")[0] for name in names}
    return next((key for key in _WRAPPERS if key in first), "")


def _commit(repo: RepoRef) -> dict[str, str]:
    if repo.commit_hash is None:
        return {}
    return {"source_repo": repo.repo_id, "source_commit": repo.commit_hash}


def _with_index(checkpoint: _Checkpoint) -> tuple[str, ...]:
    return checkpoint.paths if checkpoint.index is None else (*checkpoint.paths, checkpoint.index)


def inside(folder: Path, path: str) -> Path:
    """The file `path` in `folder`. Raises UsageError where it would lie outside, or pass a link out of it."""
    name = PurePosixPath(path)
    parts = name.parts
    is_odd = not _is_utf8(path) or any(set(part) & set("\\:\0") for part in parts)
    if name.is_absolute() or ".." in parts or is_odd:
        raise UsageError(
            f"{path} is no name for a file in {folder}", hint="name others with --file"
        )
    found = folder.joinpath(*parts)
    if not found.parent.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{found} leads out of {folder}", hint="give a DIR without links in it")
    return found


def _is_folder(path: Path) -> bool:
    """A link to one can be replaced as files can."""
    return path.is_dir() and not path.is_symlink()


def _is_utf8(text: str) -> bool:
    """A name of a local file need not be: it goes into the index and the metadata, which have to."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _planned(source: Source, contents: Contents, metadata: dict[str, str], only: str) -> Plan:
    """Raises CannotConvert."""
    for odd in contents.oddities:
        if odd.kind is OddityKind.DISAGREEMENT:
            raise CannotConvert([f"loaders read the archive differently: {odd.detail}"])
    return plan(torch_table(source, contents), metadata, source.size, only)


def _failing(file: RepoFile, contents: Contents) -> Iterator[Finding]:
    """What would fail an audit of a file that is loaded."""
    uses = judge(rules.catalogue_under(DEFAULT_POLICY), contents)
    evidence = rules.Evidence(file, LoadRole.LOADED, contents, uses, None)
    for finding in rules.check(evidence):
        if finding.severity.rank <= Severity.HIGH.rank:
            yield finding


def _check_index(checkpoint: _Checkpoint, writing: _Writing) -> None:
    """Every tensor that the index names is in the shard that it names. Raises CannotConvert."""
    if checkpoint.index is None or writing.only:
        return
    folder = PurePosixPath(checkpoint.index).parent
    for name, shard in checkpoint.weights.items():
        if writing.found.get(name) != str(folder / shard):
            raise CannotConvert([f"{checkpoint.index}: {name} is not in {shard}"])


class _Writing:
    """The files of one checkpoint: under other names until all of them are there and verified."""

    def __init__(self, order: Order) -> None:
        self.only = order.only
        self.weights: dict[str, str] = {}  # tensor → name of the file written
        self.found: dict[str, str] = {}  # tensor, also a tied one → path of the source
        self.tied: list[tuple[str, str]] = []
        self.skipped: list[str] = []
        self.size = 0
        self._order = order
        self._unfinished: list[tuple[Path, Path, str]] = []
        self._named: list[Path] = []
        self._replaced: list[tuple[Path, Path]] = []  # where an old file is meanwhile, and its name

    def add(self, path: str, source: Source, planned: Plan) -> None:
        """Raises CannotConvert, ShortRead, and HubauditError where the disk does not take it."""
        place = target_of(path)
        for name in (*planned.names, *(name for name, _ in planned.tied)):
            if (other := self.found.setdefault(name, path)) != path:
                raise CannotConvert([f"{name} is in {other}, too"])
        unfinished = self._write(place, pieces(source, planned))
        with LocalSource(unfinished) as written:
            if wrong := differing(source, planned, written):
                raise CannotConvert([f"{wrong[0]} came out differently"])
        self.weights |= dict.fromkeys(planned.names, PurePosixPath(place).name)
        self.tied += planned.tied
        self.skipped += planned.skipped
        self.size += planned.data_size

    def add_index(self, place: str) -> None:
        self._write(place, [index_of(self.weights, self.size)])

    def _write(self, place: str, data: Iterable[bytes]) -> Path:
        final = inside(self._order.folder, place)
        unfinished = final.with_name(f".{final.name}.{os.getpid()}.tmp")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            inside(self._order.folder, place)  # again: now the folders are there
            with unfinished.open("xb") as file:
                self._unfinished.append((unfinished, final, place))
                for piece in data:
                    file.write(piece)
        except OSError as error:
            raise _not_written(final, error) from None
        return unfinished

    def keep(self) -> tuple[str, ...]:
        """Give all files their names, the index last. Until all have theirs, `discard` undoes it."""
        for unfinished, final, _ in self._unfinished:
            try:
                self._make_room(final)
                unfinished.replace(final)
            except OSError as error:
                raise _not_written(final, error) from None
            self._named.append(final)
        done, self._named, self._replaced = self._replaced, [], []
        for old, _ in done:
            with suppress(OSError):
                old.unlink()
        return tuple(place for _, _, place in self._unfinished)

    def _make_room(self, final: Path) -> None:
        """What is there already is kept under another name. Raises OSError."""
        if not (final.exists() or final.is_symlink()):
            return
        if not self._order.force:
            raise FileExistsError(EEXIST, "it is there already")
        if _is_folder(final):
            raise IsADirectoryError(EISDIR, "it is a folder")
        if len(self._unfinished) == 1:
            return  # nothing to be undone: it is replaced at once or not at all
        old = final.with_name(f".{final.name}.{os.getpid()}.old")
        final.rename(old)
        self._replaced.append((old, final))

    def discard(self) -> None:
        for path in (*self._named, *(unfinished for unfinished, _, _ in self._unfinished)):
            with suppress(OSError):
                path.unlink()
        for old, final in self._replaced:
            with suppress(OSError):
                old.replace(final)


def _not_written(path: Path, error: OSError) -> HubauditError:
    return HubauditError(
        f"{path} could not be written: {error.strerror or error}",
        hint="choose another folder, or see who may write there and how much room there is",
    )
