"""The words of judging, as typed records: case → placements → verdicts → annotations → outcomes.

A judge is a content folder `judges/<name>/`: a module `judge.py`, or a `judge.toml` with prompt files (templates.py).
It has `JUDGE` (a literal: version, protocol, options, ...) and pure functions:

* `requests(case)`: what is asked first, each request under a `key` of its own; none where nothing is to decide
* `decide(case)` (optional): verdicts that need no model; then nothing is asked
* `follow_up(case, completions)` (optional): what is asked next, out of the replies so far; none when all is said
* `parse(case, completions, key)`: what the reply called `key` says: a Verdict (or several), a Step where it is no
  verdict but something that later requests build on, or None where it holds neither: it is asked again a few times
* `aggregate(verdicts)`: an Outcome out of all verdicts on one case

A request's key is its own, and a placement's order ("ab": answer 0 is shown first) stands in the Verdict. Which model
answers is nobody's business here; requests that are equal word by word (the criteria of one question, the baseline's
grade) are asked once, whichever case they belong to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evalsuite.records import Message

Order = str
ORDERS: tuple[Order, ...] = ("ab", "ba")
Mode = Literal["text", "logprobs", "likelihood", "reward", "person", "none"]
Status = Literal[
    "parsed",
    "identical",  # both answers are the same text: a tie, nobody was asked
    "empty",  # an empty answer lost without being shown
    "judge_parse",  # the reply holds no verdict, after all attempts
    "judge_refusal",
    "truncated",  # the judge ran into its token limit
    "too_long",  # the request does not fit the judge's window
    "backend_error",
    "skipped",  # a step before it failed, so that it was never asked
]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that is weighed. `kind`: "principle" (a matter of degree) or "hard" (kept or broken)."""

    text: str
    weight: float = 1.0
    kind: Literal["principle", "hard"] = "principle"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `model` gave it; `messages` is the conversation before it, where that is the model's own (a second
    turn), else the case's holds."""

    text: str
    model: str = ""
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation and the answers to it that are judged: one, two, or more.

    `reference` is an answer known to be good (of a person, say), `baseline` one that grades are anchored at,
    `auxiliary` answers are compared to find criteria, `criteria` are given ones. `category` routes and groups.
    """

    id: str
    messages: tuple[Message, ...]
    answers: tuple[Answer, ...]
    task: str = ""
    category: str = ""
    repeat: int = 0
    reference: str | None = None
    baseline: Answer | None = None
    auxiliary: tuple[Answer, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def a(self) -> str:
        return self.answers[0].text

    @property
    def b(self) -> str:
        return self.answers[1].text

    def conversation(self, answer: int = 0) -> tuple[Message, ...]:
        """What stands before an answer."""
        return self.answers[answer].messages or self.messages


@dataclass(frozen=True, slots=True)
class Placement:
    """A case of two answers as a judge sees it: which answer stands first."""

    case: Case
    order: Order

    @property
    def shown(self) -> tuple[str, str]:
        """(first, second) answer."""
        return (self.case.a, self.case.b) if self.order == "ab" else (self.case.b, self.case.a)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said.

    On two answers: `value` in [0, 1] is its preference for the answer shown first (1 better, 0.5 equal, 0 worse) and
    `order` says which one that was. On one answer: `value` is its grade on the judge's scale, `answer` its place among
    the case's answers, `order` "". `aspect` names what was graded where one judge grades several things.
    `mode` says how it was read: "text", "logprobs" (an expectation over the next token), "likelihood" (over given
    continuations), "reward". `details` go into the annotation as they are: plain JSON.
    """

    value: float
    mode: Mode = "text"
    order: Order = "ab"
    answer: int = 0
    aspect: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def preference(self) -> float:
        """Preference for answer 0, whatever the order was; of verdicts on two answers."""
        return 1 - self.value if self.order == "ba" else self.value


@dataclass(frozen=True, slots=True)
class Step:
    """A reply that was understood and is no verdict: criteria, claims, a draft. `value` is plain JSON."""

    value: Any


Reading = Verdict | Sequence[Verdict] | Step | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case decided: of two answers the preference for answer 0 in [0, 1], of one its grade; None where a verdict is
    missing. `consistent`: the orders name the same winner (or both a tie); None where there are not two of them."""

    preference: float | None
    consistent: bool | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """One row of an annotations file: one word of a judge, or of a person, on one answer or one pair.

    `preference` is for model_a in [0, 1], already mapped back; `score` is a grade on the judge's own scale; one of the
    two is set where `status` is "parsed", "identical" or "empty", else both are None. A person's rows have judge
    "person", the person's name in `judge_model`. Lengths are characters of the answers; `cost` is in the currency of
    the server's price list, None where it is not known. `attempts` counts how often it was asked.
    """

    sample: str
    task: str
    model_a: str
    model_b: str
    judge: str
    judge_model: str
    protocol: str
    order: Order
    preference: float | None
    status: Status
    mode: Mode = "none"
    score: float | None = None
    aspect: str = ""
    category: str = ""
    raw: str = ""
    finish_reason: str = "stop"
    tokens: int = 0
    prompt_tokens: int = 0
    cost: float | None = None
    seed: int = 0
    repeat: int = 0
    attempts: int = 1
    length_a: int = 0
    length_b: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


def pair(identity: str, messages: Sequence[Message], a: Answer, b: Answer, task: str = "", repeat: int = 0) -> Case:
    """The usual case: two answers to one conversation."""
    return Case(identity, tuple(messages), (a, b), task=task, repeat=repeat)


def mean_over_orders(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean preference for answer 0 over all orders that were asked.

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


def mean_grade(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean grade of one answer over all verdicts on it (repeats, aspects of equal weight); None where one is
    missing."""
    given = [v.value for v in verdicts if v is not None]
    return Outcome(sum(given) / len(given)) if given and len(given) == len(verdicts) else Outcome(None)
