"""Weak-to-strong: a strong model learns a weak teacher's binary labels, and is allowed to disagree with confidence."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalsuite.training.contract import Batch, Encode, Item, Row, Unusable
from evalsuite.training.objectives.transfer import confidence_loss, recovered_gap

if TYPE_CHECKING:
    from torch import Tensor

CARD = {
    "objective": "cross-entropy to (1 - α) the weak label + α the own guess, hardened at the batch's rate of labels",
    "data": "prompt, completion, label (the teacher's); weak (its probability), gold (the truth, for the log alone)",
    "source": "Burns et al. 2023 (arXiv 2312.09390), section 4.3 and appendix A.4",
    "knobs": {"alpha": "0.5, 0.75 for large gaps; the paper warms it up, here it is constant"},
    "reduces_to": [["alpha=0", "cross-entropy to the weak labels"]],
}
DATA, MODEL = "unpaired", "reward"


@dataclass(frozen=True)
class Config:
    """`alpha`: the weight of the student's own guess. Batches must be large enough to have both labels."""

    alpha: float = 0.5


def items(row: Row, encode: Encode, config: Config) -> list[Item]:
    """The classified text is prompt and completion; `weak` is preferred to the hard label."""
    label, gold = (_share(row, name, other) for name, other in (("weak", row.labels[0]), ("gold", -1.0)))
    return [Item((encode(row.messages, row.answers[0]),), (label,), {"gold": gold}, row.id)]


def _share(row: Row, name: str, otherwise: float) -> float:
    """A column from 0 to 1 (or false and true)."""
    value = row.metadata.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Unusable(row.place, f"'{name}' is no number from 0 to 1 ({str(value)[:40]})")
    return float(value)


def loss(scores: "Tensor", batch: Batch, config: Config) -> "tuple[Tensor, dict[str, Tensor]]":
    logit, weak, gold = scores[:, 0], batch.labels[:, 0], batch.columns["gold"]
    said = logit.detach() > 0
    figures = {"agreement": (said == (weak > 0.5)).float().mean()}
    if (gold >= 0).all():
        figures |= {
            "accuracy": (said == (gold > 0.5)).float().mean(),
            "weak": ((weak > 0.5) == (gold > 0.5)).float().mean(),
        }
    return confidence_loss(logit, weak, config.alpha), figures


recovered = recovered_gap
"""Performance gap recovered: (student - weak) / (ceiling - weak), of three accuracies on held-out data."""
