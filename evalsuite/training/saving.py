"""Checkpoints: written beside their place and renamed, so that what can be loaded is whole.

`OUT/state-STEP/` holds what a resumed training needs (weights, optimiser, random numbers); `OUT/` itself becomes the
finished checkpoint: safetensors, tokenizer, `lineage.json`, `training.json` (settings, data, versions, seed).
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError
from evalsuite.training.machine import quiet

BESIDE = "rollout.json"
LAST = ("config.json", "adapter_config.json")
"""Without one of these no folder is a checkpoint: they are the first to go and the last to come."""
ANSWERS = "responses.jsonl"
"""What a method writes that trains nothing."""
PASSING = (".state", ".weights")
"""What lies in --out while it trains: a state half written, weights for a rollout engine."""
STATE = re.compile(r"state-(\d+)")


def keep(accelerator: Any, out: Path, step: int, beside: Mapping[str, Any] | None = None) -> None:
    """Writes the state after a step, and what an online method keeps beside it; earlier ones go once it is whole."""
    partial = out / ".state"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial), safe_serialization=True)
    if beside is not None and accelerator.is_main_process:
        (partial / BESIDE).write_text(json.dumps(beside), encoding="utf-8")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        partial.rename(out / f"state-{step}")
        for other in states(out)[:-1]:
            shutil.rmtree(out / f"state-{other}")


def states(out: Path) -> list[int]:
    """Steps that have a whole state, in order."""
    found = [STATE.fullmatch(path.name) for path in out.iterdir()] if out.is_dir() else []
    return sorted(int(match[1]) for match in found if match)


def resume(accelerator: Any, out: Path, restore: Callable[[Mapping[str, Any]], None] | None = None) -> int:
    """Loads the last state and returns its step; 0 where there is none. `restore` takes what was kept beside it."""
    known = states(out)
    if not known:
        return 0
    folder = out / f"state-{known[-1]}"
    accelerator.load_state(str(folder))
    if restore is not None:
        restore(json.loads((folder / BESIDE).read_text(encoding="utf-8")))
    return known[-1]


def check_free(out: Path, resume: bool) -> None:
    """Raises InputError where a folder holds a checkpoint, or another training that `--resume` does not ask for."""
    told = (out / "training.json").is_file()
    if any((out / name).is_file() for name in LAST) or (told and (out / ANSWERS).is_file()):
        raise InputError(
            f"--out {out}: holds {'a finished training' if told else 'a checkpoint already'}; choose another folder"
        )
    if states(out) and not resume:
        raise InputError(f"--out {out}: holds an unfinished training; go on with --resume, or choose another folder")


def finish(accelerator: Any, model: Any, tokenizer: Any, out: Path, card: Mapping[str, Any]) -> None:
    """Writes the finished checkpoint and removes the states. `config.json` comes last: without it nothing loads."""
    accelerator.wait_for_everyone()
    if snapshot(accelerator, model, tokenizer, out, card):
        for name in (*(f"state-{step}" for step in states(out)), *PASSING):
            shutil.rmtree(out / name, ignore_errors=True)


def snapshot(accelerator: Any, model: Any, tokenizer: Any, out: Path, card: Mapping[str, Any]) -> bool:
    """Writes the model as a checkpoint; all processes take part, whether this one wrote is returned."""
    found = accelerator.get_state_dict(model) or {}  # DeepSpeed gives it to the main process alone
    # Shards on CPUs are not gathered by accelerate.
    state = {k: v.full_tensor() if hasattr(v, "full_tensor") else v for k, v in found.items()}
    if not accelerator.is_main_process:
        return False
    plain = accelerator.unwrap_model(model)
    if accelerator.is_fsdp2 and not hasattr(plain, "get_base_model"):
        write(_whole(plain, state), tokenizer, out, card)
    else:
        write(plain, tokenizer, out, card, state)
    return True


def _whole(sharded: Any, state: Mapping[str, Any]) -> Any:
    """The module with its gathered weights: transformers cannot save one whose parameters are shards."""
    import torch
    import transformers

    kind = getattr(transformers, sharded.config.architectures[0])
    with torch.device("meta"):
        made = kind(sharded.config)
    made.load_state_dict(state, assign=True)
    made.tie_weights()
    return made


def write(
    model: Any, tokenizer: Any, out: Path, card: Mapping[str, Any], state: Mapping[str, Any] | None = None
) -> None:
    """Writes a checkpoint's folder whole: at no moment does it, or anything in it, load as another one than this."""
    partial = out / ".finished"
    shutil.rmtree(partial, ignore_errors=True)
    for name in LAST:
        (out / name).unlink(missing_ok=True)
    partial.mkdir(parents=True)
    with quiet():
        model.save_pretrained(partial, **({"state_dict": state} if state is not None else {}))
    if tokenizer is not None:
        tokenizer.save_pretrained(partial)
    for name, value in card.items():
        (partial / f"{name}.json").write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for path in sorted(partial.iterdir(), key=lambda p: p.name in LAST):
        path.replace(out / path.name)
    partial.rmdir()
