"""Several rewards as one: a weighted sum, or LSC (sums of log σ), which says "all of them are good".

    rewards = combined(["helpful/=0.7", "task:gsm8k=0.3"], "lsc", 0.5, options)
    named = rewards.named(rows, answers)                     # each reward by itself, for the log
    rewards.references = rewards.quantiles(rows, named)      # lsc: these are the starting policy's answers
    rewards(rows, answers)                                   # one number for each, None where one of them says nothing

LSC asks of each reward how far an answer lies above what the starting policy usually gets for this prompt: r_ref is a
quantile of the rewards of `reference_samples` answers that are drawn before the first step.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evalsuite.errors import InputError
from evalsuite.models import ModelOptions
from evalsuite.training.contract import Row
from evalsuite.training.online_rewards import Reward, source
from evalsuite.training.rollouts import Drawing, Policy, seed_of

How = Literal["sum", "lsc"]
Named = Mapping[str, Sequence[float | None]]


@dataclass
class Combined:
    """Rewards with names and weights. `references`: for each row's place what LSC takes for r_ref, one for each."""

    parts: Mapping[str, tuple[float, Reward]]
    how: How = "sum"
    quantile: float = 0.5
    references: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __call__(self, rows: Sequence[Row], answers: Sequence[str]) -> list[float | None]:
        return self.together(rows, self.named(rows, answers))

    def named(self, rows: Sequence[Row], answers: Sequence[str]) -> dict[str, list[float | None]]:
        """Each reward of each answer."""
        return {name: reward(rows, answers) for name, (_, reward) in self.parts.items()}

    def together(self, rows: Sequence[Row], named: Named) -> list[float | None]:
        """One number for each answer; None where one of the rewards says nothing of it."""
        import torch

        from evalsuite.training.objectives.targets import combine, lsc

        table = list(zip(*named.values(), strict=True))
        known = [i for i, values in enumerate(table) if None not in values]
        rewards = torch.tensor([table[i] for i in known], dtype=torch.float64).reshape(-1, len(named)).T
        if self.how == "lsc":
            start = [self.references[rows[i].place] for i in known]
            rewards = lsc(rewards, torch.tensor(start, dtype=torch.float64).reshape(-1, len(named)).T)
        weights = torch.tensor([weight for weight, _ in self.parts.values()], dtype=torch.float64)
        found: list[float | None] = [None] * len(table)
        for i, value in zip(known, combine(rewards, weights).tolist(), strict=True):
            found[i] = value
        return found

    def quantiles(self, rows: Sequence[Row], named: Named) -> dict[str, tuple[float, ...]]:
        """r_ref of each row, out of the rewards of several answers to it. Raises InputError where there is none."""
        import torch

        places: dict[str, list[int]] = {}
        for i, row in enumerate(rows):
            places.setdefault(row.place, []).append(i)
        found: dict[str, list[float]] = {place: [] for place in places}
        for name, values in named.items():
            for place, at in places.items():
                known = [value for i in at if (value := values[i]) is not None]
                if not known:
                    raise InputError(f"--reward: {name} says nothing of the answers to {place}; leave the row out")
                found[place].append(torch.tensor(known, dtype=torch.float64).quantile(self.quantile).item())
        return {place: tuple(values) for place, values in found.items()}

    def begin(self, policy: Policy, rows: Sequence[Row], config: Any, seed: int, index: int, processes: int) -> None:
        """Draws what LSC needs to know of the policy before its first step; each process does its share of prompts."""
        from accelerate.utils import gather_object

        own, k = list(range(len(rows)))[index::processes], config.reference_samples
        asked = [rows[at] for at in own for _ in range(k)]
        seeds = [seed_of(seed, "reference", at, n) for at in own for n in range(k)]
        answers = policy.answers(asked, seeds, Drawing(config.temperature, config.max_completion_length))
        found = list(self.quantiles(asked, self.named(asked, [answer.text for answer in answers])).items())
        self.references = dict(gather_object(found) if processes > 1 else found)


def combined(words: Sequence[str], how: How, quantile: float, options: ModelOptions) -> Reward:
    """The rewards that `--reward WORD[=WEIGHT] ...` names; a single one without a weight is itself. Raises InputError
    for a word that names none, and for a weight that LSC cannot take."""
    asked = [weighted(word) for word in words]
    if len(asked) == 1 and asked[0][1] == 1 and how == "sum":
        return source(asked[0][0], options)
    for word, weight in asked:
        if how == "lsc" and weight <= 0:
            raise InputError(f"--reward {word}={weight:g}: a weight above 0 is wanted with combine=lsc")
    parts: dict[str, tuple[float, Reward]] = {}
    for word, weight in asked:
        name = _name(word)
        while name in parts:
            name += "_2"
        parts[name] = (weight, source(word, options))
    return Combined(parts, how, quantile)


def weighted(text: str) -> tuple[str, float]:
    """WORD=WEIGHT, or WORD, whose weight is 1."""
    word, sign, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        return text, 1.0
    if not sign or not word:
        return text, 1.0
    if not math.isfinite(weight):
        raise InputError(f"--reward {text}: a finite weight is wanted")
    return word, weight


def _name(word: str) -> str:
    """What the log calls a reward: the last part of its word."""
    kind, _, rest = word.partition(":")
    last = "gold" if kind == "gold" else re.split(r"[/:]", word.rstrip("/"))[-1] or rest
    return re.sub(r"[^\w-]+", "_", last)
