"""Differences of two runs on shared samples.

The rule of `paired_difference`, always a − b:

- shares (all 0 or 1), one pair for each sample: McNemar's exact test, interval by Tango's score method, whose
  statistic is McNemar's own and which stays wide where no pair differs (Fagerland, Lydersen & Laake, BMC Med. Res.
  Methodol. 13:91 (2013) and Stat. Med. 33 (2014) recommend it). The exact test is the stricter of the two: with few
  discordant pairs an interval may clear 0 while p stays above alpha. Findings should rest on p;
- anything else: t interval from the linearised, clustered difference of the two weighted means (with unit weights:
  paired t on samples' means), and p from the same t; with at most 50 samples and weights that agree, p comes from
  flipping the signs of samples' differences instead, exactly up to 12 samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalsuite.statistics.intervals import NORMAL, arrays, influence, t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evalsuite.statistics.intervals import Clusters, Floats, Values

EXACT_FLIPS = 12
SMALL = 50


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference a − b with its interval; `n` counts samples. `p` is two-sided, None where it cannot be known;
    `test` is "mcnemar", "t" or "sign_flip", `method` (of the interval) "tango", "t", or "none"."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    p: float | None
    test: str


def paired_difference(
    a: Values,
    b: Values,
    clusters: Clusters | None = None,
    weights: tuple[Values, Values] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Paired:
    """Σ wa·a / Σ wa − Σ wb·b / Σ wb over paired rows, with interval and two-sided p.

    a, b, clusters: length R; row i of both is the same sample and repeat. `weights` (wa, wb) where the two sides weigh
    rows differently (a precision). Rows without weight on both sides are left out. Raises ValueError as
    `mean_interval` does, and where a side has no weight at all but the other has.
    """
    import numpy as np

    wa, wb = weights if weights is not None else (np.ones(len(a)), np.ones(len(b)))
    rows = _align(a, b, wa, wb, clusters)
    if rows is None:
        return Paired(None, None, None, 0, "none", None, "none")
    va, vb, ua, ub, ids, groups = rows
    same = bool((ua == ub).all())
    parts = influence(va, ua, ids, groups) - influence(vb, ub, ids, groups)
    value = float((ua * va).sum() / ua.sum() - (ub * vb).sum() / ub.sum())
    shares = all(bool(((v == 0) | (v == 1)).all()) for v in (va, vb))
    single = groups == len(va) and same and bool((ua == ua[0]).all())
    if shares and (single or (same and _constant(va, vb))):
        gained, lost = int(((va == 1) & (vb == 0)).sum()), int(((va == 0) & (vb == 1)).sum())
        if not single:  # repeats that all moved alike say no more than one of them
            gained, lost = groups * (gained > 0), groups * (lost > 0)
        return Paired(value, *tango(gained, lost, groups, level), groups, "tango", mcnemar(gained, lost), "mcnemar")
    if groups < 2:
        return Paired(value, None, None, groups, "none", None, "none")
    error = float((parts**2).sum() * groups / (groups - 1)) ** 0.5
    half = t_quantile(groups - 1, level) * error
    if same and groups <= SMALL:
        sums = np.bincount(ids, weights=ua * (va - vb), minlength=groups)
        p, test = sign_flip(sums, seed=seed), "sign_flip"
    else:
        p, test = _t_test(value, error, groups - 1), "t"
    return Paired(value, value - half, value + half, groups, "t", p, test)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p of McNemar's test from the discordant pairs (binomial with 1/2); 1 where there are none."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def tango(gained: int, lost: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of the difference of two paired shares, (gained − lost) / n (Tango, Stat. Med. 17 (1998) 891).

    Every true difference that the score test does not reject at `level`; found by bisection.
    """
    if n < 1 or gained < 0 or lost < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost do not fit {n} pairs")
    z = NORMAL.inv_cdf(0.5 + level / 2)

    def upper(gain: int, loss: int) -> float:
        inside, outside = (gain - loss) / n, 1.0
        for _ in range(60):
            middle = (inside + outside) / 2
            if _tango_score(gain, loss, n, middle) >= -z:
                inside = middle
            else:
                outside = middle
        return inside

    return -upper(lost, gained), upper(gained, lost)


def sign_flip(differences: Values, resamples: int = 9999, seed: int = 0) -> float:
    """Two-sided p of a mean of 0 under random signs: all 2^n for n up to 12, else `resamples` draws with the observed
    one counted (so p is never 0). Assumes that each difference is symmetric around 0 under the null."""
    import numpy as np

    d = np.asarray(differences, dtype=float)
    d = d[d != 0]
    if not len(d):
        return 1.0
    observed = abs(d.sum()) * (1 - 1e-12)  # equal sums in another order must count as equal
    if len(d) <= EXACT_FLIPS:
        signs = 1 - 2 * ((np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1)
        return float((np.abs(signs @ d) >= observed).mean())
    signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, size=(resamples, len(d)), dtype=np.int8)
    return float((1 + (np.abs(signs @ d) >= observed).sum()) / (resamples + 1))


def _align(
    a: Values, b: Values, wa: Values, wb: Values, clusters: Clusters | None
) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.int64], int] | None:
    """Rows that carry weight on either side: values, weights, cluster numbers; None where there are none."""
    import numpy as np

    if len(a) != len(b) or len(wa) != len(wb) or len(a) != len(wa):
        raise ValueError("paired values and weights must be of one length")
    ua, ub = np.asarray(wa, dtype=float), np.asarray(wb, dtype=float)
    _, _, ids, groups = arrays(a, ua + ub, clusters)
    arrays(b, ua + ub, clusters)
    if (ua < 0).any() or (ub < 0).any():
        raise ValueError("weights must not be negative")
    keep = (ua + ub) > 0
    if groups == 0:
        return None
    if ua.sum() == 0 or ub.sum() == 0:
        raise ValueError("one side has no row that carries weight")
    return np.asarray(a, float)[keep], np.asarray(b, float)[keep], ua[keep], ub[keep], ids, groups


def _constant(a: Floats, b: Floats) -> bool:
    return bool((a - b == (a - b)[0]).all())


def _t_test(value: float, error: float, df: int) -> float:
    from scipy.special import stdtr

    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * stdtr(df, -abs(value) / error))


def _tango_score(gained: int, lost: int, n: int, delta: float) -> float:
    """The score statistic at a true difference `delta`; falls as delta rises. Eq. 4 to 6 of the paper."""
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    share_lost = ((b * b - 8 * n * c) ** 0.5 - b) / (4 * n)
    variance = n * (2 * share_lost + delta * (1 - delta))
    distance = gained - lost - n * delta
    if variance <= 1e-12:
        return 0.0 if abs(distance) < 1e-9 else float("inf") * (1 if distance > 0 else -1)
    return distance / variance**0.5
