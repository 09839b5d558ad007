"""The options on how files are read, as the values that the pipeline takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from hubaudit.cli.options import DepthName, LibraryName, UseSafetensorsName
from hubaudit.errors import UsageError

if TYPE_CHECKING:
    from hubaudit.comparing import Depth
    from hubaudit.loadpath import LoadOptions


@dataclass(frozen=True, slots=True)
class Reading:
    """What the options of the panel "Reading" say."""

    library: LibraryName
    use_safetensors: UseSafetensorsName
    variant: str | None
    subfolder: str | None
    compare: DepthName | None
    deep: bool
    seed: int

    def load(self) -> LoadOptions:
        from hubaudit.loadpath import LoadOptions

        return LoadOptions(self.library, self.use_safetensors, self.variant, self.subfolder)

    def depth(self, default: DepthName) -> Depth:
        """Raises UsageError for options that contradict each other."""
        from hubaudit.comparing import Full, MetadataOnly, Sampling

        if self.deep and self.compare not in {None, "full"}:
            raise UsageError(
                f"--deep and --compare {self.compare} exclude each other",
                hint="drop one of the two",
            )
        chosen = "full" if self.deep else self.compare or default
        match chosen:
            case "metadata":
                return MetadataOnly()
            case "sampled":
                return Sampling(seed=self.seed)
            case "full":
                return Full()
            case _:
                assert_never(chosen)
