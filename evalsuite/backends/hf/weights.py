"""Changing the weights of a loaded network in place: PEFT adapters put on and taken off, another checkpoint's tensors
copied over. Nothing here is believed: every weight of an adapter and of a checkpoint must find its place, by name and
shape, or the caller is told to load from nothing."""

import json
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.errors import MissingExtra, ModelError
from evalsuite.models.adapters import CONFIG, WEIGHTS
from evalsuite.models.files import read_json
from evalsuite.models.folders import OFFSET_POSITIONS, weight_files

PREFIX = "base_model.model."
"""What PEFT writes in front of a weight's name."""

IRRELEVANT = (
    *("_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache"),
    *("bos_token_id", "eos_token_id"),
)
"""Entries of config.json that say nothing about the network."""


@dataclass(frozen=True)
class Attached:
    """An adapter on a network. `clean`: taking it off gives the base back (it overwrote no weight of the base)."""

    peft: Any
    clean: bool


def adapter_tensors(adapter: Path) -> dict[str, tuple[int, ...]]:
    """Names, as the base's weights are called, and shapes of an adapter's tensors. Reads the header only."""
    shapes = {}
    for name, shape in _shapes([adapter / WEIGHTS]).items():
        shapes[name.removeprefix(PREFIX).replace(".modules_to_save.", ".")] = shape
    return shapes


def attach(module: Any, adapter: Path) -> Attached:
    """Puts an adapter on a transformers model, whose layers are replaced in place; the model itself is called as
    before. Raises ModelError (one line) where it does not fit, MissingExtra without peft."""
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise MissingExtra("adapters need the package peft: pip install 'evalsuite[train]'") from error
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peft = PeftModel.from_pretrained(module, str(adapter), is_trainable=False)
            mine = {name.replace(".modules_to_save.", ".") for name in get_peft_model_state_dict(peft)}
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        raise ModelError(f"{adapter}: does not fit its base ({_line(error)})") from error
    held = {name.replace(".modules_to_save.", ".") for name in _shapes([adapter / WEIGHTS])}
    lost = sorted(mine - held)
    if lost:  # PEFT would leave them at random
        raise ModelError(f"{adapter}: {len(lost)} of its weights are missing ({lost[0].removeprefix(PREFIX)})")
    peft.eval().requires_grad_(False)
    settings = read_json(adapter / CONFIG)
    return Attached(peft, clean=held <= mine and settings.get("bias", "none") == "none")


def detach(attached: Attached) -> bool:
    """Takes an adapter off; False where the base has been changed by it."""
    if not attached.clean:
        return False
    from peft.utils import ModulesToSaveWrapper

    base = attached.peft.get_base_model()
    # PEFT's own `unload` leaves modules that were trained whole (an output layer, say) in their trained state.
    for name, part in list(base.named_modules()):
        if isinstance(part, ModulesToSaveWrapper):
            above, _, last = name.rpartition(".")
            setattr(base.get_submodule(above), last, part.original_module)
    attached.peft.base_model.unload()
    return True


def overwrite(module: Any, old: Path, new: Path) -> bool:
    """Copies another checkpoint's weights over a network that was loaded from `old`. False, and nothing written, where
    the configs differ or a weight would be left without a tensor of its name and shape."""
    import torch
    from safetensors import safe_open

    if _architecture(old) != _architecture(new):
        return False
    files = weight_files(new)
    shapes = _shapes(files)
    # Tied weights are one tensor under several names, of which a file may hold any.
    shared: dict[Any, list[str]] = defaultdict(list)
    own = module.state_dict()
    for name, tensor in own.items():
        if tensor.is_meta:
            return False
        shared[(tensor.data_ptr(), tuple(tensor.shape), tensor.stride())].append(name)
    chosen: dict[str, list[str]] = {}
    for names in shared.values():
        present = [name for name in names if shapes.get(name) == tuple(own[name].shape)]
        if not present:
            return False
        chosen[present[0]] = present[1:]
    with ExitStack() as stack, torch.no_grad():
        opened = [stack.enter_context(safe_open(str(file), framework="pt")) for file in files]
        place = {name: file for file in opened for name in file.keys()}  # noqa: SIM118  (safe_open is no dict)
        for name, twins in chosen.items():
            if any(not torch.equal(place[name].get_tensor(name), place[twin].get_tensor(twin)) for twin in twins):
                return False  # tied here and not there
        for name in chosen:
            own[name].copy_(place[name].get_tensor(name))
    return True


def _architecture(path: Path) -> dict[str, Any]:
    config = dict(read_json(path / "config.json"))
    counted = any(name in str(config.get("model_type")) for name in OFFSET_POSITIONS)  # positions from the pad id on
    idle = IRRELEVANT if counted else (*IRRELEVANT, "pad_token_id")
    return {key: value for key, value in config.items() if key not in idle}


def _shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    found = {}
    for file in files:
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        found.update({name: tuple(row["shape"]) for name, row in header.items() if name != "__metadata__"})
    return found


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), error.__class__.__name__)
