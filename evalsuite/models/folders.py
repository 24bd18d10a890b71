"""Reads a Hugging Face folder without loading it: is it complete, known and safe, and what can it answer?

A causal language model writes, scores and gives hidden states as embeddings; a sequence classifier gives rewards of a
conversation, a token classifier those of its steps; an encoder (and every folder that sentence-transformers saved)
gives embeddings. Every folder that cannot be used gets one line (ModelError): no config.json, an architecture that
this transformers does not know, code of its own, pickled weights only, truncated or missing safetensors, no tokenizer.
"""

import importlib.util
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import ModelError
from evalsuite.models.embedders import Recipe, read_recipe
from evalsuite.models.files import read_json
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
    "processor_config.json",
    "preprocessor_config.json",
)
WINDOW_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length", "max_sequence_length")

Head = Literal["causal", "classifier", "process", "encoder"]
"""What stands on a network's last hidden states: a vocabulary, a score of the text, a score of each token, nothing."""

ENDINGS: tuple[tuple[Head, tuple[str, ...]], ...] = (
    ("classifier", ("ForSequenceClassification",)),
    ("process", ("ForTokenClassification", "ForProcessRewardModel")),
    ("causal", ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")),
    ("encoder", ("ForMaskedLM", "ForPreTraining", "Model")),
)
"""How the names of architectures end. Tried in this order: a `...LMHeadModel` is no bare `...Model`."""

OWN_CLASSES: dict[str, Head] = {
    "AutoModelForCausalLM": "causal",
    "AutoModelForSequenceClassification": "classifier",
    "AutoModelForTokenClassification": "process",
    "AutoModel": "encoder",
}
"""What the entries of `auto_map` in config.json say about a class of a folder's own."""

KINDS: dict[Head, frozenset[Kind]] = {
    "causal": frozenset({"generate", "loglikelihood", "embed"}),
    "classifier": frozenset({"reward"}),
    "process": frozenset({"reward"}),
    "encoder": frozenset({"embed"}),
}

CAUSAL_REWARDS = ("generative", "process")

TASK_HEADS: dict[str, Head] = {
    "CAUSAL_LM": "causal",
    "SEQ_CLS": "classifier",
    "TOKEN_CLS": "process",
    "FEATURE_EXTRACTION": "encoder",
}
"""PEFT's names of what an adapter was trained for."""

OFFSET_POSITIONS = ("roberta", "camembert", "mpnet")
"""Architectures (by a part of their model_type) whose first position is the pad id + 1, so that two fewer fit."""


@dataclass(frozen=True)
class Folder:
    """What a folder holds: its config, the files that identify it, and what the model in it can answer."""

    path: Path
    config: dict[str, Any]
    files: tuple[Path, ...]  # weights, settings and tokenizer: what the fingerprint covers
    head: Head
    context_window: int | None
    lineage: Lineage
    name: str | None  # a name given in lineage.json


def read_folder(path: Path, trust_remote_code: bool = False) -> Folder:
    """Checks a folder and describes it. Reads JSON and safetensors headers only. Raises ModelError (one line)."""
    recipe = read_recipe(path)
    config = read_config(path)
    check_architecture(path, config, trust_remote_code)
    weights = weight_files(path)
    tokenizer = tokenizer_files(path)
    if not tokenizer:
        raise ModelError(
            f"{path}: has no tokenizer ({TOKENIZER_FILES[0]} or {TOKENIZER_FILES[1]}); "
            "save it into the folder with tokenizer.save_pretrained"
        )
    settings = [path / name for name in SETTINGS_FILES if (path / name).is_file()]
    code = sorted(path.glob("*.py")) if trust_remote_code else []
    lineage, name = read_lineage(path)
    head = head_of(path, trust_remote_code)
    for file in recipe.weights if recipe else ():
        check_safetensors(file)
    return Folder(
        path=path,
        config=config,
        files=(*weights, *settings, *tokenizer, *code, *(recipe.files if recipe else ())),
        head=head,
        context_window=_context_window(path, config, head, recipe),
        lineage=lineage,
        name=name,
    )


def tokenizer_files(path: Path) -> list[Path]:
    """The files of a folder that hold a vocabulary."""
    return [path / name for name in TOKENIZER_FILES if (path / name).is_file()]


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


def head_of(path: Path, trust_remote_code: bool = False, adapter: Path | None = None) -> Head:
    """The head of a folder's network, or the one that an adapter was trained with. Raises ModelError (one line)."""
    task = read_json(adapter / "adapter_config.json").get("task_type") if adapter is not None else None
    if task is not None:
        if task not in TASK_HEADS:
            raise ModelError(f"{adapter}: an adapter for {task}; known are {', '.join(TASK_HEADS)}")
        return TASK_HEADS[task]
    if (path / "modules.json").is_file():
        return "encoder"
    config = read_config(path)
    architecture = str(next(iter(config.get("architectures") or ["ForCausalLM"])))
    head = next((head for head, endings in ENDINGS if architecture.endswith(endings)), None)
    if head is None and trust_remote_code:
        named = config.get("auto_map") or {}
        head = next((OWN_CLASSES[key] for key in OWN_CLASSES if key in named), None)
    if head is None:
        raise ModelError(
            f"{path}: {architecture} is a head of its own; wanted is a causal language model (...ForCausalLM), a "
            "reward model (...ForSequenceClassification, ...ForTokenClassification) or an encoder (...Model)"
        )
    if config.get("is_encoder_decoder") and not (head == "classifier" or architecture.endswith("EncoderModel")):
        raise ModelError(f"{path}: {architecture} is an encoder-decoder; causal models, classifiers and encoders run")
    return head


def kinds_of(head: Head, args: Mapping[str, str]) -> frozenset[Kind]:
    """What a network with this head answers. A causal model also rewards where `--model-args` say how: by the
    probability of Yes to a question (`reward=generative`), or of a good mark after each step (`reward=process`)."""
    asked = args.get("reward")
    if head != "causal" or asked is None:
        return KINDS[head]
    if asked not in CAUSAL_REWARDS:
        raise ModelError(f"--model-args reward={asked}: a causal model rewards by {' or '.join(CAUSAL_REWARDS)}")
    return KINDS[head] | {"reward"}


def _context_window(path: Path, config: Mapping[str, Any], head: Head, recipe: Recipe | None) -> int | None:
    """Tokens that the positions reach. For an embedder also at most what its tokenizer and its recipe say."""
    found: list[Any] = []
    for part in (config, config.get("text_config") or {}):
        for key in WINDOW_KEYS:
            if not found and isinstance(part.get(key), int) and part[key] > 0:
                found.append(part[key])
    if found and any(name in str(config.get("model_type")) for name in OFFSET_POSITIONS):
        found[0] -= 2
    settings = path / "tokenizer_config.json"
    if head == "encoder" and settings.is_file():
        found.append(read_json(settings).get("model_max_length"))
        found.append(recipe.window if recipe else None)
    return min((int(n) for n in found if isinstance(n, int) and n > 0), default=None)
