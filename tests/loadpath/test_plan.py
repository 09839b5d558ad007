"""What `plan` says of layouts and options; the recordings have what the libraries do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hubaudit.loadpath import LoadOptions, Problem, wanted
from hubaudit.loadpath.documents import MOST_BYTES_OF_AN_INDEX, MOST_DOCUMENTS
from hubaudit.model import RepoFile
from tests.loadpath.listings import (
    BERT,
    CODE,
    FALLBACK,
    FIRST,
    LOADED,
    NEVER,
    SECOND,
    SHARDED,
    messages,
    planned,
)

# --- layouts


def test_a_pickle_beside_its_safetensors_twin_is_a_fallback() -> None:
    found = planned("pytorch_model.bin model.safetensors training_args.bin", BERT)
    assert found.roles["model.safetensors"] is LOADED
    assert found.roles["pytorch_model.bin"] is FALLBACK
    assert found.roles["training_args.bin"] is NEVER
    assert found.library == "transformers"
    assert found.arguments == {
        "use_safetensors": True,
        "trust_remote_code": False,
        "weights_only": True,
    }


def test_a_pickle_without_a_twin_is_loaded_and_safetensors_are_not_demanded() -> None:
    found = planned("pytorch_model.bin", BERT)
    assert found.roles["pytorch_model.bin"] is LOADED
    assert "use_safetensors" not in found.arguments


@pytest.mark.parametrize(
    "name",
    [
        "training_args.bin",
        "optimizer.pt",
        "optimizer.bin",
        "scheduler.pt",
        "scaler.pt",
        "rng_state.pth",
        "rng_state_3.pth",
        "random_states_0.pkl",
        "checkpoint-500/optimizer.pt",
    ],
)
@pytest.mark.parametrize("documents", [BERT, {}], ids=["known", "unknown"])
def test_what_a_training_resumes_from_is_never_opened(
    name: str, documents: Mapping[str, object]
) -> None:
    assert planned(name, documents).roles[name] is NEVER


@pytest.mark.parametrize("name", ["optimizer_evil.pkl", "training_args.bin.pkl", "my_scaler.pt"])
def test_a_name_that_only_begins_like_a_training_state_is_loaded_in_an_unknown_layout(
    name: str,
) -> None:
    assert planned(name).roles[name] is LOADED


def test_in_an_unknown_layout_everything_that_may_execute_is_loaded() -> None:
    found = planned("a.pkl deep/b.bin c.h5 d.joblib e.safetensors notes.txt run.py")
    assert found.library == "none"
    assert found.roles == {
        "a.pkl": LOADED,
        "c.h5": LOADED,
        "d.joblib": LOADED,
        "deep/b.bin": LOADED,
        "e.safetensors": LOADED,
        "notes.txt": NEVER,
        "run.py": CODE,
    }


def test_load_none_loads_even_a_training_state_and_a_twin() -> None:
    names = "training_args.bin pytorch_model.bin model.safetensors x.py"
    found = planned(names, BERT, LoadOptions(library="none"))
    assert {path for path, role in found.roles.items() if role is LOADED} == {
        "training_args.bin",
        "pytorch_model.bin",
        "model.safetensors",
    }
    assert found.roles["x.py"] is CODE
    assert found.arguments == {}


def test_an_executable_file_that_no_rule_names_is_never_opened_in_a_known_layout() -> None:
    found = planned("model.safetensors other.pkl original/consolidated.00.pth", BERT)
    assert found.roles["other.pkl"] is NEVER
    assert found.roles["original/consolidated.00.pth"] is NEVER


def test_a_file_that_a_configuration_names_is_loaded() -> None:
    config = {"model_type": "bert", "sklearn": {"model": {"file": "other.pkl"}}}
    found = planned("model.safetensors other.pkl", {"config.json": config})
    assert found.roles["other.pkl"] is LOADED


def test_a_setfit_head_is_loaded_though_the_layout_is_of_sentence_transformers() -> None:
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    ]
    found = planned(
        "model.safetensors pytorch_model.bin model_head.pkl training_args.bin",
        BERT | {"modules.json": modules},
    )
    assert found.library == "sentence-transformers"
    assert found.roles["model_head.pkl"] is LOADED
    assert found.roles["pytorch_model.bin"] is FALLBACK
    assert found.roles["training_args.bin"] is NEVER


def test_a_sklearn_configuration_leaves_the_layout_unknown() -> None:
    config = {"sklearn": {"model": {"file": "skops-1.pkl"}}}
    assert planned("skops-1.pkl more.pkl", {"config.json": config}).roles["more.pkl"] is LOADED


def test_weights_of_other_frameworks_are_fallbacks() -> None:
    names = "model.safetensors tf_model.h5 flax_model.msgpack rust_model.ot"
    found = planned(names, BERT)
    assert {found.roles[name] for name in names.split()[1:]} == {FALLBACK}
    assert planned("tf_model.h5", BERT).roles["tf_model.h5"] is LOADED


@pytest.mark.parametrize("name", ["vocab.pkl", "tokenizer.pkl", "spk_dict.pt", "adapter.fra.bin"])
def test_pickles_of_tokenizers_and_processors_are_loaded(name: str) -> None:
    assert planned(f"model.safetensors {name}", BERT).roles[name] is LOADED


def test_an_old_config_without_a_model_type_is_of_transformers_by_its_weights() -> None:
    config = {"config.json": {"hidden_size": 8}}
    found = planned("pytorch_model.bin other.pkl", config)
    assert (found.library, found.roles["other.pkl"]) == ("transformers", NEVER)
    assert planned("other.pkl", config).library == "none"


def test_open_clip_prefers_its_safetensors() -> None:
    names = "open_clip_config.json open_clip_pytorch_model.bin open_clip_model.safetensors"
    found = planned(names, {"open_clip_config.json": {}})
    assert found.library == "timm"
    assert found.roles["open_clip_pytorch_model.bin"] is FALLBACK


# --- options


def test_with_use_safetensors_true_no_pickle_is_opened() -> None:
    options = LoadOptions(use_safetensors="true")
    assert planned("pytorch_model.bin model.safetensors", BERT, options).roles[
        "pytorch_model.bin"
    ] is (NEVER)


def test_with_use_safetensors_false_the_pickle_is_loaded() -> None:
    options = LoadOptions(use_safetensors="false")
    found = planned("pytorch_model.bin model.safetensors", BERT, options)
    assert found.roles["pytorch_model.bin"] is LOADED
    assert "use_safetensors" not in found.arguments


def test_an_adapter_pickle_is_loaded_in_spite_of_use_safetensors_true() -> None:
    documents = {"adapter_config.json": {"base_model_name_or_path": "org/base"}}
    options = LoadOptions(use_safetensors="true")
    assert planned("adapter_model.bin", documents, options).roles["adapter_model.bin"] is LOADED


def test_a_dense_module_takes_its_pickle_in_spite_of_use_safetensors_true() -> None:
    modules = [{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
    documents = {"modules.json": modules, "2_Dense/config.json": {"in_features": 2}}
    found = planned("2_Dense/pytorch_model.bin", documents, LoadOptions(use_safetensors="true"))
    assert found.roles["2_Dense/pytorch_model.bin"] is LOADED


def test_a_variant_is_opened_only_if_it_is_asked_for() -> None:
    names = "pytorch_model.bin pytorch_model.fp16.bin"
    assert planned(names, BERT).roles["pytorch_model.fp16.bin"] is NEVER
    found = planned(names, BERT, LoadOptions(variant="fp16"))
    assert found.roles["pytorch_model.fp16.bin"] is LOADED
    assert found.roles["pytorch_model.bin"] is FALLBACK
    assert found.arguments["variant"] == "fp16"


def test_a_variant_is_loaded_if_there_is_nothing_else_to_load() -> None:
    assert planned("pytorch_model.fp16.bin", BERT).roles["pytorch_model.fp16.bin"] is LOADED


def test_a_subfolder_is_opened_only_if_it_is_asked_for() -> None:
    documents = BERT | {"part/config.json": {"model_type": "bert"}}
    names = "pytorch_model.bin part/pytorch_model.bin"
    assert planned(names, documents).roles["part/pytorch_model.bin"] is NEVER
    found = planned(names, documents, LoadOptions(subfolder="part"))
    assert found.roles["part/pytorch_model.bin"] is LOADED
    assert found.roles["pytorch_model.bin"] is NEVER
    assert found.arguments["subfolder"] == "part"


def test_a_gguf_file_alone_is_loaded_by_its_name() -> None:
    found = planned("q4.gguf")
    assert (found.library, found.roles["q4.gguf"]) == ("transformers", LOADED)
    assert found.arguments["gguf_file"] == "q4.gguf"
    assert planned("q4.gguf model.safetensors", BERT).roles["q4.gguf"] is FALLBACK


# --- diffusers

INDEX = {"_class_name": "X", "unet": ["diffusers", "U"], "vae": ["diffusers", "V"]}
UNET = "unet/diffusion_pytorch_model.bin unet/diffusion_pytorch_model.safetensors"


def test_one_part_without_safetensors_makes_a_pipeline_load_every_pickle() -> None:
    both = f"{UNET} vae/diffusion_pytorch_model.bin vae/diffusion_pytorch_model.safetensors"
    found = planned(both, {"model_index.json": INDEX})
    assert found.roles["unet/diffusion_pytorch_model.bin"] is FALLBACK
    assert found.arguments == {"use_safetensors": True, "trust_remote_code": False}
    found = planned(f"{UNET} vae/diffusion_pytorch_model.bin", {"model_index.json": INDEX})
    assert found.roles["unet/diffusion_pytorch_model.bin"] is LOADED
    assert "use_safetensors" not in found.arguments


def test_of_a_pipeline_with_nothing_but_variants_a_variant_is_loaded() -> None:
    names = "unet/diffusion_pytorch_model.fp16.bin unet/diffusion_pytorch_model.fp16.safetensors"
    found = planned(names, {"model_index.json": INDEX})
    assert {found.roles[name] for name in names.split()} == {LOADED}


def test_files_that_the_pipeline_ignores_do_not_count_as_safetensors() -> None:
    ignoring = INDEX | {"_ignore_files": ["unet/diffusion_pytorch_model.safetensors"]}
    found = planned(UNET, {"model_index.json": ignoring})
    assert found.roles["unet/diffusion_pytorch_model.bin"] is LOADED


def test_an_index_that_cannot_be_read_leaves_no_pickle_of_a_pipeline_unopened() -> None:
    found = planned(f"{UNET} vae/a.pkl b.pkl", raw={"model_index.json": b"{"})
    assert found.roles["vae/a.pkl"] is LOADED
    assert found.roles["b.pkl"] is LOADED


def test_a_part_may_bring_its_own_class() -> None:
    own = INDEX | {"unet": ["my_unet", "Mine"]}
    names = f"{UNET} unet/my_unet.py unet/unrelated.py"
    assert planned(names, {"model_index.json": own}).roles["unet/my_unet.py"] is CODE


# --- code and other repositories


def test_code_is_code_only_if_a_configuration_takes_classes_from_code() -> None:
    config = {"model_type": "own", "auto_map": {"AutoModel": "modeling_own.Own"}}
    names = "modeling_own.py layers.py other.pkl training_args.bin model.safetensors"
    found = planned(names, {"config.json": config})
    assert found.roles["modeling_own.py"] is CODE
    assert found.roles["layers.py"] is CODE  # the module may import it
    assert found.roles["other.pkl"] is FALLBACK  # and may open this
    assert found.roles["training_args.bin"] is NEVER
    assert planned(names, BERT).roles["layers.py"] is NEVER


@pytest.mark.parametrize(
    "value",
    [
        {"AutoTokenizer": ["org/code--tokenization_own.Own", None]},
        {"AutoModel": "org/code--modeling_own.Own"},
    ],
)
def test_code_of_another_repository_is_a_base(value: object) -> None:
    found = planned("model.safetensors", {"config.json": {"model_type": "own", "auto_map": value}})
    assert found.bases == ("org/code",)


def test_a_kernel_that_a_configuration_asks_for_is_a_base() -> None:
    config = {"model_type": "bert", "_attn_implementation": "org/kernel@v1:attention"}
    assert planned("model.safetensors", {"config.json": config}).bases == ("org/kernel",)


def test_the_base_model_of_an_adapter_is_named() -> None:
    documents = {"adapter_config.json": {"base_model_name_or_path": "org/base"}}
    found = planned("adapter_model.bin adapter_model.safetensors", documents)
    assert found.bases == ("org/base",)
    assert found.library == "peft"
    assert found.roles["adapter_model.bin"] is FALLBACK


@pytest.mark.parametrize("name", ["/home/me/llama", "../llama", "https://x.org/a", "a b", "x" * 99])
def test_a_base_model_that_is_no_repository_is_a_problem(name: str) -> None:
    found = planned("adapter_model.bin", {"adapter_config.json": {"base_model_name_or_path": name}})
    assert found.bases == ()
    assert len(messages(found, "adapter_config.json")) == 1


def test_a_module_that_is_not_there_is_a_problem() -> None:
    for module in ("gone.Own", "../../etc/own.Own", "/own.Own"):
        config = {"model_type": "own", "auto_map": {"AutoModel": module}}
        assert len(messages(planned("", {"config.json": config}), "config.json")) == 1


def test_an_endpoint_handler_is_code() -> None:
    found = planned("handler.py helper.py model.safetensors other.pkl", BERT)
    assert found.roles["handler.py"] is CODE
    assert found.roles["helper.py"] is CODE
    assert found.roles["other.pkl"] is FALLBACK


# --- indexes and shards


def test_an_index_and_its_shards_are_loaded_without_a_problem() -> None:
    found = planned([FIRST, SECOND], BERT | {SHARDED: {"weight_map": {"a": FIRST, "b": SECOND}}})
    assert {found.roles[path] for path in (FIRST, SECOND, SHARDED)} == {LOADED}
    assert found.problems == ()


def test_a_missing_shard_is_a_problem_of_the_index() -> None:
    found = planned([FIRST], BERT | {SHARDED: {"weight_map": {"a": FIRST, "b": SECOND}}})
    message = f"it names {SECOND!r}, which is not there"
    assert found.problems == (Problem(SHARDED, message, "index"),)


def test_a_shard_that_the_index_leaves_out_is_a_problem_and_not_quite_never() -> None:
    found = planned([FIRST, SECOND], BERT | {SHARDED: {"weight_map": {"a": FIRST}}})
    assert messages(found, SECOND) == [f"{SHARDED!r} does not name this shard"]
    assert found.roles[SECOND] is FALLBACK


def test_shards_without_an_index_are_a_problem() -> None:
    found = planned([FIRST, SECOND], BERT)
    assert found.roles[FIRST] is LOADED
    assert messages(found, FIRST) == ["no index names this shard"]


def test_a_pickle_in_a_safetensors_index_is_loaded_and_a_problem() -> None:
    index = {"weight_map": {"a": "weights.bin"}}
    documents = BERT | {"model.safetensors.index.json": index}
    found = planned("weights.bin", documents, LoadOptions(use_safetensors="true"))
    assert found.roles["weights.bin"] is LOADED
    assert len(messages(found, "model.safetensors.index.json")) == 1


def test_an_index_can_make_a_training_state_be_opened() -> None:
    found = planned(
        "training_args.bin", BERT | {SHARDED: {"weight_map": {"a": "training_args.bin"}}}
    )
    assert found.roles["training_args.bin"] is LOADED


@pytest.mark.parametrize("name", ["../evil.bin", "/evil.bin", "a\\..\\evil.bin", "\0", ""])
def test_a_shard_outside_of_the_folder_is_a_problem(name: str) -> None:
    found = planned("evil.bin", BERT | {SHARDED: {"weight_map": {"a": name}}})
    assert any("leads out of its folder" in one for one in messages(found, SHARDED))


def test_a_shard_in_the_folder_above_is_loaded_all_the_same() -> None:
    index = {"weight_map": {"a": "../evil.bin"}}
    documents = {"part/config.json": {"model_type": "bert"}, f"part/{SHARDED}": index}
    found = planned("evil.bin", documents, LoadOptions(subfolder="part"))
    assert found.roles["evil.bin"] is LOADED


def test_of_an_index_that_nobody_has_seen_every_shard_and_pickle_is_loaded() -> None:
    found = planned([SHARDED, FIRST, "weights.bin"], BERT)
    assert found.roles[FIRST] is LOADED
    assert found.roles["weights.bin"] is LOADED
    assert [problem.kind for problem in found.problems] == ["unread"]


# --- wanted


def test_the_wanted_documents_of_an_ordinary_model_are_few() -> None:
    names = (
        "config.json tokenizer_config.json tokenizer.json generation_config.json vocab.json a.bin"
    )
    assert wanted([RepoFile(name, 10) for name in names.split()]) == (
        "config.json",
        "tokenizer_config.json",
    )


def test_parts_are_wanted_where_folders_are_parts() -> None:
    names = "model_index.json unet/config.json tokenizer/tokenizer_config.json"
    assert set(wanted([RepoFile(name, 10) for name in names.split()])) == set(names.split())


def test_many_documents_do_not_displace_those_at_the_root() -> None:
    names = [f"a{number}.bin.index.json" for number in range(500)]
    names += [f"a{number}/config.json" for number in range(500)]
    root = ["config.json", "model.safetensors.index.json", SHARDED]
    found = wanted([RepoFile(name, 10) for name in [*names, *root]])
    assert len(found) == MOST_DOCUMENTS
    assert found[:3] == tuple(root)


def test_large_documents_are_not_wanted() -> None:
    files = [RepoFile("config.json", 2 << 20), RepoFile(SHARDED, MOST_BYTES_OF_AN_INDEX + 1)]
    assert wanted(files) == ()


def test_documents_of_folders_that_are_not_loaded_leave_no_doubt() -> None:
    names = "model.safetensors other.pkl train.py checkpoint-1/config.json checkpoint-2/config.json"
    found = planned(names, BERT)
    assert (found.roles["other.pkl"], found.roles["train.py"]) == (NEVER, NEVER)
    assert len(messages(found, "checkpoint-1/config.json")) == 1
    assert len(found.problems) == 1
