"""Reads a Hugging Face folder without loading it: is it complete, known and safe, and what can it answer?

Every folder that cannot be used gets one line (ModelError): no config.json, an architecture that this transformers
does not know, code of its own, pickled weights only, truncated or missing safetensors, no tokenizer.
"""

import importlib.util
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.errors import ModelError
from evalsuite.records import Kind, Lineage

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
)
SETTINGS_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
WINDOW_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length", "max_sequence_length")


@dataclass(frozen=True)
class Folder:
    """What a folder holds: its config, the files that identify it, and what the model in it can answer."""

    path: Path
    config: dict[str, Any]
    files: tuple[Path, ...]  # weights, settings and tokenizer: what the fingerprint covers
    kinds: frozenset[Kind]
    context_window: int | None
    lineage: Lineage
    name: str | None  # a name given in lineage.json


def read_folder(path: Path, trust_remote_code: bool = False) -> Folder:
    """Checks a folder and describes it. Reads JSON and safetensors headers only. Raises ModelError (one line)."""
    config = read_config(path)
    check_architecture(path, config, trust_remote_code)
    weights = weight_files(path)
    tokenizer = [path / name for name in TOKENIZER_FILES if (path / name).is_file()]
    if not tokenizer:
        raise ModelError(
            f"{path}: has no tokenizer ({TOKENIZER_FILES[0]} or {TOKENIZER_FILES[1]}); "
            "save it into the folder with tokenizer.save_pretrained"
        )
    settings = [path / name for name in SETTINGS_FILES if (path / name).is_file()]
    code = sorted(path.glob("*.py")) if trust_remote_code else []
    lineage, name = read_lineage(path)
    return Folder(
        path=path,
        config=config,
        files=(*weights, *settings, *tokenizer, *code),
        kinds=_kinds(path, config),
        context_window=_context_window(config),
        lineage=lineage,
        name=name,
    )


def read_config(path: Path) -> dict[str, Any]:
    """config.json as a dict."""
    if not (path / "config.json").is_file():
        raise ModelError(f"{path}: has no config.json{_what_instead(path)}")
    config = read_json(path / "config.json")
    if not isinstance(config, dict):
        raise ModelError(f"{path / 'config.json'}: a JSON object is wanted, found {type(config).__name__}")
    return config


def _what_instead(path: Path) -> str:
    """What a folder without config.json may be, or where the model may lie."""
    if (path / "adapter_config.json").is_file():
        return "; it is an adapter: merge it into its base model first (peft: merge_and_unload)"
    inner = sorted(file.parent for file in path.glob("*/config.json"))
    if inner:
        return f"; did you mean {inner[-1]}?"
    return "; a Hugging Face model folder is wanted"


def check_architecture(path: Path, config: dict[str, Any], trust_remote_code: bool) -> None:
    """Raises ModelError where the model's code is not part of the installed transformers."""
    model_type = config.get("model_type")
    if "auto_map" in config and trust_remote_code:
        return
    if isinstance(model_type, str) and _known(model_type):
        return
    if "auto_map" in config:
        raise ModelError(
            f"{path}: needs code of its own (auto_map in config.json); add --trust-remote-code if you trust it"
        )
    if not model_type:
        raise ModelError(f"{path / 'config.json'}: has no model_type, so its architecture cannot be told")
    from importlib.metadata import version

    raise ModelError(
        f"{path}: unknown architecture '{model_type}' (transformers {version('transformers')} does not have it)"
    )


def _known(model_type: str) -> bool:
    """Whether the installed transformers has this architecture. Most have a folder of that name, which is quick to
    see; only the rest costs the import of transformers' table."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent / "models" / model_type.replace("-", "_")
    if model_type.replace("-", "_").isidentifier() and folder.is_dir():
        return True
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return model_type in CONFIG_MAPPING_NAMES


def weight_files(path: Path) -> list[Path]:
    """The safetensors files of a folder, each with a sound header and its full length."""
    index = path / "model.safetensors.index.json"
    if (path / "model.safetensors").is_file():
        files = [path / "model.safetensors"]
    elif index.is_file():
        table = read_json(index)
        mapping = table.get("weight_map") if isinstance(table, dict) else None
        if not isinstance(mapping, dict) or not mapping:
            raise ModelError(f"{index}: has no weight_map; download the folder again")
        files = [path / name for name in sorted(set(mapping.values()))]
        lost = [file.name for file in files if not file.is_file()]
        if lost:
            raise ModelError(f"{path}: {len(lost)} of {len(files)} weight files are missing ({lost[0]})")
    else:
        raise ModelError(_no_weights(path))
    for file in files:
        check_safetensors(file)
    return files


def _no_weights(path: Path) -> str:
    pickles = sorted([*path.glob("*.bin"), *path.glob("*.pt"), *path.glob("*.pth")])
    if pickles:
        return (
            f"{path}: holds pickled weights only ({pickles[0].name}), which can run code when loaded; "
            "convert them with save_pretrained on a machine that trusts them"
        )
    return f"{path}: has no model.safetensors"


def check_safetensors(file: Path) -> None:
    """Compares a file's length with what its header promises. Raises ModelError where it was cut off or is no
    safetensors file. Format: 8 bytes little-endian header length, JSON header, then the tensors' bytes."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if len(prefix) < 8 or 8 + length > size:
            raise ModelError(f"{file}: truncated ({size:,} bytes, shorter than its header); copy it again")
        try:
            header = json.loads(stream.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"{file}: is not a safetensors file (unreadable header)") from error
    wanted = 8 + length + max(ends, default=0)
    if size < wanted:
        raise ModelError(f"{file}: truncated ({size:,} of {wanted:,} bytes); copy it again")


def read_lineage(path: Path) -> tuple[Lineage, str | None]:
    """lineage.json as a Lineage, and the checkpoint's own name where it gives one; empty where there is no file."""
    file = path / "lineage.json"
    if not file.is_file():
        return Lineage(), None
    row = read_json(file)
    if not isinstance(row, dict):
        raise ModelError(f"{file}: a JSON object with parent, parent_name, method, data is wanted")
    text = {key: str(row[key]) for key in ("parent", "parent_name", "method", "data") if row.get(key) is not None}
    return Lineage(**text), str(row["name"]) if row.get("name") else None


def _kinds(path: Path, config: dict[str, Any]) -> frozenset[Kind]:
    architecture = next(iter(config.get("architectures") or ["ForCausalLM"]))
    if architecture.endswith("ForSequenceClassification"):
        return frozenset({"reward"})
    if config.get("is_encoder_decoder"):
        raise ModelError(f"{path}: {architecture} is an encoder-decoder; causal language models and classifiers run")
    if architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        return frozenset({"generate", "loglikelihood"})
    raise ModelError(
        f"{path}: {architecture} neither writes text nor gives rewards; wanted is a causal language model "
        "(...ForCausalLM) or a reward model (...ForSequenceClassification)"
    )


def _context_window(config: dict[str, Any]) -> int | None:
    for part in (config, config.get("text_config") or {}):
        for key in WINDOW_KEYS:
            if isinstance(part.get(key), int) and part[key] > 0:
                return int(part[key])
    return None


def read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: is not readable JSON ({error})") from error
