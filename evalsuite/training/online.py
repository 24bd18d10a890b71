"""Online methods: items that the policy makes itself, round by round.

A round draws answers to some prompts, has them rewarded, and makes items of them (the method's `rollout`); the loop
then takes optimiser steps on these items as on any others. Each process answers its share of a round's prompts and all
hear of everything, so methods compute advantages on whole rounds, and the number of processes does not matter.

    def rollout(policy, prompts, config, context):
        groups = judge(policy, prompts, config, context)       # what was said, its reward, log-probabilities
        return [item(a, advantage) ...]
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.errors import InputError
from evalsuite.training import batching
from evalsuite.training.contract import Batch, Item, Row, Tokenised
from evalsuite.training.online_combining import Combined
from evalsuite.training.online_rewards import Reward
from evalsuite.training.rollouts import Drawing, Policy, read, seed_of, without_adapter

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Online:
    """What all online methods share. `num_generations`: answers to a prompt. `prompts_per_round` 0: as many as one
    optimiser step takes. `num_iterations`: how often a round's items are gone through. `reference`: the policy that
    KL is measured against: "start" (as training began), "round" (as the round began) or "none". `missing_eos_penalty`
    is taken off the reward of answers that did not end. top_p and top_k are refused: what they cut is not the policy's
    distribution any more. `rollout_engine` says what draws. `combine`: several rewards as a weighted "sum", or by
    "lsc", against the `reference_quantile` of `reference_samples` answers that the policy gives before any step."""

    num_generations: int = 4
    prompts_per_round: int = 0
    num_iterations: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_completion_length: int = 256
    missing_eos_penalty: float = 0.0
    reference: Literal["start", "round", "none"] = "start"
    rollout_engine: Literal["hf", "vllm"] = "hf"
    combine: Literal["sum", "lsc"] = "sum"
    reference_quantile: float = 0.5
    reference_samples: int = 8

    def __post_init__(self) -> None:
        if self.top_p < 1 or self.top_k > 0:
            raise InputError("top_p and top_k: leave them at 1 and 0; answers are learned from as drawn, not as cut")
        if self.temperature <= 0:
            raise InputError(f"temperature={self.temperature:g}: answers must be drawn; a number above 0 is wanted")
        if not 0 <= self.reference_quantile <= 1:
            raise InputError(f"reference_quantile={self.reference_quantile:g}: 0 to 1 is wanted")
        for name in ("num_generations", "num_iterations", "max_completion_length", "reference_samples"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: at least 1 is wanted")


def grouped(config: Online) -> None:
    """Raises InputError where answers to a prompt are to be compared and there is only one."""
    if config.num_generations < 2:
        raise InputError("num_generations=1: answers are compared with each other; at least 2 are wanted")


@dataclass(frozen=True)
class Judged:
    """One answer: its tokens (with `ref` where there is a reference, `given["behaviour"]`, `given["values"]` where
    there is a critic), its reward (penalty included), gold reward where that is known, its text. `parts`: each of
    several rewards by itself."""

    sequence: Tokenised
    reward: float
    gold: float | None
    text: str
    ended: bool
    parts: Mapping[str, float | None] = field(default_factory=dict)


@dataclass
class Context:
    """What a rollout may use beside the policy, and where its figures go. Inside `arithmetic()` models compute in the
    precision of the loss: ratios and KL are of the policy, not of its rounding."""

    reward: Reward
    gold: Reward | None
    module: Any
    frozen: Any
    pad_id: int
    seed: int
    round: int
    index: int = 0
    processes: int = 1
    arithmetic: Callable[[], AbstractContextManager[Any]] = nullcontext
    figures: dict[str, float] = field(default_factory=dict)


def judge(policy: Policy, prompts: Sequence[Row], config: Any, context: Context) -> list[list[Judged]]:
    """`num_generations` answers to each prompt with all that methods need to know of them. This process answers its
    share; the answers of all come back, in the order of the prompts. Fills `context.figures`."""
    from accelerate.utils import gather_object

    own = list(range(len(prompts)))[context.index :: context.processes]
    found = _judged([prompts[p] for p in own], own, policy, config, context)
    groups = list(zip(own, found, strict=True))
    if context.processes > 1:
        groups = sorted(gather_object(groups), key=lambda pair: pair[0])
    context.figures.update(_figures([answer for _, group in groups for answer in group]))
    return _filled([group for _, group in groups])


def _judged(
    prompts: Sequence[Row], places: Sequence[int], policy: Policy, config: Any, context: Context
) -> list[list[Judged]]:
    k = config.num_generations
    rows = [row for row in prompts for _ in range(k)]
    seeds = [seed_of(context.seed, context.round, place, n) for place in places for n in range(k)]
    with context.arithmetic():
        answers = policy.answers(rows, seeds, Drawing(config.temperature, config.max_completion_length))
        sequences = _read([answer.sequence for answer in answers], config, context)
    texts = [answer.text for answer in answers]
    rewards, parts = _rewarded(context.reward, rows, texts)
    golds = context.gold(rows, texts) if context.gold is not None else [None] * len(rows)
    made = [
        Judged(
            sequence,
            float("nan") if reward is None else reward - (0.0 if answer.ended else config.missing_eos_penalty),
            gold,
            answer.text,
            answer.ended,
            part,
        )
        for answer, sequence, reward, gold, part in zip(answers, sequences, rewards, golds, parts, strict=True)
    ]
    return [made[start : start + k] for start in range(0, len(made), k)]


def _rewarded(
    reward: Reward, rows: Sequence[Row], texts: Sequence[str]
) -> tuple[list[float | None], list[dict[str, float | None]]]:
    """Rewards, and what each of several says by itself."""
    if not isinstance(reward, Combined):
        return reward(rows, texts), [{} for _ in rows]
    named = reward.named(rows, texts)
    return reward.together(rows, named), [{name: named[name][i] for name in named} for i in range(len(rows))]


def _read(sequences: list[Tokenised], config: Any, context: Context) -> list[Tokenised]:
    """Sequences with the reference's log-probabilities and the critic's values."""
    t, pad = config.temperature, context.pad_id
    if config.reference == "start":
        with without_adapter(context.frozen):
            refs = read(getattr(context.frozen, "policy", context.frozen), sequences, pad, t)
        sequences = [replace(s, ref=r["logps"]) for s, r in zip(sequences, refs, strict=True)]
    if config.reference == "round" or hasattr(context.module, "critic"):
        told = read(context.module, sequences, pad, t)
        if config.reference == "round":
            sequences = [replace(s, ref=r["logps"]) for s, r in zip(sequences, told, strict=True)]
        if "values" in told[0]:
            sequences = [
                replace(s, given={**s.given, "values": r["values"]}) for s, r in zip(sequences, told, strict=True)
            ]
    return sequences


def _filled(groups: list[list[Judged]]) -> list[list[Judged]]:
    """Answers without a reward get the mean of their group (so that they move nothing), or 0 where it has none."""
    made = []
    for group in groups:
        known = [a.reward for a in group if a.reward == a.reward]
        mean = sum(known) / len(known) if known else 0.0
        made.append([a if a.reward == a.reward else replace(a, reward=mean) for a in group])
    return made


def _figures(answers: Sequence[Judged]) -> dict[str, float]:
    """What the training log says of a round: means over answers (of rewards, over those that have one). KL (k1) and
    entropy are estimates from the draws themselves, in nats an answer."""
    behaviour = [sum(a.sequence.given["behaviour"]) for a in answers]
    rewards = [a.reward for a in answers if a.reward == a.reward]
    found = {
        **({"reward": _mean(rewards)} if rewards else {}),
        "length": _mean([float(sum(a.sequence.mask)) for a in answers]),
        "entropy": -_mean(behaviour),
        "ended": _mean([float(a.ended) for a in answers]),
    }
    refs = [sum(a.sequence.ref) for a in answers if a.sequence.ref is not None]
    if refs:
        found["kl"] = _mean([b - r for b, r in zip(behaviour, refs, strict=True)])
    for name in answers[0].parts:
        known = [value for a in answers if (value := a.parts[name]) is not None]
        found |= {f"reward_{name}": _mean(known)} if known else {}
    golds = [a.gold for a in answers if a.gold is not None]
    return {**found, "gold": _mean(golds)} if golds else found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# -- what losses and rollouts share ----------------------------------------------------------------------------------


def forward(model: Any, batch: Batch, config: Any) -> "Tensor":
    """Log-probabilities under the distribution that is drawn from: tempered, as the behaviour's are."""
    from evalsuite.training.objectives.scores import token_logps

    return token_logps(model, batch.ids, batch.mask, temperature=config.temperature)


def rewards_of(groups: Sequence[Sequence[Judged]]) -> "Tensor":
    """(P, K) float64."""
    import torch

    return torch.tensor([[answer.reward for answer in group] for group in groups], dtype=torch.float64)


def divergence(sequence: Tokenised) -> float:
    """k1 of a whole answer: Σ_t log π_old/ρ, an unbiased estimate of the KL of the policy that drew it."""
    return sum(sequence.given["behaviour"]) - sum(sequence.ref or ())


def table(answers: Sequence[Judged], pad_id: int) -> Batch:
    """A round's answers as one padded batch."""
    return batching.collate([Item((answer.sequence,)) for answer in answers], pad_id)


def token_rewards(batch: Batch, scores: "Tensor", beta: float) -> "Tensor":
    """(B, T): the score (B,) on the last token of each answer, -β log π/ρ (k1) on every token."""
    from torch import zeros_like

    from evalsuite.training.objectives.policy import kl, place

    behaviour = batch.given["behaviour"].double()
    ref = batch.ref.double() if batch.ref is not None else behaviour
    drift = kl(behaviour, ref, "k1") if beta else zeros_like(behaviour)
    return place(scores, batch.mask) - beta * drift * batch.mask


def ratios(logps: "Tensor", batch: Batch, epsilon: float) -> "dict[str, Tensor]":
    """Figures of π/π_old: its mean over tokens, and the share of tokens outside the clip."""
    ratio = (logps.detach() - batch.given["behaviour"]).exp()
    count = batch.mask.sum()
    outside = ((ratio - 1).abs() > epsilon) * batch.mask
    return {"ratio": (ratio * batch.mask).sum() / count, "clipped": outside.sum() / count}


def of_tokens(sequence: Tokenised, **given: Sequence[float]) -> Tokenised:
    """The sequence with further numbers of its tokens, rows of padded tables."""
    rows = {name: tuple(row[: len(sequence.ids)]) for name, row in given.items()}
    return replace(sequence, given={**sequence.given, **rows})


def averaged(per_token: "Tensor", batch: Batch) -> "Tensor":
    """Mean over answers of Σ_t / `denominator`, the item's own column (`denominators`)."""
    return (per_token.sum(-1) / batch.columns["denominator"]).mean()


def denominators(answers: Sequence[Judged], by: str, longest: int) -> list[float]:
    """What a sum over tokens is divided by. "answer": each answer's length (GRPO's; short ones weigh more), "token":
    the round's mean length (a mean over tokens, whatever the batches), "constant": the longest allowed (Dr. GRPO's)."""
    lengths = [float(sum(a.sequence.mask)) for a in answers]
    if by == "answer":
        return lengths
    return [float(longest) if by == "constant" else _mean(lengths)] * len(answers)
