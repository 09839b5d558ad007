"""How the user means to load: what the command line and `require` pass on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hubaudit.errors import UsageError
from hubaudit.loadpath.paths import resolve

# A part of a file name (transformers 5.23, `_add_variant`): anything else leads elsewhere, or to none.
_VARIANT = re.compile(r"\w[\w.+-]*")

Library = Literal["auto", "transformers", "diffusers", "sentence-transformers", "none"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """`library`: "auto" finds out, "none" is `hf_hub_download` and whatever the user does then.

    `variant` and `subfolder` as `from_pretrained` has them; no subfolder is the root. Raises UsageError
    for what can be neither, which no file would fit and a load path would be made of all the same.
    """

    library: Library = "auto"
    use_safetensors: Literal["auto", "true", "false"] = "auto"
    variant: str | None = None
    subfolder: str | None = None

    def __post_init__(self) -> None:
        if self.variant is not None and not _VARIANT.fullmatch(self.variant):
            raise UsageError(
                f"{self.variant!r} is no variant", hint="give a part of file names, such as fp16"
            )
        if resolve("", self.folder) != (self.folder, True) and self.folder:
            raise UsageError(
                f"{self.subfolder!r} is no folder of a repository",
                hint="give its path as the repository has it",
            )

    def check(self, paths: Iterable[str]) -> None:
        """Raises UsageError if the subfolder is not there, among the `paths` of a repository."""
        if self.folder and not any(path.startswith(f"{self.folder}/") for path in paths):
            raise UsageError(
                f"there is no folder {self.folder!r} in it", hint="check the name, and the revision"
            )

    @property
    def folder(self) -> str:
        return (self.subfolder or "").strip("/")
