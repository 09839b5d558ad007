"""Which answer a request gets from the stand-in Hub, and which from its CDN."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote, unquote, urlencode

from hubaudit.demo import api
from hubaudit.demo.exchange import Answer, Incoming, bytes_answer, json_answer, text_answer
from hubaudit.demo.gitobjects import TreeEntry, lfs_pointer
from hubaudit.demo.repository import Commit, HubRepo
from hubaudit.demo.world import Refused, World, check_readable, refuse_revision

_TYPES = {"models": "model", "datasets": "dataset", "spaces": "space"}
_VERBS = ("revision", "tree", "treesize", "paths-info", "refs", "commits", "scan", "auth-check")

_BINARY = "application/octet-stream"

_UNAUTHENTICATED = (
    "unauthenticated; Warning: You are sending unauthenticated requests to the HF Hub. "
    "Please set a HF_TOKEN to enable higher rate limits and faster downloads."
)


def answer_hub(world: World, incoming: Incoming) -> Answer:
    """The Hub's answer, without the headers that every answer carries."""
    parts = incoming.route.strip("/").split("/")
    try:
        if parts[0] == "api":
            return _api(world, incoming, parts[1:])
        return _file(world, incoming, parts)
    except Refused as refused:
        return refused.as_json() if parts[0] == "api" else refused.as_text()


def answer_cdn(world: World, incoming: Incoming) -> Answer:
    """The content that a signed address names; 403 once the address has expired."""
    content = world.contents.get(incoming.route)
    if content is None or incoming.value("Signature") != world.signature(incoming.route):
        refusal = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
        return Answer(403, refusal, {"Content-Type": "application/xml"})
    # The real CDN's ETag is the Xet hash: anything but the sha256.
    etag = hashlib.sha256(f"xet {incoming.route}".encode()).hexdigest()  # the content is long
    disposition = incoming.value("response-content-disposition") or "inline"
    return bytes_answer(
        incoming,
        content,
        {
            "Content-Type": _BINARY,
            "Content-Disposition": disposition,
            "ETag": f'"{etag}"',
            "Vary": "origin, access-control-request-method, access-control-request-headers",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Headers": "Content-Range, Content-Type, Content-Disposition, ETag",
            "Access-Control-Expose-Headers": "*",
            "X-HF-CDN-Pop": "loopback",
        },
    )


def _api(world: World, incoming: Incoming, parts: list[str]) -> Answer:
    match parts:
        case ["agent-harnesses"]:
            return json_answer({"standardEnvVars": [], "harnesses": {}})
        case ["whoami-v2"]:
            return api.whoami(world, incoming)
        case ["collections", *slug]:
            world.user(incoming)
            return api.collection(world, unquote("/".join(slug)))
        case ["resolve-cache", kind, *rest] if kind in _TYPES:
            return _resolve_cache(world, incoming, _TYPES[kind], rest)
        case [kind] if kind in _TYPES:
            return api.list_repos(world, incoming, _TYPES[kind])
        case [kind, *rest] if kind in _TYPES:
            repo_type = _TYPES[kind]
            repo_id, verb, below = _split_id(world, repo_type, rest)
            if moved := _moved(world, incoming, repo_type, repo_id):
                return moved
            repo = world.visible(incoming, repo_type, repo_id)
            return api.answer_repo(world, incoming, repo, verb, below)
    raise Refused(404, "Sorry, we can't find the page you are looking for.")


def _split_id(world: World, repo_type: str, parts: list[str]) -> tuple[str, str, list[str]]:
    """(repo_id, verb, the rest). `org/tree` may be a repository, `gpt2/tree/…` a question to one."""
    if len(parts) == 1:
        return parts[0], "", []
    two = "/".join(parts[:2])
    known = (repo_type, two) in world.repos or two in world.renames
    if parts[1] in _VERBS and not known:
        return parts[0], parts[1], parts[2:]
    return two, next(iter(parts[2:]), ""), parts[3:]


def _moved(world: World, incoming: Incoming, repo_type: str, repo_id: str) -> Answer | None:
    """307 to the same address under the new name, for a renamed or a legacy one-word id."""
    new = world.renames.get(repo_id)
    if new is None or (repo_type, repo_id) in world.repos:
        return None
    world.user(incoming)
    location = re.sub(rf"/{re.escape(repo_id)}(?=[/?]|$)", f"/{new}", incoming.path, count=1)
    message = f"Temporary Redirect. Redirecting to {location}"
    return text_answer(message, 307, {"Location": location})


def _file(world: World, incoming: Incoming, parts: list[str]) -> Answer:
    """`/{prefix}{id}/resolve/{rev}/{path}` and `/{prefix}{id}/raw/{rev}/{path}`."""
    repo_type = _TYPES.get(parts[0], "model")
    if parts[0] in ("datasets", "spaces"):
        parts = parts[1:]
    at = next((i for i in (2, 1) if parts[i : i + 1] in (["resolve"], ["raw"])), None)
    if at is None or len(parts) < at + 3:
        raise Refused(404, "Sorry, we can't find the page you are looking for.")
    repo_id = "/".join(parts[:at])
    if moved := _moved(world, incoming, repo_type, repo_id):
        return moved
    repo = world.visible(incoming, repo_type, repo_id)
    check_readable(world, incoming, repo)
    revision, path = api.revision_and_path(parts[at + 1 :])
    commit = repo.resolve(revision) or refuse_revision(revision)
    entry = _file_entry(commit, path)
    if parts[at] == "raw":
        return _raw(incoming, commit, entry)
    if world.delivery == "direct":
        return _direct(incoming, commit, entry)
    return _redirect(world, incoming, repo, commit, entry)


def _file_entry(commit: Commit, path: str) -> TreeEntry:
    entry = commit.entries.get(path)
    if entry is None or entry.is_directory:
        raise Refused(404, "Entry not found", code="EntryNotFound")
    return entry


def _resolve_cache(world: World, incoming: Incoming, repo_type: str, parts: list[str]) -> Answer:
    """`/api/resolve-cache/{type}s/{id}/{sha}/{path}`: the content of a small file."""
    ids = 2 if (repo_type, "/".join(parts[:2])) in world.repos else 1
    repo = world.visible(incoming, repo_type, "/".join(parts[:ids]))
    check_readable(world, incoming, repo)
    if len(parts) < ids + 2:
        raise Refused(404, "Entry not found", code="EntryNotFound")
    sha, path = api.revision_and_path(parts[ids:])
    commit = repo.commits.get(sha) or refuse_revision(sha)
    return _direct(incoming, commit, _file_entry(commit, path))


def _direct(incoming: Incoming, commit: Commit, entry: TreeEntry) -> Answer:
    etag = entry.lfs.sha256 if entry.lfs else entry.oid
    own = {"ETag": f'"{etag}"', "X-Repo-Commit": commit.sha}
    if entry.lfs:
        own |= {"X-Linked-ETag": f'"{etag}"', "X-Linked-Size": str(entry.size)}
    content = commit.files[entry.path]
    return bytes_answer(incoming, content, _file_headers(entry, content) | own)


def _raw(incoming: Incoming, commit: Commit, entry: TreeEntry) -> Answer:
    """What git holds: the pointer of an LFS file."""
    content = commit.files[entry.path]
    held = lfs_pointer(content) if entry.lfs else content
    own = {"ETag": f'"{entry.oid}"', "X-Repo-Commit": commit.sha}
    return bytes_answer(incoming, held, _file_headers(entry, held) | own)


def _redirect(
    world: World, incoming: Incoming, repo: HubRepo, commit: Commit, entry: TreeEntry
) -> Answer:
    """302 to the CDN for an LFS file, 307 to the resolve cache (a relative address) for others."""
    headers = {"X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes", "Vary": "Origin, Accept"}
    if world.user(incoming) is None:
        headers["X-HF-Warning"] = _UNAUTHENTICATED
    if entry.lfs:
        location = _signed(world, repo, commit, entry)
        headers |= {
            "Cache-Control": "no-store",
            "X-Linked-ETag": f'"{entry.lfs.sha256}"',
            "X-Linked-Size": str(entry.size),
        }
        return text_answer(
            f"Found. Redirecting to {location}", 302, headers | {"Location": location}
        )
    etag = f'"{entry.oid}"'
    kept = f"{quote(unquote(incoming.route), safe='')}=&etag={quote(etag)}"
    location = f"/api/resolve-cache/{repo.repo_type}s/{repo.repo_id}/{commit.sha}/{quote(entry.path)}?{kept}"
    headers |= _file_headers(entry, b"") | {"X-Linked-ETag": etag, "Location": location}
    return text_answer(f"Temporary Redirect. Redirecting to {location}", 307, headers)


def _signed(world: World, repo: HubRepo, commit: Commit, entry: TreeEntry) -> str:
    """An address at the CDN, and its content put there."""
    assert entry.lfs is not None
    path = f"/repos/{repo.object_key}/{entry.lfs.sha256}"
    world.contents[path] = commit.files[entry.path]
    query = {
        "response-content-disposition": _disposition(entry),
        "Expires": str(4_102_444_800 + world.signing_round),
        "Policy": "loopback",
        "Signature": world.signature(path),
        "Key-Pair-Id": "STANDIN",
    }
    return f"{world.cdn}{path}?{urlencode(query)}"


def _file_headers(entry: TreeEntry, content: bytes) -> dict[str, str]:
    """A sandboxed text where it is text, as the Hub serves what people upload."""
    return {
        "Content-Type": "text/plain; charset=utf-8" if _is_text(entry, content) else _BINARY,
        "Content-Disposition": _disposition(entry),
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def _is_text(entry: TreeEntry, content: bytes) -> bool:
    if entry.lfs:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _disposition(entry: TreeEntry) -> str:
    """Both spellings of the name; the plain one only with what a header can hold."""
    name = entry.path.rpartition("/")[2]
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "_" for c in name)
    return f"inline; filename*=UTF-8''{quote(name)}; filename=\"{plain}\";"
