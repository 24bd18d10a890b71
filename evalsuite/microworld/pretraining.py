"""The loop that builds the world's base, sft and reward: pretraining from nothing on batches that never end, in as few
lines as it takes. Methods (`evalsuite train`) run in `training.trainer`.

    losses = fit(model, batches, language_model_step, Settings(steps=700, rate=4e-3))
    save(model, tokenizer, folder, Lineage(parent=None, method="base", data="microworld mini@0"))

It stays as it is: the world's published figures, and every cache that holds its checkpoints, are those of the weights
that it gives. On one machine and one thread count the same seed gives identical weights.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.microworld.batches import PairBatch, TokenBatch
from evalsuite.records import Lineage, Progress
from evalsuite.training.machine import quiet, thread_count
from evalsuite.training.objectives.rewards import bradley_terry
from evalsuite.training.objectives.scores import target_logps

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """How a model is optimised (AdamW). `warmup` is a number of steps, or None for 5% of all. `threads` None means
    `default_threads()`. Weight decay falls on matrices, neither on embeddings nor on norms."""

    steps: int
    rate: float
    warmup: int | None = None
    schedule: Literal["cosine", "linear"] = "cosine"
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    threads: int | None = None


Step = Callable[[Any, Any], "Tensor"]
"""(model, batch) → loss."""


def fit(
    model: Any, batches: Iterable[Any], step: Step, settings: Settings, progress: Progress | None = None, what: str = ""
) -> list[float]:
    """Optimises in place for `settings.steps` batches; returns each step's loss."""
    import torch

    losses = []
    with thread_count(settings.threads):
        model.train()
        optimizer = torch.optim.AdamW(_groups(model, settings), lr=settings.rate, betas=settings.betas, fused=True)
        for i, batch in zip(range(settings.steps), batches, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = settings.rate * scale(i, settings)
            loss = step(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            if progress and ((i + 1) % 10 == 0 or i + 1 == settings.steps):
                progress(i + 1, settings.steps, what)
        model.eval()
    return losses


def scale(step: int, settings: Settings) -> float:
    """The learning rate's factor at a step (from 0): linear warm-up, then cosine or linear decay to 0."""
    warmup = max(1, round(0.05 * settings.steps)) if settings.warmup is None else settings.warmup
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, settings.steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * done)) if settings.schedule == "cosine" else 1 - done


def language_model_step(model: Any, batch: TokenBatch) -> "Tensor":
    """Next-token loss on the masked tokens. Vocabulary logits are computed only where the loss needs them."""
    ids, wanted = batch.ids.to(model.device), batch.mask[:, 1:].to(model.device)
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    return -target_logps(model.lm_head(hidden[:, :-1][wanted]), ids[:, 1:][wanted]).mean()


def reward_step(model: Any, batch: PairBatch) -> "Tensor":
    """Bradley–Terry loss of a sequence classifier with one label, read at each row's last real token."""
    scores = model(input_ids=batch.ids.to(model.device), use_cache=False).logits[:, 0]
    chosen, rejected = scores.chunk(2)
    return bradley_terry(chosen - rejected)


def _groups(model: Any, settings: Settings) -> list[dict[str, Any]]:
    decayed: list[Any] = []
    plain: list[Any] = []
    for name, parameter in model.named_parameters():
        matrix = parameter.dim() >= 2 and "embed" not in name and "lm_head" not in name
        (decayed if matrix else plain).append(parameter)
    return [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]


def save(model: Any, tokenizer: Any, folder: Path, lineage: Lineage, extra: Mapping[str, Any] | None = None) -> None:
    """Writes config, safetensors, tokenizer and `lineage.json`; each item of `extra` becomes a JSON file."""
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    for name, value in {"lineage": asdict(lineage), **(extra or {})}.items():
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def weights_fingerprint(folder: Path) -> str:
    """The fingerprint by which a run's manifest names this checkpoint, so that a child's lineage finds its parent."""
    from evalsuite.models import fingerprint
    from evalsuite.models.folders import read_folder

    return fingerprint.of_files(read_folder(folder).files)
