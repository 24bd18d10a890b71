"""Which pairs to ask a person next: those whose answers would tell the most about their weights.

The information of an answer is the expected drop of the log-determinant of the weights' covariance (D-optimality),
½ log(1 + w xᵀ Σ x) nats, with w = E[P (1 - P)] over what is believed of the person. Under a prior whose spread is the
crowd's, that asks about what people disagree on. Pairs are taken greedily, each given those before it: the log of the
determinant is submodular, so greedy loses at most a factor 1 - 1/e (Krause & Guestrin 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evalsuite.preferences.effects_fit import sigma
from evalsuite.preferences.personalize_fit import Posterior, Prior, towards


@dataclass(frozen=True, slots=True)
class Question:
    """A pair to ask: its `place` among the candidates, the `information` of its answer (nats) given the questions
    before it, the predicted `chance` of a preference for the first answer, with the interval that the weights'
    uncertainty gives."""

    place: int
    information: float
    chance: float
    low: float
    high: float


def ask(x: Any, known: Posterior, count: int) -> list[Question]:
    """The `count` best questions among candidates x (n, p), best first; candidates whose x repeats a chosen one stay
    possible, those without any feature never come."""
    import numpy as np

    x = np.asarray(x, dtype=float)
    covariance = known.covariance.copy()
    middle = x @ known.mean
    first_spread = ((x @ covariance) * x).sum(axis=1)
    weight = expected_variance(middle, first_spread)
    open_ = np.ones(len(x), dtype=bool)
    found = []
    for _ in range(min(count, len(x))):
        spread = ((x @ covariance) * x).sum(axis=1)
        gain = np.where(open_, 0.5 * np.log1p(weight * spread), -1.0)
        best = int(np.argmax(gain))
        if gain[best] <= 0:
            break
        open_[best] = False
        ends = sigma(middle[best] + 1.959964 * first_spread[best] ** 0.5 * np.array([0.0, -1.0, 1.0]))
        found.append(Question(best, float(gain[best]), *(float(e) for e in ends)))
        side = covariance @ x[best]
        covariance -= np.outer(side, side) * weight[best] / (1 + weight[best] * spread[best])
    return found


def expected_variance(middle: Any, spread: Any) -> Any:
    """E[P (1 - P)] for log-odds ~ N(middle, spread): the slope of the averaged logistic (MacKay 1992)."""
    import numpy as np

    shrink = 1 / np.sqrt(1 + np.pi / 8 * spread)
    chance = sigma(middle * shrink)
    return chance * (1 - chance) * shrink


def interview(x: Any, y: Any, prior: Prior, count: int) -> list[int]:
    """Rows in the order in which someone with answers y (n,) would be asked, each chosen after the answers before."""
    import numpy as np

    left = list(range(len(y)))
    asked: list[int] = []
    known = towards(x[:0], y[:0], prior)
    while left and len(asked) < count:
        question = ask(x[left], known, 1)
        place = question[0].place if question else 0
        asked.append(left.pop(place))
        known = towards(x[asked], y[asked], prior, np.asarray(known.mean))
    return asked
