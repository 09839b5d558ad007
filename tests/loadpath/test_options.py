"""What can be no subfolder and no variant is said, instead of a load path that fits no load."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubaudit import scan
from hubaudit.errors import UsageError
from hubaudit.loadpath import LoadOptions


@pytest.mark.parametrize(
    "variant", ["", "../x", "a/b", "a\\b", ".", "..", " ", "fp16\n", "\0", "-x"]
)
def test_what_is_no_part_of_a_file_name_is_no_variant(variant: str) -> None:
    with pytest.raises(UsageError, match="is no variant"):
        LoadOptions(variant=variant)


@pytest.mark.parametrize("variant", ["fp16", "ema.fp16", "8bit", "non_ema", "q4-k", "模型"])
def test_what_people_call_variants_are_variants(variant: str) -> None:
    assert LoadOptions(variant=variant).variant == variant


@pytest.mark.parametrize("folder", ["..", "../..", "a/../..", "a/..", "./a", "a//b", "a\\b", "\0"])
def test_what_is_no_path_in_a_repository_is_no_subfolder(folder: str) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        LoadOptions(subfolder=folder)


@pytest.mark.parametrize("folder", ["", "/", "unet", "unet/", "/a/b/"])
def test_a_subfolder_may_begin_and_end_with_a_slash(folder: str) -> None:
    assert LoadOptions(subfolder=folder).folder == folder.strip("/")


def test_a_subfolder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text("{}")
    assert scan(tmp_path, load=LoadOptions(subfolder="unet")).files
    for missing in ("une", "unet/config.json", "vae"):
        with pytest.raises(UsageError, match="there is no folder"):
            scan(tmp_path, load=LoadOptions(subfolder=missing))
