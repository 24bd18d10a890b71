"""One person's weights: from their own labels alone, or drawn towards what people have in common.

    firth(x, y)                          # own labels only; finite also where they tell all labels apart
    towards(x, y, prior)                 # MAP and its normal approximation under β ~ N(mean, diag(variance))

x (n, p) is odd in the pair, so there is no intercept: P(first) = σ(xβ). Labels are in [0, 1]; ties are 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.preferences.effects import independent
from evalsuite.preferences.effects_fit import clusters_of, sigma

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEPS = 60
TOLERANCE = 1e-8
FIRES = 5
"""Labelled pairs of a person in which a feature must be there."""


@dataclass(frozen=True)
class Own:
    """Coefficients and their variances (p,), NaN where the person's labels say nothing of a feature."""

    beta: Floats
    variance: Floats


@dataclass(frozen=True)
class Prior:
    """What is known of a person before their first label: β_j ~ N(mean_j, variance_j), each (p,)."""

    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Posterior:
    """What is known after it: β ~ N(mean (p,), covariance (p, p)), by Laplace's approximation."""

    mean: Floats
    covariance: Floats

    def predict(self, x: Any) -> Floats:
        """P(first) of rows x (n, p), averaged over β (MacKay, Neural Computation 4, 1992)."""
        import numpy as np

        spread = ((x @ self.covariance) * x).sum(axis=1)
        return sigma((x @ self.mean) / np.sqrt(1 + np.pi / 8 * spread))


def own_weights(x: Any, y: Any, groups: Any = None) -> Own:
    """A person's coefficients by Firth's logistic regression. Columns that hardly vary in the person's pairs, or repeat
    others there, are left out. Rows of one group (conversation) may depend: variances are then by groups, and not below
    those of independent rows."""
    import numpy as np

    p = x.shape[1]
    beta, variance = np.full(p, np.nan), np.full(p, np.nan)
    used = [j for j in range(p) if (x[:, j] != 0).sum() >= FIRES]
    used = [used[k] for k in independent(x[:, used])]
    if not used or len(y) <= len(used):
        return Own(beta, variance)
    part = x[:, used]
    found, covariance = firth(part, y)
    beta[used], variance[used] = found, np.diag(covariance)
    clusters = clusters_of(() if groups is None else (groups,), len(y))
    if clusters.ways:
        influence = (y - sigma(part @ found))[:, None] * (part @ covariance)
        variance[used] = np.maximum(variance[used], clusters.variance(influence, len(used)))
    return Own(beta, variance)


def variance_at(x: Any, own: Own, mean: Any) -> Floats:
    """Variances (p,) of a person's weights with the information taken at `mean` (p,) in place of their own weights.

    A weight that came out large by chance has a small information, and so a small weight among people's: means over
    people would be drawn to 0 (by 8% with 150 labels and strong tastes). At what people share there is no such tie.
    """
    import numpy as np

    used = np.flatnonzero(~np.isnan(own.beta))
    found = np.full(len(own.beta), np.nan)
    if len(used):
        part = x[:, used]
        inverses = []
        for beta in (own.beta[used], mean[used]):
            chance = sigma(part @ beta)
            inverses.append(np.diag(np.linalg.inv((part.T * (chance * (1 - chance))) @ part)))
        # What clusters add to the variance is kept, as a factor.
        found[used] = own.variance[used] * inverses[1] / inverses[0]
    return found


def firth(x: Any, y: Any) -> tuple[Floats, Floats]:
    """Coefficients (p,) and covariance (p, p) of the logistic regression with Jeffreys' prior (Firth, Biometrika 80,
    1993): without the first-order bias, and finite where labels are told apart. Columns must not repeat each other."""
    import numpy as np

    beta = np.zeros(x.shape[1])
    covariance = np.eye(len(beta))
    for _ in range(STEPS):
        chance = sigma(x @ beta)
        weight = chance * (1 - chance)
        covariance = np.linalg.inv((x.T * weight) @ x)
        leverage = weight * ((x @ covariance) * x).sum(axis=1)
        step = covariance @ (x.T @ (y - chance + leverage * (0.5 - chance)))
        reach = float(np.abs(x @ step).max())
        beta = beta + step * (np.log1p(reach) / reach if reach > 1e-6 else 1.0)
        if reach < TOLERANCE:
            break
    return beta, covariance


def towards(x: Any, y: Any, prior: Prior, start: Any = None) -> Posterior:
    """The posterior of a person's weights from labels y (n,) of pairs x (n, p): n may be 0."""
    import numpy as np

    precision = 1 / np.maximum(prior.variance, 1e-12)
    beta = prior.mean if start is None else start
    curvature = np.diag(precision)
    for _ in range(STEPS):
        chance = sigma(x @ beta)
        curvature = (x.T * (chance * (1 - chance))) @ x + np.diag(precision)
        step = np.linalg.solve(curvature, x.T @ (y - chance) - precision * (beta - prior.mean))
        reach = float(np.abs(x @ step).max(initial=0.0))
        beta = beta + step * (np.log1p(reach) / reach if reach > 1e-6 else 1.0)
        if reach < TOLERANCE and float(np.abs(step).max()) < 1e-6:
            break
    return Posterior(beta, np.asarray(np.linalg.inv(curvature), dtype=np.float64))
