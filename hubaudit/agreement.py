"""Up to which commit did a checkpoint and its safetensors sibling agree? Asked of a pair that differs now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hubaudit.comparing import (
    TORCH_CHECKPOINTS,
    Depth,
    Known,
    MetadataOnly,
    Sampling,
    compare_pairs,
    table_of,
)
from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.errors import FileUnavailable, RevisionMissing
from hubaudit.formats.contents import Format
from hubaudit.hub.client import HubClient
from hubaudit.model import Comparison, Listing, ReadHow, RepoFile, RepoRef
from hubaudit.opening import HubFiles
from hubaudit.pvm.state import limits_of
from hubaudit.selection import reader_for
from hubaudit.tensors.history import MOST, last_agreed
from hubaudit.tensors.pairs import Pair


def since_agreed(
    hub: HubClient,
    listing: Listing,
    comparison: Comparison,
    *,
    policy: Policy = DEFAULT_POLICY,
    depth: Depth = Sampling(),  # noqa: B008 -- frozen
) -> Comparison:
    """The comparison with `agreed_at`: the newest of the last 20 commits at which the pair agreed.

    `listing` is that of the commit at which it differs; one that does not differ comes back as it is. A
    request for the history and for each commit's listing; files are read, by ranges, only where their
    bytes are others than at the commits before. `depth` is how deep `comparison` went: what a deeper one
    has found, a shallower one must not overlook. Raises a HubError.
    """
    if comparison.result != "differs":
        return comparison
    pair = Pair(
        comparison.pickle_files or (comparison.pickle,),
        comparison.safetensors_files or (comparison.safetensors,),
    )
    past = _Past(hub, listing.repo, pair, policy, depth)
    past.remember(listing, agreed=False)
    older = hub.history(listing.repo, MOST).commits[1:]
    return replace(comparison, agreed_at=last_agreed(older, past.agree).commit)


_Key = tuple[tuple[str, str | None], ...]


@dataclass(slots=True)
class _Past:
    """The pair at other commits. Each combination of contents is compared once."""

    hub: HubClient
    repo: RepoRef
    pair: Pair
    policy: Policy
    depth: Depth
    known: dict[_Key, bool | None] = field(default_factory=dict)

    def remember(self, listing: Listing, *, agreed: bool) -> None:
        self.known[_key(self._files(listing))] = agreed

    def agree(self, commit: str) -> bool | None:
        """None where a file is not there, or nobody can tell."""
        at = replace(self.repo, revision=None, commit_hash=commit)
        try:
            files = self._files(self.hub.list_files(at))
        except RevisionMissing:
            return None
        if len(files) < len(self.pair.pickles) + len(self.pair.safetensors):
            return None
        key = _key(files)
        if key not in self.known:
            self.known[key] = self._compare(at, files)
        return self.known[key]

    def _files(self, listing: Listing) -> dict[str, RepoFile]:
        wanted = {*self.pair.pickles, *self.pair.safetensors}
        return {file.path: file for file in listing.files if file.path in wanted}

    def _compare(self, at: RepoRef, files: Mapping[str, RepoFile]) -> bool | None:
        """By names and shapes first, which may decide it without a look at the weights."""
        opened = HubFiles(self.hub, at, "range")
        try:
            known = {path: self._known(opened, file) for path, file in files.items()}
        except FileUnavailable:
            return None
        if not all(known[path].format in TORCH_CHECKPOINTS for path in self.pair.pickles):
            return None
        depths: tuple[Depth, ...] = (MetadataOnly(), self.depth)
        result = "not-compared"
        for depth in depths:
            (found,) = compare_pairs(opened, [self.pair], known, depth, map)
            result = found.result
            if result == "differs":
                return False
        return True if result == "equal" else None

    def _known(self, opened: HubFiles, file: RepoFile) -> Known:
        if file.path in self.pair.safetensors:
            return Known(file, ReadHow.RANGE, Format.SAFETENSORS, None)
        with opened.open_start(file) as source:
            limits = limits_of(self.policy.max_opcodes)
            read = reader_for(file.path)
            contents = read(source, self.policy.max_archive_depth, limits)
            return Known(file, ReadHow.RANGE, contents.format, table_of(source, contents))


def _key(files: Mapping[str, RepoFile]) -> _Key:
    return tuple(sorted((path, file.sha256 or file.blob_id) for path, file in files.items()))
