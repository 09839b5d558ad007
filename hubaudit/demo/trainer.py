"""What transformers' Trainer leaves beside a checkpoint, as object graphs.

The fields, their order and their values are those of transformers 5.23 with accelerate 1.15, torch
2.13 and numpy 2.4 on a machine without a GPU.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

from hubaudit.demo.checkpoints import Tensor, tensor
from hubaudit.demo.objects import Call, Global, New, Unshared

TRAINING_ARGUMENTS = Global("transformers.training_args", "TrainingArguments")
ACCELERATOR_CONFIG = Global("transformers.trainer_pt_utils", "AcceleratorConfig")
PARTIAL_STATE = Global("accelerate.state", "PartialState")
SCHEDULER = Global("transformers.trainer_utils", "SchedulerType")
OPTIMIZER = Global("transformers.training_args", "OptimizerNames")
INTERVAL = Global("transformers.trainer_utils", "IntervalStrategy")
SAVE = Global("transformers.trainer_utils", "SaveStrategy")
HUB = Global("transformers.trainer_utils", "HubStrategy")
DISTRIBUTED = Global("accelerate.utils.dataclasses", "DistributedType")

Member = Callable[[Global, str], Call]


def called(cls: Global, value: str) -> Call:
    """An enum member as most Pythons pickle it: the class called with the value."""
    return Call(cls, (value,))


def fetched(cls: Global, value: str) -> Call:
    """An enum member as Python 3.11.2 (Debian 12) pickles it: getattr of the class and the name.

    In Trainer's enums the name is the value in upper case.
    """
    return Call(Global("__builtin__", "getattr"), (cls, value.upper()))


def training_args(member: Member = called) -> New:
    """`training_args.bin`: a whole TrainingArguments, which nothing needs in order to load a model."""
    return New(TRAINING_ARGUMENTS, (), _arguments(member))


def optimizer(parameters: tuple[Tensor, ...]) -> dict[str, Any]:
    """`optimizer.pt`: AdamW's state after one step, with the parameters as their own averages."""
    return {
        "state": {index: _moments(parameter) for index, parameter in enumerate(parameters)},
        "param_groups": [
            {
                "lr": 5e-05,
                "betas": (0.9, 0.999),
                "eps": 1e-08,
                "weight_decay": 0.01,
                "amsgrad": False,
                "maximize": False,
                "foreach": None,
                "capturable": False,
                "differentiable": False,
                "fused": None,
                "decoupled_weight_decay": True,
                "initial_lr": 5e-05,
                "params": list(range(len(parameters))),
            }
        ],
    }


def scheduler() -> dict[str, Any]:
    """`scheduler.pt`: LambdaLR's state after one step."""
    return {
        "base_lrs": [5e-05],
        "last_epoch": 1,
        "_step_count": 2,
        "_is_initial": False,
        "_get_lr_called_within_step": False,
        "_last_lr": [5e-05],
        "lr_lambdas": [{}],
    }


def rng_state(seed: int) -> dict[str, Any]:
    """`rng_state.pth`: the generators of Python, numpy and torch, all three a Mersenne Twister."""
    words = Random(seed).getstate()[1]  # noqa: S311 - a sample that looks real, not a secret
    return {"python": (3, words, None), "numpy": _numpy_state(words), "cpu": _torch_state(words)}


def _moments(parameter: Tensor) -> dict[str, Tensor]:
    again = tensor(parameter.storage.dtype, parameter.shape, parameter.data)
    once = tensor(parameter.storage.dtype, parameter.shape, parameter.data)
    return {
        "step": tensor("F32", (), struct.pack("<f", 1)),
        "exp_avg": once,
        "exp_avg_sq": again,
    }


def _numpy_state(words: tuple[int, ...]) -> tuple[Any, ...]:
    """`numpy.random.get_state()`. The last of Python's 625 words is the position."""
    *key, position = words
    array = Call(
        Global("numpy._core.multiarray", "_reconstruct"),
        (Global("numpy", "ndarray"), (0,), b"b"),
        state=(1, (624,), _uint32(), False, struct.pack("<624I", *key)),
    )
    return ("MT19937", array, position, 0, 0.0)


def _uint32() -> Call:
    state = (3, "<", None, None, None, -1, -1, 0)
    return Call(Global("numpy", "dtype"), ("u4", False, True), state=state)


def _torch_state(words: tuple[int, ...]) -> Tensor:
    """`torch.random.get_rng_state()`: aten/src/ATen/CPUGeneratorImpl.cpp, CPUGeneratorImplState."""
    *key, _ = words
    engine = struct.pack("<QiiQ624Q", 42, 1, 1, 0, *key)
    normal = bytes(40)  # no cached normal sample
    return tensor("U8", (5056,), engine + normal)


def _device() -> Call:
    return Call(Global("torch", "device"), (Unshared("cpu"),))


def _accelerator() -> dict[str, Any]:
    return {
        "split_batches": False,
        "dispatch_batches": None,
        "even_batches": True,
        "use_seedable_sampler": True,
        "non_blocking": False,
        "gradient_accumulation_kwargs": None,
    }


def _process(member: Member) -> dict[str, Any]:
    return {
        "_cpu": True,
        "backend": None,
        "device": _device(),
        "debug": False,
        "distributed_type": member(DISTRIBUTED, "NO"),
        "num_processes": 1,
        "process_index": 0,
        "local_process_index": 0,
        "fork_launched": False,
    }


def _arguments(member: Member) -> dict[str, Any]:
    return {
        "output_dir": "out",
        "per_device_train_batch_size": 8,
        "num_train_epochs": 3.0,
        "max_steps": -1,
        "learning_rate": 5e-05,
        "lr_scheduler_type": member(SCHEDULER, "linear"),
        "lr_scheduler_kwargs": None,
        "warmup_steps": 0,
        "optim": member(OPTIMIZER, "adamw_torch_fused"),
        "optim_args": None,
        "weight_decay": 0.0,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-08,
        "optim_target_modules": None,
        "gradient_accumulation_steps": 1,
        "average_tokens_across_devices": True,
        "max_grad_norm": 1.0,
        "label_smoothing_factor": 0.0,
        "bf16": False,
        "fp16": False,
        "bf16_full_eval": False,
        "fp16_full_eval": False,
        "tf32": None,
        "activation_checkpointing": False,
        "activation_checkpointing_kwargs": None,
        "gradient_checkpointing": False,
        "gradient_checkpointing_kwargs": None,
        "torch_compile": False,
        "torch_compile_backend": None,
        "torch_compile_mode": None,
        "use_liger_kernel": False,
        "liger_kernel_config": None,
        "use_cache": False,
        "neftune_noise_alpha": None,
        "torch_empty_cache_steps": None,
        "auto_find_batch_size": False,
        "logging_strategy": member(INTERVAL, "steps"),
        "logging_steps": 500,
        "logging_first_step": False,
        "log_on_each_node": True,
        "logging_nan_inf_filter": True,
        "include_num_input_tokens_seen": "no",
        "log_level": "passive",
        "log_level_replica": "warning",
        "disable_tqdm": False,
        "report_to": [],
        "run_name": None,
        "project": "huggingface",
        "trackio_space_id": None,
        "trackio_bucket_id": None,
        "trackio_static_space_id": None,
        "eval_strategy": member(INTERVAL, "no"),
        "eval_steps": None,
        "eval_delay": 0,
        "per_device_eval_batch_size": 8,
        "prediction_loss_only": False,
        "eval_on_start": False,
        "eval_do_concat_batches": True,
        "eval_use_gather_object": False,
        "eval_accumulation_steps": None,
        "include_for_metrics": [],
        "batch_eval_metrics": False,
        "save_only_model": False,
        "save_strategy": member(SAVE, "steps"),
        "save_steps": 500,
        "save_on_each_node": False,
        "save_total_limit": None,
        "enable_jit_checkpoint": False,
        "push_to_hub": False,
        "hub_token": None,
        "hub_private_repo": None,
        "hub_model_id": None,
        "hub_strategy": member(HUB, "every_save"),
        "hub_always_push": False,
        "hub_revision": None,
        "load_best_model_at_end": False,
        "metric_for_best_model": None,
        "greater_is_better": None,
        "ignore_data_skip": False,
        "restore_callback_states_from_checkpoint": False,
        "full_determinism": False,
        "seed": 42,
        "data_seed": None,
        "use_cpu": True,
        "accelerator_config": New(ACCELERATOR_CONFIG, (), _accelerator()),
        "parallelism_config": None,
        "dataloader_drop_last": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "dataloader_persistent_workers": False,
        "dataloader_prefetch_factor": None,
        "dataloader_multiprocessing_context": None,
        "dataloader_in_order": True,
        "remove_unused_columns": True,
        "label_names": None,
        "train_sampling_strategy": "random",
        "length_column_name": "length",
        "ddp_find_unused_parameters": None,
        "ddp_bucket_cap_mb": None,
        "ddp_broadcast_buffers": None,
        "ddp_static_graph": None,
        "ddp_backend": None,
        "ddp_timeout": 1800,
        "fsdp": None,
        "fsdp_config": None,
        "deepspeed": None,
        "debug": [],
        "skip_memory_metrics": True,
        "do_train": False,
        "do_eval": False,
        "do_predict": False,
        "resume_from_checkpoint": None,
        "local_rank": -1,
        "mixed_precision": "no",
        "distributed_state": New(PARTIAL_STATE, (), _process(member)),
        "_n_gpu": 0,
        "_setup_devices": _device(),
        "fsdp_plugin_args": None,
        "deepspeed_plugin": None,
    }
