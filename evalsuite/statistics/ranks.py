"""Ranks that know of intervals: the arena's rule, HREF's groups, ranks of bootstrap draws, and how far a ranking
separates models and agrees with another one.

    >>> interval_ranks([9, 8, 1], [12, 10, 3]).tolist(), rank_groups([65, 60, 55], [61, 55, 50], [70, 65, 60])
    ([1, 1, 3], [1, 1, 3])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Column = Sequence[float] | NDArray[Any]


def competition_ranks(values: Column) -> Integers:
    """Competition ranks (K,), 1 = highest; equal values share the better rank."""
    import numpy as np

    v = np.asarray(values, dtype=float)
    return np.asarray(1 + (v[:, None] < v[None, :]).sum(axis=1), dtype=np.int64)


def interval_ranks(low: Column, high: Column) -> Integers:
    """Chatbot Arena's rank (K,): 1 + the number of models whose lower bound lies above this one's upper bound."""
    import numpy as np

    bottom, top = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    return np.asarray(1 + (bottom[None, :] > top[:, None]).sum(axis=1), dtype=np.int64)


def rank_groups(values: Column, low: Column, high: Column) -> list[int]:
    """HREF's rank of each model: down the list sorted by value, a model shares the rank of the group that is open while
    its interval overlaps that of the group's FIRST model (not its neighbour's); else it opens the next group, whose
    rank is its place in the list."""
    import numpy as np

    order = np.argsort(-np.asarray(values, dtype=float), kind="stable")
    found, leader = [0] * len(order), -1
    for place, i in enumerate(order.tolist(), start=1):
        if leader < 0 or high[i] < low[leader]:
            leader, rank = i, place
        found[i] = rank
    return found


def rank_intervals(draws: Floats, level: float = 0.95) -> tuple[Integers, Integers]:
    """Bounds (K,), (K,) of each model's rank over bootstrap draws (B, K) of all models' figures together.

    Whole ranks that hold at least `level` of the draws; 1 = highest, equal values share the better rank.
    """
    import numpy as np

    descending = -np.sort(-draws, axis=1)
    places = np.stack([1 + np.searchsorted(-d, -row, side="left") for d, row in zip(descending, draws, strict=True)])
    tail = 0.5 - level / 2
    low = np.quantile(places, tail, axis=0, method="inverted_cdf")
    high = np.quantile(places, 1 - tail, axis=0, method="inverted_cdf")
    return low.astype(np.int64), high.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Separability:
    """`value` = 1 − overlapping / pairs: the share of model pairs whose intervals do not overlap."""

    value: float | None
    overlapping: int
    pairs: int


def separability(low: Column, high: Column) -> Separability:
    """Arena-Hard's separability of K intervals: two overlap where one begins strictly below the other's end."""
    import numpy as np

    overlaps = _overlaps(low, high)
    pairs = len(overlaps) * (len(overlaps) - 1) // 2
    count = int(np.triu(overlaps, 1).sum())
    return Separability(1 - count / pairs if pairs else None, count, pairs)


@dataclass(frozen=True, slots=True)
class RankingAgreement:
    """How a benchmark's ranking agrees with a reference's on the same K models.

    `strict`: share of all pairs ordered alike. `confident`: over the `confident_pairs` that the reference separates,
    1 where the benchmark orders them alike and apart, 0.5 where its intervals overlap, 0 where it contradicts.
    """

    strict: float | None
    pairs: int
    confident: float | None
    confident_pairs: int


def ranking_agreement(
    reference: Column, reference_bounds: tuple[Column, Column], benchmark: Column, bounds: tuple[Column, Column]
) -> RankingAgreement:
    """Arena-Hard's agreement of two rankings, plain and with confidence. All columns: (K,), one order of models.

    An interval without width (the anchor's) overlaps none here, and pairs are ordered by their intervals (the lower
    ends first), as in the published figures; in `separability` such an interval overlaps those that contain it.
    """
    import numpy as np

    true, mine = np.asarray(reference, dtype=float), np.asarray(benchmark, dtype=float)
    upper = np.triu_indices(len(true), 1)
    alike = (np.sign(true[:, None] - true) == np.sign(mine[:, None] - mine))[upper]
    known = ~(_overlaps(*reference_bounds) & _wide(*reference_bounds))[upper]
    unsure = (_overlaps(*bounds) & _wide(*bounds))[upper]
    same = (_order(*reference_bounds) == _order(*bounds))[upper]
    credit = np.where(unsure, 0.5, same.astype(float))[known]
    return RankingAgreement(
        float(alike.mean()) if len(alike) else None,
        len(alike),
        float(credit.mean()) if len(credit) else None,
        len(credit),
    )


def pair_probabilities(means: Column, variances: Column) -> Floats:
    """P(model i below model j), (K, K), from normal approximations of the models' figures: means and variances (K,) of
    each one's bootstrap draws (population variance in the published figures)."""
    import numpy as np
    from scipy.special import ndtr

    mean, variance = np.asarray(means, dtype=float), np.asarray(variances, dtype=float)
    spread = np.sqrt(variance[:, None] + variance)
    gap = mean - mean[:, None]
    certain = np.where(gap == 0, 0.0, np.copysign(np.inf, gap))
    return np.asarray(ndtr(np.divide(gap, spread, out=certain, where=spread > 0)))


def order_scores(reference: Column, means: Column, variances: Column) -> tuple[float, float]:
    """(Brier score, log-loss) of `pair_probabilities` as forecasts of the reference's order, over all pairs."""
    import numpy as np

    true = np.asarray(reference, dtype=float)
    upper = np.triu_indices(len(true), 1)
    chance = pair_probabilities(means, variances)[upper]
    happened = np.where((true[:, None] < true)[upper], chance, 1 - chance)
    with np.errstate(divide="ignore"):
        return float(((1 - happened) ** 2).mean()), float(-np.log(happened).mean())


def _order(low: Column, high: Column) -> Floats:
    """Which interval of each pair stands higher, (K, K): by the lower ends, where these are equal by the upper ones."""
    import numpy as np

    bottom, top = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    lower = np.sign(bottom[:, None] - bottom)
    return np.asarray(np.where(lower == 0, np.sign(top[:, None] - top), lower))


def _wide(low: Column, high: Column) -> NDArray[np.bool_]:
    """Pairs in which both intervals have a width."""
    import numpy as np

    wide = np.asarray(low, dtype=float) < np.asarray(high, dtype=float)
    return np.asarray(wide[:, None] & wide)


def _overlaps(low: Column, high: Column) -> NDArray[np.bool_]:
    import numpy as np

    bottom, top = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    return np.asarray((bottom[:, None] < top[None, :]) & (bottom[None, :] < top[:, None]))
