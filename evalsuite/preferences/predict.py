"""How well preferences of held-out pairs can be predicted: by features, by the embedding, by length, by a reward model.

    parts = split(pairs)                                     # shares no prompt and no conversation
    score = fitted(z, preference, parts.train, parts.held_out)
    auc("features", score, preference[parts.held_out], clusters[parts.held_out])

Predictors are odd (no intercept), and so is their figure: every pair counts in both orders, so that turning pairs
round changes no AUC. With t the score towards the preferred text it is the share of t_i + t_j > 0 over all i, j (Walsh
averages). Its interval is that of a U-statistic by clusters (DeLong et al. 1988; Obuchowski 1997, Biometrics 53) on the
log-odds scale; it takes the fitted predictor as it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from evalsuite.features.contract import Predicted
from evalsuite.features.sae import Rows
from evalsuite.preferences.effects import scales_of
from evalsuite.preferences.effects_fit import clusters_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEW = 20
"""Decided held-out pairs below which no AUC is given."""
IN_MEMORY = 1 << 30
"""Bytes (float32) of training rows that are held; of more, a sample drawn by the seed is used."""
ITERATIONS = 200
AT_ONCE = 4096


def auc(name: str, scores: Any, preference: Any, clusters: Any = None, level: float = 0.95) -> Predicted:
    """The AUC of scores (n,) for the first text; ties and unlabelled pairs do not count. None where fewer than `FEW`
    pairs are decided."""
    import numpy as np

    s, y = np.asarray(scores, dtype=float), np.asarray(preference, dtype=float)
    rows = ~np.isnan(y) & (y != 0.5) & ~np.isnan(s)
    n = int(rows.sum())
    if n < FEW:
        return Predicted(name, None, None, None, n, f"{n} held-out pairs are decided: too few")
    towards = np.where(y[rows] > 0.5, s[rows], -s[rows])
    order = np.sort(towards)
    above = n - np.searchsorted(order, -towards, side="right")
    equal = n - above - np.searchsorted(order, -towards, side="left")
    each = (above + 0.5 * equal) / n
    value = float(each.mean())
    codes = () if clusters is None else (np.asarray(clusters)[rows],)
    found = clusters_of(codes, n)
    variance = float(found.variance(2 * (each - value)[:, None] / n, 1)[0])
    if not 0 < value < 1 or variance <= 0 or found.degrees < 2:
        return Predicted(name, value, None, None, n, "no interval: every pair says the same")
    middle = math.log(value / (1 - value))
    half = found.quantile(level) * variance**0.5 / (value * (1 - value))
    return Predicted(name, value, _sigma(middle - half), _sigma(middle + half), n)


def fitted(x: Rows, preference: Any, train: Any, held_out: Any, seed: int = 0) -> Any:
    """Scores (held-out rows,) of a logistic regression (C = 1, no intercept) on columns scaled to a root mean square
    of 1, fitted to the labelled training rows; ties are labels of 0.5. Rows are read by parts where there are many."""
    import numpy as np

    y = np.asarray(preference, dtype=float)
    rows = np.asarray(train)[~np.isnan(y[train])]
    most = max(1, IN_MEMORY // (4 * x.shape[1]))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    data = _gathered(x, rows)
    scales = scales_of(data)
    scales = np.where(scales > 0, scales, np.inf).astype(np.float32)
    data /= scales
    weights = (_ridge(data, y[rows]) / scales).astype(np.float32)
    scores = np.empty(len(held_out))
    for start in range(0, len(held_out), AT_ONCE):
        part = np.asarray(held_out)[start : start + AT_ONCE]
        scores[start : start + len(part)] = np.asarray(x[part], dtype=np.float32) @ weights
    return scores


def _gathered(x: Rows, rows: Any) -> Any:
    import numpy as np

    out = np.empty((len(rows), x.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        out[start : start + len(part)] = x[part]
    return out


def _ridge(x: Any, y: Floats, penalty: float = 1.0) -> Any:
    """Weights (p,) that minimise the log-loss Σ + penalty/2 · |w|², by L-BFGS (Newton where columns are few)."""
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    if x.shape[1] <= 64:
        from evalsuite.statistics.logistic import logistic_regression

        return logistic_regression(x.astype(float), y, penalty=penalty)

    def loss(w: Any) -> tuple[float, Any]:
        odds = (x @ w.astype(np.float32)).astype(float)
        value = float(np.logaddexp(0, odds).sum() - y @ odds) + penalty / 2 * float(w @ w)
        return value, (expit(odds) - y).astype(np.float32) @ x + penalty * w

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return found.x


def _sigma(value: float) -> float:
    return 1 / (1 + math.exp(-value))
