"""Objectives: pure functions from log-probabilities or scores to losses. They import nothing of ours.

Shapes: B sequences, T positions, V tokens. All sums are taken in float32.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def token_logps(logits: "Tensor", targets: "Tensor") -> "Tensor":
    """Log-probability (nats) of each target: logits (..., V), targets (...) of token ids → (...) float32."""
    logits = logits.float()
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return chosen - logits.logsumexp(-1)


def language_model_loss(logps: "Tensor", denominator: float) -> "Tensor":
    """Negative log-likelihood of the given tokens over a denominator that the caller chooses.

    The denominator is the number of loss tokens in the whole accumulated batch, not in this part of it: a mean of
    means would weigh the tokens of short parts more.
    """
    return -logps.sum() / denominator


def bradley_terry(difference: "Tensor", margin: float = 0.0, p: "Tensor | float" = 1.0) -> "Tensor":
    """Mean loss of r(chosen) - r(rejected), shape (B,): -[p log σ(d - m) + (1 - p) log σ(-(d - m))].

    `p` is the probability that the label is right (1: the label as it stands). Bradley & Terry 1952;
    as a reward model's loss: Ouyang et al. 2022 (arXiv 2203.02155), eq. 1.
    """
    from torch.nn.functional import logsigmoid

    d = difference.float() - margin
    return -(p * logsigmoid(d) + (1 - p) * logsigmoid(-d)).mean()
