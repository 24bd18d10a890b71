"""The next token out of logits: the likeliest, or drawn by a row's own numbers, so that neighbours change nothing.

A draw is a race (Maddison, Tarlow and Minka 2014, A* sampling, section 2): every token of the vocabulary gets an
exponential number of the row's own, and the largest p / number wins, which is token i with probability p(i). Rounding
that differs between batches then moves one token's share by as little as its logit, and hardly ever the winner; a
cumulative distribution hands the rounding of all tokens before on to each one, and parted one text in seven.
"""

from collections.abc import Sequence
from typing import Any

from evalsuite.records import Sampling

SHORTLIST = 1024
"""Candidates that are sorted first for top_p; the whole vocabulary only where they do not hold enough mass."""

LEAST = 1e-30
"""In place of the number 0, which a generator of float32 does give now and then."""


class Numbers:
    """A row's own exponential numbers, from its seed on: as many at each call as the vocabulary has tokens."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._source: Any = None

    def fill(self, row: Any) -> None:
        """The next numbers, into a float32 row of its device."""
        import numpy as np
        import torch

        if row.device.type == "cpu":
            self._source = self._source or np.random.Generator(np.random.SFC64(self._seed))
            self._source.standard_exponential(dtype=np.float32, out=row.numpy())
        else:
            self._source = self._source or torch.Generator(row.device).manual_seed(self._seed % (1 << 63))
            row.exponential_(generator=self._source)


def choose(logits: Any, sampling: Sampling, numbers: Sequence[Numbers]) -> list[int]:
    """The next token id of each row of float32 logits (rows, vocabulary): the likeliest at temperature 0, otherwise
    drawn after top_k, then top_p, by the row's own `numbers`."""
    import torch

    if sampling.temperature == 0:
        return [int(i) for i in likeliest(logits).tolist()]
    probabilities, ids = _candidates(logits / sampling.temperature, sampling)
    waits = torch.empty(logits.shape, dtype=torch.float32, device=logits.device)
    for row, own in zip(waits, numbers, strict=True):
        own.fill(row)
    # By id, so that a token's number is its own whatever its place among the candidates.
    waits = (waits if ids is None else waits.gather(1, ids)).clamp_(min=LEAST)
    winners = likeliest(probabilities / waits)
    chosen = winners if ids is None else ids.gather(1, winners[:, None])[:, 0]
    return [int(i) for i in chosen.tolist()]


def likeliest(logits: Any) -> Any:
    """The place of the largest of each row of float32 numbers (rows, vocabulary), on their device."""
    import torch

    # On a CPU torch's argmax is ten times slower than numpy's, and as slow as a small model's output layer.
    return torch.from_numpy(logits.numpy().argmax(-1)) if logits.device.type == "cpu" else logits.argmax(-1)


def _candidates(logits: Any, sampling: Sampling) -> tuple[Any, Any]:
    """(probabilities, their ids or None for the whole vocabulary in order) after top_k, then top_p."""
    import torch

    size = logits.shape[-1]
    if 0 < sampling.top_k < size:
        values, ids = logits.topk(sampling.top_k)
        probabilities = values.softmax(-1)
    elif sampling.top_p < 1:
        whole = logits.softmax(-1)
        probabilities, ids = whole.topk(min(SHORTLIST, size))
        if bool((probabilities.sum(-1) < sampling.top_p).any()):
            probabilities, ids = whole.sort(-1, descending=True)
    else:
        return logits.softmax(-1), None
    if sampling.top_p < 1:
        before = probabilities.cumsum(-1) - probabilities  # mass in front of each: the likeliest always stays
        probabilities = torch.where(before < sampling.top_p, probabilities, torch.zeros_like(probabilities))
    return probabilities, ids
