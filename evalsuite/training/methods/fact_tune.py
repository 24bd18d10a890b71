"""FactTune: the policy's own answers are ranked by how true they are, and DPO is taught the truer of two."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalsuite.scoring.facts_confidence import classes, samp_conf
from evalsuite.training import online
from evalsuite.training.contract import Batch, Item, Row
from evalsuite.training.methods import online_dpo
from evalsuite.training.online import Context, Judged, Online
from evalsuite.training.rollouts import Drawing, Policy, seed_of

if TYPE_CHECKING:
    from torch import Tensor

CARD = {
    "objective": "DPO on pairs of the policy's own answers, the truer one chosen: by a knowledge source, or by how "
    "often the policy says the same when it is asked again",
    "data": "prompt (and what the reward reads: the share of an answer's claims that are true)",
    "source": "Tian et al. 2023 (arXiv 2311.08401)",
    "knobs": {"truth": "reward (a knowledge source) or confidence", "samples": "20", "beta": "0.1"},
    "reduces_to": [["one round, truth=reward", "dpo on these pairs"]],
}
DATA, MODEL, PER = "prompts", "policy", "answer"
forward, weight = online.forward, online_dpo.weight


@dataclass(frozen=True)
class Config(Online):
    """`truth`: "reward" takes --reward, the mean truth of an answer's claims; "confidence" asks each prompt `samples`
    times more and takes the share of equal answers, an estimate for prompts that ask for one fact. The paper takes all
    pairs with a gap; here each answer meets the next one of its prompt: as many pairs as answers in a round."""

    num_generations: int = 6
    truth: Literal["reward", "confidence"] = "reward"
    samples: int = 20
    beta: float = 0.1


def needs_reward(config: Config) -> bool:
    return config.truth == "reward"


def rollout(policy: Policy, prompts: Sequence[Row], config: Config, context: Context) -> list[Item]:
    groups = online.judge(policy, prompts, config, context)
    if config.truth == "reward":
        truths = [[answer.reward for answer in group] for group in groups]
    else:
        truths = confidence(policy, prompts, groups, config, context)
        context.figures["confidence"] = sum(map(sum, truths)) / sum(map(len, truths))
    return [
        pair(group, scores, place, row.id)
        for row, group, scores in zip(prompts, groups, truths, strict=True)
        for place in range(len(group))
    ]


def pair(group: Sequence[Judged], truths: Sequence[float], place: int, row: str) -> Item:
    """An answer and the next one, the truer first; equal ones count nowhere."""
    other = (place + 1) % len(group)
    first, second = (place, other) if truths[place] >= truths[other] else (other, place)
    gap = truths[first] - truths[second]
    return Item(
        (group[first].sequence, group[second].sequence), (1.0, 0.0), {"counts": float(gap > 0), "gap": gap}, row
    )


def confidence(
    policy: Policy, prompts: Sequence[Row], groups: Sequence[Sequence[Judged]], config: Config, context: Context
) -> list[list[float]]:
    """For each answer the share of further draws that say the same. Every process draws all: seeds make them equal."""
    rows = [row for row in prompts for _ in range(config.samples)]
    k = config.num_generations
    seeds = [seed_of(context.seed, context.round, p, k + n) for p in range(len(prompts)) for n in range(config.samples)]
    with context.arithmetic():
        said = policy.answers(rows, seeds, Drawing(config.temperature, config.max_completion_length))
    texts = [answer.text for answer in said]
    found = []
    for p, group in enumerate(groups):
        drawn = texts[p * config.samples : (p + 1) * config.samples]
        same = classes([*drawn, *(answer.text for answer in group)])
        found.append([samp_conf(same[: config.samples], own) for own in same[config.samples :]])
    return found


def loss(logps: "Tensor", batch: Batch, config: Config) -> "tuple[Tensor, dict[str, Tensor]]":
    return online_dpo.loss(logps, batch, online_dpo.Config(beta=config.beta))
