"""Reward model: a scalar head on the last token, by Bradley–Terry on pairs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalsuite.training.contract import Batch, Encode, Item, Row
from evalsuite.training.objectives import rewards

if TYPE_CHECKING:
    from torch import Tensor

CARD = {
    "objective": "-log σ(r_w - r_l - margin), with smoothed or unbiased labels where they are noisy",
    "data": "prompt, chosen, rejected; a margin column where there is one",
    "source": "Ouyang et al. 2022 (arXiv 2203.02155), eq. 1",
    "knobs": {"center": "0.01 keeps rewards near 0", "flip_rate": "the known share of wrong labels"},
    "reduces_to": [["flip_rate=0", "Bradley–Terry"], ["center=0", "Bradley–Terry"]],
}
DATA, MODEL = "pairs", "reward"


@dataclass(frozen=True)
class Config:
    """`center`: weight of (r_w + r_l)²; `label_smoothing`: probability given to the other label; `flip_rate`: the
    unbiased loss for this share of flipped labels; `tie_weight`: weight of d² for rows whose label is a tie."""

    center: float = 0.0
    label_smoothing: float = 0.0
    flip_rate: float = 0.0
    tie_weight: float = 1.0


def items(row: Row, encode: Encode, config: Config) -> list[Item]:
    chosen, rejected = (encode(row.messages, answer) for answer in row.answers)
    return [Item((chosen, rejected), row.labels, {"margin": row.columns.get("margin", 0.0)}, row.id)]


def loss(scores: "Tensor", batch: Batch, config: Config) -> "tuple[Tensor, dict[str, Tensor]]":
    chosen, rejected = batch.ranks(scores[:, 0])
    tie = batch.labels[:, 0] == batch.labels[:, 1] if batch.labels.any() else batch.labels[:, 0] > 1
    d = (chosen - rejected)[~tie]
    value = scores.sum() * 0.0
    if len(d):
        margin = batch.columns["margin"][~tie]
        plain = rewards.bradley_terry(d, margin, 1 - config.label_smoothing)
        value = value + (rewards.robust_bradley_terry(d, config.flip_rate) if config.flip_rate else plain)
    if tie.any():
        value = value + config.tie_weight * rewards.ties((chosen - rejected)[tie])
    if config.center:
        value = value + config.center * rewards.center(chosen, rejected)
    return value, {"accuracy": (d > 0).float().mean() if len(d) else d.new_zeros(()), "margin": d.detach().mean()}
