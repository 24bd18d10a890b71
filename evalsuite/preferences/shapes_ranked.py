"""Rows with a chosen and a rejected answer: TRL's formats, HH, UltraFeedback (binarized), ShareGPT ranking, orca_dpo,
HHH, and our microworld's rows.

Without a prompt of its own a row's prompt is what both sides share: turn by turn, so that HH's is all up to and
including the last `Assistant:`.
"""

from typing import Any

from evalsuite.judging.importing.codings import of_number
from evalsuite.preferences.shapes_parts import Found, Row, Shape, as_messages, known, one, parted, prompt_in, turns
from evalsuite.records import Message, assistant

SIDES = ("chosen", "rejected")
USED = ("prompt", *SIDES, "question", "instruction", "query", "input", "system", "conversations", "messages")


def read_ranked(row: Row) -> Found:
    """One pair: `a` chosen, `b` rejected, the prompt whatever the row calls it, else what both sides share."""
    chosen, rejected = row["chosen"], row["rejected"]
    if chosen is None or rejected is None:
        return
    prompt = prompt_in(row)
    # An HH string holds the whole conversation; a plain text beside a prompt is the answer alone.
    whole = not prompt and all(isinstance(side, str) for side in (chosen, rejected))
    first, second = (turns(side) if whole and _turned(row) else _answer(side) for side in (chosen, rejected))
    shared, a, b = parted(first, second)
    yield {"messages": _joined(prompt, shared), "a": a, "b": b, "preference": 1.0, **known(row, *USED)}


def _answer(side: Any) -> tuple[Message, ...]:
    messages = (assistant(side),) if isinstance(side, str) else as_messages(side)
    if not messages:
        raise ValueError("chosen or rejected has no message")
    return messages


def _joined(prompt: tuple[Message, ...], shared: tuple[Message, ...]) -> tuple[Message, ...]:
    """A prompt and what both sides share, which often begins with the same prompt again."""
    if not shared:
        return prompt
    return shared if prompt and prompt[-1]["content"] in [m["content"] for m in shared] else (*prompt, *shared)


def read_microworld(row: Row) -> Found:
    """The microworld's rows: features, gold reward and the exact chance of the label stand in the metadata of both
    sides. `p.a` is the chance that this person, flips included, labels `a` as the better one."""
    for pair in read_ranked(row):
        metadata = dict(pair["metadata"])
        p = of_number(metadata.get("p"))
        if p is not None:
            metadata["p"] = {"a": p, "b": 1 - p}
        yield {**pair, "metadata": metadata}


def _conversational(row: Row) -> bool:
    return not isinstance(row["chosen"], str)


def _turned(row: Row) -> bool:
    return isinstance(row["chosen"], str) and "Assistant:" in row["chosen"]


def _scored(row: Row) -> bool:
    inner = row.get("metadata") if isinstance(row.get("metadata"), dict) else {}
    keys = {*row, *(inner or ())}
    return {"score_chosen", "score_rejected"} <= keys or {"chosen-rating", "rejected-rating"} <= keys


READ = one(read_ranked)
SHAPES = (
    Shape("microworld", ("prompt", *SIDES, "person", "features", "gold"), one(read_microworld)),
    Shape("UltraFeedback (binarized)", ("prompt", *SIDES), READ, check=_scored),
    Shape("ShareGPT ranking", ("conversations", *SIDES), READ),
    Shape("TRL (conversational)", ("prompt", *SIDES), READ, check=_conversational),
    Shape("TRL (standard)", ("prompt", *SIDES), READ),
    Shape("orca_dpo", ("question", *SIDES), READ),
    Shape("HHH or instruction ranking", ("instruction", *SIDES), READ),
    Shape("TRL (conversational, no prompt)", SIDES, READ, check=_conversational),
    Shape("HH", SIDES, READ, check=_turned),
    Shape("TRL (no prompt)", SIDES, READ),
)
