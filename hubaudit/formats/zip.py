"""Zip archives: torch checkpoints, TorchScript, `.npz`, and any other archive with pickles in it.

Loaders read them by the directory at the end, in two ways, or by the local headers before the members.
Every member is read in each of these ways in which it comes out differently.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest

from hubaudit.formats.buried import read_unasked
from hubaudit.formats.contents import Contents, Format, Gap, Oddity, OddityKind, Trailing, together
from hubaudit.formats.paths import is_path_of_zip, leads_out, link_leads_out
from hubaudit.formats.place import MAX_HELD, Budget, Place, too_deep
from hubaudit.formats.plausible import imports_plausibly
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.formats.unpacked import HeldSource, UnpackedSource
from hubaudit.formats.zip_compare import STORED, UNREADABLE_BITS, compare
from hubaudit.formats.zip_holes import Hole, holes_between, search
from hubaudit.formats.zip_index import Index, read_index
from hubaudit.formats.zip_members import BadMember, open_member
from hubaudit.formats.zip_parts import Part, parts_of
from hubaudit.formats.zip_records import Entry, read_local, torch_data_start
from hubaudit.source import OutOfReach, Source
from hubaudit.source.remote import RemoteSource
from hubaudit.source.window import WindowSource

_PICKLED = frozenset({Format.PICKLE, Format.UNCERTAIN, Format.TORCH_LEGACY})
# Bytes of a member whose checksum is checked: pickles in checkpoints are smaller, and it only tells
# whether loaders agree.
MAX_CHECKED = 16 << 20
# Members with pickles in them, of which what they do is kept: 1.8 KB each, at the least.
MAX_PICKLED = 50_000
_DESCRIPTORS = (16, 24)  # bytes behind the data of a member that torch wrote, up to 4 GiB and above
_LONGEST_LINK = 4096  # bytes, PATH_MAX of Linux
_LINK, _KIND = 0xA000, 0xF000  # of the Unix mode in the upper half of the external attributes


def read_zip(source: Source, place: Place) -> Contents:
    """Every member, as what its bytes are."""
    if place.is_too_deep:
        return too_deep(Format.ZIP, place)
    archive = _at_random(source)
    if parts := parts_of(archive):
        return _read_parts(archive, parts, place)
    return _read_one(archive, place)


def _read_parts(archive: Source, parts: list[Part], place: Place) -> Contents:
    """Each as an archive of its own, whose members are called by where it begins: `@0/m/data.pkl`."""
    said = f"{len(parts):,} archives one after the other, of which torch.load opens the last"
    several = Oddity(OddityKind.SEVERAL, place.member, None, said)
    found = [Contents(Format.TORCH_ZIP, oddities=(several,))]
    pickled = 0
    for part in parts:
        inside = replace(place, member=place.path_of(f"@{part.start}"))
        if pickled >= MAX_PICKLED:
            gap = Gap(inside.member, "what is in the archives before it is too much already")
            return together(Format.TORCH_ZIP, [*found, Contents(Format.ZIP, gaps=(gap,))])
        window = WindowSource(archive, part.start, part.end - part.start)
        found.append(_read_one(window, inside))
        pickled += len(found[-1].pickles)
    return together(Format.TORCH_ZIP, found)


def _read_one(archive: Source, place: Place) -> Contents:
    index = read_index(archive)
    if not index.entries and index.end is not None and index.problems:
        return Contents(Format.ZIP, gaps=tuple(_problems(index, place)))
    return _Walk(archive, place, index).read()


def _at_random(source: Source) -> Source:
    """A compressed archive has to be held in memory: its directory is at its end."""
    if not isinstance(source, UnpackedSource):
        return source
    held = HeldSource(source, MAX_HELD)
    if held.is_cut:
        raise OutOfReach(f"an archive in compressed data, of over {MAX_HELD:,} bytes")
    return held


def _problems(index: Index, place: Place) -> Iterator[Gap]:
    for problem in index.problems:
        yield Gap(place.member, f"not a readable zip archive: {problem}")


class _Walk:
    """One archive, read from its first header to its last."""

    def __init__(self, archive: Source, place: Place, index: Index) -> None:
        self._archive = archive
        self._place = place
        self._index = index
        self._read_to = 0  # the end of what was read, to know what is read again
        self._skipped = 0
        self._pickled = 0
        self._parts: list[Contents] = []
        self._names = {entry.path for entry in index.entries}
        self._lowered = {name.lower() for name in self._names}
        self._is_torch = any(name.rpartition("/")[2] == "data.pkl" for name in self._lowered)
        self._is_far = isinstance(archive, RemoteSource)

    def read(self) -> Contents:
        for said in self._index.disagreements:
            self._odd(OddityKind.DISAGREEMENT, None, None, said)
        self._parts.append(Contents(Format.ZIP, gaps=tuple(_problems(self._index, self._place))))
        spans = list(self._read_members())
        self._read_holes([*spans, *self._index.spans])
        self._judge_names()
        if self._skipped:
            said = f"{self._skipped:,} of its members are too much, together, and are not read"
            self._gap(None, said)
        return together(self._format, self._parts)

    @property
    def _format(self) -> Format:
        if not self._is_torch:
            return Format.ZIP
        is_script = any(name.rpartition("/")[2] == "constants.pkl" for name in self._lowered)
        return Format.TORCHSCRIPT if is_script else Format.TORCH_ZIP

    def _odd(self, kind: OddityKind, name: str | None, offset: int | None, said: str) -> None:
        oddity = Oddity(kind, self._path_of(name), offset, said)
        self._parts.append(Contents(Format.ZIP, oddities=(oddity,)))

    def _gap(self, name: str | None, why: str) -> None:
        self._parts.append(Contents(Format.ZIP, gaps=(Gap(self._path_of(name), why),)))

    def _path_of(self, name: str | None) -> str | None:
        return self._place.member if name is None else self._place.path_of(name)

    def _read_members(self) -> Iterator[tuple[int, int]]:
        """Reads every member that a directory names; yields the bytes that each takes."""
        end = overlapping = 0
        before: Entry | None = None
        entries = self._index.entries
        for entry, following in zip_longest(entries, entries[1:]):
            if self._is_far and following is not None and self._is_taken_on_trust(entry, following):
                yield entry.header, following.header
                end, before = max(end, following.header), entry
                continue
            local = read_local(self._archive, entry.header)
            if local is None:
                self._gap(entry.path, "there is no header where the directory says")
                continue
            compared = compare(self._archive, entry, local)
            for said in compared.differences:
                self._odd(OddityKind.DISAGREEMENT, entry.path, None, f"its local header: {said}")
            is_other_size = before is not None and _same_place(before, entry)
            overlapping += entry.header < end and not is_other_size
            for reading in compared.readings:
                is_first = reading is compared.readings[0] and not is_other_size
                self._read(reading, entry.path if is_first else self._other_path(reading))
            yield entry.header, compared.end
            assert local.data is not None
            end = max(end, local.data + entry.packed)
            before = entry
        if overlapping:
            said = f"{overlapping:,} of its members begin inside others"
            self._odd(OddityKind.DISAGREEMENT, None, None, said)

    def _is_taken_on_trust(self, entry: Entry, following: Entry) -> bool:
        """Whether this far member is a storage, by the directory, and lies just as torch puts it.

        Its local header would be a request for each tensor. What leaves room for a hidden member is
        looked at.
        """
        if entry.method != STORED or entry.packed != entry.unpacked:
            return False
        if entry.flags & UNREADABLE_BITS or not self._is_storage(entry.path):
            return False
        behind = following.header - torch_data_start(entry) - entry.packed
        return behind in _DESCRIPTORS

    def _other_path(self, reading: Entry) -> str:
        """A name for a second reading, so that what is found in it is told apart."""
        if reading.path not in self._names:
            return reading.path
        return f"{reading.path} (as {reading.packed:,} bytes at {reading.header:,})"

    def _read(self, entry: Entry, path: str) -> None:
        self._judge_path(entry, path)
        if entry.path.endswith("/") and entry.unpacked == 0 == entry.packed:
            return
        if not self._may_read(entry):
            self._skipped += 1
            return
        try:
            member = open_member(self._archive, entry, self._place.budget)
            found = self._read_opened(member, entry, path)
        except (BadMember, OutOfReach) as error:
            self._gap(path, str(error))
            return
        if isinstance(member, UnpackedSource):
            found += self._unpacking_gaps(member, found, entry, path)
        if entry.flags & UNREADABLE_BITS:
            found = self._encrypted(found, path)
        self._pickled += bool(found.pickles)
        if found.pickles or found.trailing or found.gaps or found.oddities:
            self._parts.append(found)
        assert entry.data is not None
        if entry.data + entry.packed > self._archive.size:
            self._gap(path, "it is cut off")
        elif found.pickles and not entry.flags & UNREADABLE_BITS:
            self._check(entry, path)

    def _may_read(self, entry: Entry) -> bool:
        assert entry.data is not None
        end = entry.data + entry.packed
        again = max(0, min(end, self._read_to) - entry.data)
        self._read_to = max(self._read_to, end)
        budget = self._place.budget
        if self._pickled >= MAX_PICKLED:
            return False
        return budget.may_repeat(again) and not (entry.method and budget.is_spent)

    def _read_opened(self, member: Source, entry: Entry, path: str) -> Contents:
        if self._is_storage(entry.path):
            return self._read_storage(member, path)
        found_inside = self._place.read(member, self._place.inside(path))
        if entry.attributes >> 16 & _KIND == _LINK:
            target = member.read(0, _LONGEST_LINK).decode("utf-8", "replace")
            if link_leads_out(entry.path, target):
                said = f"it is a link out of the archive, to {target}"
                self._odd(OddityKind.LEADS_OUT, path, None, said)
        return found_inside

    def _read_storage(self, member: Source, path: str) -> Contents:
        """Numbers, whatever they begin like, but for pickles that import something."""
        found = sniff(member.read(0, HEAD_SIZE), member.size)
        if found in _PICKLED:
            read = self._place.read(member, self._place.inside(path))
            if any(imports_plausibly(pickle.trace) for pickle in read.pickles):
                return read
        return Contents(found) + read_unasked(
            member, self._path_of(path), self._place.budget.effort
        )

    def _is_storage(self, name: str) -> bool:
        """`m/data/0` beside `m/data.pkl`: torch reads raw numbers there. Some begin like archives."""
        folder, _, key = name.rpartition("/")
        return key.isdigit() and f"{folder}.pkl" in self._names

    def _unpacking_gaps(
        self, member: UnpackedSource, found: Contents, entry: Entry, path: str
    ) -> Contents:
        """What unpacking a member to its end shows, where its end matters."""
        why = None
        try:
            if found.pickles:
                member.finish()
        except OutOfReach as error:
            why = str(error)
        else:
            if member.problem is not None:
                why = member.problem
            elif found.pickles and member.size != entry.unpacked:
                said = f"{member.size:,} bytes, not the {entry.unpacked:,} that the directory says"
                why = f"it unpacks to {said}"
        gaps = () if why is None else (Gap(self._path_of(path), why),)
        return Contents(Format.ZIP, gaps=gaps)

    def _encrypted(self, found: Contents, path: str) -> Contents:
        """Some loaders pass over the flag, so that what is not encrypted in fact is loaded."""
        gap = Gap(self._path_of(path), "it is encrypted")
        in_fact = [p for p in found.pickles if p.trace.complete or p.trace.imports]
        if not in_fact and not found.oddities:
            return Contents(found.format, gaps=(gap,))
        said = "it is marked as encrypted, but its bytes are a plain pickle"
        oddity = Oddity(OddityKind.DISAGREEMENT, self._path_of(path), None, said)
        return found + Contents(found.format, gaps=(gap,), oddities=(oddity,))

    def _check(self, entry: Entry, path: str) -> None:
        """torch does not check sums, zipfile does; torch can be told to write zeros in their place.

        (`MINIZ_DISABLE_ZIP_READER_CRC32_CHECKS` in its CMakeLists.txt; `set_crc32_options`, 2.6.)
        """
        if entry.unpacked > MAX_CHECKED or (entry.crc == 0 and self._is_torch):
            return
        try:
            member = open_member(self._archive, entry, Budget(MAX_CHECKED))
            data = member.read(0, entry.unpacked)
        except (BadMember, OutOfReach):
            return
        if zlib.crc32(data) != entry.crc:
            said = "its checksum is another, so that some loaders refuse it and others do not"
            self._odd(OddityKind.DISAGREEMENT, path, None, said)

    def _read_holes(self, spans: list[tuple[int, int]]) -> None:
        size = self._archive.size
        places = holes_between(spans, size, size if self._index.end is None else self._index.end)
        holes, is_all = search(self._archive, places)
        for hole in holes:
            self._read_to = hole.start
            for entry in hole.hidden:
                self._read_hidden(entry)
            if self._index.end is not None:
                self._judge_hole(hole)
        if not is_all:
            self._gap(None, "there are too many bytes between its members to look at all of them")

    def _read_hidden(self, entry: Entry) -> None:
        if self._index.end is not None:
            said = f"{entry.path} stands in the archive, but not in its directory"
            self._odd(OddityKind.HIDDEN, None, entry.header, said)
        self._read(entry, self._other_path(entry))

    def _judge_hole(self, hole: Hole) -> None:
        size = hole.end - hole.start
        if hole.is_blank or hole.hidden:
            return
        if hole.start == 0:
            said = f"{size:,} bytes come before its first member"
            self._odd(OddityKind.DISAGREEMENT, None, 0, said)
        elif hole.start == self._index.end:
            said = f"{size:,} bytes come after its end"
            self._odd(OddityKind.DISAGREEMENT, None, hole.start, said)
        elif hole.end != self._index.end:  # there the comment is
            trailing = Trailing(self._place.member, hole.start, size)
            self._parts.append(Contents(Format.ZIP, trailing=(trailing,)))

    def _judge_path(self, entry: Entry, path: str) -> None:
        if len(self._index.entries) == 1 and is_path_of_zip(entry.path):
            said = "its only member is called by the archive's own path, as by pandas 1.3"
            self._odd(OddityKind.OWN_PATH, path, None, said)
        elif leads_out(entry.path) or leads_out(entry.unicode_name.decode("utf-8", "replace")):
            said = "its path leads out of the folder that it is unpacked in"
            self._odd(OddityKind.LEADS_OUT, path, None, said)

    def _judge_names(self) -> None:
        places = {(entry.path, entry.header) for entry in self._index.entries}
        for name, count in sorted(_repeated(name for name, _ in places)):
            self._odd(OddityKind.DISAGREEMENT, name, None, f"{count} members have this name")
        if self._is_torch:
            for name, _ in sorted(_repeated(name.lower() for name in self._names)):
                said = "several members have this name but for upper and lower case"
                self._odd(OddityKind.DISAGREEMENT, name, None, said)
            self._judge_several()
        self._judge_code()

    def _judge_several(self) -> None:
        """torch loads the pickle in the folder of the directory's first member."""
        loaded = f"{self._index.first.partition('/')[0]}/data.pkl"
        if loaded not in self._names:
            return
        for name in sorted(self._names - {loaded}):
            is_other = name.lower() != loaded.lower()
            if is_other and name.lower().rpartition("/")[2] == "data.pkl":
                said = f"torch.load opens {loaded} in its place"
                self._odd(OddityKind.HIDDEN, name, None, said)

    def _judge_code(self) -> None:
        code = [name for name in self._names if name.endswith(".py")]
        if self._is_torch:
            script = [name for name in code if "/code/" in name]
            if script:
                self._odd(OddityKind.TORCHSCRIPT_CODE, None, None, _files(len(script)))
        elif code and any(name.endswith(".data/extern_modules") for name in self._names):
            self._odd(OddityKind.PACKAGE_CODE, None, None, _files(len(code)))


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _same_place(one: Entry, other: Entry) -> bool:
    """Whether they differ in sizes only: one directory entry, understood in two ways."""
    return one == replace(other, packed=one.packed, unpacked=one.unpacked)


def _repeated(names: Iterable[str]) -> Iterator[tuple[str, int]]:
    return ((name, count) for name, count in Counter(names).items() if count > 1)
