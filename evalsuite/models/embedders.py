"""How a folder of sentence-transformers turns hidden states into one vector: read from `modules.json`, never run.

The list of modules is a transformer, a pooling, and then dense layers and a normalisation in some order. What stands
there besides (sparse, image, static embeddings) is refused in one line. Both spellings of the pooling's settings are
read: `pooling_mode: "mean"` and the older `pooling_mode_mean_tokens: true`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.errors import ModelError
from evalsuite.models.files import read_json

POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""Names as sentence-transformers writes them, in the order in which several are joined."""

OLDER = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
IDLE = ("Dropout",)


@dataclass(frozen=True)
class Step:
    """What is done to the pooled vector: "normalize" (to length 1), or "dense": the layer in `folder`, then the
    activation of torch.nn that is named."""

    kind: str
    folder: Path
    activation: str = "Identity"


@dataclass(frozen=True)
class Recipe:
    """From hidden states to a vector. `prompts` stand before a text; `prompt` is the name of the one that does so
    unasked. `window` counts tokens. `files` identify the recipe, `weights` are those of dense layers among them."""

    pooling: tuple[str, ...] = ("mean",)
    steps: tuple[Step, ...] = ()
    prompts: Mapping[str, str] | None = None
    prompt: str | None = None
    lower: bool = False
    window: int | None = None
    files: tuple[Path, ...] = ()
    weights: tuple[Path, ...] = ()


def read_recipe(path: Path) -> Recipe | None:
    """The recipe of a folder that sentence-transformers saved; None for any other. Raises ModelError (one line)."""
    if not (path / "modules.json").is_file():
        return None
    modules = [(str(row["type"]).rsplit(".", 1)[-1], path / row["path"]) for row in _modules(path)]
    if [kind for kind, _ in modules[:2]] != ["Transformer", "Pooling"] or modules[0][1] != path:
        found = ", ".join(kind for kind, _ in modules)
        raise ModelError(
            f"{path / 'modules.json'}: wanted is a Transformer in the folder itself, then a Pooling (found: {found}); "
            "a current sentence-transformers saves it so"
        )
    pooling = modules[1][1] / "config.json"
    steps = tuple(step for kind, folder in modules[2:] for step in _step(path, kind, folder))
    settings = _optional(path / "sentence_bert_config.json")
    prompts = _optional(path / "config_sentence_transformers.json")
    named = [path / n for n in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")]
    dense = [step.folder for step in steps if step.kind == "dense"]
    weights = tuple(folder / "model.safetensors" for folder in dense)
    return Recipe(
        pooling=_pooling(pooling),
        steps=steps,
        prompts={str(k): str(v) for k, v in (prompts.get("prompts") or {}).items()},
        prompt=prompts.get("default_prompt_name"),
        lower=bool(settings.get("do_lower_case")),
        window=settings.get("max_seq_length"),
        files=(*(file for file in named if file.is_file()), pooling, *(f / "config.json" for f in dense), *weights),
        weights=weights,
    )


def _modules(path: Path) -> list[Any]:
    rows = read_json(path / "modules.json")
    if not isinstance(rows, list) or not all(isinstance(r, dict) and {"type", "path"} <= set(r) for r in rows):
        raise ModelError(f"{path / 'modules.json'}: a list of modules, each with type and path, is wanted")
    return rows


def _pooling(file: Path) -> tuple[str, ...]:
    settings = read_json(file)
    given = settings.get("pooling_mode")
    if given is None:
        given = [name for name, older in OLDER.items() if settings.get(older)] or ["mean"]
    modes = (given,) if isinstance(given, str) else tuple(given)
    strange = [mode for mode in modes if mode not in POOLINGS]
    if strange:
        raise ModelError(f"{file}: unknown pooling '{strange[0]}' (known: {', '.join(POOLINGS)})")
    if settings.get("include_prompt") is False:
        raise ModelError(f"{file}: leaves the prompt out of its pooling (include_prompt), which is not supported")
    return modes


def _step(path: Path, kind: str, folder: Path) -> list[Step]:
    if kind == "Normalize":
        return [Step("normalize", folder)]
    if kind in IDLE:
        return []
    settings = _optional(folder / "config.json")
    if kind != "Dense" or settings.get("use_residual"):
        raise ModelError(f"{path / 'modules.json'}: the module {kind} ({folder.name}) is not supported")
    if not (folder / "model.safetensors").is_file():
        raise ModelError(f"{folder}: has no model.safetensors; save the model again with a current version")
    activation = str(settings.get("activation_function", "torch.nn.modules.activation.Tanh"))
    if not activation.startswith("torch.nn."):
        raise ModelError(f"{folder / 'config.json'}: the activation {activation} is not torch's own")
    return [Step("dense", folder, activation.rsplit(".", 1)[-1])]


def _optional(file: Path) -> dict[str, Any]:
    found = read_json(file) if file.is_file() else {}
    return found if isinstance(found, dict) else {}
