"""Which of two answers is better? Both orders, one letter, read from its log-probabilities where they are given."""

from collections.abc import Sequence
from dataclasses import replace
from string import Template
from typing import Any

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import ORDERS, Answer, Case, Outcome, Placement, Verdict, mean_over_orders, pair
from evalsuite.judging.quoting import conversation, quote
from evalsuite.judging.reading import label
from evalsuite.judging.templates import beside
from evalsuite.records import Completion, Completions, Request, Sampling, system, user

JUDGE: dict[str, Any] = {"version": 2, "protocol": "pairwise", "answers": [2, 2]}

LABELS = {"A": 1.0, "B": 0.0, "C": 0.5}
SAMPLING = Sampling(max_tokens=32, temperature=0.0, top_logprobs=10)
_file = beside(__file__)


def requests(case: Case) -> list[Request]:
    """One request for each order. Raises JudgeError for images."""
    try:
        shown = conversation(case.messages)
    except JudgeError as error:
        raise JudgeError(f"sample {case.id}: {error}") from error
    return [_request(shown, Placement(case, order)) for order in ORDERS]


def parse(case: Case, completions: Completions, key: str) -> Verdict | None:
    """The judge's own reply, and nothing else, decides; None where it names no letter or several."""
    verdict = label(completions, key, LABELS)
    return verdict and replace(verdict, order=key, details={})


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean over orders, labels mapped back, ties counted half."""
    return mean_over_orders(verdicts)


def _request(shown: str, placement: Placement) -> Request:
    first, second = map(quote, placement.shown)
    prompt = Template(_file("prompt.md")).substitute(conversation=shown, first=first, second=second)
    return Request(
        "generate",
        (system(_file("system.md")), user(prompt)),
        key=placement.order,
        continuations=tuple(LABELS),
        sampling=SAMPLING,
        role="judge",
    )


def read(reply: str) -> float | None:
    """A reply's preference for the answer shown first, by its text."""
    verdict = label(Completions({"ab": [Completion(text=reply)]}), "ab", LABELS)
    return None if verdict is None else verdict.value


PARSER = {
    "function": read,
    "table": [
        ("A", 1.0),
        ("**B**", 0.0),
        ("C", 0.5),
        ("[[A]]", 1.0),
        ("This is a B", 0.0),
        ("Answer: (b)", 0.0),
        ("A is better than B.", 1.0),
        ("B\n\nIt keeps the length limit; A does not.", 0.0),
        ("Both are good.", None),
        ("A or B", None),
        ("[[A]] [[B]]", None),
        ("A is not better than B", None),
        ("Absolutely!", None),
        ("Bad", None),
        ("CORRECT", None),
        ("NOT CORRECT", None),
        ("", None),
        ("I'm sorry, but I can't compare these answers.", None),
    ],
}


def replay() -> list[str]:
    """Recorded replies to both orders of one case must give these outcomes."""
    recorded = [
        (("A", "B"), 1.0, True),  # names the same answer whatever its place
        (("B", "A"), 0.0, True),
        (("A", "A"), 0.5, False),  # names a place
        (("C", "C"), 0.5, True),
        (("A", "C"), 0.75, False),
        (("A", "Both"), None, None),
    ]
    faults = []
    case = pair("recorded", (user("Question"),), Answer("one"), Answer("two"))
    for replies, preference, consistent in recorded:
        completions = Completions({o: [Completion(text=reply)] for o, reply in zip(ORDERS, replies, strict=True)})
        placed = [parse(case, completions, order) for order in ORDERS]
        if aggregate(placed) != Outcome(preference, consistent):
            faults.append(f"{replies}: {aggregate(placed)}, not {preference}, consistent {consistent}")
    return faults
