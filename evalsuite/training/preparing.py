"""Rows → items with the reference policy's log-probabilities, before the first step."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from evalsuite.errors import InputError
from evalsuite.records import Progress
from evalsuite.training import batching
from evalsuite.training.contract import Item, Row, Unusable
from evalsuite.training.encoding import Encoder, too_long
from evalsuite.training.objectives.scores import token_logps


@dataclass(frozen=True)
class Prepared:
    """Items, and how many rows were left out for what reason (`--skip-bad`)."""

    items: list[Item]
    skipped: Mapping[str, int] = field(default_factory=dict)


def prepare(
    method: Any, config: Any, rows: Sequence[Row], encoder: Encoder, skipped: Counter[str] | None = None,
    progress: Progress | None = None,
) -> Prepared:  # fmt: skip
    """Every row as the method's items. Raises Unusable for the first row that cannot be used, unless such rows are
    counted in `skipped`."""
    items: list[Item] = []
    for done, row in enumerate(rows, start=1):
        with _counted(skipped):
            _check(row)
            items += method.items(row, replace(encoder, where=row.place), config)
        if progress is not None and done % 1000 == 0:
            progress(done, len(rows), "rows read as tokens")
    if hasattr(method, "arrange"):
        items = method.arrange(items)
    if not items:
        raise InputError("--data: no row can be trained on" + _reasons(skipped))
    return Prepared(items, dict(skipped or {}))


def askable(
    rows: Sequence[Row], encoder: Encoder, config: Any, skipped: Counter[str] | None = None
) -> tuple[list[Row], Prepared]:
    """Prompts that leave room for an answer, for methods that draw answers. Raises Unusable as `prepare` does."""
    kept: list[Row] = []
    for row in rows:
        with _counted(skipped):
            length, room = len(encoder.renderer.prompt_ids(row.messages)), config.max_completion_length
            if length + room > encoder.max_length:
                about = f"{length} tokens, max_completion_length={room}"
                raise too_long(row.place, about, encoder.max_length, "shorten it, lower max_completion_length")
            kept.append(row)
    if not kept:
        raise InputError("--data: no prompt can be used" + _reasons(skipped))
    return kept, Prepared([], dict(skipped or {}))


@contextmanager
def _counted(skipped: Counter[str] | None) -> Iterator[None]:
    """Counts a row that cannot be used, where that is asked for."""
    try:
        yield
    except Unusable as error:
        if skipped is None:
            raise
        skipped[error.reason] += 1


def _reasons(skipped: Counter[str] | None) -> str:
    return f" ({', '.join(f'{why}: {n} rows' for why, n in skipped.items())})" if skipped else ""


def _check(row: Row) -> None:
    """Raises Unusable for answers from which nothing can be learned."""
    names = row.fields or ("the answer",) * len(row.answers)
    for name, answer in zip(names, row.answers, strict=True):
        if not answer.strip():
            raise Unusable(row.place, f"{name} is empty", "give it a text")
    if len(row.answers) == 2 and row.answers[0] == row.answers[1]:
        raise Unusable(row.place, f"{names[0]} and {names[1]} are the same text", "let them differ")


def with_reference(
    items: Sequence[Item], model: Any, pad_id: int, size: int, accelerator: Any, progress: Progress | None = None
) -> list[Item]:
    """The items with log-probabilities of the reference policy: the model as it stands before training (an adapter is
    switched off), read once, by all processes together. So no second model lies in memory, and no step pays for it."""
    import torch
    from accelerate.utils import gather_object

    flat = [(i, k) for i, item in enumerate(items) for k in range(len(item.sequences))]
    flat.sort(key=lambda place: len(items[place[0]].sequences[place[1]].ids))
    groups = [flat[start : start + size] for start in range(0, len(flat), size)]
    # Sharded weights are gathered by all processes at once, so all make the same number of calls.
    rounds = -(-len(groups) // accelerator.num_processes)
    own = [
        groups[min(r * accelerator.num_processes + accelerator.process_index, len(groups) - 1)] for r in range(rounds)
    ]
    found: list[tuple[tuple[int, int], array[float]]] = []
    training = model.training
    model.eval()
    with torch.no_grad(), _without_adapter(accelerator.unwrap_model(model)):
        for done, places in enumerate(own, start=1):
            batch = batching.collate([Item((items[i].sequences[k],)) for i, k in places], pad_id)
            batch = batch.to(accelerator.device)
            rows = token_logps(model, batch.ids, batch.mask).cpu()
            kind = "d" if rows.element_size() == 8 else "f"
            found += [
                (p, array(kind, row[: len(items[p[0]].sequences[p[1]].ids)]))
                for p, row in zip(places, rows.tolist(), strict=True)
            ]
            if progress is not None:
                progress(done, rounds, "reference policy")
    model.train(training)
    known = dict(gather_object(found))
    return [
        replace(item, sequences=tuple(replace(s, ref=known[i, k]) for k, s in enumerate(item.sequences)))
        for i, item in enumerate(items)
    ]


def _without_adapter(model: Any) -> Any:
    from contextlib import nullcontext

    return model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext()
