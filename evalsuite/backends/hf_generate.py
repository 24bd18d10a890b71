"""The decode loop of the `hf` backend: greedy and sampled text, one code path, rows independent of their companions.

Prompts are padded on the left; each step runs the rows that are still speaking over a growing cache. When more than
half of the rows have finished they are dropped from the cache. A sampled row draws one uniform number for each token
from a generator of its own, seeded by its unit, so that neither batch size nor neighbours change its text.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evalsuite.backends.hf_net import Net, inputs, logits_at, pad
from evalsuite.models import Renderer
from evalsuite.records import Completion, Sampling, Unit

SHORTLIST = 1024
"""Candidates that are sorted first for top_p; the whole vocabulary only where they do not hold enough mass."""


WORD_START = "\u2581"
"""How SentencePiece vocabularies write the space in front of a word."""


@dataclass
class Row:
    """One text in the making."""

    number: int  # its place in the batch that was given
    unit: Unit
    limit: int
    rng: random.Random
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    top: list[dict[str, float]] = field(default_factory=list)
    text: str = ""
    reason: str | None = None  # why it ended; None while it speaks


def generate_batch(
    net: Net, renderer: Renderer, units: Sequence[Unit], prompts: Sequence[Sequence[int]]
) -> list[Completion]:
    """Completions of units that share all sampling settings but the seed, in their order."""
    sampling = units[0].sampling
    if any(unit.sampling != sampling for unit in units):
        raise AssertionError("units with different sampling settings in one batch")
    limit = sampling.max_tokens + sampling.reasoning_tokens
    rows = [Row(i, unit, limit, random.Random(unit.seed)) for i, unit in enumerate(units)]
    speak = _speak_cached if net.caches else _speak_again
    speak(net, renderer, rows, prompts)
    return [_completion(row, len(prompts[row.number]), renderer) for row in rows]


def _speak_cached(net: Net, renderer: Renderer, rows: Sequence[Row], prompts: Sequence[Sequence[int]]) -> None:
    """Runs rows to their ends over a growing cache."""
    import torch

    sampling = rows[0].unit.sampling
    ids, mask = pad(prompts, left=True)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    active, cache = list(rows), None
    while True:
        count = len(active)
        at = torch.arange(count), torch.full((count,), ids.shape[1] - 1)
        logits, output = logits_at(net, *at, **inputs(net, ids, mask, positions), past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        _advance(active, logits, sampling, renderer)
        speaking = [i for i, row in enumerate(active) if row.reason is None]
        if not speaking:
            return
        if len(speaking) * 2 < count and hasattr(cache, "batch_select_indices"):
            kept = torch.tensor(speaking)
            cache.batch_select_indices(kept.to(net.device))
            active, mask, positions = [active[i] for i in speaking], mask[kept], positions[kept]
        ids = torch.tensor([[row.ids[-1]] for row in active])
        mask = torch.cat([mask, torch.ones((len(active), 1), dtype=mask.dtype)], dim=1)
        positions = positions[:, -1:] + 1


def _speak_again(net: Net, renderer: Renderer, rows: Sequence[Row], prompts: Sequence[Sequence[int]]) -> None:
    """The same for an architecture without a key-value cache (Mamba, RWKV, ...): every step runs the whole texts again,
    padded on the right, where no causal model looks. Slow and right."""
    import torch

    active = list(rows)
    while active:
        texts = [(*prompts[row.number], *row.ids) for row in active]
        ids, mask = pad(texts, left=False)
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        at = torch.arange(len(active)), torch.tensor([len(text) - 1 for text in texts])
        logits, _ = logits_at(net, *at, **inputs(net, ids, mask, positions), use_cache=False)
        _advance(active, logits, rows[0].unit.sampling, renderer)
        active = [row for row in active if row.reason is None]


def _advance(rows: Sequence[Row], logits: Any, sampling: Sampling, renderer: Renderer) -> None:
    """Draws the next token of every row that still speaks, and ends the rows that are done."""
    drawn = choose(logits, sampling, [row.rng for row in rows])
    wanted = sampling.top_logprobs
    if wanted:
        logprobs = logits.log_softmax(-1)
        top = logprobs.topk(min(wanted, logits.shape[-1]))
    for i, row in enumerate(rows):
        if row.reason is not None:  # a finished row that still sits in the cache
            continue
        row.ids.append(drawn[i])
        if wanted:
            row.logprobs.append(float(logprobs[i, drawn[i]]))
            row.top.append(_named(top.indices[i].tolist(), top.values[i].tolist(), renderer))
        _finish(row, sampling, renderer)


def _finish(row: Row, sampling: Sampling, renderer: Renderer) -> None:
    if row.ids[-1] in renderer.eos_ids or (sampling.stop and _stopped(row, sampling.stop, renderer)):
        row.reason = "stop"
    elif len(row.ids) >= row.limit:
        row.reason = "length"


def _stopped(row: Row, stop: Sequence[str], renderer: Renderer) -> bool:
    """Whether a stop string has appeared. Only the last tokens are decoded: a character is at most four of them."""
    tail = 4 * max(len(text) for text in stop) + 4
    return any(text in renderer.decode(row.ids[-tail:]) for text in stop)


def _completion(row: Row, prompt_tokens: int, renderer: Renderer) -> Completion:
    ended = row.reason == "stop" and row.ids[-1] in renderer.eos_ids
    text = renderer.decode(row.ids[:-1] if ended else row.ids)
    cuts = [text.find(stop) for stop in row.unit.sampling.stop if stop in text]
    return Completion(
        text=text[: min(cuts)] if cuts else text,
        finish_reason=row.reason or "length",
        prompt_tokens=prompt_tokens,
        tokens=len(row.ids),
        logprobs=tuple(row.logprobs),
        top_logprobs=tuple(row.top),
    )


def _named(ids: Sequence[int], values: Sequence[float], renderer: Renderer) -> dict[str, float]:
    """Token text → log-probability, likeliest first. A token that is no whole text (half a character, a special
    token), or reads like a likelier one, goes by its name in the vocabulary, so that no probability is lost."""
    named: dict[str, float] = {}
    for token, value in zip(ids, values, strict=True):
        text, name = renderer.decode([token]), renderer.tokens.name(token)
        if name.startswith(WORD_START) and not text.startswith(" "):
            text = f" {text}"  # these tokenizers strip the space of a first word
        whole = text and "\ufffd" not in text and text not in named
        named[text if whole else name] = value
    return named


def choose(logits: Any, sampling: Sampling, rngs: Sequence[random.Random]) -> list[int]:
    """The next token id of each row of float32 logits (rows, vocabulary): the likeliest at temperature 0, otherwise
    drawn by inverting the cumulative distribution (float64, on the CPU) at one uniform number of the row's own."""
    if sampling.temperature == 0:
        return [int(i) for i in logits.argmax(-1).tolist()]
    probabilities, ids = _candidates(logits / sampling.temperature, sampling)
    cumulative = probabilities.double().cpu().cumsum(-1)
    uniform = [rng.random() for rng in rngs]
    chosen = []
    for i, number in enumerate(uniform):
        place = int((cumulative[i] <= number * cumulative[i, -1]).sum())
        place = min(place, cumulative.shape[1] - 1)
        chosen.append(place if ids is None else int(ids[i, place]))
    return chosen


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
