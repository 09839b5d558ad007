"""What the stand-in Hub answers under /api: repository info, trees, refs, commits, scans, lists."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from hubaudit.demo.exchange import Answer, Incoming, json_answer
from hubaudit.demo.gitobjects import TreeEntry
from hubaudit.demo.repository import Commit, HubRepo, file_scan
from hubaudit.demo.world import Refused, World, check_readable, number, refuse_revision

_ISSUES = ("unsafe", "suspicious", "caution")

# The Hub's documented upper bound of `limit` on commits; elsewhere it is not documented.
_MOST_PER_PAGE = 1000


def answer_repo(
    world: World, incoming: Incoming, repo: HubRepo, verb: str, parts: list[str]
) -> Answer:
    """`/api/{type}s/{id}[/verb[/parts…]]` of a repository that the caller may see; parts are raw."""
    match verb, parts:
        case "", []:
            return json_answer(_info(incoming, repo, _commit(repo, "HEAD")))
        case "revision", [_, *_]:
            revision, _ = revision_and_path(parts)
            return json_answer(_info(incoming, repo, _commit(repo, revision)))
        case "tree", [_, *_]:
            return _tree(world, incoming, repo, *revision_and_path(parts))
        case "treesize", [_, *_]:
            return _treesize(repo, *revision_and_path(parts))
        case "paths-info", [_, *_]:
            revision, _ = revision_and_path(parts)
            return _paths_info(incoming, repo, _commit(repo, revision))
        case "refs", []:
            return json_answer(_refs(repo, pull_requests=incoming.flag("include_prs")))
        case "commits", [_, *_]:
            revision, _ = revision_and_path(parts)
            return _commits(world, incoming, repo, _commit(repo, revision))
        case "scan", []:
            return json_answer(_repo_scan(repo, _commit(repo, "HEAD")))
        case "auth-check", []:
            check_readable(world, incoming, repo)
            return json_answer({})
    raise Refused(404, "Sorry, we can't find the page you are looking for.")


def revision_and_path(parts: Sequence[str]) -> tuple[str, str]:
    """Split raw parts, then unquote: ``refs/pr/1`` may come quoted as one part or bare as three."""
    if parts[0] == "refs" and len(parts) >= 3:
        return unquote("/".join(parts[:3])), unquote("/".join(parts[3:]))
    return unquote(parts[0]), unquote("/".join(parts[1:]))


def list_repos(world: World, incoming: Incoming, repo_type: str) -> Answer:
    """`/api/{type}s`: the repositories that the caller may see and the query lets through."""
    user = world.user(incoming)
    found = [
        repo
        for (kind, _), repo in sorted(world.repos.items())
        if kind == repo_type and world.sees(user, repo) and _is_asked_for(incoming, repo)
    ]
    order = {"createdAt": _created, "lastModified": _last_modified}.get(
        incoming.value("sort") or ""
    )
    if order is not None:
        found.sort(key=order, reverse=True)
    items = [_list_item(incoming, repo) for repo in found]
    at = number(incoming, "cursor") or 0
    stop = at + _page_size(world, incoming)
    link = _link(world, incoming, cursor=str(stop)) if stop < len(items) else {}
    return json_answer(items[at:stop], headers=link)


def whoami(world: World, incoming: Incoming) -> Answer:
    user = world.user(incoming)
    if user is None:
        raise Refused(401, "Invalid username or password.")
    token = {"displayName": "stand-in", "role": "read", "createdAt": "2026-01-01T00:00:00.000Z"}
    return json_answer(
        {
            "type": "user",
            "id": HubRepo(user, {}).object_key,
            "name": user,
            "fullname": user,
            "email": f"{user}@localhost",
            "emailVerified": True,
            "canPay": False,
            "isPro": False,
            "periodEnd": None,
            "avatarUrl": "",
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def collection(world: World, slug: str) -> Answer:
    """A collection as configured, with what clients need filled in."""
    found = world.collections.get(slug)
    if found is None:
        raise Refused(404, "Collection not found")
    owner, _, title = slug.partition("/")
    items = [
        {"_id": f"{position:024x}", "position": position, "private": False, **item}
        for position, item in enumerate(found.get("items", ()))
    ]
    base = {
        "slug": slug,
        "title": title,
        "description": "",
        "owner": {"name": owner, "type": "org", "fullname": owner, "avatarUrl": ""},
        "lastUpdated": "2026-01-01T00:00:00.000Z",
        "position": 0,
        "private": False,
        "theme": "blue",
        "upvotes": 0,
        "gating": False,
    }
    return json_answer(base | dict(found) | {"items": items})


def _commit(repo: HubRepo, revision: str) -> Commit:
    return repo.resolve(revision) or refuse_revision(revision)


def _info(incoming: Incoming, repo: HubRepo, commit: Commit) -> dict[str, Any]:
    full = _full_info(repo, commit)
    if asked := incoming.values("expand"):
        return {key: full[key] for key in ["_id", "id", *asked] if key in full}
    if incoming.flag("blobs"):
        full["siblings"] = [_sibling(entry) for entry in _files(commit)]
    if incoming.flag("securityStatus"):
        full["securityRepoStatus"] = _repo_scan(repo, commit)
    return full


def _full_info(repo: HubRepo, commit: Commit) -> dict[str, Any]:
    common = {
        "_id": repo.object_key,
        "id": repo.repo_id,
        "private": repo.private,
        "tags": repo.tags,
        "downloads": 0,
        "likes": 0,
        "author": repo.repo_id.partition("/")[0],
        "sha": commit.sha,
        "lastModified": _last_modified(repo),
        "gated": repo.gated,
        "disabled": repo.disabled,
        "cardData": repo.card_data,
        "siblings": [{"rfilename": entry.path} for entry in _files(commit)],
        "createdAt": _created(repo),
        "usedStorage": sum(entry.size for entry in commit.entries.values()),
    }
    match repo.repo_type:
        case "model":
            own: dict[str, Any] = {
                "modelId": repo.repo_id,
                "model-index": None,
                "config": _config(commit),
                "spaces": [],
            }
        case "dataset":
            own = {"citation": "", "description": ""}
        case "space":
            own = _space(repo)
    return common | own | repo.info


def _config(commit: Commit) -> dict[str, Any]:
    """The digest of config.json that the Hub gives; empty where there is no usable one."""
    try:
        config = json.loads(commit.files.get("config.json", b"{}"))
    except ValueError:
        return {}
    if not isinstance(config, dict):
        return {}
    digest = {
        key: config[key] for key in ("architectures", "auto_map", "model_type") if key in config
    }
    return digest | {"tokenizer_config": {}}


def _space(repo: HubRepo) -> dict[str, Any]:
    subdomain = repo.repo_id.replace("/", "-").lower()
    return {
        "sdk": "gradio",
        "subdomain": subdomain,
        "host": f"https://{subdomain}.hf.space",
        "region": "us",
        "runtime": {
            "stage": "RUNNING",
            "hardware": {"current": None, "requested": "cpu-basic"},
            "gcTimeout": 172800,
            "replicas": {"requested": 1},
            "devMode": False,
            "domains": [{"domain": f"{subdomain}.hf.space", "stage": "READY"}],
        },
    }


def _created(repo: HubRepo) -> str:
    return repo.history(repo.sha)[-1].date


def _last_modified(repo: HubRepo) -> str:
    return repo.commits[repo.sha].date


def _list_item(incoming: Incoming, repo: HubRepo) -> dict[str, Any]:
    full = _full_info(repo, repo.commits[repo.sha])
    full["trendingScore"] = 0
    if asked := incoming.values("expand"):
        return {key: full[key] for key in ["_id", "id", *asked] if key in full}
    keys = ["_id", "id", "likes", "trendingScore", "private", "downloads", "tags", "createdAt"]
    keys += ["modelId", "pipeline_tag", "library_name"]
    if incoming.flag("full"):
        keys += ["author", "sha", "lastModified", "gated", "disabled", "siblings"]
    if incoming.flag("cardData"):
        keys.append("cardData")
    if incoming.flag("config"):
        keys.append("config")
    return {key: full[key] for key in keys if key in full}


def _is_asked_for(incoming: Incoming, repo: HubRepo) -> bool:
    author, search = incoming.value("author"), incoming.value("search")
    if author is not None and repo.repo_id.partition("/")[0] != author:
        return False
    if search is not None and search.lower() not in repo.repo_id.lower():
        return False
    if incoming.value("gated") is not None and incoming.flag("gated") != bool(repo.gated):
        return False
    task = incoming.value("pipeline_tag")
    if task is not None and repo.info.get("pipeline_tag") != task:
        return False
    return set(incoming.values("filter")) <= set(repo.tags)


def _files(commit: Commit) -> list[TreeEntry]:
    return _bytewise(entry for entry in commit.entries.values() if not entry.is_directory)


def _bytewise(entries: Iterable[TreeEntry]) -> list[TreeEntry]:
    return sorted(entries, key=lambda entry: entry.path.encode())


def _sibling(entry: TreeEntry) -> dict[str, Any]:
    row = {"rfilename": entry.path, "blobId": entry.oid, "size": entry.size}
    if entry.lfs is None:
        return row
    lfs = {
        "sha256": entry.lfs.sha256,
        "size": entry.lfs.size,
        "pointerSize": entry.lfs.pointer_size,
    }
    return row | {"lfs": lfs}


def _tree(world: World, incoming: Incoming, repo: HubRepo, revision: str, path: str) -> Answer:
    commit = _commit(repo, revision)
    top = commit.entries.get(path)
    if top is None or not top.is_directory:
        raise Refused(404, f'{path} does not exist on "{revision}"', code="EntryNotFound")
    below = path + "/" if path else ""
    within = [e for e in commit.entries.values() if e.path.startswith(below) and e.path != path]
    if not incoming.flag("recursive"):
        within = [entry for entry in within if "/" not in entry.path.removeprefix(below)]
    directories = _bytewise(entry for entry in within if entry.is_directory)
    ordered = directories + _bytewise(entry for entry in within if not entry.is_directory)
    page, link = _page_after_cursor(world, incoming, ordered)
    return json_answer(
        [_entry(incoming.flag("expand"), repo, commit, e) for e in page], headers=link
    )


def _page_after_cursor(
    world: World, incoming: Incoming, ordered: list[TreeEntry]
) -> tuple[list[TreeEntry], dict[str, str]]:
    """The cursor names the last entry given, so a page of a moved branch goes on from there."""
    if cursor := incoming.value("cursor"):
        kind, _, last = _opened(cursor).partition(":")
        after = (kind != "directory", last.encode())
        ordered = [e for e in ordered if (not e.is_directory, e.path.encode()) > after]
    size = _page_size(world, incoming)
    page = ordered[:size]
    if len(ordered) <= size:
        return page, {}
    last_entry = f"{_kind(page[-1])}:{page[-1].path}"
    cursor = base64.urlsafe_b64encode(last_entry.encode()).decode()
    return page, _link(world, incoming, cursor=cursor)


def _opened(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except ValueError:
        raise Refused(400, "Invalid cursor") from None


def _kind(entry: TreeEntry) -> str:
    return "directory" if entry.is_directory else "file"


def _entry(expand: bool, repo: HubRepo, commit: Commit, entry: TreeEntry) -> dict[str, Any]:
    row: dict[str, Any] = {"type": _kind(entry), "oid": entry.oid, "size": entry.size}
    if entry.lfs is not None:
        row["lfs"] = {
            "oid": entry.lfs.sha256,
            "size": entry.lfs.size,
            "pointerSize": entry.lfs.pointer_size,
        }
    row["path"] = entry.path
    if not expand:
        return row
    changed = repo.last_change(commit, entry.path)
    title = changed.message.partition("\n")[0]
    row["lastCommit"] = {"id": changed.sha, "title": title, "date": changed.date}
    scan = repo.scans.get(entry.path, file_scan())
    if scan is not None and not entry.is_directory:
        row["securityFileStatus"] = scan
    return row


def _treesize(repo: HubRepo, revision: str, path: str) -> Answer:
    entries = _files(_commit(repo, revision))
    below = path + "/" if path else ""
    size = sum(e.size for e in entries if e.path == path or e.path.startswith(below))
    return json_answer({"path": path, "size": size})


def _paths_info(incoming: Incoming, repo: HubRepo, commit: Commit) -> Answer:
    if incoming.headers.get("content-type", "").startswith("application/json"):
        try:
            asked = json.loads(incoming.body)
            paths, expand = [str(path) for path in asked["paths"]], bool(asked.get("expand"))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Refused(400, "Invalid request body") from None
    else:
        fields = parse_qsl(incoming.body.decode(), keep_blank_values=True)
        paths = [value for key, value in fields if key == "paths"]
        expand = dict(fields).get("expand", "").lower() in ("true", "1")
    found = [commit.entries[path] for path in paths if path and path in commit.entries]
    return json_answer([_entry(expand, repo, commit, entry) for entry in found])


def _refs(repo: HubRepo, *, pull_requests: bool) -> dict[str, Any]:
    def below(prefix: str) -> list[dict[str, str]]:
        return [
            {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": sha}
            for ref, sha in repo.refs.items()
            if ref.startswith(prefix)
        ]

    kinds = {"tags": "refs/tags/", "branches": "refs/heads/", "converts": "refs/convert/"}
    if pull_requests:
        kinds["pullRequests"] = "refs/pr/"
    return {kind: below(prefix) for kind, prefix in kinds.items()}


def _commits(world: World, incoming: Incoming, repo: HubRepo, commit: Commit) -> Answer:
    history = repo.history(commit.sha)
    page, size = number(incoming, "p") or 0, _page_size(world, incoming)
    rows = [
        _commit_row(one, formatted="formatted" in incoming.values("expand"))
        for one in history[page * size : (page + 1) * size]
    ]
    headers = {"X-Total-Count": str(len(history))}
    if (page + 1) * size < len(history):
        headers |= _link(world, incoming, p=str(page + 1), limit=str(size))
    return json_answer(rows, headers=headers)


def _commit_row(commit: Commit, *, formatted: bool) -> dict[str, Any]:
    title, _, message = commit.message.partition("\n")
    row: dict[str, Any] = {
        "id": commit.sha,
        "title": title,
        "message": message,
        "authors": [{"user": "stand-in", "avatar": ""}],
        "date": commit.date,
    }
    return row | {"formatted": {"title": title, "message": message}} if formatted else row


def _repo_scan(repo: HubRepo, commit: Commit) -> dict[str, Any]:
    scans = {entry.path: repo.scans.get(entry.path, file_scan()) for entry in _files(commit)}
    words = {path: scan["status"] for path, scan in scans.items() if scan is not None}
    issues = [{"path": path, "level": word} for path, word in words.items() if word in _ISSUES]
    done = not any(word in ("queued", "unscanned") for word in words.values())
    return {"scansDone": done, "filesWithIssues": issues}


def _page_size(world: World, incoming: Incoming) -> int:
    return min(number(incoming, "limit") or world.page_size, _MOST_PER_PAGE)


def _link(world: World, incoming: Incoming, **changed: str) -> dict[str, str]:
    """The Link header of the next page: absolute, with every other part of the query kept."""
    query = [(key, value) for key, value in incoming.query if key not in changed]
    url = f"{world.endpoint}{incoming.route}?{urlencode([*query, *changed.items()])}"
    return {"Link": f'<{url}>; rel="next"'}
