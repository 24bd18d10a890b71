"""PEFT adapters as models: a folder with adapter_config.json and adapter_model.safetensors, on a base of its own.

The base is what `--model-args base=MODEL` names, else what the adapter says: a folder (as written, or relative to
the adapter's), else a hub id. Adapters that change layers of the network run (LoRA and its kin); those that put learnt
tokens into the prompt do not, because sharing prefixes and scoring count tokens. Pickled weights are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalsuite.errors import ModelError
from evalsuite.models.files import read_json
from evalsuite.models.folders import SETTINGS_FILES, check_safetensors, read_lineage, tokenizer_files
from evalsuite.records import Lineage

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
LAYERED = (
    *("LORA", "ADALORA", "LOHA", "LOKR", "OFT", "BOFT", "IA3", "VERA", "LN_TUNING", "HRA", "RANDLORA", "FOURIERFT"),
    *("BONE", "MISS", "SHIRA", "C3A"),
)
"""PEFT's types that replace layers by layers."""


@dataclass(frozen=True)
class Adapter:
    """What an adapter's folder says. `files` identify it; `name` and `lineage` come from its lineage.json."""

    path: Path
    config: Mapping[str, Any]
    files: tuple[Path, ...]
    name: str | None
    lineage: Lineage

    @property
    def revision(self) -> str | None:
        """The revision of the base on the hub that it was trained on."""
        return self.config.get("revision")

    def lineage_on(self, fingerprint: str, name: str) -> Lineage:
        """Its lineage; the base is the parent unless lineage.json names another."""
        if self.lineage.parent is not None or self.lineage.parent_name is not None:
            return self.lineage
        return replace(self.lineage, parent=fingerprint, parent_name=name)


def is_adapter(path: Path) -> bool:
    """Whether a folder holds an adapter and no whole model. (A merged model may keep its adapter's settings.)"""
    return (path / CONFIG).is_file() and not (path / "config.json").is_file()


def read_adapter(path: Path) -> Adapter:
    """Checks an adapter's folder. Raises ModelError (one line)."""
    config = read_json(path / CONFIG)
    if not isinstance(config, dict):
        raise ModelError(f"{path / CONFIG}: a JSON object is wanted, found {type(config).__name__}")
    kind = str(config.get("peft_type"))
    if kind not in LAYERED or config.get("alora_invocation_tokens"):
        raise ModelError(f"{path / CONFIG}: adapters of type {kind} do not run here; LoRA and its kin do")
    if not (path / WEIGHTS).is_file():
        pickled = (
            f"holds pickled weights only ({PICKLED}), which can run code when loaded; save it again with a current peft"
        )
        raise ModelError(f"{path}: {pickled if (path / PICKLED).is_file() else f'has no {WEIGHTS}'}")
    check_safetensors(path / WEIGHTS)
    settings = [path / name for name in SETTINGS_FILES if name != "config.json" and (path / name).is_file()]
    lineage, name = read_lineage(path)
    files = (path / CONFIG, path / WEIGHTS, *settings, *tokenizer_files(path))
    return Adapter(path, config, files, name, lineage)


def base_address(adapter: Adapter) -> str:
    """The MODEL string of the base that the adapter names: an existing folder, else a hub id."""
    named = adapter.config.get("base_model_name_or_path")
    if not named:
        raise ModelError(f"{adapter.path / CONFIG}: names no base model; give it by --model-args base=PATH")
    for folder in (Path(named).expanduser(), adapter.path / named):
        if (folder / "config.json").is_file():
            return str(folder)
    if Path(named).is_absolute() or str(named).count("/") != 1:
        raise ModelError(f"{adapter.path}: its base model {named} is not here; give it by --model-args base=PATH")
    return str(named)
