"""Units with images in the `hf` backend: padded batches through the checkpoint's own generate and forward.

Families differ in how pixels, positions and masks of images go into a network, and transformers' own code for each of
them knows; so nothing here steps inside. Text is drawn by the same rules as without images: a logits processor draws
each token with `rows.advance` and leaves transformers no other choice, so greedy, seeded, stopped and
log-probability answers mean the same, and a row's companions change nothing of it.

Batches hold rows of similar length up to a budget of tokens (one row always fits); every row has an image.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from evalsuite.backends.hf.draw import likeliest
from evalsuite.backends.hf.net import Net, inputs, logits_at, pad
from evalsuite.backends.hf.rows import Row, advance, completion
from evalsuite.errors import InputError
from evalsuite.models import Renderer
from evalsuite.models.vision import VisionRenderer
from evalsuite.planning.groups import drawing
from evalsuite.records import Completion, Done, Unit

BATCH_TOKENS = 4096
"""Tokens of a batch, image places and answers included, unless the caller says otherwise."""


def generate_images(
    net: Net, renderer: Renderer, units: Sequence[Unit], done: Done | None = None, budget: int = BATCH_TOKENS
) -> list[Completion]:
    """Text for each unit, in their order. `done` hears of each batch as it ends."""
    sight = _sight(renderer)
    rows = [Row(i, unit, _prompt(unit, sight)) for i, unit in enumerate(units)]
    answers: dict[int, Completion] = {}
    for settings in dict.fromkeys(drawing(unit.sampling) for unit in units):
        alike = [row for row in rows if drawing(row.unit.sampling) == settings]
        sizes = {row.number: len(row.prompt) + row.limit for row in alike}
        for batch in _batches(sizes, budget):
            _speak(net, sight, [rows[i] for i in batch])
            for i in batch:
                answers[i] = completion(rows[i], sight)
                if done is not None:
                    done(i, answers[i])
    return [answers[i] for i in range(len(units))]


def loglikelihood_images(
    net: Net, renderer: Renderer, units: Sequence[Unit], done: Done | None = None, budget: int = BATCH_TOKENS
) -> list[Completion]:
    """Log-probability (nats) of each token of each unit's continuation, and whether all were the argmax."""
    sight = _sight(renderer)
    pairs = [
        (unit.prompt_ids, unit.continuation_ids)
        if unit.prompt_ids and unit.continuation_ids
        else sight.pair_ids(unit.messages, unit.continuation)
        for unit in units
    ]
    answers: dict[int, Completion] = {}
    for batch in _batches({i: len(c) + len(w) for i, (c, w) in enumerate(pairs)}, budget):
        for i, answer in zip(
            batch, _score(net, sight, [units[i] for i in batch], [pairs[i] for i in batch]), strict=True
        ):
            answers[i] = answer
            if done is not None:
                done(i, answer)
    return [answers[i] for i in range(len(units))]


# -- generation -------------------------------------------------------------------------------------------------------


def _speak(net: Net, sight: VisionRenderer, rows: Sequence[Row]) -> None:
    """Runs rows that draw alike to their ends."""
    import time

    import torch
    from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria
    from transformers import StoppingCriteriaList as Criteria

    class Draw(LogitsProcessor):
        """Draws by our rules; all other tokens get no chance."""

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            advance(rows, scores.float(), sight)
            forced = torch.full_like(scores, -torch.inf)
            drawn = torch.tensor([row.ids[-1] for row in rows], device=scores.device)
            return forced.scatter(1, drawn[:, None], 0.0)

    class Ended(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            return torch.tensor([row.reason is not None for row in rows], device=input_ids.device)

    ids, mask = pad([row.prompt for row in rows], left=True, filler=_filler(net, sight))
    given = _inputs(net, sight, [row.unit for row in rows], ids, mask)
    longest = max(row.limit for row in rows)
    # A checkpoint's own settings (repetition penalties, ...) would be merged into any that are given; these are whole.
    own, net.module.generation_config = net.module.generation_config, GenerationConfig()
    started = time.perf_counter()
    try:
        with torch.inference_mode():
            spoken = net.module.generate(
                **given,
                max_new_tokens=longest,
                do_sample=False,
                pad_token_id=_filler(net, sight),
                logits_processor=LogitsProcessorList([Draw()]),
                stopping_criteria=Criteria([Ended()]),
            )
    finally:
        net.module.generation_config = own
    net.tokens += spoken.numel()
    net.prefilled += ids.numel()
    net.seconds += time.perf_counter() - started


# -- scoring ----------------------------------------------------------------------------------------------------------


def _score(
    net: Net, sight: VisionRenderer, units: Sequence[Unit], pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> list[Completion]:
    import torch

    # The last token predicts nothing that is asked for, so it is not run; the token before each one predicts it.
    ids, mask = pad([(*context, *wanted)[:-1] for context, wanted in pairs], left=False, filler=_filler(net, sight))
    given = _inputs(net, sight, units, ids, mask)
    rows = torch.tensor([i for i, (_, wanted) in enumerate(pairs) for _ in wanted])
    columns = torch.tensor([len(context) - 1 + k for context, wanted in pairs for k in range(len(wanted))])
    logits, _ = logits_at(net, rows, columns, **given, use_cache=False)
    net.prefilled += ids.numel()
    targets = torch.tensor([token for _, wanted in pairs for token in wanted], device=logits.device)
    found = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0].tolist()
    hits = (likeliest(logits) == targets).tolist()
    answers, start = [], 0
    for context, wanted in pairs:
        span = slice(start, start := start + len(wanted))
        answers.append(
            Completion(
                prompt_tokens=len(context),
                tokens=len(wanted),
                logprobs=tuple(found[span]),
                greedy=all(hits[span]),
            )
        )
    return answers


# -- inside -----------------------------------------------------------------------------------------------------------


def _inputs(net: Net, sight: VisionRenderer, units: Sequence[Unit], ids: Any, mask: Any) -> dict[str, Any]:
    """The forward's arguments for padded ids and the images of their units. Positions are the network's own matter."""
    import torch

    pixels = sight.pixels([unit.messages for unit in units])
    given = {**inputs(net, ids, mask), **pixels.tensors}
    if pixels.per_token is not None:
        places = [sight.image_places(row) for row in ids.tolist()]
        given[pixels.per_token] = torch.tensor(places, dtype=torch.long) * mask
    return {name: _placed(net, value) for name, value in given.items()}


def _placed(net: Net, value: Any) -> Any:
    """A tensor on the network's device, floats in its type; anything else as it is."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    return value.to(net.device, net.module.dtype if value.is_floating_point() else value.dtype)


def _filler(net: Net, sight: VisionRenderer) -> int:
    """An id that fills rows: inside the vocabulary, and no place of an image (those are counted under the mask too)."""
    return sight.pad_id if sight.pad_id < net.vocabulary else next(iter(sight.eos_ids), 0)


def _prompt(unit: Unit, sight: VisionRenderer) -> tuple[int, ...]:
    return unit.prompt_ids if unit.prompt_ids is not None else sight.prompt_ids(unit.messages)


def _sight(renderer: Renderer) -> VisionRenderer:
    if not isinstance(renderer, VisionRenderer):
        raise InputError("a message holds an image, and this model reads text only")
    return renderer


def _batches(sizes: dict[int, int], budget: int) -> Iterator[list[int]]:
    """Places by falling size, cut so that rows x longest stays within the budget."""
    batch: list[int] = []
    for place in sorted(sizes, key=lambda i: (-sizes[i], i)):
        if batch and (len(batch) + 1) * sizes[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
