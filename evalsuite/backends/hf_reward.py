"""Rewards of conversations: a sequence-classification head's named numbers."""

from collections.abc import Iterator, Sequence
from typing import Any

from evalsuite.backends.hf_net import Net, forward, inputs, pad
from evalsuite.models import Renderer
from evalsuite.records import Completion, Done, Unit


def rewards_of(net: Net, renderer: Renderer, units: Sequence[Unit], budget: int, tell: Done) -> None:
    """Tells {"reward": x}, or one number for each label of the head, for each unit's whole conversation. Batches hold
    at most `budget` padded tokens (one row always fits)."""
    rows = [unit.prompt_ids or renderer.conversation_ids(unit.messages) for unit in units]
    for batch in _batches(rows, budget):
        for place, answer in zip(batch, _judge(net, [rows[i] for i in batch]), strict=True):
            tell(place, answer)


def _batches(rows: Sequence[Sequence[int]], budget: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for place in sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i)):
        if batch and (len(batch) + 1) * len(rows[batch[0]]) > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _judge(net: Net, rows: Sequence[Sequence[int]]) -> list[Completion]:
    import torch

    # Classifiers read the last token that is not the pad id, and many checkpoints pad with EOS, which also ends a
    # conversation: pad with an id that stands in no row.
    held = {token for row in rows for token in row}
    spare = next(i for i in range(net.vocabulary - 1, -1, -1) if i not in held)
    net.module.config.get_text_config().pad_token_id = spare
    net.module.config.pad_token_id = spare
    ids, mask = pad(rows, left=False, filler=spare)
    positions = torch.arange(ids.shape[1]).expand_as(ids)
    logits = forward(net, **inputs(net, ids, mask, positions)).logits.float()
    return [
        Completion(prompt_tokens=len(row), rewards=_named(net, values))
        for row, values in zip(rows, logits.tolist(), strict=True)
    ]


def _named(net: Net, values: Sequence[float]) -> dict[str, float]:
    if len(values) == 1:
        return {"reward": values[0]}
    labels: dict[Any, str] = net.module.config.id2label
    return {str(labels[i]): value for i, value in enumerate(values)}
