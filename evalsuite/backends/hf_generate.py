"""Continuous batches: each prompt is prefilled once, texts that end leave at once, waiting ones take their slots.

Prompts run through the tree walk of `hf_tree`, so a shared beginning (a system prompt, demonstrations) is computed
once, and so is a prompt that is drawn from several times. Texts then speak from slots (`hf_slots`), one token each at
every step. Who joins when follows from the rows and the budget alone, so a repeated group repeats exactly.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.backends.hf_net import Net, inputs, logits_at
from evalsuite.backends.hf_rows import Row, advance, completion
from evalsuite.backends.hf_slots import Slots
from evalsuite.backends.hf_tree import Tree, additive, walk
from evalsuite.models import Renderer
from evalsuite.planning.groups import drawing
from evalsuite.records import Done


@dataclass(frozen=True)
class Budget:
    """What fits: `chunk` nodes of one packed forward, `read` rows of logits, `slots` tokens in all slots together,
    `rows` texts at once."""

    chunk: int
    read: int
    slots: int
    rows: int


@dataclass
class Prefilled:
    """A prompt whose cache is ready: keys and values by layer, the logits behind it (1, vocabulary), its rows."""

    columns: list[tuple[Any, Any]]
    logits: Any
    rows: list[Row]


def speak(net: Net, renderer: Renderer, rows: Sequence[Row], budget: Budget, tell: Done) -> None:
    """Runs rows to their ends and tells each completion as it is finished."""
    if len({drawing(row.unit.sampling) for row in rows}) > 1:
        raise AssertionError("units that draw differently in one batch")
    longest = max(len(row.prompt) + row.limit for row in rows)
    count = max(1, min(budget.rows, budget.slots // longest, len(rows)))
    slots, active = Slots(count, longest), list[Row]()
    waiting: deque[tuple[Prefilled, Row]] = deque()
    prompts = _prefill(net, rows, budget)
    while True:
        while len(active) < count:
            if not waiting:
                ready = next(prompts, None)
                if ready is None:
                    break
                _begin(ready, renderer, tell)
                waiting.extend((ready, row) for row in ready.rows if row.reason is None)
                continue
            prompt, row = waiting.popleft()
            slots.add(prompt.columns)
            active.append(row)
        if not active:
            return
        advance(active, step(net, [row.ids[-1] for row in active], slots), renderer)
        for place in range(len(active) - 1, -1, -1):
            if active[place].reason is not None:
                tell(active[place].number, completion(active[place], renderer))
                slots.drop(place)
                active[place] = active[-1]
                active.pop()


def _prefill(net: Net, rows: Sequence[Row], budget: Budget) -> Iterator[Prefilled]:
    """Prompts in the order of their first row, each distinct prefix of neighbours forwarded once."""
    tree = Tree()
    ends: dict[int, list[Row]] = {}
    prompts: dict[tuple[int, ...], list[Row]] = {}
    for row in rows:
        prompts.setdefault(row.prompt, []).append(row)
    for ids, same in prompts.items():
        ends[tree.add(ids)[-1]] = same
    for chunk in walk(net, tree, ends.keys(), budget.chunk, budget.read):
        for place, node in enumerate(chunk.read):
            columns = chunk.columns_of(tree.path_to(node))
            yield Prefilled(columns, chunk.logits[place : place + 1], ends[node])


def _begin(ready: Prefilled, renderer: Renderer, tell: Done) -> None:
    """Draws the first token of a prompt's rows."""
    advance(ready.rows, ready.logits.expand(len(ready.rows), -1), renderer)
    for row in ready.rows:
        if row.reason is not None:
            tell(row.number, completion(row, renderer))


def step(net: Net, tokens: Sequence[int], slots: Slots) -> Any:
    """Logits (slots, vocabulary) behind one more token in every slot."""
    import torch

    positions = torch.tensor(slots.lengths)[:, None]
    ids = torch.tensor(tokens)[:, None]
    given = inputs(net, ids, torch.ones_like(ids), positions)
    given["attention_mask"] = additive(slots.step(), net)
    rows = torch.arange(len(tokens))
    logits, _ = logits_at(net, rows, torch.zeros_like(rows), **given, past_key_values=slots.cache, use_cache=True)
    return logits
