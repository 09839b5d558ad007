"""The functions and methods that load from the Hub, and where their arguments stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hubaudit.pins.reference import RepoType

_NAMES = (
    "pretrained_model_name_or_path",
    "model_name_or_path",
    "pretrained_model_or_path",
    "pretrained_name_or_path",
    "model_id",
    "model_name",
    "repo_id",
    "pretrained_model_name_or_path_or_dict",
)

# Packages whose functions of these names load from the Hub. A function of another origin is somebody's
# own (seaborn has a load_dataset, too).
_HF: Final = frozenset(
    {"huggingface_hub", "transformers", "datasets", "diffusers", "kernels", "vllm"}
)
_SENTENCES: Final = frozenset({"sentence_transformers"})
# Packages with methods of these names and another place for the files.
ELSEWHERE: Final = frozenset({"modelscope", "paddlenlp", "efficientnet_pytorch"})


@dataclass(frozen=True, slots=True)
class Loader:
    """How a callable is given its repository and its revision.

    `keywords` and `position` of the repository; `revision_at`: the position of the revision, if it can be
    given by one. `origins`: packages that it must come from, if its name alone does not tell. `owned`: only
    `org/name` counts, since other texts mean something else there. `takes_paths`: a path on this machine
    goes before a repository of that name.
    """

    keywords: tuple[str, ...]
    position: int = 0
    revision_at: int | None = None
    repo_type: RepoType = "model"
    origins: frozenset[str] = frozenset()
    owned: bool = False
    takes_paths: bool = True


_PRETRAINED = Loader(_NAMES)
# peft/peft_model.py: from_pretrained(model, model_id, …), where the first is a model in memory.
PEFT_MODEL = Loader(("model_id",), position=1)
_FILE = Loader(("repo_id",), takes_paths=False)
_DATASET = Loader(("path",), repo_type="dataset", origins=frozenset({"datasets"}))
_ADAPTER = Loader((*_NAMES, "peft_model_id", "pretrained_model_name_or_path_or_dict"), owned=True)


def _dataset(revision_at: int) -> Loader:
    return Loader(("path",), 0, revision_at, "dataset", frozenset({"datasets"}))


# Positions: datasets/load.py and inspect.py 2.14 to 4, sentence_transformers/SentenceTransformer.py 3 to 5.
LOADERS: Final[dict[str, Loader]] = {
    "from_pretrained": _PRETRAINED,
    "from_single_file": Loader(("pretrained_model_link_or_path",)),
    "load_lora_weights": _ADAPTER,
    "load_textual_inversion": _ADAPTER,
    "load_ip_adapter": _ADAPTER,
    "load_adapter": _ADAPTER,
    "hf_hub_download": _FILE,
    "snapshot_download": _FILE,
    "hf_hub_url": _FILE,
    "cached_download": _FILE,
    "cached_file": Loader(("path_or_repo_id",), origins=_HF),
    "cached_files": Loader(("path_or_repo_id",), origins=_HF),
    "get_file_from_repo": Loader(("path_or_repo",), origins=_HF),
    "from_pretrained_keras": _PRETRAINED,
    "from_pretrained_fastai": Loader(("repo_id",), revision_at=1),
    "load_dataset": _dataset(12),
    "load_dataset_builder": _dataset(8),
    "get_dataset_config_names": _dataset(1),
    "get_dataset_split_names": _dataset(5),
    "get_dataset_infos": _dataset(4),
    "pipeline": Loader(("model",), 1, None, origins=_HF),
    "get_kernel": Loader(("repo_id",), 0, 1, origins=frozenset({"kernels", "transformers"})),
    "LLM": Loader(("model",), origins=frozenset({"vllm"})),
    "SentenceTransformer": Loader(("model_name_or_path",), 0, 8, origins=_SENTENCES),
    "SparseEncoder": Loader(("model_name_or_path",), 0, 8, origins=_SENTENCES),
    "CrossEncoder": Loader(("model_name_or_path", "model_name"), origins=_SENTENCES),
}

# load_dataset("csv", …) takes a module of datasets itself (datasets/packaged_modules, 2.14 to 4).
PACKAGED_DATASETS: Final = frozenset(
    "arrow audiofolder cache csv eval folder_based_builder generator hdf5 imagefolder json lance niftifolder "
    "pandas parquet pdffolder spark sql text videofolder webdataset xml".split()
)
# HfFileSystem's methods that read; the path is their first argument.
FILE_SYSTEM_READS: Final = frozenset(
    "cat cat_file cat_ranges download find get get_file glob head info listdir ls open read_block read_bytes "
    "read_text tail url walk".split()
)
