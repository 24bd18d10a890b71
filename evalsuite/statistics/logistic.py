"""Logistic regression with continuous labels and weights: the plain (or ridge) maximum, by damped Newton steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEPS = 100


def logistic_regression(x: Floats, y: Floats, weights: Floats | None = None, penalty: float = 0.0) -> Floats:
    """Coefficients (p,) that maximise Σ w (y log p + (1 − y) log(1 − p)) − penalty/2 · Σ β², p = σ(xβ).

    x: (n, p), with a column of ones where an intercept is wanted; y: (n,) in [0, 1]; weights: (n,). Steps are shortened
    as in newton.py. Raises ValueError where no finite maximum exists: columns that tell all labels apart, or repeat
    one another.
    """
    import numpy as np

    w = np.ones(len(y)) if weights is None else weights
    beta = np.zeros(x.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(x @ beta, -700, 700)))
        gradient = x.T @ (w * (y - chance)) - penalty * beta
        curvature = (x.T * (w * chance * (1 - chance))) @ x + penalty * np.eye(len(beta))
        scale = np.sqrt(np.maximum(np.diag(curvature), 1e-300))
        if np.linalg.eigvalsh(curvature / scale / scale[:, None]).min() < 1e-10:
            break
        step = np.linalg.solve(curvature, gradient)
        reach = float(np.abs(x @ step).max(initial=0.0))
        beta = beta + step * (np.log1p(reach) / reach if reach > 1e-6 else 1.0)
        if reach < 1e-9:
            return beta
    raise ValueError("no finite coefficients exist: columns repeat one another, or tell all labels apart")


def curvature_of(x: Floats, beta: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Chances (n,) and the information matrix (p, p) at `beta`."""
    import numpy as np

    chance = 1 / (1 + np.exp(-np.clip(x @ beta, -700, 700)))
    return chance, (x.T * (weights * chance * (1 - chance))) @ x
