"""Effects of a judge's verdicts, on arrays: linear and logistic regressions, and a model with a hidden quality.

All intervals are clustered sandwiches: rows of one sample may depend on each other. None of the regressions has an
intercept for "answer a": turning a pair round changes the sign of its every column and of its outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evalsuite.statistics import Interval
from evalsuite.statistics.intervals import t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NODES = 31
LOG_TAU, LOG_OMEGA = (-3.0, 2.5), (-7.0, 2.0)


def fit_linear(y: Floats, x: Floats, clusters: Sequence[str], level: float = 0.95) -> Interval:
    """First coefficient of y (n,) on x (n, p)."""
    import numpy as np

    bread = np.linalg.pinv(x.T @ x)
    beta = bread @ (x.T @ y)
    return _robust(beta[0], bread, x * (y - x @ beta)[:, None], clusters, level, "cluster")


def fit_logistic(y: Floats, x: Floats, clusters: Sequence[str], level: float = 0.95) -> Interval:
    """First coefficient of logit P(y = 1) = x·β; y (n,) in [0, 1], ties as halves. No value where a column tells all
    outcomes apart: its coefficient is not finite."""
    import numpy as np

    beta = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -40, 40)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x
        if np.linalg.cond(hessian) > 1e8 or np.abs(x @ beta).max() > 40:
            return Interval(None, None, None, len(set(clusters)), "none")
        step = np.linalg.solve(hessian, x.T @ (y - p))
        if np.abs(step).max() < 1e-9:
            break
        beta = beta + np.clip(step, -2, 2)
    return _robust(beta[0], np.linalg.inv(hessian), x * (y - p)[:, None], clusters, level, "logistic")


def fit_votes(
    d: Floats, z: Floats, votes: Sequence[Sequence[float]], clusters: Sequence[str], level: float = 0.95
) -> Interval:
    """A judge's liking for length beyond that of several people: λ of one hidden quality behind votes and verdicts.

    For pair i with length difference z (n,), votes v of people in [0, 1] (n lists) and the judge's logit d (n,):

        Q = γ z + τ u,  u normal         what people see in the pair: longer answers may well be better ones
        v ~ Bernoulli(σ(Q))              each vote for itself, ties as halves
        d = a Q + λ z + ω e,  e normal   what the judge makes of it; λ is the length that only the judge sees

    Maximum likelihood, u integrated out by Gauss–Hermite quadrature. Votes on the same pair that disagree identify λ:
    they show how far a vote is from Q (errors in the control; Fuller, Measurement Error Models (1987)). With one vote a
    pair, τ and λ cannot be told apart.
    """
    import numpy as np
    from scipy.optimize import minimize

    scale = float(np.sqrt((d**2).mean())) or 1.0  # the judge's own unit: its logits may be tiny or huge
    data = (d / scale, z, np.asarray([sum(v) for v in votes]), np.asarray([len(v) for v in votes], dtype=float))
    start = np.asarray([float(z @ data[0] / (z @ z)), 0.0, 0.5, 0.3, -0.5])
    bounds = [(None, None), (None, None), LOG_TAU, (None, None), LOG_OMEGA]

    def loss(theta: Floats) -> tuple[float, Floats]:
        value, scores = likelihood(theta, *data)
        return -value, -scores.sum(axis=0)

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}).x
    inside = [LOG_TAU[0] < found[2] < LOG_TAU[1], LOG_OMEGA[0] < found[4] < LOG_OMEGA[1]]
    free = [0, 1, *([2] if inside[0] else []), 3, *([4] if inside[1] else [])]
    hessian = np.stack([_slope(found, i, data)[free] for i in free])
    scores = likelihood(found, *data)[1][:, free]
    fitted = _robust(found[0], np.linalg.pinv(-(hessian + hessian.T) / 2), scores, clusters, level, "hidden")
    value, low, high = (None if v is None else v * scale for v in (fitted.value, fitted.low, fitted.high))
    return Interval(value, low, high, fitted.n, fitted.method)


def likelihood(theta: Floats, d: Floats, z: Floats, won: Floats, asked: Floats) -> tuple[float, Floats]:
    """Log-likelihood and each pair's score (n, 5) at θ = (λ, γ, log τ, a, log ω), by Fisher's identity: the mean of
    the complete data's score over the posterior of u."""
    import numpy as np

    lam, gamma, log_tau, a, log_omega = theta
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    tau, precision = np.exp(log_tau), np.exp(-2 * log_omega)
    q = (gamma * z)[:, None] + tau * points
    error = d[:, None] - a * q - (lam * z)[:, None]
    log_win = -np.logaddexp(0, -q)
    joint = won[:, None] * log_win + (asked - won)[:, None] * (log_win - q) - error**2 * precision / 2
    joint = joint + np.log(weights / weights.sum())
    most = joint.max(axis=1, keepdims=True)
    mass = np.exp(joint - most)
    value = float((most[:, 0] + np.log(mass.sum(axis=1)) - log_omega).sum())
    posterior = mass / mass.sum(axis=1, keepdims=True)
    by_q = won[:, None] - asked[:, None] * np.exp(log_win) + a * error * precision
    by_length, by_size = z[:, None] * error * precision, error**2 * precision - 1
    parts = (by_length, z[:, None] * by_q, tau * points * by_q, q * error * precision, by_size)
    return value, np.stack([(posterior * part).sum(axis=1) for part in parts], axis=1)


def _slope(theta: Floats, i: int, data: tuple[Floats, Floats, Floats, Floats]) -> Floats:
    import numpy as np

    step = np.zeros(len(theta))
    step[i] = 1e-5
    up, down = (likelihood(theta + side * step, *data)[1].sum(axis=0) for side in (1, -1))
    return np.asarray((up - down) / 2e-5)


def _robust(value: float, bread: Any, scores: Floats, clusters: Sequence[str], level: float, method: str) -> Interval:
    """Interval of the first parameter by the clustered sandwich bread · Σ s sᵀ · bread, s a cluster's summed scores."""
    import numpy as np

    numbers: dict[str, int] = {}
    ids = np.asarray([numbers.setdefault(c, len(numbers)) for c in clusters])
    sums = np.zeros((len(numbers), scores.shape[1]))
    np.add.at(sums, ids, scores)
    groups = len(numbers)
    if groups <= scores.shape[1]:
        return Interval(float(value), None, None, groups, "none")
    variance = (bread @ (sums.T @ sums) @ bread.T)[0, 0] * groups / (groups - scores.shape[1])
    half = t_quantile(groups - scores.shape[1], level) * max(float(variance), 0.0) ** 0.5
    return Interval(float(value), float(value) - half, float(value) + half, groups, method)
