"""What a user may say to vLLM: `--model-args KEY=VALUE`, one rule for all keys.

* A key of `ENGINE_ARGS` is vLLM's own argument of that name (`vllm.LLM`), read as the type that stands there.
* `batch_size` and `batch_tokens`, which every local engine knows, are vLLM's `max_num_seqs` and
  `max_num_batched_tokens`; a key that only other engines know and that changes no answer is passed over.
* `scoring`, `lora` and `data_parallel_size` are this backend's own (see `Settings`).
* Any other key is an error that names the nearest.

>>> read_settings({"tensor_parallel_size": "4", "scoring": "forced"}, context_window=4096).engine
{'tensor_parallel_size': 4}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evalsuite.errors import InputError, unknown
from evalsuite.models.model import NEUTRAL_ARGS

Scoring = Literal["auto", "forced", "cached", "prompt"]
SCORINGS: tuple[Scoring, ...] = ("auto", "forced", "cached", "prompt")

ENGINE_ARGS: Mapping[str, type] = {
    "attention_backend": str,
    "block_size": int,
    "cpu_offload_gb": float,
    "disable_custom_all_reduce": bool,
    "distributed_executor_backend": str,
    "enable_chunked_prefill": bool,
    "enable_expert_parallel": bool,
    "enable_prefix_caching": bool,
    "enforce_eager": bool,
    "gpu_memory_utilization": float,
    "kv_cache_dtype": str,
    "kv_cache_memory_bytes": int,
    "load_format": str,
    "max_model_len": int,
    "max_num_batched_tokens": int,
    "max_num_seqs": int,
    "model_impl": str,
    "pipeline_parallel_size": int,
    "quantization": str,
    "seed": int,
    "tensor_parallel_size": int,
}
OUR_WORDS = {"batch_size": "max_num_seqs", "batch_tokens": "max_num_batched_tokens"}
OWN_ARGS = ("scoring", "lora", "data_parallel_size")
SHARED_ARGS = frozenset({"pooling", "normalize", "layer", "prompt", "reward", "image_urls"})
"""Keys that the renderer, the embeddings and the images read, whatever the engine."""

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Settings:
    """`engine`: arguments of vllm.LLM. `scoring`: how log-likelihoods are computed (`vllm.score`). `lora`: the rank
    that adapters may have (0: none are taken). `replicas`: engines side by side, each with the whole model."""

    engine: Mapping[str, Any]
    scoring: Scoring = "auto"
    lora: int = 0
    replicas: int = 1


def read_settings(args: Mapping[str, str], context_window: int | None) -> Settings:
    """Settings out of `--model-args`. Raises InputError (one line) for an unknown key or a value of another kind."""
    engine: dict[str, Any] = {}
    for key, text in args.items():
        name = OUR_WORDS.get(key, key)
        if name in ENGINE_ARGS:
            engine[name] = _value(key, text, ENGINE_ARGS[name])
        elif key not in OWN_ARGS and key not in NEUTRAL_ARGS | SHARED_ARGS and not key.startswith("template."):
            raise unknown("argument of --model-args for vllm", key, (*ENGINE_ARGS, *OUR_WORDS, *OWN_ARGS))
    length = engine.get("max_model_len")
    if length is not None and context_window is not None and length > context_window:
        raise InputError(f"--model-args max_model_len={length}: the model's window is {context_window}")
    scoring = args.get("scoring", "auto")
    if scoring not in SCORINGS:
        raise InputError(f"--model-args scoring={scoring}: known are {', '.join(SCORINGS)}")
    lora = _value("lora", args.get("lora", "0"), int)
    replicas = _value("data_parallel_size", args.get("data_parallel_size", "1"), int)
    if replicas < 1:
        raise InputError(f"--model-args data_parallel_size={replicas}: a whole number of at least 1 is wanted")
    return Settings(engine, scoring, lora, replicas)


def _value(key: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in TRUE + FALSE:
            return text.lower() in TRUE
        raise InputError(f"--model-args {key}={text}: true or false is wanted")
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise InputError(f"--model-args {key}={text}: {wanted} is wanted") from None
