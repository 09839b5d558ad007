"""Changes of a repository's files: what is new, gone, renamed, imports other names or says something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from hubaudit.model import LoadRole, NameClass, Severity
from hubaudit.watch.kinds import Change, Kind, change
from hubaudit.watch.repository import licence_change
from hubaudit.watch.scans import scan_changes
from hubaudit.watch.state import Content, FileState, Import, same_content
from hubaudit.watch.texts import (
    KeyChange,
    key_changes,
    key_lines,
    line_diff,
    mapping_changes,
    plain_value,
    read_card,
)
from hubaudit.watch.weights import Replaced, is_weights, named, weight_changes

README = "README.md"
_CODE_KEYS = frozenset({"auto_map", "custom_pipelines"})  # of which loaders make imports
_TEMPLATE = "chat_template"
_NAMED = 3  # names in a sentence
_IMPORTS = 50  # in the detail
_CONFIGS = frozenset({"model_index.json", "modules.json", "special_tokens_map.json"})
_SINGLE = 50  # changes of one kind and severity; somebody who uploads a data set changes thousands
_VALUE = 200  # characters of a licence
_CLASS = {
    NameClass.DANGEROUS: Severity.CRITICAL,
    NameClass.UNLISTED: Severity.MEDIUM,
    NameClass.INERT: None,
}
_WORST_FIRST = [NameClass.DANGEROUS, NameClass.UNLISTED, NameClass.INERT]


def file_changes(
    before: Content, after: Content, replaced: Mapping[str, Replaced]
) -> Iterator[Change]:
    """Every file that differs is in one change at least; files of one checkpoint are in one together."""
    old = {file.path: file for file in before.files}
    new = {file.path: file for file in after.files}
    both = [(old[path], new[path]) for path in sorted(old.keys() & new.keys())]
    yield from scan_changes([pair for pair in both if same_content(*pair)])
    changed = [pair for pair in both if not same_content(*pair)]
    yield from (_armed(*pair) for pair in changed if _became_executable(*pair))
    changed = [pair for pair in changed if not _became_executable(*pair)]
    yield from weight_changes(before, after, changed, replaced)
    yield from _content_changes(before, after, changed)
    gone = [old[path] for path in sorted(old.keys() - new.keys())]
    added = [new[path] for path in sorted(new.keys() - old.keys())]
    yield from _listing_changes(gone, added, after, old)


def collapsed(found: Iterable[Change]) -> Iterator[Change]:
    """The same changes, but for those of one kind and severity that are very many: these are one."""
    groups: dict[tuple[Kind, Severity], list[Change]] = defaultdict(list)
    for one in found:
        groups[one.kind, one.severity].append(one)
    for (kind, severity), same in groups.items():
        if len(same) <= _SINGLE:
            yield from same
            continue
        paths = tuple(sorted({path for one in same for path in one.paths}))
        lines = tuple(one.message for one in same[:_SINGLE])
        shown = ", ".join(paths[:_NAMED])
        message = f"{len(same)} files at once: {shown} and others"
        yield Change(kind, severity, message, paths, detail=(*lines, "…"))


def is_document(path: str) -> bool:
    """Whether changes of this file are told in detail, for which its text is needed."""
    return path == README or is_code(path) or is_config(path) or is_template(path)


def is_code(path: str) -> bool:
    return path.lower().endswith(".py")


def is_config(path: str) -> bool:
    """The documents that loaders read settings from."""
    name = PurePosixPath(path).name
    return name.endswith("config.json") or name in _CONFIGS


def is_template(path: str) -> bool:
    """A chat template in a file of its own: `chat_template.jinja`, and others beside it."""
    name = PurePosixPath(path).name
    return name.endswith(".jinja") or name == f"{_TEMPLATE}.json"


def _content_changes(
    before: Content, after: Content, changed: Sequence[tuple[FileState, FileState]]
) -> Iterator[Change]:
    """What weights do not account for."""
    then = {one.path: one.text for one in before.documents}
    now = {one.path: one.text for one in after.documents}
    for old, new in changed:
        if named(old).keys() != named(new).keys():
            yield _imports(old, new)
        elif is_weights(new) or is_weights(old):
            continue
        elif is_document(new.path):
            yield from _document(old, new, then.get(old.path), now.get(new.path))
        else:
            yield _other(old, new)


def _imports(old: FileState, new: FileState) -> Change:
    then, now = named(old), named(new)
    added = _sorted(one for name, one in now.items() if name not in then)
    removed = _sorted(one for name, one in then.items() if name not in now)
    parts = [f"imports {_listed(added)} now"] if added else []
    if removed:
        parts.append(f"no longer imports {_listed(removed)}")
    lines = [*(f"+ {_spelled(one)}" for one in added), *(f"- {_spelled(one)}" for one in removed)]
    more = (f"and {len(lines) - _IMPORTS} more",) if len(lines) > _IMPORTS else ()
    return change(
        Kind.IMPORTS_CHANGED,
        f"{new.path} {' and '.join(parts)}{_unread(old, new)}",
        at_least=(*(_CLASS[one.name_class] for one in added), *_worsened(old, new)),
        paths=(new.path,),
        detail=(*lines[:_IMPORTS], *more),
    )


def _document(
    old: FileState, new: FileState, then: str | None, now: str | None
) -> Iterator[Change]:
    path = new.path
    if path == README:
        yield from _readme(then, now)
    elif is_code(path):
        severity = Severity.HIGH if LoadRole.CODE in (old.role, new.role) else None
        yield _text(Kind.CODE_CHANGED, f"the code in {path} changed", path, then, now, severity)
    elif is_template(path):
        message = f"the chat template in {path} changed"
        yield _text(Kind.CHAT_TEMPLATE_CHANGED, message, path, then, now)
    else:
        yield from _config(path, then, now)


def _readme(then: str | None, now: str | None) -> Iterator[Change]:
    if then is None or now is None:
        yield change(Kind.README_CHANGED, "README.md changed", paths=(README,))
        return
    old, new = read_card(then), read_card(now)
    changes = mapping_changes(old.metadata, new.metadata)
    licence = [one for one in changes if one.key == "license"]
    for one in licence:
        was, is_now = (plain_value(text) if text else None for text in (one.before, one.after))
        if was != is_now:
            yield licence_change(was and was[:_VALUE], is_now and is_now[:_VALUE])
    rest = tuple(one for one in changes if one.key != "license")
    if rest or old.body != new.body or not licence:
        said = f": {_keys(rest)}" if rest else ""
        detail = line_diff(then, now, README)
        yield change(
            Kind.README_CHANGED, f"README.md changed{said}", paths=(README,), detail=detail
        )


def _config(path: str, then: str | None, now: str | None) -> Iterator[Change]:
    changes = key_changes(then, now) if then is not None and now is not None else None
    if changes is None:
        yield _text(Kind.CONFIG_CHANGED, f"{path} changed", path, then, now, Severity.MEDIUM)
        return
    groups: dict[Kind, list[KeyChange]] = defaultdict(list)
    for one in changes:
        groups[_kind_of(one.key)].append(one)
    if not groups:
        yield change(
            Kind.CONFIG_CHANGED, f"{path} is written otherwise, with the same values", paths=(path,)
        )
    for kind, found in groups.items():
        keys = tuple(found)
        message = f"{path} {_SAID[kind]} now: {_keys(keys)}"
        yield change(kind, message, paths=(path,), detail=key_lines(keys))


_SAID = {
    Kind.AUTO_MAP_CHANGED: "names other code to import",
    Kind.CHAT_TEMPLATE_CHANGED: "has another chat template",
    Kind.CONFIG_CHANGED: "has other values",
}


def _kind_of(key: str) -> Kind:
    parts = key.split(".")
    if not _CODE_KEYS.isdisjoint(parts):
        return Kind.AUTO_MAP_CHANGED
    return Kind.CHAT_TEMPLATE_CHANGED if parts[0] == _TEMPLATE else Kind.CONFIG_CHANGED


def _text(
    kind: Kind,
    message: str,
    path: str,
    then: str | None,
    now: str | None,
    severity: Severity | None = None,
) -> Change:
    known = then is not None and now is not None
    detail = line_diff(then or "", now or "", path) if known else ("the texts were not kept",)
    return change(kind, message, at_least=[severity], paths=(path,), detail=detail)


def _other(old: FileState, new: FileState) -> Change:
    sizes = f"from {old.size} to {new.size} bytes" if old.size != new.size else "in its bytes"
    formats = f", from {old.format} to {new.format}" if old.format != new.format else ""
    executable = Severity.MEDIUM if new.executable else None
    return change(
        Kind.FILE_CHANGED,
        f"{new.path} changed {sizes}{formats}{_unread(old, new)}",
        at_least=(executable, *_worsened(old, new)),
        paths=(new.path,),
    )


def _became_executable(old: FileState, new: FileState) -> bool:
    return new.executable and not old.executable


def _armed(old: FileState, new: FileState) -> Change:
    """A file that could not execute, and now can: a pickle in the place of safetensors, say."""
    imports = _sorted(new.imports)
    said = f", and imports {_listed(imports)}" if imports else ""
    return change(
        Kind.EXECUTABLE_ADDED,
        f"{new.path} can execute code now: it is {new.format}, and was {old.format}{said}",
        at_least=(new.worst, *(_CLASS[one.name_class] for one in imports)),
        paths=(new.path,),
        detail=tuple(f"+ {_spelled(one)}" for one in imports[:_IMPORTS]),
    )


def _listing_changes(
    gone: list[FileState], added: list[FileState], after: Content, before: Mapping[str, FileState]
) -> Iterator[Change]:
    texts = {one.path: one.text for one in after.documents}
    promoted = [new for new in after.files if _is_promoted(before.get(new.path), new)]
    instead = f", and the loader opens {promoted[0].path} instead" if promoted else ""
    renamed, left = _same(gone), {file.path: file for file in gone}
    kept = _same(before.values())
    for new in added:
        old = next((one for one in _of(renamed, new) if one.path in left), None)
        if old is not None:
            del left[old.path]
            yield _renamed(old, new)
        else:
            twin = next((one.path for one in _of(kept, new)), None)
            yield _added(new, texts.get(new.path), twin)
    for old in left.values():
        loaded = old.role is LoadRole.LOADED
        yield change(
            Kind.FILE_REMOVED,
            f"{old.path} was removed{_role(old)}{instead if loaded else ''}",
            at_least=[Severity.MEDIUM if loaded else None],
            paths=(old.path,),
        )


def _same(files: Iterable[FileState]) -> dict[str, list[FileState]]:
    """By each hash the files that have it; of empty ones it says nothing that they have the same."""
    found: dict[str, list[FileState]] = defaultdict(list)
    for file in files:
        for digest in (file.sha256, file.blob_id):
            if digest is not None and file.size:
                found[digest].append(file)
    return found


def _of(files: Mapping[str, list[FileState]], one: FileState) -> Iterator[FileState]:
    for digest in (one.sha256, one.blob_id):
        yield from files.get(digest or "", ())


def _is_promoted(old: FileState | None, new: FileState) -> bool:
    """Whether a loader opens a pickle that it did not open before, with the same bytes."""
    if old is None or not new.executable:
        return False
    return new.role is LoadRole.LOADED and old.role is not LoadRole.LOADED


def _renamed(old: FileState, new: FileState) -> Change:
    runs = new.executable and (not old.executable or old.role is not new.role)
    said = f", and is {_ROLE[new.role]} now" if old.role is not new.role else ""
    return change(
        Kind.FILE_RENAMED,
        f"{old.path} was renamed to {new.path}{said}",
        at_least=[Severity.MEDIUM if runs else None],
        paths=(new.path,),
        before=old.path,
        after=new.path,
    )


def _added(new: FileState, text: str | None, twin: str | None) -> Change:
    copy = f", a copy of {twin}" if twin is not None else ""
    detail: tuple[str, ...] = ()
    if is_code(new.path) and text is not None:
        detail = line_diff("", text, new.path)
    elif new.imports:
        detail = tuple(f"+ {_spelled(one)}" for one in _sorted(new.imports)[:_IMPORTS])
    names = _listed(_sorted(new.imports))
    imports = f", and imports {names}" if new.imports else ""
    incomplete = ", and could not be read to the end" if new.unread else ""
    runs = Severity.HIGH if new.role is LoadRole.CODE else None
    if is_config(new.path) and (code := _code_keys(text)):
        message = f"{new.path} is new and names code to import: {_keys(code)}"
        return change(
            Kind.AUTO_MAP_CHANGED, message, paths=(new.path,), detail=key_lines(tuple(code))
        )
    return change(
        Kind.EXECUTABLE_ADDED if new.executable else Kind.FILE_ADDED,
        f"{new.path} is new{copy}{_role(new)}{imports}{incomplete}",
        at_least=(runs, new.worst, *(_CLASS[one.name_class] for one in new.imports)),
        paths=(new.path,),
        detail=detail,
    )


def _code_keys(text: str | None) -> list[KeyChange]:
    found = key_changes("{}", text) if text is not None else None
    return [one for one in found or () if _kind_of(one.key) is Kind.AUTO_MAP_CHANGED]


_ROLE = {
    LoadRole.LOADED: "loaded",
    LoadRole.FALLBACK: "a fallback of the loader",
    LoadRole.CODE: "code that the loader runs with trust_remote_code=True",
    LoadRole.NEVER: "not opened by the loader",
}


def _role(file: FileState) -> str:
    return f" ({_ROLE[file.role]})" if file.executable or file.role is LoadRole.LOADED else ""


def _worsened(old: FileState, new: FileState) -> tuple[Severity | None, ...]:
    """The file's worst finding if it is worse than before; bytes that nobody could read count, too."""
    worse = new.worst is not None and (old.worst is None or new.worst.rank < old.worst.rank)
    unread = new.unread and not old.unread
    return new.worst if worse else None, Severity.MEDIUM if unread else None


def _unread(old: FileState, new: FileState) -> str:
    return ", and could not be read to the end" if new.unread and not old.unread else ""


def _sorted(imports: Iterable[Import]) -> list[Import]:
    return sorted(imports, key=lambda i: (_WORST_FIRST.index(i.name_class), i.module, i.name))


def _listed(imports: Sequence[Import]) -> str:
    names = [_spelled(one) for one in imports[:_NAMED]]
    more = len(imports) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _spelled(one: Import) -> str:
    return f"{one.module}.{one.name} ({one.name_class})"


def _keys(changes: Sequence[KeyChange]) -> str:
    names = [one.key[:60] or "the whole" for one in changes[:_NAMED]]
    more = len(changes) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
