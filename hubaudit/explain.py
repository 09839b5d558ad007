"""One file of a repository or of this machine: pinned, found, and interpreted as by an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.errors import FileUnavailable, UsageError
from hubaudit.events import Listener, Pinned, ignore
from hubaudit.formats.contents import Contents
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.hub.client import HubClient
from hubaudit.hub.targets import parse_target
from hubaudit.model import Listing, LoadRole, ReadHow, RepoFile, RepoRef, RepoType
from hubaudit.opening import Files, HubFiles, LocalFiles
from hubaudit.pvm.state import limits_of
from hubaudit.selection import promises_pickle, reader_for
from hubaudit.source.digest import matches_listing

SEPARATOR = "::"
# Names that are compared with a wrong one, which takes a tenth of a second; data sets have more.
_MOST_COMPARED = 5000
_SUGGESTED = 3


@dataclass(frozen=True, slots=True)
class Opened:
    """What was asked for. `contents` has only what is in the member, if one was named.

    `verified` is False if the bytes are not those of the listing, None if not all of them were had.
    `policy` is what it was read under, and what says which names are allowed and denied.
    """

    repo: RepoRef
    file: RepoFile
    contents: Contents
    verified: bool | None
    policy: Policy


def read_one(
    target: str,
    rest: str,
    *,
    revision: str | None = None,
    repo_type: RepoType | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
    record: Path | None = None,
    replay: Path | None = None,
) -> Opened:
    """The file that `rest`, `FILE` or `FILE::MEMBER`, names in `target`.

    What exists on this machine is taken from there; there `rest` may leave out the name of the file
    that `target` already is. A file on the Hub is read in place, and nothing is downloaded that was not
    before. Raises UsageError for a file or member that is not there, with the nearest names as its
    hint, FileUnavailable if it cannot be read, and what `audit` raises.
    """
    if is_local(target):
        root = Path(target)
        local = LocalFiles(root)
        if root.is_file() and rest.partition(SEPARATOR)[0] != root.name:
            rest = f"{root.name}{SEPARATOR}{rest}"
        return _read(local, local.list(), rest, policy)
    wanted = parse_target(target, repo_type=repo_type, revision=revision)
    with HubClient(
        endpoint=endpoint, token=token, listener=listener, record=record, replay=replay
    ) as hub:
        repo = hub.pin(wanted)
        listener(Pinned(repo))
        return _read(HubFiles(hub, repo, "range"), hub.list_files(repo), rest, policy)


def is_local(target: str) -> bool:
    """Whether `target` is spelled as a path, or is one that exists."""
    try:
        return target.startswith(("/", "./", "../")) or Path(target).exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL in it
        return False


def _read(files: Files, listing: Listing, rest: str, policy: Policy) -> Opened:
    by_path = {file.path: file for file in listing.files}
    path, member = _split(rest, by_path)
    try:
        contents, verified = _contents(files, by_path[path], policy)
    except FileUnavailable as error:
        raise FileUnavailable(f"{path}: {error}", hint="see what an audit can read") from error
    opened = Opened(listing.repo, by_path[path], contents, verified, policy)
    return opened if member is None else _only(member, opened)


def _contents(files: Files, file: RepoFile, policy: Policy) -> tuple[Contents, bool | None]:
    head = b""
    if file.size:
        with files.open_start(file) as source:
            head = source.read(0, HEAD_SIZE)
    how = files.how(file, sniff(head, file.size), LoadRole.LOADED)
    read, limits = reader_for(file.path), limits_of(policy.max_opcodes)
    with files.open(file, how) as source:
        whole = how is ReadHow.CACHE or file.size <= HEAD_SIZE
        verified = matches_listing(file, source) if whole else None
        return read(source, policy.max_archive_depth, limits), verified


def _split(rest: str, paths: Mapping[str, object]) -> tuple[str, str | None]:
    """File and member. A file's own name may have the separator in it: the longest that exists."""
    parts = rest.split(SEPARATOR)
    for end in range(len(parts), 0, -1):
        path = SEPARATOR.join(parts[:end])
        if path in paths:
            return path, SEPARATOR.join(parts[end:]) or None
    asked = parts[0]
    known = sorted(paths, key=lambda path: (not promises_pickle(path), path))
    message = f"there is no file {asked}" if asked else "no file is named"
    raise UsageError(message, hint=_nearest(asked, known, "there are no files"))


def _only(member: str, opened: Opened) -> Opened:
    """The pickles of `member`, and those inside it."""

    def is_asked_for(place: str | None) -> bool:
        return place is not None and f"{place}/".startswith(f"{member}/")

    contents = opened.contents
    chosen = replace(
        contents,
        pickles=tuple(one for one in contents.pickles if is_asked_for(one.member)),
        trailing=tuple(one for one in contents.trailing if is_asked_for(one.member)),
        gaps=tuple(one for one in contents.gaps if is_asked_for(one.member)),
        oddities=(),
    )
    if chosen.pickles or chosen.gaps:
        return replace(opened, contents=chosen)
    known = dict.fromkeys(one.member for one in contents.pickles if one.member is not None)
    hint = _nearest(member, list(known), "it has none in members; leave out the last ::")
    raise UsageError(f"there is no pickle {member} in {opened.file.path}", hint=hint)


def _nearest(asked: str, known: Sequence[str], otherwise: str) -> str:
    """A hint: the names most like `asked`, or the first ones."""
    close = get_close_matches(asked, known[:_MOST_COMPARED], _SUGGESTED, cutoff=0.4)
    found = close or known[:_SUGGESTED]
    return f"perhaps: {', '.join(found)}" if found else otherwise
