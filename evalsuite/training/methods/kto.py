"""Kahneman–Tversky optimisation: answers that are good or bad, without a partner."""

from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalsuite.training.contract import Batch, Encode, Item, Row, Tokenised
from evalsuite.training.objectives.scores import Seq, score
from evalsuite.training.objectives.singles import kto

if TYPE_CHECKING:
    from torch import Tensor

CARD = {
    "objective": "λ_D (1 - σ(β (h - z₀))) for desirable answers, λ_U (1 - σ(β (z₀ - h))) for the others",
    "data": "prompt, completion, label (true: desirable)",
    "source": "Ethayarajh et al. 2024 (arXiv 2402.01306), section 4",
    "knobs": {"beta": "0.1", "desirable_weight": "1 to 4/3 times the share of the others", "learning_rate": "5e-7"},
    "reduces_to": [],
}
DATA, MODEL = "unpaired", "policy"


@dataclass(frozen=True)
class Config:
    """`beta`: strength of the tie to the reference. The weights even out unequal numbers of good and bad answers."""

    beta: float = 0.1
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0


def needs_reference(config: Config) -> bool:
    return True


def items(row: Row, encode: Encode, config: Config) -> list[Item]:
    return [Item((encode(row.messages, row.answers[0]),), row.labels, row=row.id)]


def arrange(items: list[Item]) -> list[Item]:
    """Each answer gets a second sequence: its prompt with the next row's answer, from which KL is estimated. Who is
    paired with whom is fixed here, whatever the order of batches."""
    others = [*items[1:], *items[:1]]
    return [replace(i, sequences=(i.sequences[0], _mismatched(i, o))) for i, o in zip(items, others, strict=True)]


def _mismatched(prompt: Item, answer: Item) -> Tokenised:
    mine, theirs = prompt.sequences[0], answer.sequences[0]
    start, begin = mine.mask.index(True), theirs.mask.index(True)
    tail = theirs.ids[begin : begin + len(mine.ids) + len(theirs.ids) - start]
    return Tokenised(array("i", (*mine.ids[:start], *tail)), array("b", (*mine.mask[:start], *([True] * len(tail)))))


def loss(logps: "Tensor", batch: Batch, config: Config) -> "tuple[Tensor, dict[str, Tensor]]":
    h, mismatched = batch.ranks(score(Seq(logps, batch.ref, batch.mask)))
    desirable = batch.labels[:, 0] > 0.5
    weights = config.desirable_weight, config.undesirable_weight
    value = kto(h, desirable, mismatched.detach(), config.beta, weights)
    good, bad = (_mean(config.beta * h.detach(), which) for which in (desirable, ~desirable))
    return value, {"kl": mismatched.detach().mean().clamp(min=0), "reward_desirable": good, "reward_undesirable": bad}


def _mean(values: "Tensor", which: "Tensor") -> "Tensor":
    return values[which].mean() if which.any() else values.new_zeros(())
