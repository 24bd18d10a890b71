"""A training's state as one file, written whole after every epoch, so that an interrupted one can go on."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError

TENSORS = ("weights", "since", "best")


def save(path: Path, identity: Mapping[str, Any], state: Any) -> None:
    """Writes tensors and figures; the file is either the old one or the new one, whenever the process ends."""
    from safetensors.torch import save_file

    first, second = state.moments
    tensors = {name: getattr(state, name).contiguous() for name in TENSORS}
    tensors |= {"first": first, "second": second}
    numbers = {k: v for k, v in vars(state).items() if k not in (*TENSORS, "moments")}
    about = {"format": "evalsuite-sae-training", "identity": _text(identity), "numbers": json.dumps(numbers)}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    save_file(tensors, beside, metadata=about)
    os.replace(beside, path)


def load(path: Path, identity: Mapping[str, Any], kind: Any) -> Any:
    """The state (a `kind`) in a file; None where there is no file. Raises InputError where it belongs to other settings
    or rows, or is no such file."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as opened:
            about = opened.metadata() or {}
            if about.get("format") != "evalsuite-sae-training":
                raise InputError(f"{path}: is no state of an SAE's training; give another path or delete it")
            if about["identity"] != _text(identity):
                raise InputError(f"{path}: belongs to a training with other settings or rows; delete it to begin anew")
            tensors = {name: opened.get_tensor(name) for name in (*TENSORS, "first", "second")}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error.__class__.__name__}); delete it to begin anew") from error
    numbers = json.loads(about["numbers"])
    numbers["losses"] = tuple(numbers["losses"])
    moments = tensors.pop("first"), tensors.pop("second")
    return kind(**tensors, moments=moments, **numbers)


def digest(rows: Any) -> str:
    """16 hex digits of the chosen rows' numbers."""
    return hashlib.sha256(rows.tobytes()).hexdigest()[:16]


def _text(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)
