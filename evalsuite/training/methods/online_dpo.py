"""Online DPO: each round draws answers, pairs the best with the worst by reward, and takes DPO steps on the pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalsuite.errors import InputError
from evalsuite.training import online
from evalsuite.training.contract import Batch, Item, Row
from evalsuite.training.objectives import pairs, singles
from evalsuite.training.objectives.scores import Seq, score
from evalsuite.training.online import Context, Online
from evalsuite.training.rollouts import Policy

if TYPE_CHECKING:
    from torch import Tensor

CARD = {
    "objective": "DPO on (best, worst by reward) of num_generations answers of the policy itself, round by round",
    "data": "prompt (and what the reward reads)",
    "source": "Guo et al. 2024 (arXiv 2402.04792); Dong et al. 2024, RLHF Workflow (arXiv 2405.07863)",
    "knobs": {"beta": "0.1", "num_generations": "2 to 8", "learning_rate": "5e-7",
              "reference": "start (KL to the SFT policy) or round (as released loops have it: another objective)"},
    "reduces_to": [["one round, reference=start", "dpo on these pairs"],
                   ["loss_type=rebel, num_generations=2, reference=round", "REBEL (arXiv 2404.16767), whose η is 1/β"]],
}  # fmt: skip
DATA, MODEL, PER = "prompts", "policy", "prompt"
forward = online.forward


@dataclass(frozen=True)
class Config(Online):
    """`loss_type`: φ of the contrast, as in `dpo`, or "rebel", the regression of reward differences on β times the
    contrast (its η is 1/β), whose reference is each round's policy. Prompts whose answers are all worth the same count
    nowhere."""

    num_generations: int = 8
    loss_type: Literal["sigmoid", "ipo_sum", "hinge", "rebel"] = "sigmoid"
    beta: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        online.grouped(self)
        if self.loss_type == "rebel" and self.reference != "round":
            raise InputError("loss_type=rebel: steps from the policy that drew the answers; set reference=round")


def rollout(policy: Policy, prompts: Sequence[Row], config: Config, context: Context) -> list[Item]:
    found = []
    for row, group in zip(prompts, online.judge(policy, prompts, config, context), strict=True):
        best, worst = (pick(group, key=lambda answer: answer.reward) for pick in (max, min))
        columns = {"counts": float(best.reward > worst.reward), "gap": best.reward - worst.reward}
        found.append(Item((best.sequence, worst.sequence), (1.0, 0.0), columns, row.id))
    return found


def weight(batch: Batch) -> float:
    """Pairs with a difference."""
    return float(batch.columns["counts"].sum())


def loss(logps: "Tensor", batch: Batch, config: Config) -> "tuple[Tensor, dict[str, Tensor]]":
    h_w, h_l = batch.ranks(score(Seq(logps, batch.ref, batch.mask)))
    counts = batch.columns["counts"].bool()
    if not counts.any():
        return logps.sum() * 0.0, {"accuracy": logps.new_zeros(())}
    h_w, h_l = h_w[counts], h_l[counts]
    accuracy = (h_w > h_l).float().mean()
    if config.loss_type == "rebel":
        gap = batch.columns["gap"][counts]
        return singles.rebel(h_w, h_l, gap, gap.new_zeros(()), 1 / config.beta), {"accuracy": accuracy}
    made = {"sigmoid": pairs.dpo, "ipo_sum": pairs.ipo, "hinge": pairs.slic}[config.loss_type]
    return made(h_w, h_l, config.beta), {"accuracy": accuracy}
