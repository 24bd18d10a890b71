"""Direct preference optimisation and its family: one contrast of two answers, many outer functions."""

from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from evalsuite.errors import InputError
from evalsuite.training.contract import Batch, Encode, Item, Row, Tokenised, Unusable
from evalsuite.training.objectives import pairs
from evalsuite.training.objectives.links import Divergence
from evalsuite.training.objectives.scores import Seq, nll, score

if TYPE_CHECKING:
    from torch import Tensor

CARD = {
    "objective": "φ(β (h_w - h_l)), h = Σ_t log π/ρ; loss_type names φ",
    "data": "prompt, chosen, rejected",
    "source": "Rafailov et al. 2023 (arXiv 2305.18290); the others in objectives/pairs.py",
    "knobs": {"beta": "0.1 (0.01 to 0.5)", "learning_rate": "5e-7 to 1e-6, with LoRA 5e-6", "loss_type": "sigmoid"},
    "reduces_to": [
        ["loss_type=cdpo, label_smoothing=0", "sigmoid"],
        ["loss_type=robust, label_smoothing=0", "sigmoid"],
        ["loss_type=f, divergence=reverse_kl", "sigmoid"],
        ["loss_type=segments, gamma=1", "sigmoid_norm"],
        ["loss_type=margin with margins of 0", "sigmoid"],
        ["loss_type=scaled, w=0", "sigmoid"],
    ],
}
DATA, MODEL = "pairs", "policy"
Loss = Literal[
    "sigmoid", "sigmoid_norm", "cdpo", "robust", "ipo", "ipo_sum", "hinge", "f", "margin", "segments", "scaled",
    "weighted", "soft", "slic", "simpo", "cpo", "orpo",
]  # fmt: skip
WITHOUT = ("slic", "simpo", "cpo", "orpo")
"""Losses without a reference policy."""
READS = {"margin": "margin", "scaled": "gap", "weighted": "weight", "soft": "p"}
"""The column that a loss needs of each pair."""


@dataclass(frozen=True)
class Config:
    """`beta`: strength of the tie to the reference (IPO's τ). `gamma`: SimPO's margin, the weight of changed tokens
    with `segments`. `alpha`: the weight of the chosen answer's NLL (CPO, ORPO's λ, SLiC), or f's α."""

    loss_type: Loss = "sigmoid"
    beta: float = 0.1
    label_smoothing: float = 0.0
    divergence: Divergence = "reverse_kl"
    alpha: float = 1.0
    gamma: float = 1.0
    w: float = 0.5
    k: float = 0.5

    def __post_init__(self) -> None:
        """Raises InputError for a knob that the loss would drop in silence."""
        if self.divergence != "reverse_kl" and self.loss_type != "f":
            raise InputError(f"divergence={self.divergence}: loss_type={self.loss_type} has none; use loss_type=f")
        if self.label_smoothing and self.loss_type not in ("cdpo", "robust"):
            raise InputError(f"label_smoothing: loss_type={self.loss_type} has none; use loss_type=cdpo or robust")
        if self.loss_type == "robust" and not 0 <= self.label_smoothing < 0.5:
            raise InputError(f"label_smoothing={self.label_smoothing}: labels say nothing at 1/2 and above")


def needs_reference(config: Config) -> bool:
    return config.loss_type not in WITHOUT


def items(row: Row, encode: Encode, config: Config) -> list[Item]:
    wanted = READS.get(config.loss_type)
    if wanted is not None and wanted not in row.columns:
        raise Unusable(row.place, f"needs '{wanted}', a number, with loss_type={config.loss_type}", "add it")
    chosen, rejected = (encode(row.messages, answer) for answer in row.answers)
    if config.loss_type == "segments":
        chosen, rejected = corrected(chosen, rejected, config.gamma), corrected(rejected, chosen, config.gamma)
    return [Item((chosen, rejected), columns={wanted: row.columns[wanted]} if wanted else {}, row=row.id)]


def corrected(one: Tokenised, other: Tokenised, gamma: float) -> Tokenised:
    """A sequence with weights of its tokens: γ where the other answer has something else, 1 where they agree."""
    weight = [gamma] * len(one.ids)
    for block in SequenceMatcher(None, one.ids, other.ids, autojunk=False).get_matching_blocks():
        weight[block.a : block.a + block.size] = [1.0] * block.size
    return replace(one, weight=tuple(weight))


def loss(logps: "Tensor", batch: Batch, config: Config) -> "tuple[Tensor, dict[str, Tensor]]":
    ref = batch.ref if needs_reference(config) else None
    seq = Seq(logps, ref, batch.mask, batch.weight)
    norm = {"ipo": "mean", "simpo": "mean", "orpo": "mean", "sigmoid_norm": "mean", "segments": "weighted_mean"}
    h_w, h_l = batch.ranks(score(seq, norm.get(config.loss_type, "sum")))  # type: ignore[arg-type]
    value = _loss(h_w, h_l, logps, batch, config)
    with_beta = config.beta * (h_w - h_l).detach()
    return value, {
        "margin": with_beta.mean(),
        "accuracy": (with_beta > 0).float().mean(),
        "reward_chosen": config.beta * h_w.detach().mean(),
        "reward_rejected": config.beta * h_l.detach().mean(),
    }


def _loss(h_w: "Tensor", h_l: "Tensor", logps: "Tensor", batch: Batch, c: Config) -> "Tensor":
    kind = c.loss_type
    if kind in ("sigmoid", "sigmoid_norm", "segments"):
        return pairs.dpo(h_w, h_l, c.beta)
    if kind == "cdpo":
        return pairs.cdpo(h_w, h_l, c.beta, c.label_smoothing)
    if kind == "soft":
        return pairs.cdpo(h_w, h_l, c.beta, 1 - batch.columns["p"])
    if kind == "robust":
        return pairs.robust_dpo(h_w, h_l, c.beta, c.label_smoothing)
    if kind in ("ipo", "ipo_sum"):
        return pairs.ipo(h_w, h_l, c.beta)
    if kind == "f":
        return pairs.f_dpo(h_w, h_l, c.beta, c.divergence, c.alpha)
    if kind == "margin":
        return pairs.margin_dpo(h_w, h_l, batch.columns["margin"], c.beta)
    if kind == "scaled":
        return pairs.dpo(h_w, h_l, pairs.scaled_beta(batch.columns["gap"], c.beta, c.w, c.k))
    if kind == "weighted":
        return pairs.gap_weighted(h_w, h_l, batch.columns["weight"], c.beta)
    return _without_reference(h_w, h_l, logps, batch, c)


def _without_reference(h_w: "Tensor", h_l: "Tensor", logps: "Tensor", batch: Batch, c: Config) -> "Tensor":
    chosen = nll(batch.ranks(logps)[0], batch.ranks(batch.mask)[0])
    if c.loss_type == "simpo":
        return pairs.simpo(h_w, h_l, c.beta, c.gamma)
    if c.loss_type == "cpo":
        return pairs.cpo(h_w, h_l, chosen, c.beta, c.alpha)
    if c.loss_type == "orpo":
        return pairs.orpo(h_w, h_l, chosen, c.alpha)
    return pairs.slic(h_w, h_l, c.beta) + (c.alpha * chosen if c.loss_type == "slic" else 0.0)
