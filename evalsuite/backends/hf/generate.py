"""Continuous batches: each prompt is prefilled once, texts that end leave at once, waiting ones take their slots.

Prompts run through the tree walk of `hf.tree`, so a shared beginning (a system prompt, demonstrations) is computed
once, and so is a prompt that is drawn from several times. Texts then speak from slots (`hf.slots`), one token each at
every step. Who joins when follows from the rows and the budget alone, so a repeated group repeats exactly.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.backends.hf.net import Net, inputs, logits_at
from evalsuite.backends.hf.rows import Row, advance, completion
from evalsuite.backends.hf.slots import Slots
from evalsuite.backends.hf.tree import Tree, additive, walk
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
    """Prompts whose cache is ready: keys and values by layer (prompts, heads, columns, width), and the logits behind
    each (prompts, vocabulary)."""

    columns: list[tuple[Any, Any]]
    lengths: list[int]
    logits: Any
    rows: list[list[Row]]  # those of each prompt


Waiting = deque[tuple[Prefilled, int, Row]]


def speak(net: Net, renderer: Renderer, rows: Sequence[Row], budget: Budget, tell: Done) -> None:
    """Runs rows to their ends and tells each completion as it is finished."""
    if len({drawing(row.unit.sampling) for row in rows}) > 1:
        raise AssertionError("units that draw differently in one batch")
    longest = max(len(row.prompt) + row.limit for row in rows)
    count = max(1, min(budget.rows, budget.slots // longest, len(rows)))
    slots, active = Slots(count, longest), list[Row]()
    waiting: Waiting = deque()
    prompts = _prefill(net, rows, budget)
    while True:
        while len(active) < count:
            if waiting:
                active += _seat(waiting, slots, count - len(active))
                continue
            ready = next(prompts, None)
            if ready is None:
                break
            waiting.extend(_begin(ready, renderer, tell))
        if not active:
            return
        advance(active, step(net, [row.ids[-1] for row in active], slots), renderer)
        finished = {place for place, row in enumerate(active) if row.reason is not None}
        if finished:
            for place in sorted(finished):
                tell(active[place].number, completion(active[place], renderer))
            active = [active[place] for place in slots.drop(finished)]


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
        if chunk.read:
            paths = [tree.path_to(node) for node in chunk.read]
            rows_of = [ends[node] for node in chunk.read]
            yield Prefilled(chunk.gathered(paths), [len(path) for path in paths], chunk.logits, rows_of)


def _begin(ready: Prefilled, renderer: Renderer, tell: Done) -> Iterator[tuple[Prefilled, int, Row]]:
    """Draws the first token of every row; those that go on wait for a slot."""
    places = [place for place, same in enumerate(ready.rows) for _ in same]
    rows = [row for same in ready.rows for row in same]
    advance(rows, ready.logits[places], renderer)
    for place, row in zip(places, rows, strict=True):
        if row.reason is None:
            yield ready, place, row
        else:
            tell(row.number, completion(row, renderer))


def _seat(waiting: Waiting, slots: Slots, free: int) -> list[Row]:
    """Gives free slots to the rows in front that were prefilled together."""
    ready, seated = waiting[0][0], list[tuple[int, Row]]()
    while waiting and len(seated) < free and waiting[0][0] is ready:
        _, place, row = waiting.popleft()
        seated.append((place, row))
    slots.add(ready.columns, [place for place, _ in seated], [ready.lengths[place] for place, _ in seated])
    return [row for _, row in seated]


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
