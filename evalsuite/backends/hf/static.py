"""Decode loops for architectures whose cache cannot be shared or cut into slots: static batches of whole prompts.

Prompts are padded on the left; finished rows are dropped from the cache when they are more than half of it.
"""

from collections.abc import Sequence
from typing import Any

from evalsuite.backends.hf.net import Net, inputs, logits_at, pad
from evalsuite.backends.hf.rows import Row, advance, completion
from evalsuite.models import Renderer
from evalsuite.records import Done


def speak_in_batches(net: Net, renderer: Renderer, rows: Sequence[Row], budget: int, most: int, tell: Done) -> None:
    """Runs rows to their ends in batches of at most `most` rows and `budget` padded tokens (one row always fits)."""
    speak = _speak_cached if net.caches else _speak_again
    ordered = sorted(rows, key=lambda row: (-len(row.prompt) - row.limit, row.number))
    while ordered:
        longest = len(ordered[0].prompt) + ordered[0].limit
        count = max(1, min(most, budget // longest))
        batch, ordered = ordered[:count], ordered[count:]
        speak(net, renderer, batch)
        for row in batch:
            tell(row.number, completion(row, renderer))


def _speak_cached(net: Net, renderer: Renderer, rows: Sequence[Row]) -> None:
    import torch

    ids, mask = pad([row.prompt for row in rows], left=True)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    active: list[Row] = list(rows)
    cache: Any = None
    while True:
        count = len(active)
        at = torch.arange(count), torch.full((count,), ids.shape[1] - 1)
        logits, output = logits_at(net, *at, **inputs(net, ids, mask, positions), past_key_values=cache, use_cache=True)
        if cache is None:
            net.prefilled += ids.numel()
        cache = output.past_key_values
        advance(active, logits, renderer)
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


def _speak_again(net: Net, renderer: Renderer, rows: Sequence[Row]) -> None:
    """For an architecture without a key-value cache (Mamba, RWKV, ...): every step runs the whole texts again, padded
    on the right, where no causal model looks. Slow and right."""
    import torch

    active = list(rows)
    while active:
        texts = [(*row.prompt, *row.ids) for row in active]
        ids, mask = pad(texts, left=False)
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        at = torch.arange(len(active)), torch.tensor([len(text) - 1 for text in texts])
        logits, _ = logits_at(net, *at, **inputs(net, ids, mask, positions), use_cache=False)
        advance(active, logits, renderer)
        active = [row for row in active if row.reason is None]
