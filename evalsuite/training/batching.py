"""Items → batches: in which order they come, and how they are padded. Fixed by the seed alone, so that a resumed run
sees what an unbroken one would."""

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from evalsuite.training.contract import Batch, Item, Tokenised

if TYPE_CHECKING:
    from torch import Tensor

POOL = 32
"""Batches that are sorted by length together: padding is dear, and order matters a little."""


def plan(lengths: Sequence[int], size: int, epoch: int, seed: int) -> list[list[int]]:
    """One epoch: which items make up each batch of `size`. Shuffled, sorted by length inside pools, batches shuffled;
    the last one may be smaller."""
    rng = random.Random(f"{seed}:{epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), POOL * size):
        pool = sorted(order[start : start + POOL * size], key=lambda i: lengths[i])
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    rng.shuffle(batches)
    return batches


def epochs(lengths: Sequence[int], size: int, seed: int) -> Iterator[list[int]]:
    """Endless batches, epoch after epoch."""
    epoch = 0
    while True:
        yield from plan(lengths, size, epoch, seed)
        epoch += 1


def length(item: Item) -> int:
    return max(len(sequence.ids) for sequence in item.sequences)


def collate(items: Sequence[Item], pad_id: int) -> Batch:
    """Items as one batch (see `contract.Batch`). Shorter lists are filled up with rows that count nowhere."""
    import torch

    most = max(len(item.sequences) for item in items)
    blank = Tokenised((pad_id,), (False,))
    rows = [item.sequences[k] if k < len(item.sequences) else blank for k in range(most) for item in items]
    labels = [[item.labels[k] if k < len(item.labels) else 0.0 for k in range(most)] for item in items]
    valid = [[k < len(item.sequences) for k in range(most)] for item in items]
    names, given = items[0].columns, items[0].sequences[0].given
    longest = max(len(row.ids) for row in rows)
    return Batch(
        ids=_pad([row.ids for row in rows], pad_id, torch.long, longest),
        mask=_pad([row.mask for row in rows], False, torch.bool, longest),
        weight=_optional([row.weight for row in rows], [row.ids for row in rows], 1.0),
        ref=_optional([row.ref for row in rows], [row.ids for row in rows], 0.0),
        labels=torch.tensor(labels, dtype=torch.float32),
        valid=torch.tensor(valid),
        columns={name: torch.tensor([float(item.columns[name]) for item in items]) for name in names},
        given={name: _pad([row.given.get(name, ()) for row in rows], 0.0, torch.float32, longest) for name in given},
        rows=tuple(item.row for item in items),
    )


def _pad(rows: Sequence[Sequence[Any]], value: Any, dtype: Any, width: int) -> "Tensor":
    import torch

    out = torch.full((len(rows), width), value, dtype=dtype)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.as_tensor(row, dtype=dtype)
    return out


def _optional(rows: Sequence[Sequence[float] | None], ids: Sequence[Sequence[int]], value: float) -> "Tensor | None":
    """Rows of which some may be missing, filled with a value; None where all are."""
    import torch

    if all(row is None for row in rows):
        return None
    full = [row if row is not None else [value] * len(i) for row, i in zip(rows, ids, strict=True)]
    return _pad(full, value, torch.float32, max(map(len, ids)))
