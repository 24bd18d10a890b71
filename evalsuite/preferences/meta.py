"""Random-effects meta-analysis of many people's estimates, for all features at once.

    found = random_effects(estimates, variances)        # (people, features) each; NaN where someone has none
    found[0].mu, found[0].tau, found[0].tau_low, found[0].opposite

Person i's estimate of a feature is y_i ~ N(θ_i, v_i), and people are θ_i ~ N(μ, τ²). τ² is the restricted maximum
(REML), or Paule and Mandel's (1982); μ has Knapp and Hartung's interval (Stat. Med. 22, 2003), τ the Q-profile one
(Viechtbauer, Stat. Med. 26, 2007). I² is τ² against the typical variance (Higgins & Thompson 2002), at the same τ².

`opposite` is the share of people whose θ has the other sign than μ: Φ(-|μ|/τ). Its interval comes from the
distribution that Q and μ induce on (τ, μ): P(τ < t) = P(χ² > Q(t)), μ given τ normal (Iyer, Wang & Mathew, JASA 99,
2004). Counting the people whose own estimate has the other sign would count their errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.statistics.intervals import t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Method = Literal["reml", "paule-mandel"]
FEWEST = 3
"""People below whom nothing is said of their spread."""
GRID = 240
STEPS = 80


@dataclass(frozen=True, slots=True)
class Meta:
    """What people have in common of one feature, and how far they differ. `p` is of μ = 0, `p_spread` of τ = 0
    (Cochran's Q). `variance`: the mean of τ² over what it may be, which the interval of a new person has to allow for
    (an estimate of 0 would promise that people are alike). `k` people. None where it cannot be known, with
    `reason`."""

    mu: float | None
    low: float | None
    high: float | None
    p: float | None
    tau: float | None
    tau_low: float | None
    tau_high: float | None
    p_spread: float | None
    i2: float | None
    opposite: float | None
    opposite_low: float | None
    opposite_high: float | None
    variance: float | None
    k: int
    reason: str = ""


def random_effects(estimates: Any, variances: Any, method: Method = "reml", level: float = 0.95) -> list[Meta]:
    """One Meta a feature. estimates, variances: (k, m), NaN where a person has none of a feature. Raises ValueError
    where shapes differ or a known estimate has no positive variance."""
    import numpy as np

    y, v = np.asarray(estimates, dtype=float), np.asarray(variances, dtype=float)
    if y.ndim != 2 or y.shape != v.shape:
        raise ValueError("estimates and variances must both be (people, features)")
    known = ~np.isnan(y)
    if not (v[known] > 0).all() or not np.isfinite(v[known]).all():
        raise ValueError("every estimate needs a positive, finite variance")
    counts = known.sum(axis=0)
    enough = np.flatnonzero(counts >= FEWEST)
    found = [_none(int(k)) for k in counts]
    if len(enough):
        studies = _Studies(np.where(known, y, 0.0)[:, enough], np.where(known, v, 1.0)[:, enough], known[:, enough])
        for j, meta in zip(enough, _summaries(studies, method, level), strict=True):
            found[j] = meta
    return found


@dataclass(frozen=True)
class _Studies:
    """Estimates and variances (k, m), and which of them are there; the others have weight 0."""

    y: Floats
    v: Floats
    known: Any

    @property
    def count(self) -> Floats:
        return self.known.sum(axis=0).astype(float)

    def weights(self, tau2: Floats) -> Floats:
        """(k, m) for τ² of each feature (m,)."""
        return self.known / (self.v + tau2)

    def fit(self, tau2: Floats) -> tuple[Floats, Floats, Floats]:
        """Weighted mean (m,), sum of weights (m,), generalised Q (m,)."""
        w = self.weights(tau2)
        total = w.sum(axis=0)
        mean = (w * self.y).sum(axis=0) / total
        return mean, total, (w * (self.y - mean) ** 2).sum(axis=0)

    def restricted(self, tau2: Floats) -> Floats:
        """REML log-likelihood (m,), up to a constant."""
        import numpy as np

        _, total, q = self.fit(tau2)
        spread = np.where(self.known, np.log(self.v + tau2), 0.0).sum(axis=0)
        return np.asarray(-0.5 * (spread + np.log(total) + q))


def _none(k: int) -> Meta:
    return Meta(*(None,) * 13, k, f"{k} people have an estimate; {FEWEST} are wanted")


def _summaries(studies: _Studies, method: Method, level: float) -> list[Meta]:
    import numpy as np
    from scipy.special import chdtrc, chdtri, stdtr

    degrees = studies.count - 1
    ceiling = _ceiling(studies, chdtri(degrees, 0.9995))
    tau2 = _reml(studies, ceiling) if method == "reml" else _at(studies, degrees, ceiling)
    mean, total, q = studies.fit(tau2)
    error = np.sqrt(q / degrees / total)
    half = np.array([t_quantile(int(d), level) for d in degrees]) * error
    chance = 2 * stdtr(degrees, -np.abs(mean) / np.maximum(error, 1e-300))
    none = np.zeros_like(tau2)
    q0 = studies.fit(none)[2]
    upper = chdtri(degrees, 0.5 + level / 2)  # Q falls to its lower quantile at the upper end of τ²
    low2, high2 = _at(studies, chdtri(degrees, 0.5 - level / 2), ceiling), _at(studies, upper, ceiling)
    alike = q0 < upper
    typical = _typical(studies)
    shares = _induced(studies, mean, ceiling, level)
    found = []
    for j in range(len(tau2)):
        tau = float(tau2[j] ** 0.5)
        share = _share(float(mean[j]), tau)
        found.append(
            Meta(
                *(float(mean[j]), float(mean[j] - half[j]), float(mean[j] + half[j]), float(chance[j])),
                *(tau, float(low2[j] ** 0.5), None if alike[j] else float(high2[j] ** 0.5)),
                float(chdtrc(degrees[j], q0[j])),
                *(float(tau2[j] / (tau2[j] + typical[j])), share, *shares[j]),
                int(studies.count[j]),
                reason="people are more alike than their errors allow: no upper end of the spread" if alike[j] else "",
            )
        )
    return found


def _typical(studies: _Studies) -> Floats:
    """The typical variance within people (Higgins & Thompson 2002)."""
    import numpy as np

    w = studies.weights(np.zeros(studies.y.shape[1]))
    total = w.sum(axis=0)
    return np.asarray((studies.count - 1) * total / (total**2 - (w**2).sum(axis=0)))


def _ceiling(studies: _Studies, target: Floats) -> Floats:
    """A τ² (m,) at which Q is below the target, found by doubling."""
    import numpy as np

    high = np.var(studies.y, axis=0) + studies.v.max(axis=0)
    for _ in range(200):
        above = studies.fit(high)[2] > target
        if not above.any():
            break
        high = np.where(above, 2 * high, high)
    return np.asarray(high)


def _at(studies: _Studies, target: Floats, ceiling: Floats) -> Floats:
    """The τ² (m,) at which Q, which falls in it, is the target; 0 where it is below from the start."""
    import numpy as np

    low, high = np.zeros_like(ceiling), ceiling.copy()
    for _ in range(STEPS):
        middle = (low + high) / 2
        above = studies.fit(middle)[2] > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(studies.fit(np.zeros_like(ceiling))[2] <= target, 0.0, (low + high) / 2)


def _taus(ceiling: Floats) -> Floats:
    """A grid of τ (GRID, m), dense near 0."""
    import numpy as np

    return np.linspace(0, 1, GRID)[:, None] ** 2 * np.sqrt(ceiling)


def _reml(studies: _Studies, ceiling: Floats) -> Floats:
    """τ² (m,) at the highest restricted likelihood: the best of a grid (there may be several maxima), then golden
    section around it."""
    import numpy as np

    grid = _taus(ceiling) ** 2
    best = np.argmax(np.stack([studies.restricted(t) for t in grid]), axis=0)
    columns = np.arange(len(ceiling))
    low = grid[np.maximum(best - 1, 0), columns]
    high = grid[np.minimum(best + 1, GRID - 1), columns]
    golden = (5**0.5 - 1) / 2
    for _ in range(STEPS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        rises = studies.restricted(left) < studies.restricted(right)
        low, high = np.where(rises, left, low), np.where(rises, high, right)
    found = (low + high) / 2
    # At a boundary maximum the section only comes near 0.
    return np.where(studies.restricted(np.zeros_like(found)) >= studies.restricted(found), 0.0, found)


def _share(mean: float, tau: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-abs(mean) / tau)) if tau > 0 else 0.0


def _induced(studies: _Studies, mean: Floats, ceiling: Floats, level: float) -> list[tuple[float, float, float]]:
    """Interval of Φ(-sign(μ̂) μ / τ) of each feature, and the mean of τ², from the induced distribution of (τ, μ)."""
    import numpy as np
    from scipy.special import chdtrc, ndtr, ndtri

    taus = _taus(ceiling)
    fits = [studies.fit(t**2) for t in taus]
    below = np.stack([chdtrc(studies.count - 1, q) for _, _, q in fits])
    mass = np.diff(below, axis=0, prepend=0.0)
    mass[-1] += 1 - below[-1]
    z = ndtri((np.arange(100) + 0.5) / 100)
    sign = np.where(mean < 0, -1.0, 1.0)
    # A cell's mass stands at its middle; what lies at exactly 0 stands there.
    middles = np.concatenate([taus[:1], (taus[1:] + taus[:-1]) / 2])
    ends = []
    for j in range(len(mean)):
        centre = np.array([m[j] for m, _, _ in fits])
        error = np.array([total[j] ** -0.5 for _, total, _ in fits])
        drawn = sign[j] * (centre[:, None] + error[:, None] * z)
        shares = ndtr(-drawn / np.maximum(middles[:, j, None], 1e-12)).ravel()
        weight = np.repeat(mass[:, j], len(z))
        order = np.argsort(shares)
        passed = np.cumsum(weight[order]) / weight.sum()
        at = np.searchsorted(passed, [0.5 - level / 2, 0.5 + level / 2]).clip(max=len(order) - 1)
        variance = float((mass[:, j] * middles[:, j] ** 2).sum())
        ends.append((float(shares[order][at[0]]), float(shares[order][at[1]]), variance))
    return ends
