"""Token sequences → batches of about equal cost: sort a pool by length, cut by tokens, shuffle the batches.

No packing, and padding on the right: under causal attention a padded position then needs no mask, so the attention
kernel stays on its fast path.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence; `mask[i]` says whether token i is to be learned (the first token never can be)."""

    ids: Sequence[int]
    mask: Sequence[bool]


@dataclass(frozen=True)
class TokenBatch:
    """`ids` (B, T) padded on the right; `mask` (B, T) true where the token counts in the loss."""

    ids: "Tensor"
    mask: "Tensor"


@dataclass(frozen=True)
class PairBatch:
    """Chosen and rejected sequences stacked: `ids` (2B, T), the first B rows are the chosen ones; `mask` (2B, T)."""

    ids: "Tensor"
    mask: "Tensor"


def pad(rows: Sequence[Sequence[int]], value: int) -> "Tensor":
    """Rows of different lengths → (B, T) int64, padded on the right."""
    import torch

    out = torch.full((len(rows), max(map(len, rows))), value, dtype=torch.long)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.as_tensor(row)
    return out


def token_batches(
    draw: Callable[[int], list[Example]], rng: random.Random, *, batch_tokens: int, pool: int, pad_id: int
) -> Iterator[TokenBatch]:
    """Endless batches of at most `batch_tokens` positions (one sequence at least) out of pools of `pool` examples."""
    while True:
        for rows in cut(draw(pool), rng, batch_tokens):
            yield TokenBatch(pad([r.ids for r in rows], pad_id), pad([[*map(int, r.mask)] for r in rows], 0).bool())


def cut(examples: list[Example], rng: random.Random, batch_tokens: int) -> list[list[Example]]:
    """Sorts by length, cuts so that rows × longest row fits, and shuffles the batches."""
    examples = sorted(examples, key=lambda e: len(e.ids))
    batches: list[list[Example]] = []
    for example in examples:
        if not batches or (len(batches[-1]) + 1) * len(example.ids) > batch_tokens:
            batches.append([])
        batches[-1].append(example)
    rng.shuffle(batches)
    return batches


def pair_batches(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]], rng: random.Random, *, size: int, pad_id: int
) -> list[PairBatch]:
    """One epoch of (chosen, rejected) sequences: shuffled, then sorted by length, cut into `size`, batches shuffled."""
    order = list(pairs)
    rng.shuffle(order)
    order.sort(key=lambda p: max(len(p[0]), len(p[1])))
    chunks = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(chunks)
    batches = []
    for chunk in chunks:
        rows = [c for c, _ in chunk] + [r for _, r in chunk]
        batches.append(PairBatch(pad(rows, pad_id), pad([[1] * len(r) for r in rows], 0).bool()))
    return batches
