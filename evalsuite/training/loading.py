"""The model that is trained: a folder's weights (safetensors, no remote code), whole or with an adapter on top."""

import os
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import InputError, ModelError
from evalsuite.models import Model
from evalsuite.training.contract import Settings


def load(model: Model, kind: Literal["policy", "reward"], settings: Settings, heads: int = 1) -> Any:
    """The module in training precision. A reward model made out of a policy gets a head of zeros-mean noise drawn from
    the seed. Raises ModelError (one line) where the folder cannot be trained so."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    from evalsuite.training.machine import quiet

    path = folder_of(model)
    made: Any = AutoModelForCausalLM if kind == "policy" else AutoModelForSequenceClassification
    more: dict[str, Any] = {} if kind == "policy" else {"num_labels": heads}
    remote = model.options.trust_remote_code
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(settings.seed)
        try:
            net = made.from_pretrained(
                path, dtype=dtype(settings), use_safetensors=True, trust_remote_code=remote, **more
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: cannot be trained as a {kind} model ({' '.join(str(error).split())})") from error
    if settings.gradient_checkpointing:
        net.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return _adapted(net, kind, settings) if settings.lora_r else net


def folder_of(model: Model) -> Path:
    """Where the weights lie. Raises InputError for models that are no folder, and for adapters."""
    if not model.local or model.path is None:
        raise InputError(f"--model {model.address}: only a checkpoint's folder can be trained")
    if model.adapter is not None:
        raise InputError(
            f"--model {model.address}: is an adapter; merge it into its base first (evalsuite train merge)"
        )
    return model.path


def dtype(settings: Settings) -> Any:
    """The parameters' type. "auto": bfloat16 for weights that an adapter leaves as they are, on a GPU that has it;
    float32 for weights that are trained, since a step of 1e-6 is lost in a bfloat16 weight."""
    import torch

    if settings.dtype != "auto":
        return getattr(torch, settings.dtype)
    return torch.bfloat16 if settings.lora_r and has_bfloat16() else torch.float32


def arithmetic(settings: Settings) -> str:
    """What the loop computes in, as accelerate calls it: "no" (the parameters' own type), "bf16", "fp16", "fp8". The
    launcher's word is the last; where it says nothing, float32 weights of "auto" are multiplied in bfloat16 on a GPU
    that has it."""
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION")
    if asked:
        return asked
    return "bf16" if settings.dtype == "auto" and not settings.lora_r and has_bfloat16() else "no"


def has_bfloat16() -> bool:
    """Whether there is a GPU, and it computes in bfloat16."""
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def _adapted(net: Any, kind: str, settings: Settings) -> Any:
    config = lora_config(kind, settings)
    from peft import get_peft_model

    return get_peft_model(net, config)


def lora_config(kind: str, settings: Settings) -> Any:
    """peft's configuration of the adapter. Raises InputError where peft is absent."""
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise InputError("lora_r: needs peft; pip install 'evalsuite[train]'") from error
    targets = settings.lora_target_modules
    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targets if targets == "all-linear" else targets.split(","),
        task_type="CAUSAL_LM" if kind == "policy" else "SEQ_CLS",
    )
