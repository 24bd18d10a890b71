"""Supervised fine-tuning: the likelihood of answers."""

from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from evalsuite.records import assistant
from evalsuite.training.contract import Batch, Encode, Item, Row, Tokenised, Unusable
from evalsuite.training.objectives.scores import nll

if TYPE_CHECKING:
    from torch import Tensor

CARD = {
    "objective": "-Σ_t log π(y_t | x, y_<t) over the answers' tokens, divided by their number in the accumulated batch",
    "data": "prompt and completion, or messages",
    "source": "Ouyang et al. 2022 (arXiv 2203.02155), section 3.5",
    "knobs": {"learning_rate": "1e-5 to 2e-5, with LoRA 1e-4 to 2e-4", "turns": "last, or all of a conversation"},
    "reduces_to": [],
}
DATA, MODEL = "completions", "policy"


@dataclass(frozen=True)
class Config:
    """`turns`: the "last" answer of a conversation is learned, or "all" that the assistant says in it."""

    turns: Literal["last", "all"] = "last"


def items(row: Row, encode: Encode, config: Config) -> list[Item]:
    if config.turns == "last":
        return [Item((encode(row.messages, row.answers[0]),), row=row.id)]
    return [Item((sequence,), row=row.id) for sequence in conversation(row, encode)]


def conversation(row: Row, encode: Encode) -> list[Tokenised]:
    """Every answer of a conversation behind the turns before it, up to the first that does not fit: one sequence where
    the template writes turns as it wrote them before, another where it changes what lies behind (drops a reasoning,
    say). Raises Unusable where no answer fits."""
    found: list[Tokenised] = []
    for turn, message in enumerate((*row.messages, assistant(row.answers[0]))):
        answer, last = message["content"], turn == len(row.messages)
        asked = any(m["role"] == "user" for m in row.messages[:turn])  # an opening line answers nothing
        if message["role"] != "assistant" or not isinstance(answer, str) or not (last or (asked and answer.strip())):
            continue
        try:
            made = encode(row.messages[:turn], answer)
        except Unusable:
            if not found:
                raise
            break
        before = found[-1] if found else None
        if before is not None and made.ids[: len(before.ids)] == before.ids:
            made = replace(made, mask=array("b", (*before.mask, *made.mask[len(before.mask) :])))
            found.pop()
        found.append(made)
    return found


def weight(batch: Batch) -> float:
    """Tokens, not sequences: a mean of means would weigh those of short parts more."""
    return float(batch.tokens)


def loss(logps: "Tensor", batch: Batch, config: Config) -> "tuple[Tensor, dict[str, Tensor]]":
    value = nll(logps, batch.mask)
    return value, {"nll": value.detach()}
