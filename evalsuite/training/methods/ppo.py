"""Proximal policy optimisation: a critic, generalised advantages, clipped ratios; the reward on the last token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.training import online
from evalsuite.training.contract import Batch, Item, Row
from evalsuite.training.objectives import policy as pg
from evalsuite.training.online import Context, Online
from evalsuite.training.online_values import with_values
from evalsuite.training.rollouts import Policy

if TYPE_CHECKING:
    from torch import Tensor

CARD = {
    "objective": "-min(ρA, clip(ρ)A) with A by GAE on r at the last token - β log π/ρ_ref at each, + value loss",
    "data": "prompt (and what the reward reads)",
    "source": "Schulman et al. 2017 (arXiv 1707.06347); for answers: Ouyang et al. 2022 (arXiv 2203.02155)",
    "knobs": {
        "beta": "0.02 to 0.05",
        "num_iterations": "4",
        "lam": "1; 0.95 with a trained critic",
        "learning_rate": "1e-6 to 1e-5",
    },
    "reduces_to": [["num_iterations=1, vf_coef=0, lam=1, whiten=false", "REINFORCE without a baseline (V stays 0)"]],
}
DATA, MODEL, PER = "prompts", "policy", "answer"


@dataclass(frozen=True)
class Config(Online):
    """`kl`: the penalty inside the reward of each token ("reward", k1) or as a term of the loss with the gradient of
    KL(π‖ρ) ("loss"). `critic`: a head on the policy's states, or a trunk of its "own". `whiten` advantages over the
    round's tokens. `vf_coef` weighs the value loss, `cliprange_value` 0 leaves values unclipped. `save_critic` keeps
    the critic in the checkpoint's folder, `critic_from` begins with one that was kept there (else V = 0).

    `lam` below 1 wants a critic that knows something: while V is too low everywhere, the reward fades with the distance
    from the end, and what is whitened pays for ends, so answers shrink (Yuan et al. 2025, arXiv 2503.01491)."""

    num_generations: int = 1
    num_iterations: int = 4
    beta: float = 0.05
    kl: Literal["reward", "loss"] = "reward"
    critic: Literal["head", "own"] = "head"
    gamma: float = 1.0
    lam: float = 1.0
    epsilon: float = 0.2
    vf_coef: float = 0.1
    cliprange_value: float = 0.2
    whiten: bool = True
    save_critic: bool = False
    critic_from: str = ""


def build(net: Any, config: Config) -> Any:
    """The policy with its critic: what is trained."""
    return with_values(net, config.critic, config.save_critic, config.critic_from)


def forward(model: Any, batch: Batch, config: Config) -> "tuple[Tensor, Tensor]":
    found: tuple[Tensor, Tensor] = model(batch.ids, batch.mask, config.temperature)
    return found


def advantages(rewards: "Tensor", values: "Tensor", mask: "Tensor", config: Config) -> "tuple[Tensor, Tensor]":
    """(advantages, returns) of tokens, all (B, T); the returns keep the rewards' scale."""
    found, returns = pg.gae(rewards, values, mask, config.gamma, config.lam)
    return (pg.reinforce_plus_plus_advantage(found, mask) if config.whiten else found), returns


def rollout(policy: Policy, prompts: Sequence[Row], config: Config, context: Context) -> list[Item]:
    groups = online.judge(policy, prompts, config, context)
    answers = [answer for group in groups for answer in group]
    batch = online.table(answers, context.pad_id)
    penalty = config.beta if config.kl == "reward" else 0.0
    rewards = online.token_rewards(batch, online.rewards_of(groups).flatten(), penalty)
    found = advantages(rewards, batch.given["values"].double(), batch.mask, config)
    better, returns = (table.tolist() for table in found)
    over = online.denominators(answers, "token", 0)
    return [
        Item((online.of_tokens(a.sequence, advantage=better[i], returns=returns[i]),), columns={"denominator": over[i]})
        for i, a in enumerate(answers)
    ]


def loss(out: "tuple[Tensor, Tensor]", batch: Batch, config: Config) -> "tuple[Tensor, dict[str, Tensor]]":
    (logps, values), given = out, batch.given
    clip = (config.epsilon, config.epsilon)
    per_token = pg.surrogate(logps, given["behaviour"], given["advantage"], batch.mask, clip)
    if config.kl == "loss" and batch.ref is not None:
        per_token = per_token + config.beta * pg.kl_loss(logps, batch.ref, given["behaviour"]) * batch.mask
    near = config.cliprange_value or None
    errors = pg.value_errors(values, given["values"], given["returns"], batch.mask, near)
    figures = {"value_loss": online.averaged(errors, batch).detach(), **online.ratios(logps, batch, config.epsilon)}
    return online.averaged(per_token + config.vf_coef * errors, batch), figures
