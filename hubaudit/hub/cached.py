"""Where the Hugging Face cache has a file of a commit."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from hubaudit.model import RepoRef


def cached_path(repo: RepoRef, path: str) -> Path | None:
    """The file at the commit of `repo`; None if the cache does not hold it. Looks only at this disk."""
    if repo.commit_hash is None or repo.repo_type == "local":
        return None
    cache = Path(constants.HF_HUB_CACHE).expanduser()
    folder = cache / repo_folder_name(repo_id=repo.repo_id, repo_type=repo.repo_type)
    file = folder / "snapshots" / repo.commit_hash / path
    return file if file.is_file() else None
