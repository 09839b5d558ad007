"""The lists that a watch is given, read anew for every round."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from hubaudit.cli import console
from hubaudit.cli.approved import read_lists
from hubaudit.errors import ConfigError, HubauditError, StoreUnusable
from hubaudit.hub.client import HubClient
from hubaudit.hub.metadata import RepoInfo
from hubaudit.hub.named import standings
from hubaudit.lists import ApprovedList, Entry
from hubaudit.sweeping.work import How
from hubaudit.watch.alert import Name, name_of
from hubaudit.watch.ledger import Ledger
from hubaudit.watch.look import Watched
from hubaudit.watch.poll import Roster

_COMMIT = re.compile(r"[0-9a-f]{40}")
_OWNER = "owner:"


class Rosters:
    """Gives the roster of now. `how` is for every target, but for what its entry overrides.

    The first time it raises ConfigError and HubError; later, what cannot be read stays as it was.
    """

    def __init__(
        self,
        hub: HubClient,
        ledger: Ledger,
        lists: Sequence[str],
        column: str | None,
        how: Callable[[date], How],
        *,
        keep_going: bool,
    ) -> None:
        self._hub, self._ledger = hub, ledger
        self._owners = [spec.removeprefix(_OWNER) for spec in lists if spec.startswith(_OWNER)]
        self._lists = [spec for spec in lists if not spec.startswith(_OWNER)]
        self._column, self._how, self._keep_going = column, how, keep_going
        self._last: Roster | None = None
        self._stdin: ApprovedList | None = None
        self._warned: set[str] = set()
        self._warning: set[str] = set()

    def __call__(self) -> Roster:
        self._warned, self._warning = self._warning, set()
        try:
            roster = self._read()
        except StoreUnusable:
            raise
        except HubauditError as error:
            if self._last is None:
                raise
            self._warn(f"the list cannot be read, and stays as it was: {error}")
            return self._last
        self._last = roster
        return roster

    def _read(self) -> Roster:
        today = datetime.now(UTC).date()
        how = self._how(today)
        watched: dict[
            Name, Watched
        ] = {}  # by names in small letters: ids are one in any letter case
        for entry in self._entries(today):
            one = self._watched(entry, how, today)
            first = watched.setdefault(_folded(one.name), one)
            if first is not one:
                self._warn(f"{one.name} is listed for the second time: the first one counts")
        infos: dict[Name, RepoInfo] = {}
        added: set[Name] = set()
        for owner in self._owners:
            for name, info in self._owned(owner, added):
                one = watched.setdefault(_folded(name), Watched(name, how))
                if info is not None:
                    infos[one.name] = info
        if not watched:
            raise ConfigError("the lists name no repository", hint="are they the right ones?")
        return Roster(tuple(watched.values()), infos, frozenset(added))

    def _entries(self, today: date) -> Sequence[Entry]:
        if not self._lists:
            return ()
        found = self._stdin or read_lists(self._lists, self._column, self._hub, today)
        if "-" in self._lists:
            self._stdin = found  # it can be read but once
        if found.problems and not self._keep_going:
            raise ConfigError(
                f"{found.problems[0]}",
                hint="correct the list, or watch the rest with --keep-going",
            )
        for problem in found.problems[:1]:
            self._warn(f"{problem} (of {len(found.problems)} mistakes, which are left out)")
        return found.entries

    def _watched(self, entry: Entry, how: How, today: date) -> Watched:
        """A commit in the list is what is approved: what is watched is the default branch, then."""
        target, listed = entry.target, None
        revision = target.revision or ""
        if _COMMIT.fullmatch(revision):
            listed, revision = revision, ""
        name = name_of(self._hub.endpoint, target, revision)
        policy = entry.policy(how.policy, today)
        return Watched(name, replace(how, policy=policy), listed, entry.owner)

    def _owned(self, owner: str, added: set[Name]) -> Iterator[tuple[Name, RepoInfo | None]]:
        """All that the owner has, and had when it was looked at before."""
        source = f"{_OWNER}{owner.lower()}"
        is_known = self._ledger.knows_source(self._hub.endpoint, source)
        endpoint = self._hub.endpoint
        now = {name_of(endpoint, one, ""): info for one, info in standings(self._hub, owner)}
        before = self._ledger.names_of(self._hub.endpoint, owner)
        known = {str(name).lower() for name in before}
        unknown = [name for name in now if str(name).lower() not in known]
        if is_known:
            added.update(unknown)
        elif now and all(self._ledger.trouble(name) for name in unknown):
            # not before each was looked at, or tried to: a first round may be broken off
            self._ledger.put_source(self._hub.endpoint, source)
        yield from now.items()
        here = {str(name).lower() for name in now}
        yield from ((name, None) for name in before if str(name).lower() not in here)

    def _warn(self, said: str) -> None:
        """Once, however many rounds it lasts."""
        if said not in self._warned | self._warning:
            console.warn(said)
        self._warning.add(said)


def _folded(name: Name) -> Name:
    return replace(name, repo_id=name.repo_id.lower())
