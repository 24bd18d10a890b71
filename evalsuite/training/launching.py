"""Accelerate as the launcher set it up: one process alone, several with whole weights, or weights shared out by FSDP or
DeepSpeed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from evalsuite.errors import InputError
from evalsuite.training.contract import Settings
from evalsuite.training.loading import arithmetic


def launched(settings: Settings) -> Any:
    """Accelerate as `accelerate launch` or `torchrun` set it up, computing in this training's `arithmetic`. It shares
    out weights on accelerators only; on CPUs (gloo) the same environment asks for the same. Raises InputError where
    DeepSpeed is asked for and not installed."""
    if _asked("DEEPSPEED") and find_spec("deepspeed") is None:
        raise InputError("DeepSpeed is not installed: pip install deepspeed, or launch with --use_fsdp")
    from accelerate import Accelerator, PartialState
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType

    wanted = arithmetic(settings)
    if AcceleratorState._shared_state.get("_mixed_precision", wanted) != wanted:
        AcceleratorState._reset_state()  # an earlier training of this process computed otherwise
    accelerator = Accelerator(mixed_precision=wanted)
    state = accelerator.state
    if accelerator.distributed_type == DistributedType.MULTI_CPU and (_asked("FSDP") or _asked("DEEPSPEED")):
        kind = DistributedType.FSDP if _asked("FSDP") else DistributedType.DEEPSPEED
        # Both, because the second is copied over the first whenever somebody looks.
        state.distributed_type = PartialState().distributed_type = kind
        _plug_in(state, kind.value)
    return accelerator


def _asked(kind: str) -> bool:
    return os.environ.get(f"ACCELERATE_USE_{kind}") == "true"


def _plug_in(state: Any, kind: str) -> None:
    from accelerate import DeepSpeedPlugin, FullyShardedDataParallelPlugin

    if kind == "FSDP":
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        return
    state.deepspeed_plugins = DeepSpeedPlugin()
    state.deepspeed_plugins.set_mixed_precision(state.mixed_precision)
    state.deepspeed_plugins.select(_from_accelerator_state=True)


def leave() -> None:
    """The end of a command that several processes ran: one that is gone early takes the others' connections along."""
    if "WORLD_SIZE" not in os.environ:
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def steps_itself(accelerator: Any) -> bool:
    """Whether the backward pass takes the optimiser's step too: DeepSpeed's engine does."""
    return bool(accelerator.distributed_type.value == "DEEPSPEED")


def prepared(accelerator: Any, model: Any, optimizer: Any, s: Settings) -> tuple[Any, Any]:
    """Model and optimiser as the launcher wants them. DeepSpeed takes batches and clipping from its configuration: they
    are the training's own, and parts of a step are told apart by `one_part`, not counted."""
    if steps_itself(accelerator):
        config = accelerator.state.deepspeed_plugin.deepspeed_config
        config |= {
            "train_micro_batch_size_per_gpu": s.per_device_train_batch_size,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": s.max_grad_norm,
            "zero_allow_untested_optimizer": True,
        }
        config.pop("train_batch_size", None)
        config.setdefault("zero_optimization", {})["stage3_gather_16bit_weights_on_model_save"] = True  # any dtype
    made: tuple[Any, Any] = accelerator.prepare(model, optimizer)
    return made


@contextmanager
def one_part(accelerator: Any, model: Any, last: bool) -> Iterator[None]:
    """The backward pass of one part of a step; in the last, gradients are exchanged (and DeepSpeed takes the step)."""
    if steps_itself(accelerator):
        accelerator.gradient_state._set_sync_gradients(last)
        yield
    elif last:
        yield
    else:
        with accelerator.no_sync(model):
            yield
