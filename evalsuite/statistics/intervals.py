"""Intervals of one figure: a share, a mean, a ratio of sums, a win rate.

The rule for a mean of samples' scores (`mean_interval`):

- shares (all values 0 or 1), one row for each sample, equal weights: Wilson;
- shares with several rows for a sample, or unequal weights: Wilson at the effective sample size;
- anything else: t interval, from the linearised (clustered) variance of Σ wv / Σ w.

`n` counts independent units (clusters, which are samples) that carry weight, never rows. Where an interval cannot be
known (a single continuous value), `low` and `high` are None. Intervals of means are not clipped to a range.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Values = Sequence[float] | NDArray[Any]
    Clusters = Sequence[Hashable] | NDArray[Any]

NORMAL = NormalDist()  # scipy.stats gives the same quantiles, a second later


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its two-sided interval. `n` is the number of samples; `method` is one of "wilson",
    "wilson_effective", "t", "cluster", "bootstrap", or "none" where n is too small for any."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927, without continuity correction); (0, 1) where n is 0.

    `n` and `successes` may be fractions: an effective sample size.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n, not {successes} of {n}")
    if n == 0:
        return 0.0, 1.0
    z2 = NORMAL.inv_cdf(0.5 + level / 2) ** 2
    p = successes / n
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (p * (1 - p) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    # At the ends the closed form equals 0 or 1 only up to rounding.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == n else min(1.0, middle + half)
    return low, high


def mean_interval(
    values: Values,
    weights: Values | None = None,
    clusters: Clusters | None = None,
    level: float = 0.95,
    bounded: bool = False,
) -> Interval:
    """Interval of Σ wv / Σ w over rows; rows of one cluster (sample) may depend on each other.

    values, weights, clusters: length R. `bounded` says that every value lies in [0, 1] by its meaning, so that values
    between the ends (ties, shares of a sample's checks) also get a Wilson interval at the effective sample size: as
    wide as the t interval in the middle, never outside [0, 1] near the ends.
    Sources: linearised ratio variance, Cochran, Sampling Techniques (1977), 6.4; effective size with t correction,
    Korn & Graubard, Survey Methodology 24 (1998); Wilson on it, Dean & Pagano, JSSAM 3 (2015).
    Raises ValueError where lengths differ, a number is not finite, or a weight is negative.
    """
    v, w, ids, groups = arrays(values, weights, clusters)
    if groups == 0:
        return Interval(None, None, None, 0, "none")
    value = float((w * v).sum() / w.sum())
    share = bool(((v == 0) | (v == 1)).all())
    equal = bool((w == w[0]).all())
    if share and equal and groups == len(v):
        return Interval(value, *wilson(float(v.sum()), groups, level), groups, "wilson")
    variance = _variance(v, w, ids, groups)
    if share or bounded:
        return effective_wilson(value, variance, groups, level, most=len(v) if share else None)
    if groups < 2:
        return Interval(value, None, None, groups, "none")
    half = t_quantile(groups - 1, level) * variance**0.5
    method = "t" if equal and groups == len(v) else "cluster"
    return Interval(value, value - half, value + half, groups, method)


def ratio(numerators: Values, denominators: Values, clusters: Clusters | None = None, level: float = 0.95) -> Interval:
    """Interval of Σ numerators / Σ denominators (denominators >= 0); units whose denominator is 0 carry no weight."""
    import numpy as np

    top, bottom = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if ((bottom == 0) & (top != 0)).any():
        raise ValueError("a numerator stands over a denominator of 0")
    quotients = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return mean_interval(quotients, bottom, clusters, level)


def win_rate(preferences: Values, clusters: Clusters | None = None, level: float = 0.95) -> Interval:
    """Mean preference in [0, 1] (1 won, 0.5 tied, 0 lost) with an interval inside [0, 1].

    Both orders of one prompt belong to one cluster: give the prompt's id in `clusters`.
    """
    import numpy as np

    values = np.asarray(preferences, dtype=float)
    if ((values < 0) | (values > 1)).any():
        raise ValueError("preferences must lie in [0, 1]")
    return mean_interval(values, clusters=clusters, level=level, bounded=True)


def bootstrap(
    values: Values,
    weights: Values | None = None,
    clusters: Clusters | None = None,
    level: float = 0.95,
    statistic: Callable[[Floats], Floats] | None = None,
    resamples: int = 9999,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval that resamples clusters, for any figure of weighted rows.

    `statistic` takes a matrix of row weights (b, R), one resample in each line, and returns b figures; the default is
    the weighted mean of `values`. Rows keep the caller's order, less those of weight 0. Percentiles are widened for
    small n (Hesterberg, The American Statistician 69 (2015), 5.3: a plain percentile interval is too narrow by
    sqrt((n-1)/n) and z for t). Resamples without weight are left out.
    """
    import numpy as np

    v, w, ids, groups = arrays(values, weights, clusters)
    if groups == 0:
        return Interval(None, None, None, 0, "none")

    def mean(rows: Floats) -> Floats:
        total = rows.sum(axis=1)
        return np.divide(rows @ v, total, out=np.full(len(rows), np.nan), where=total > 0)

    figure = statistic or mean
    value = float(figure(w[None, :])[0])
    if groups < 2:
        return Interval(value, None, None, groups, "none")
    rng = np.random.default_rng(seed)
    step = max(1, 4_000_000 // len(v))  # bounds memory at about 32 MB a block
    draws = [
        figure(rng.multinomial(groups, np.full(groups, 1 / groups), size=min(step, resamples - at))[:, ids] * w)
        for at in range(0, resamples, step)
    ]
    figures = np.concatenate(draws)
    figures = figures[np.isfinite(figures)]
    if not len(figures):
        return Interval(value, None, None, groups, "none")
    tail = NORMAL.cdf(-((groups / (groups - 1)) ** 0.5) * t_quantile(groups - 1, level))
    low, high = np.quantile(figures, [tail, 1 - tail])
    return Interval(value, float(low), float(high), groups, "bootstrap")


def arrays(
    values: Values, weights: Values | None, clusters: Clusters | None
) -> tuple[Floats, Floats, NDArray[np.int64], int]:
    """Rows that carry weight: values, weights, cluster numbers 0..G-1, and G. Checks what the callers promise."""
    import numpy as np

    v = np.asarray(values, dtype=float)
    w = np.ones(len(v)) if weights is None else np.asarray(weights, dtype=float)
    if v.ndim != 1 or w.shape != v.shape or (clusters is not None and len(clusters) != len(v)):
        raise ValueError("values, weights and clusters must be of one length")
    if not (np.isfinite(v).all() and np.isfinite(w).all()):
        raise ValueError("a value or weight is missing or not finite: drop (and count) missing ones first")
    if (w < 0).any():
        raise ValueError("weights must not be negative")
    keep = np.flatnonzero(w > 0)
    if clusters is None:
        return v[keep], w[keep], np.arange(len(keep)), len(keep)
    if isinstance(clusters, np.ndarray) and clusters.dtype.kind in "iu":
        _, ids = np.unique(clusters[keep], return_inverse=True)  # millions of rows without an object for each
        return v[keep], w[keep], ids, int(ids.max()) + 1 if len(ids) else 0
    numbers: dict[Hashable, int] = {}
    ids = np.array([numbers.setdefault(clusters[i], len(numbers)) for i in keep], dtype=np.int64)
    return v[keep], w[keep], ids, len(numbers)


def influence(v: Floats, w: Floats, ids: NDArray[np.int64], groups: int) -> Floats:
    """Each cluster's part in Σ wv / Σ w around its value (they sum to 0): the linearised ratio, shape (groups,)."""
    import numpy as np

    total = w.sum()
    return np.bincount(ids, weights=w * (v - (w * v).sum() / total), minlength=groups) / total


def _variance(v: Floats, w: Floats, ids: NDArray[np.int64], groups: int) -> float:
    if groups < 2:
        return float("nan")
    parts = influence(v, w, ids, groups)
    return float((parts**2).sum() * groups / (groups - 1))


def t_quantile(df: int, level: float) -> float:
    """Student's t that leaves (1 - level) / 2 above it."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(df, 0.5 + level / 2))


def effective_wilson(value: float, variance: float, groups: int, level: float, most: int | None) -> Interval:
    """Wilson at n* = p(1-p) / variance, reduced for the few degrees of freedom that the variance has; at most `most`
    (of yes-or-no rows, none can say more than one independent row), and the number of clusters where nothing varies."""
    spread = value * (1 - value)
    if groups < 2 or variance <= 1e-15 or spread <= 1e-15:
        effective = float(groups)
    else:
        shrink = (NORMAL.inv_cdf(0.5 + level / 2) / t_quantile(groups - 1, level)) ** 2
        effective = spread / variance * shrink
        effective = effective if most is None else min(effective, float(most))
    low, high = wilson(min(max(value, 0.0), 1.0) * effective, effective, level)
    return Interval(value, low, high, groups, "wilson_effective")
