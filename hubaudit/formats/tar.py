"""Tar archives, read as tarfile reads them; among them torch's oldest format."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from hubaudit.formats.contents import Contents, Format, Gap, Oddity, OddityKind, together
from hubaudit.formats.paths import leads_out, link_leads_out
from hubaudit.formats.place import Place, too_deep
from hubaudit.formats.sourcefile import SourceFile
from hubaudit.formats.torch_tar import TORCH_MEMBERS, read_torch_member
from hubaudit.source import OutOfReach, Source
from hubaudit.source.window import WindowSource

MAX_HEADER = 1 << 20  # bytes of an extended header: names are far shorter
MAX_MEMBERS = 100_000
_END = 64 * 1024  # bytes behind the last member: writers fill up to 10,240 with zeros

# What tarfile raises for headers that are none; it has no one class for it.
_ERRORS = (
    tarfile.TarError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    EOFError,
    OSError,
)


def read_tar(source: Source, place: Place) -> Contents:
    """Every member. Links and names that lead out of the archive are odd; what they lead to is not in it."""
    if place.is_too_deep:
        return too_deep(Format.TAR, place)
    parts: list[Contents] = []
    links: set[str] = set()
    try:
        with tarfile.open(fileobj=SourceFile(source, MAX_HEADER), mode="r:") as archive:
            # an error further on takes nothing of this away
            for member in _members(archive):
                parts.append(_read_member(source, member, links, place))  # noqa: PERF401
            parts.append(_after(source, archive.offset, place))
    except OutOfReach as error:
        parts.append(_gap(place.member, str(error)))
    except _ERRORS as error:
        parts.append(_gap(place.member, f"the tar archive is damaged: {error}"))
    return together(Format.TAR, parts)


def _gap(member: str | None, why: str) -> Contents:
    return Contents(Format.TAR, gaps=(Gap(member, why),))


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """One after the other, each read before the next is looked for. Raises _ERRORS and OutOfReach."""
    at = -1
    for _ in range(MAX_MEMBERS):
        member = archive.next()
        if member is None:
            return
        if member.size < 0 or member.offset <= at:
            raise ValueError("a header leads backwards")
        at = member.offset
        archive.members.clear()  # type: ignore[attr-defined]  # nobody else needs them, and there may be many
        yield member
    raise OutOfReach(f"over {MAX_MEMBERS:,} members")


def _after(source: Source, end: int, place: Place) -> Contents:
    """tarfile ends without complaint at a block that is no header. Other readers go on."""
    rest = source.read(end, _END)
    if not rest:
        return _gap(place.member, "the tar archive is cut off: it has no end")
    if rest.strip(b"\0"):
        return _gap(place.member, f"the tar archive goes on behind its end, at byte {end}")
    return Contents(Format.TAR)


def _read_member(
    source: Source, member: tarfile.TarInfo, links: set[str], place: Place
) -> Contents:
    path = place.path_of(member.name)
    found = Contents(Format.TAR)
    said = _where_it_leads(member, links)
    if said is not None:
        found += Contents(Format.TAR, oddities=(Oddity(OddityKind.LEADS_OUT, path, None, said),))
    if member.issym() or member.islnk():
        # some readers pass over what follows it, tarfile takes it for the next header
        return found + _gap(path, "it is a link with data") if member.size else found
    if member.isdir():
        return found
    if member.isdev():
        return found + _gap(path, "it is a device")
    if member.issparse():
        return found + _gap(path, "it is stored with holes, which is not read")
    data = WindowSource(source, member.offset_data, member.size)
    if member.name in TORCH_MEMBERS and (torch := read_torch_member(data, member.name, path)):
        return found + torch
    return found + place.read(data, place.inside(member.name))


def _where_it_leads(member: tarfile.TarInfo, links: set[str]) -> str | None:
    """Why what is unpacked would lie elsewhere. `links` are the symbolic links up to here, kept here."""
    if leads_out(member.name):
        return "its path leads out of the folder that it is unpacked in"
    if any(str(folder) in links for folder in PurePosixPath(member.name).parents):
        return "its path goes through a link of the archive"
    if member.issym():
        links.add(str(PurePosixPath(member.name)))
        if link_leads_out(member.name, member.linkname):
            return f"it is a link out of the archive, to {member.linkname}"
    if member.islnk() and leads_out(member.linkname):
        return f"it is a link out of the archive, to {member.linkname}"
    return None
