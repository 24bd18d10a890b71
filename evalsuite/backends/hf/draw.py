"""The next token out of logits: the likeliest, or drawn by a row's own generator, so that neighbours change nothing."""

import random
from collections.abc import Sequence
from typing import Any

from evalsuite.records import Sampling

SHORTLIST = 1024
"""Candidates that are sorted first for top_p; the whole vocabulary only where they do not hold enough mass."""


def choose(logits: Any, sampling: Sampling, rngs: Sequence[random.Random]) -> list[int]:
    """The next token id of each row of float32 logits (rows, vocabulary): the likeliest at temperature 0, otherwise
    drawn by inverting the cumulative distribution (float64, on the CPU) at one uniform number of the row's own."""
    if sampling.temperature == 0:
        return [int(i) for i in likeliest(logits).tolist()]
    probabilities, ids = _candidates(logits / sampling.temperature, sampling)
    cumulative = probabilities.double().cpu().cumsum(-1)
    uniform = [rng.random() for rng in rngs]
    chosen = []
    for i, number in enumerate(uniform):
        place = int((cumulative[i] <= number * cumulative[i, -1]).sum())
        place = min(place, cumulative.shape[1] - 1)
        chosen.append(place if ids is None else int(ids[i, place]))
    return chosen


def likeliest(logits: Any) -> Any:
    """The place of the largest of each row of float32 logits (rows, vocabulary), on their device."""
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
