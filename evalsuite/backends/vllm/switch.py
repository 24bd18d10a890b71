"""Another checkpoint in a running engine of vLLM: LoRA adapters over one base, and new weights of the same shape.

Adapters are requests' own (`LoRARequest`), so base and adapters alternate at no cost; room for them, up to a rank, is
made when an engine starts. Whole weights are read from the new folder into the tensors that are there
(`reload_weights`), and what the prefix cache knew is forgotten.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.backends.vllm.settings import Settings
from evalsuite.errors import ModelError
from evalsuite.models import Model
from evalsuite.models.files import read_json
from evalsuite.models.model import numeric_type

LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
VOLATILE = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache")
"""Of a config.json: what may differ between checkpoints of one shape."""

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt")


def check_adapter(model: Model, adapter: Path) -> Mapping[str, Any]:
    """A PEFT adapter's settings. Raises ModelError (one line) where vLLM could not add it to its base."""
    settings: dict[str, Any] = read_json(adapter / "adapter_config.json")
    extra = {
        "is no LoRA": settings.get("peft_type", "LORA") != "LORA",
        "decomposes weights (DoRA)": settings.get("use_dora"),
        "trains biases": settings.get("bias", "none") != "none",
        "holds whole layers (modules_to_save)": settings.get("modules_to_save"),
    }
    for what, found in extra.items():
        if found:
            raise ModelError(f"{model.address}: the adapter {what}, and vLLM adds plain LoRA only; use --backend hf")
    if rank_of(settings) > LORA_RANKS[-1]:
        raise ModelError(
            f"{model.address}: an adapter of rank {rank_of(settings)}; vLLM takes {LORA_RANKS[-1]} at most"
        )
    return settings


def rank_of(settings: Mapping[str, Any]) -> int:
    """The largest rank among an adapter's matrices."""
    return max([int(settings.get("r", 8)), *(int(rank) for rank in (settings.get("rank_pattern") or {}).values())])


def lora_rank(model: Model, settings: Settings) -> int:
    """The rank that an engine makes room for: one of vLLM's steps; 0 where no adapter will come."""
    rank = settings.lora
    if model.adapter is not None:
        rank = max(rank, rank_of(check_adapter(model, model.adapter)))
    return next((step for step in LORA_RANKS if step >= rank), LORA_RANKS[-1]) if rank else 0


def lora_request(model: Model) -> Any:
    """vLLM's name of a model's adapter, None without one. An adapter is known by its content, not by its path."""
    if model.adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest(model.fingerprint, 1 + int(model.fingerprint[:7], 16), str(model.adapter))


def swappable(old: Model, new: Model, rank: int) -> bool:
    """Whether engines that run for `old`, with room for adapters up to `rank`, can answer for `new`."""
    if (old.backend, numeric_type(old.options)) != (new.backend, numeric_type(new.options)):
        return False
    if old.options.args != new.options.args or old.options.trust_remote_code != new.options.trust_remote_code:
        return False
    if new.adapter is not None and rank_of(check_adapter(new, new.adapter)) > rank:
        return False
    if old.path is None or new.path is None:
        return False
    return old.path == new.path or _shape(old.path) == _shape(new.path)


def same_weights(old: Model, new: Model) -> bool:
    """Whether two models have one base. (The fingerprint of a model with an adapter does not tell the base's.)"""
    known = old.adapter is None and new.adapter is None
    return old.path == new.path and (not known or old.fingerprint == new.fingerprint)


def reload(engines: Sequence[Any], model: Model) -> bool:
    """Reads a model's weights into engines that run. False where vLLM could not: they are not to be used again."""
    try:
        for engine in engines:
            engine.collective_rpc("reload_weights", kwargs={"weights_path": str(model.path)})
            if not engine.reset_prefix_cache():
                return False
    except (ValueError, RuntimeError, TypeError, KeyError, OSError, NotImplementedError):
        return False
    return True


def _shape(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What two folders must have in common: config.json (names and versions apart) and the vocabulary."""
    config = {key: value for key, value in read_json(folder / "config.json").items() if key not in VOLATILE}
    files = {name: (folder / name).read_bytes() for name in TOKENIZERS if (folder / name).is_file()}
    return config, files
