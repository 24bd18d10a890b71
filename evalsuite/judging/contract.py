"""The words of judging, as typed records, and the aggregation over orders that pairwise judges share.

A judge module has `JUDGE` (a literal: version, protocol, ...) and pure functions:

* `requests(case)`: what is asked, one request for each order, its key "ab" or "ba"; none where nothing is to decide
* `parse(completion)`: a Verdict in the frame of what was shown, or None where the reply holds none
* `aggregate(verdicts)`: an Outcome out of all orders' verdicts, labels mapped back to A

Which model answers is nobody's business here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evalsuite.records import Message

Order = Literal["ab", "ba"]
ORDERS: tuple[Order, ...] = ("ab", "ba")


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison: a conversation and two answers to it. `model_a` and `model_b` name who gave them."""

    id: str
    messages: tuple[Message, ...]
    a: str
    b: str
    task: str = ""
    model_a: str = "a"
    model_b: str = "b"
    repeat: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placement:
    """A case as a judge sees it: which answer stands first."""

    case: Case
    order: Order

    @property
    def shown(self) -> tuple[str, str]:
        """(first, second) answer."""
        return (self.case.a, self.case.b) if self.order == "ab" else (self.case.b, self.case.a)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said about one placement: `first` in [0, 1] is its preference for the answer shown first (1 better,
    0.5 equal, 0 worse). `mode` says how it was read: "text", or "logprobs" (an expectation)."""

    first: float
    mode: Literal["text", "logprobs"] = "text"
    order: Order = "ab"

    @property
    def preference(self) -> float:
        """Preference for A, whatever the order was."""
        return self.first if self.order == "ab" else 1 - self.first


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case decided: preference for A in [0, 1], or None where a verdict is missing. `consistent`: the orders name
    the same winner (or both a tie); None where there are not two of them."""

    preference: float | None
    consistent: bool | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """One row of an annotations file: one judge's word on one placement. `preference` is for A, already mapped back,
    None where `status` is not "parsed" or "identical". Lengths are characters of the answers."""

    sample: str
    task: str
    model_a: str
    model_b: str
    judge: str
    judge_model: str
    protocol: str
    order: Order
    preference: float | None
    status: str
    mode: str
    raw: str
    finish_reason: str = "stop"
    tokens: int = 0
    prompt_tokens: int = 0
    seed: int = 0
    repeat: int = 0
    length_a: int = 0
    length_b: int = 0


def mean_over_orders(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean preference for A over all orders that were asked.

    Two opposite winners give 0.5, a winner and a tie 0.75 or 0.25, two ties 0.5. A case of which one order has no
    verdict has none: half a swap would carry the judge's liking for a position.
    """
    given = [v for v in verdicts if v is not None]
    if not given or len(given) < len(verdicts):
        return Outcome(None)
    preferences = [v.preference for v in given]
    winners = {(p > 0.5) - (p < 0.5) for p in preferences}
    consistent = len(winners) == 1 if len({v.order for v in given}) > 1 else None
    return Outcome(sum(preferences) / len(preferences), consistent)
