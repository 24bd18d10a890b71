"""Correlations with intervals, for rankings of models and grades of answers.

>>> spearman([1, 2, 3, 4], [1, 3, 2, 4]).value
0.8
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from evalsuite.statistics.intervals import NORMAL, Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Column = Sequence[float] | NDArray[Any]


def pearson(x: Column, y: Column, level: float = 0.95) -> Interval:
    """Pearson's correlation of n pairs, interval by Fisher's z (None below four pairs, or where it is ±1).

    The value is None where a side does not vary. Source: Fisher, Metron 1 (1921).
    """
    return _fisher(_correlation(x, y), len(x), lambda r: 1.0, level)


def spearman(x: Column, y: Column, level: float = 0.95) -> Interval:
    """Spearman's rank correlation (equal values share their mean rank), interval by Fisher's z with the variance of
    Bonett & Wright, Psychometrika 65 (2000): (1 + r²/2) / (n − 3)."""
    from scipy.stats import rankdata

    return _fisher(_correlation(rankdata(x), rankdata(y)), len(x), lambda r: 1 + r * r / 2, level)


def kendall(x: Column, y: Column) -> float | None:
    """Kendall's tau-b; None where a side does not vary."""
    from scipy.stats import kendalltau

    value = float(kendalltau(x, y).statistic)
    return None if value != value else value


def _correlation(x: Column, y: Column) -> float | None:
    import numpy as np

    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if a.shape != b.shape:
        raise ValueError("both sides of a correlation must be of one length")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a value is missing or not finite: drop (and count) missing ones first")
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    u, v = a - a.mean(), b - b.mean()
    u, v = u / np.abs(u).max(), v / np.abs(v).max()  # squares of tiny numbers would be lost
    return float(np.clip(u @ v / np.sqrt((u @ u) * (v @ v)), -1, 1))


def _fisher(r: float | None, n: int, inflation: Callable[[float], float], level: float) -> Interval:
    if r is None:
        return Interval(None, None, None, n, "none")
    if n < 4 or abs(r) > 1 - 1e-12:
        return Interval(r, None, None, n, "none")
    half = NORMAL.inv_cdf(0.5 + level / 2) * (inflation(r) / (n - 3)) ** 0.5
    middle = math.atanh(r)
    return Interval(r, math.tanh(middle - half), math.tanh(middle + half), n, "fisher_z")
