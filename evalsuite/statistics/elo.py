"""Elo ratings: updated battle by battle in the order given (FastChat), or averaged over orders.

Elo depends on the order of battles; Bradley–Terry (bradley_terry.py) does not and is what rankings should rest on. The
interval of `elo_over_orders` shows what the order alone does to the ratings: it is no sampling interval.

    >>> from evalsuite.statistics import battles
    >>> elo(battles(["a"], ["b"], [1])).tolist()
    [1002.0, 998.0]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evalsuite.statistics.battles import Battles

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EloRule:
    """`k` points at stake; `start` of everybody; a lead of `width` points means odds of `base` to 1."""

    k: float = 4.0
    start: float = 1000.0
    base: float = 10.0
    width: float = 400.0


DEFAULT_RULE = EloRule()


@dataclass(frozen=True, slots=True)
class EloOrders:
    """Over random orders of the battles: mean (K,), and the bounds (K,) that hold `level` of the orders."""

    models: tuple[str, ...]
    ratings: Floats
    low: Floats
    high: Floats
    rounds: int


def elo(table: Battles, rule: EloRule = DEFAULT_RULE) -> Floats:
    """Ratings (K,) of `table.models` after all battles in their order; a battle's weight multiplies its stake.

    FastChat's rule: both expectations from the ratings before the battle.
    """
    import numpy as np

    ratings = [rule.start] * len(table.models)  # plain floats: a step costs less than an array's overhead
    columns = zip(table.a.tolist(), table.b.tolist(), table.score.tolist(), table.weight.tolist(), strict=True)
    for a, b, score, weight in columns:
        if a == b:
            continue
        lead = (ratings[b] - ratings[a]) / rule.width
        moved = rule.k * weight * (score - 1 / (1 + rule.base**lead))
        ratings[a] += moved
        ratings[b] -= moved
    return np.array(ratings)


def elo_over_orders(
    table: Battles, rule: EloRule = DEFAULT_RULE, rounds: int = 100, level: float = 0.95, seed: int = 0
) -> EloOrders:
    """Elo over `rounds` random orders of the same battles, all orders a battle at a time."""
    import numpy as np

    rng = np.random.default_rng(seed)
    size = len(table.score)
    order = np.argsort(rng.random((rounds, size)), axis=1).T  # (R, rounds)
    ratings = np.full((rounds, len(table.models)), rule.start)
    lanes = np.arange(rounds)
    growth = np.log(rule.base) / rule.width
    for step in order:
        a, b = table.a[step], table.b[step]
        expected = 1 / (1 + np.exp((ratings[lanes, b] - ratings[lanes, a]) * growth))
        moved = rule.k * table.weight[step] * (table.score[step] - expected) * (a != b)
        ratings[lanes, a] += moved
        ratings[lanes, b] -= moved
    low, high = np.quantile(ratings, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return EloOrders(table.models, ratings.mean(axis=0), low, high, rounds)
