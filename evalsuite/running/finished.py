"""What a backend answered → what is stored: whole characters, reasoning split off, numbers that are numbers."""

import math
from dataclasses import replace
from typing import overload

from evalsuite.models import Renderer
from evalsuite.models.reasoning import split_reasoning
from evalsuite.records import Completion, Unit

DEFAULT_MARKS = ("<think>", "</think>")


def finished(unit: Unit, completion: Completion, renderer: Renderer | None) -> Completion:
    """Splits a thinking model's reasoning off, by the template's own marks; no parser ever reads inside it.

    Log-probabilities and rewards that are no numbers (a broken checkpoint, an overflow) are a failure and no
    answer: a comparison with nan is false, so choices made out of them would look like real ones.
    """
    text, reasoning = whole(completion.text), whole(completion.reasoning)
    if text is not completion.text or reasoning is not completion.reasoning:
        completion = replace(completion, text=text, reasoning=reasoning)
    numbers = (*completion.logprobs, *completion.rewards.values(), *map(sum, completion.embedding))
    if any(map(math.isnan, numbers)):
        return Completion(finish_reason="error", error=f"backend_error: the model gave nan for a {unit.kind} request")
    if unit.kind == "loglikelihood" and not completion.text:
        return replace(completion, text=whole(unit.continuation))  # so that a stored row says what was scored
    if unit.kind != "generate" or completion.reasoning is not None or completion.error is not None:
        return completion
    marks = renderer.reasoning_marks if renderer is not None else None
    opened = bool(renderer and unit.prompt and renderer.opens_reasoning(unit.prompt))
    if marks is None and completion.text.lstrip().startswith(DEFAULT_MARKS[0]):
        marks = DEFAULT_MARKS
    if marks is None or not (opened or marks[0] in completion.text or marks[1] in completion.text):
        return completion
    reasoning, text, closed = split_reasoning(completion.text, marks, opened=opened)
    if reasoning is None:
        return completion
    # Tokens are shared out by characters: exact counts would need the ids, which servers do not give.
    share = len(reasoning) / max(1, len(reasoning) + len(text))
    tokens = round(completion.tokens * share)
    return replace(
        completion,
        text=text,
        reasoning=reasoning,
        reasoning_tokens=tokens,
        tokens=completion.tokens - tokens,
        reasoning_closed=closed,
    )


@overload
def whole(text: str) -> str: ...
@overload
def whole(text: None) -> None: ...
def whole(text: str | None) -> str | None:
    """A text without halves of surrogate pairs, which no file can hold (a server's or a file's cut emoji)."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
