"""Best of n: answers are drawn n times and the one with the highest reward is kept; nothing is trained."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import InputError
from evalsuite.models import Model
from evalsuite.records import Progress, Request, Sampling, assistant
from evalsuite.training.contract import Row, Unusable
from evalsuite.training.encoding import NO_ROOM
from evalsuite.training.objectives.targets import best_of_n_kl
from evalsuite.training.online_combining import Combined
from evalsuite.training.online_rewards import Reward
from evalsuite.training.saving import ANSWERS

CARD = {
    "objective": "argmax of the reward over n draws; KL(best‖policy) ≤ log n - (n - 1)/n, equal where no rewards tie",
    "data": "prompt (and what the reward reads)",
    "source": "Stiennon et al. 2020 (arXiv 2009.01325); the bound: Beirami et al. 2024 (arXiv 2401.01879)",
    "knobs": {"n": "16 (AlpacaFarm), 64", "temperature": "1"},
    "reduces_to": [["n=1", "the model itself"]],
}
DATA, MODEL = "prompts", "none"


@dataclass(frozen=True)
class Config:
    """`n` draws of at most `max_completion_length` tokens. `combine`: several rewards as a weighted "sum", or by "lsc",
    against the `reference_quantile` of each prompt's own draws."""

    n: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    max_completion_length: int = 256
    combine: Literal["sum", "lsc"] = "sum"
    reference_quantile: float = 0.5


def answer(
    model: Model, rows: Sequence[Row], config: Config, rewards: tuple[Reward, Reward | None], out: Path,
    seed: int = 0, progress: Progress | None = None, skipped: Counter[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Writes `responses.jsonl` (the kept answers, as chats: what `responses:FILE` and `train sft` read) and returns
    figures: mean reward of a draw and of the kept answers, the same in gold, the bound. Draws are journaled under
    `out`, so that the same command goes on where it was cut off. Raises Unusable for a prompt longer than the window,
    unless such rows are counted in `skipped`."""
    from evalsuite.running.engine import Engine
    from evalsuite.running.engine import answer as ask

    if config.n < 1 or config.temperature <= 0:
        raise InputError("best-of-n: n must be at least 1 and temperature above 0")
    sampling = Sampling(config.max_completion_length, config.temperature, config.top_p, seed=seed)
    engine = Engine(model, out / "draws")
    try:
        requests = [
            Request("generate", row.messages, sampling=sampling, repeat=k) for row in rows for k in range(config.n)
        ]
        told = ask(engine, requests, progress=progress)
    finally:
        engine.close()
    rows = _fitting(rows, [bool(told[k * config.n]) for k in range(len(rows))], skipped)
    texts = [found[0].text for found in told if found]
    asked = [row for row in rows for _ in range(config.n)]
    judged = _judged(rewards, asked, texts)
    best = [_best(judged["reward"][i : i + config.n]) + i for i in range(0, len(texts), config.n)]
    lines = [
        {"id": row.id, "messages": [*row.messages, assistant(texts[i])], "n": config.n,
         **{name: values[i] for name, values in judged.items()}}
        for row, i in zip(rows, best, strict=True)
    ]  # fmt: skip
    _write(out / ANSWERS, lines)
    figures: dict[str, Any] = {"n": config.n, "kl_bound": best_of_n_kl(config.n)}
    for name, values in judged.items():
        figures |= {name: _mean(values), f"{name}_best": _mean([values[i] for i in best])}
    return figures


def _fitting(rows: Sequence[Row], fits: Sequence[bool], skipped: Counter[str] | None) -> list[Row]:
    """The rows whose prompt the model could read."""
    for row in (row for row, well in zip(rows, fits, strict=True) if not well):
        error = Unusable(row.place, f"{NO_ROOM} (it is longer than the model's window)", "shorten it")
        if skipped is None:
            raise error
        skipped[error.reason] += 1
    kept = [row for row, well in zip(rows, fits, strict=True) if well]
    if not kept:
        raise InputError("--data: no prompt can be used")
    return kept


def _judged(
    rewards: tuple[Reward, Reward | None], asked: Sequence[Row], texts: Sequence[str]
) -> dict[str, list[float | None]]:
    """What the rewards say of all draws, each of several by itself too."""
    reward, gold = rewards
    if isinstance(reward, Combined):
        named = reward.named(asked, texts)
        if reward.how == "lsc":
            reward.references = reward.quantiles(asked, named)
        found = {"reward": reward.together(asked, named), **{f"reward_{k}": v for k, v in named.items()}}
    else:
        found = {"reward": reward(asked, texts)}
    return found if gold is None else {**found, "gold": gold(asked, texts)}


def _best(values: Sequence[float | None]) -> int:
    """The place of the highest, the first of equals; answers without a reward only where no other is."""
    return max(range(len(values)), key=lambda i: (values[i] is not None, values[i] or 0.0, -i))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _write(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    partial.replace(path)
