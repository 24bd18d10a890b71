"""Logistic regressions of a preference that know no first and second: fits, influences of rows, robust variances.

No model here has an intercept, and nothing is centred: p = σ(xβ) with x odd (first minus second text) says the same of
a pair whichever way round it stands. `fit_each` fits one regression for each feature at once (the feature and shared
controls), `fit_all` one with every feature. Both give, for each coefficient, every row's influence on it, from which
variances follow that neither trust the logistic shape nor take rows of one cluster for independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.statistics.intervals import t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

STEPS = 60
TOLERANCE = 1e-9
SINGULAR = 1e-9


@dataclass(frozen=True)
class Fits:
    """`beta` (m, 1 + q): each feature's coefficient and its controls'; NaN where there is no finite one. `inverse`
    (m, 1 + q, 1 + q): inverse information. `repeats` (m): not determined even at 0: the feature repeats the
    controls."""

    beta: Floats
    inverse: Floats
    repeats: Flags


def fit_each(z: Floats, controls: Floats, y: Floats) -> Fits:
    """m regressions of y (n,) on [z_j, controls], z (n, m), controls (n, q), by Newton steps for all j at once; steps
    are shortened as in statistics/newton.py."""
    import numpy as np

    m = z.shape[1]
    q = controls.shape[1]
    beta, inverse = np.zeros((m, 1 + q)), np.full((m, 1 + q, 1 + q), np.nan)
    repeats, done = np.zeros(m, dtype=bool), np.zeros(m, dtype=bool)
    active = np.arange(m)
    for turn in range(STEPS):
        now, x = beta[active], z if len(active) == m else z[:, active]
        chance = sigma(x * now[:, 0] + controls @ now[:, 1:].T)
        residual = y[:, None] - chance
        gradient = np.concatenate([(x * residual).sum(axis=0)[:, None], residual.T @ controls], axis=1)
        curvature = _information(x, controls, chance * (1 - chance))
        scale = np.sqrt(np.maximum(np.einsum("jkk->jk", curvature), 1e-300))
        lowest = np.linalg.eigvalsh(curvature / scale[:, :, None] / scale[:, None, :])[:, 0]
        bad = lowest < SINGULAR
        if turn == 0:
            repeats[active[bad]] = True
        beta[active[bad]] = np.nan
        active, x, gradient, curvature = active[~bad], x[:, ~bad], gradient[~bad], curvature[~bad]
        if not len(active):
            break
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        reach = np.abs(x * step[:, 0] + controls @ step[:, 1:].T).max(axis=0, initial=0.0)
        beta[active] += step * np.where(reach > 1e-6, np.log1p(reach) / np.maximum(reach, 1e-12), 1.0)[:, None]
        inverse[active] = np.linalg.inv(curvature)
        done[active[reach < TOLERANCE]] = True
        active = active[reach >= TOLERANCE]
        if not len(active):
            break
    beta[~done] = np.nan
    return Fits(beta, inverse, repeats)


def fit_all(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """One regression on all columns of x (n, p): coefficients (p,) and inverse information (p, p). Raises ValueError
    where no finite maximum exists."""
    import numpy as np

    from evalsuite.statistics.logistic import curvature_of, logistic_regression

    beta = logistic_regression(x, y)
    return beta, np.asarray(np.linalg.inv(curvature_of(x, beta, np.ones(len(y)))[1]), dtype=np.float64)


def finite_controls(controls: Floats, y: Floats, few: int) -> Floats:
    """The controls that have a finite coefficient: a column that is there in fewer than `few` rows, or always on the
    winner's (or the loser's) side, would take every regression with it. Where the rest has none either, the last
    columns go."""
    import numpy as np

    won = np.sign(controls) * (y - 0.5)[:, None]
    both = (won > 0).any(axis=0) & (won < 0).any(axis=0)
    kept = controls[:, ((controls != 0).sum(axis=0) >= few) & both]
    while kept.shape[1]:
        try:
            fit_all(kept, y)
        except ValueError:
            kept = kept[:, :-1]
            continue
        break
    return kept


def _information(x: Floats, controls: Floats, weight: Floats) -> Floats:
    import numpy as np

    m, q = x.shape[1], controls.shape[1]
    out = np.empty((m, 1 + q, 1 + q))
    weighted = x * weight
    out[:, 0, 0] = (weighted * x).sum(axis=0)
    out[:, 0, 1:] = out[:, 1:, 0] = weighted.T @ controls
    for i in range(q):
        out[:, 1 + i, 1 + i :] = weight.T @ (controls[:, i : i + 1] * controls[:, i:])
        out[:, 1 + i :, 1 + i] = out[:, 1 + i, 1 + i :]
    return out


def sigma(odds: Floats) -> Floats:
    """The logistic function."""
    from scipy.special import expit

    return expit(odds)


def changes(own: Floats, others: Floats) -> tuple[Floats, Floats, Floats]:
    """Moving features from the second text (D = -1) to the first (D = +1): for each row (n, m) the change of the
    probability σ(δ + η) - σ(-δ + η), and its derivatives by δ and by η. `own`: δ (m,); `others`: η (n, m)."""
    up, down = sigma(own + others), sigma(-own + others)
    steep_up, steep_down = up * (1 - up), down * (1 - down)
    return up - down, steep_up + steep_down, steep_up - steep_down


@dataclass(frozen=True)
class Clusters:
    """Which rows belong together, in one or two ways (conversations, annotators): incidence matrices. `degrees`: of
    freedom of the variance."""

    ways: tuple[Any, ...]
    degrees: int
    n: int

    def variance(self, influence: Floats, parameters: int) -> Floats:
        """Variance of figures from their rows' influences (n, m) → (m,). Two ways: Cameron, Gelbach & Miller, Journal
        of Business & Economic Statistics 29 (2011), but never below either way alone."""
        import numpy as np

        small = (self.n - 1) / max(self.n - parameters, 1)
        parts = []
        for way in self.ways:
            groups = way.shape[0]
            sums = way @ influence
            parts.append((sums**2).sum(axis=0) * groups / max(groups - 1, 1) * small)
        if not parts:
            return np.asarray((influence**2).sum(axis=0) * self.n / max(self.n - parameters, 1))
        if len(parts) == 1:
            return np.asarray(parts[0])
        return np.maximum(parts[0] + parts[1] - parts[2], np.maximum(parts[0], parts[1]))

    def quantile(self, level: float) -> float:
        return t_quantile(max(self.degrees, 1), level)

    def p_value(self, statistic: Floats) -> Floats:
        import numpy as np
        from scipy.special import stdtr

        return np.asarray(2 * stdtr(max(self.degrees, 1), -np.abs(statistic)))


def clusters_of(codes: tuple[Any, ...], n: int) -> Clusters:
    """Clusters of n rows from one or two arrays of codes (n,); an array in which every row has its own code is no
    clustering."""
    import numpy as np

    numbered = []
    for code in codes:
        _, ids = np.unique(np.asarray(code), return_inverse=True)
        if int(ids.max(initial=-1)) + 1 < n:
            numbered.append(ids.astype(np.int64))
    if not numbered:
        return Clusters((), n - 1, n)
    degrees = min(int(ids.max()) for ids in numbered)
    if len(numbered) == 2:
        _, both = np.unique(numbered[0] * (int(numbered[1].max()) + 1) + numbered[1], return_inverse=True)
        numbered.append(both)
    return Clusters(tuple(_incidence(ids) for ids in numbered), degrees, n)


def _incidence(ids: Any) -> Any:
    import numpy as np
    from scipy.sparse import csr_array

    n = len(ids)
    return csr_array((np.ones(n), (ids, np.arange(n))), shape=(int(ids.max()) + 1, n))
