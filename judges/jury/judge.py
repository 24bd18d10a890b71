"""Several judge models vote on two answers, each alone: the jury's verdict is their mean or their majority."""

from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from evalsuite.judging.contract import ORDERS, Annotation, Case, Outcome, Placement, Verdict, mean_over_orders
from evalsuite.judging.expected import expected
from evalsuite.judging.jury import Jury, convene
from evalsuite.judging.quoting import conversation, quote
from evalsuite.judging.templates import beside
from evalsuite.records import Completions, Request, Sampling, system, user
from evalsuite.scoring.verdicts import choice_letter

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "jury",
    "answers": [2, 2],
    "models": 2,
    "options": {"rule": "mean", "quorum": 0},
}

LETTERS = {"A": 1.0, "B": 0.0, "C": 0.5}
SAMPLING = Sampling(max_tokens=16, temperature=0.0, top_logprobs=10)
_file = beside(__file__)


def requests(case: Case) -> list[Request]:
    """One request for each order; every juror gets the same ones."""
    return [
        Request(
            "generate",
            (system(_file("system.md")), user(_prompt(case, order))),
            key=order,
            continuations=tuple(LETTERS),
            sampling=SAMPLING,
            role="judge",
        )
        for order in ORDERS
    ]


def parse(case: Case, completions: Completions, key: str) -> Verdict | None:
    """A juror's vote: the expectation over the letters where their log-probabilities are given, else the letter; by
    the letters' likelihoods where those were asked for; None where the reply names no letter, or several."""
    replies = completions.of(key)
    if len(replies) == len(LETTERS):
        scored = {letter: reply.logprob for letter, reply in zip(LETTERS, replies, strict=True)}
        value = expected([scored], LETTERS, max(scored, key=lambda letter: scored[letter]))
        return None if value is None else Verdict(value, "likelihood", key)
    letter = choice_letter(replies[0].text, "".join(LETTERS))
    if letter is None:
        return None
    value = expected(replies[0].top_logprobs, LETTERS, letter)
    return Verdict(LETTERS[letter], "text", key) if value is None else Verdict(value, "logprobs", key)


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean over orders."""
    return mean_over_orders(verdicts)


def convened(annotations: Sequence[Annotation], options: Mapping[str, Any] = JUDGE["options"]) -> list[Annotation]:
    """The jury's rows out of all jurors' rows."""
    return convene(annotations, Jury(options["rule"], options["quorum"]))


def _prompt(case: Case, order: str) -> str:
    first, second = Placement(case, order).shown
    fields = {"conversation": conversation(case.messages), "first": quote(first), "second": quote(second)}
    return Template(_file("prompt.md")).substitute(fields)


def read(reply: str) -> float | None:
    """A juror's preference for the first answer, by the text of its vote."""
    letter = choice_letter(reply, "".join(LETTERS))
    return None if letter is None else LETTERS[letter]


PARSER = {
    "function": read,
    "table": [
        ("A", 1.0),
        ("b", 0.0),
        ("C.", 0.5),
        ("**A**", 1.0),
        ("My vote: B", 0.0),
        ("Vote: [[C]]", 0.5),
        ("A, because it keeps to the question.", 1.0),
        ("A or B", None),
        ("[[A]] and [[B]]", None),
        ("Both are weak.", None),
        ("I abstain.", None),
        ("", None),
    ],
}


def replay() -> list[str]:
    """Recorded votes of three jurors on one placement must give these verdicts by mean and by majority."""
    recorded: list[tuple[tuple[float | None, ...], int, float | None, float | None]] = [
        ((1.0, 1.0, 0.0), 0, 2 / 3, 1.0),
        ((1.0, 0.5, 0.0), 0, 0.5, 0.5),  # no verdict has more votes than another
        ((0.9, 0.8, 0.1), 0, 0.6, 1.0),
        ((1.0, None, 0.0), 0, 0.5, 0.5),
        ((1.0, None, None), 0, None, None),  # one of three is no quorum
        ((1.0, 1.0, None), 3, None, None),
    ]
    faults = []
    for votes, quorum, mean, majority in recorded:
        for rule, wanted in (("mean", mean), ("majority", majority)):
            row = convened([_row(f"m{i}", v) for i, v in enumerate(votes)], {"rule": rule, "quorum": quorum})[0]
            same = row.preference == wanted if wanted is None else abs((row.preference or 0.0) - wanted) < 1e-12
            if not same or (row.status == "parsed") != (wanted is not None):
                faults.append(f"{votes} by {rule}, quorum {quorum}: {row.preference}, not {wanted}")
    return faults


def _row(model: str, vote: float | None) -> Annotation:
    status = "judge_parse" if vote is None else "parsed"
    return Annotation("q", "", "x", "y", "jury/1", model, "jury", "ab", vote, status)  # type: ignore[arg-type]
