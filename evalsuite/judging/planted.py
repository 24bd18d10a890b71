"""Rewards as a judge's replies, with position bias, length bias and noise that are planted and therefore known.

    P(first shown) = σ((r_first - r_second) / temperature + position_bias
                       + length_bias · (length_first - length_second) / length_unit + noise · ε)

ε is standard normal, drawn by the seed, the sample, and what is shown in which order: the same question shown the same
way gets the same reply, alone or in a batch, and the two orders of a pair are two draws. The probability goes into an
ordinary completion (the letter as its text, both letters' log-probabilities), which is read like any judge's reply, so
that an audit of it looks at the same rows as the audit of a model.

>>> planted = Planted(position_bias=1.0)
>>> completion = reply(logit(planted, (0.0, 0.0), Shown("q1", "one", "two")))
>>> completion.text, round(read(completion).value, 4)
('A', 0.7311)
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evalsuite.judging.contract import ORDERS, Annotation, Case, Placement, Verdict
from evalsuite.judging.expected import expected
from evalsuite.records import Completion
from evalsuite.scoring.verdicts import choice_letter

VALUES = {"A": 1.0, "B": 0.0}


@dataclass(frozen=True, slots=True)
class Planted:
    """Biases of a judge, all in logits: `position_bias` for standing first, `length_bias` for being longer by
    `length_unit` characters, `noise` the standard deviation of one verdict. `temperature` divides the rewards.
    `drawn`: the verdict is a letter drawn with its probability, without log-probabilities, as a judge at temperature 1
    gives it in text."""

    temperature: float = 1.0
    position_bias: float = 0.0
    length_bias: float = 0.0
    length_unit: float = 100.0
    noise: float = 0.0
    seed: int = 0
    drawn: bool = False

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not self.length_unit > 0 or self.noise < 0:
            raise ValueError("temperature and length_unit must be above 0, noise not below 0")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a judge is shown: a sample, and its answers in their order; `repeat` tells draws of it apart."""

    sample: str
    first: str
    second: str
    repeat: int = 0

    @classmethod
    def of(cls, case: Case, order: str) -> "Shown":
        return cls(f"{case.task}\n{case.id}", *Placement(case, order).shown, case.repeat)


def logit(planted: Planted, rewards: tuple[float, float], shown: Shown) -> float:
    """Log-odds of naming the answer shown first. `rewards`: (first, second) as they are shown."""
    quality = (rewards[0] - rewards[1]) / planted.temperature
    longer = (len(shown.first) - len(shown.second)) / planted.length_unit
    return (
        quality
        + planted.position_bias
        + planted.length_bias * longer
        + (planted.noise * _draw(planted, shown, "noise").gauss(0, 1) if planted.noise else 0.0)
    )


def reply(log_odds: float) -> Completion:
    """The letter that is likelier, with both letters' log-probabilities."""
    a, b = _log_sigmoid(log_odds), _log_sigmoid(-log_odds)
    letter = "A" if a >= b else "B"
    return Completion(text=letter, tokens=1, logprobs=(max(a, b),), top_logprobs=({"A": a, "B": b},))


def drawn_reply(planted: Planted, log_odds: float, shown: Shown) -> Completion:
    """A letter drawn with its probability, without log-probabilities."""
    first = _draw(planted, shown, "letter").random() < math.exp(_log_sigmoid(log_odds))
    return Completion(text="A" if first else "B", tokens=1)


def read(completion: Completion) -> Verdict | None:
    """The verdict of a reply of one letter, as pairwise judges read it: the expectation over both letters where their
    log-probabilities are given, else the letter itself; None where it names none."""
    letter = choice_letter(completion.text, "AB")
    if letter is None:
        return None
    value = expected(completion.top_logprobs, VALUES, letter)
    return Verdict(VALUES[letter]) if value is None else Verdict(value, "logprobs")


def verdict(planted: Planted, rewards: Sequence[float], case: Case, order: str) -> Verdict:
    """What the judge says about one order of a case. `rewards`: of the case's answers, in the case's order, finite."""
    shown = Shown.of(case, order)
    placed = (rewards[0], rewards[1]) if order == "ab" else (rewards[1], rewards[0])
    log_odds = logit(planted, placed, shown)
    completion = drawn_reply(planted, log_odds, shown) if planted.drawn else reply(log_odds)
    said = read(completion)
    if said is None:
        raise ValueError(f"rewards must be finite, not {placed}")
    details = {"rewards": list(placed), "reply": completion.text}
    return replace(said, order=order, mode="text" if planted.drawn else "reward", details=details)


def planted_rows(
    planted: Planted, judged: Sequence[tuple[Case, tuple[float, float]]], name: str = "planted"
) -> list[Annotation]:
    """Rows as the judge `reward` writes them, for cases of two answers whose rewards are known already: one for each
    order. Rewards must be finite."""
    rows = []
    for case, rewards in judged:
        base = Annotation(
            sample=case.id,
            task=case.task,
            model_a=case.answers[0].model,
            model_b=case.answers[1].model,
            judge=name,
            judge_model=name,
            protocol="reward",
            order="",
            preference=None,
            status="parsed",
            category=case.category,
            repeat=case.repeat,
            length_a=len(case.a),
            length_b=len(case.b),
        )
        for order in ORDERS:
            said = verdict(planted, rewards, case, order)
            rows.append(
                replace(base, order=order, preference=said.preference, mode=said.mode, raw=said.details["reply"],
                        details=said.details)
            )  # fmt: skip
    return rows


def _draw(planted: Planted, shown: Shown, what: str) -> random.Random:
    return random.Random(
        "\n".join((what, str(planted.seed), str(shown.repeat), shown.sample, shown.first, shown.second))
    )


def _log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x)) if x >= 0 else x - math.log1p(math.exp(x))
