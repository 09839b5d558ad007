"""How the user means to load: what the command line and `require` pass on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Library = Literal["auto", "transformers", "diffusers", "sentence-transformers", "none"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """`library`: "auto" finds out, "none" is `hf_hub_download` and whatever the user does then.

    `variant` and `subfolder` as `from_pretrained` has them; no subfolder is the root.
    """

    library: Library = "auto"
    use_safetensors: Literal["auto", "true", "false"] = "auto"
    variant: str | None = None
    subfolder: str | None = None

    @property
    def folder(self) -> str:
        return (self.subfolder or "").strip("/")
