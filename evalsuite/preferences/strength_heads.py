"""Scalar heads of a reward model on differences of two texts, each trained on a bootstrap sample of the pairs.

    logits = heads(x, y, part, groups)         # (n, 5): what each head, which has not seen the pair, says of it

A head is a Bradley-Terry model, P(first) = σ(x w), without an intercept: turning a pair round negates its logit. The
five heads of a fold are trained on bootstrap samples (whole groups) of the other folds, so every logit is out of fold,
and of pairs that share no prompt or conversation with those it was trained on. The ridge is chosen inside each fold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HEADS = 5
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
NEWTON = 64
"""Columns up to which Newton steps are taken; L-BFGS above."""
ITERATIONS = 200
SMALL = 1e-12


def heads(x: Any, y: Any, part: Any, groups: Any, count: int = HEADS, seed: int = 0) -> Floats:
    """Logits (n, count) for the first text. x (n, p) differences; y (n,) in [0, 1], NaN where nobody said (such pairs
    get logits too); part (n,): the pair's fold; groups (n,): what depends on each other."""
    import numpy as np

    rng = np.random.default_rng(seed)
    out = np.empty((len(y), count))
    size = np.sqrt(np.einsum("ij,ij->j", x, x, dtype=float) / max(len(x), 1))
    x = np.asarray(x / np.where(size > SMALL, size, np.inf), dtype=np.float32 if x.shape[1] > NEWTON else float)
    for fold in np.unique(part):
        new = part == fold
        rows = np.flatnonzero(~new & ~np.isnan(y))
        penalty = _penalty(x[rows], y[rows], groups[rows], rng)
        _, codes = np.unique(groups[rows], return_inverse=True)
        total = int(codes.max()) + 1
        inner = x[rows]
        for head in range(count):
            times = rng.multinomial(total, np.full(total, 1 / total))[codes].astype(float)
            out[new, head] = x[new] @ fit(inner, y[rows], times, penalty)
    return out


def fit(x: Any, y: Any, weights: Any, penalty: float, start: Any = None) -> Any:
    """Weights (p,) that minimise the weighted log-loss + penalty/2 · |w|²."""
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    if x.shape[1] <= NEWTON:
        from evalsuite.statistics.logistic import logistic_regression

        return logistic_regression(x, y, weights, penalty)

    def loss(w: Any) -> tuple[float, Any]:
        odds = (x @ w.astype(np.float32)).astype(float)
        value = float(weights @ (np.logaddexp(0, odds) - y * odds)) + penalty / 2 * float(w @ w)
        return value, (weights * (expit(odds) - y)).astype(np.float32) @ x + penalty * w

    first = np.zeros(x.shape[1]) if start is None else start
    return minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}).x


def _penalty(x: Any, y: Any, groups: Any, rng: Any) -> float:
    """The ridge with the least log-loss on a fifth of the groups."""
    import numpy as np

    _, codes = np.unique(groups, return_inverse=True)
    out = (rng.random(int(codes.max()) + 1) < 0.2)[codes]
    if out.all() or not out.any():
        return PENALTIES[1]
    losses = []
    w: Any = None
    for penalty in reversed(PENALTIES):  # from the strongest, whose solution is near the next one's
        w = fit(x[~out], y[~out], np.ones(int((~out).sum())), penalty, w)
        odds = (x[out] @ w).astype(float)
        losses.append(float((np.logaddexp(0, odds) - y[out] * odds).mean()))
    return PENALTIES[::-1][int(np.argmin(losses))]
