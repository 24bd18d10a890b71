"""What features do to the preference: logistic regressions, alone or jointly, with controls, and their intervals.

    design = Design(z, pairs.preference, controls, clusters=(components,))
    alone(design)                       # one Effect a feature, each with the controls beside it
    jointly(design)                     # all features and controls in one regression
    mark(effects, alpha=0.05)           # Bonferroni, Benjamini-Hochberg

The preference for the first text is P = σ(β z + γ c), z and c odd in the pair (first minus second). There is no
intercept and nothing is centred, so turning pairs round changes no effect to rounding; the scale of a feature is its
root mean square. β is for one such unit. WIMHF (Movva et al. 2025) has an intercept, which belongs to an order.

Change in win rate: with D = sign(z) in {-1, 0, +1} in place of z, the mean over all pairs of
σ(+δ + γ c) - σ(-δ + γ c): the feature moves from the second text to the first, the rest of the pair stays. (WIMHF's
printed formula moves D from 0 to 1, about half of that, and its pairs with z = 0 are dropped.) Its interval (delta
method) includes that pairs are a sample.

Ties are labels of 0.5 (or dropped); any strength between 0 and 1 is a label. Errors are robust (sandwich), and rows of
a cluster may depend on each other. What cannot be estimated is None with a reason, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.features.contract import Effect
from evalsuite.preferences.effects_fit import Clusters, changes, clusters_of, finite_controls, fit_all, fit_each, sigma
from evalsuite.statistics.multiple import benjamini_hochberg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Ties = Literal["half", "drop"]
FEW = 10
"""Labelled pairs in which a feature must be there; and labelled pairs at all."""
ROWS_EACH = 5
"""Labelled pairs for each coefficient of the joint regression."""
WIDEST = 256
"""Features that are regressed jointly at most."""
AT_ONCE = 4_000_000
"""Numbers in one matrix of pairs and features."""


@dataclass(frozen=True)
class Design:
    """n pairs as numbers. z: (n, m) activations; preference: (n,) for the first text in [0, 1], NaN where nobody said;
    controls: (n, q) differences, NaN where unknown (such rows are left out); clusters: at most two arrays of codes
    (n,); scales: (m,) what a unit of z is (default: its root mean square over all pairs)."""

    z: Any
    preference: Any
    controls: Any = None
    clusters: tuple[Any, ...] = ()
    scales: Any = None
    ties: Ties = "half"
    level: float = 0.95


@dataclass(frozen=True)
class _Ready:
    """The rows that take part, scaled: z (n, m), controls (n, q) without empty or repeated ones, y (n,)."""

    z: Floats
    controls: Floats
    y: Floats
    clusters: Clusters
    level: float
    reasons: list[str]


def alone(design: Design) -> list[Effect]:
    """The effect of each feature in a regression of its own, with the controls."""
    import numpy as np

    ready = _ready(design)
    width = ready.z.shape[1]
    found: list[Effect] = [_none(reason, len(ready.y)) for reason in ready.reasons]
    usable = [j for j in range(width) if not ready.reasons[j]]
    step = max(1, AT_ONCE // max(len(ready.y), 1))
    for start in range(0, len(usable), step):
        part = usable[start : start + step]
        z = ready.z[:, part]
        moved = _moved_alone(ready, np.sign(z))
        for j, effect in zip(part, _betas_alone(ready, z, moved), strict=True):
            found[j] = effect
    return found


def jointly(design: Design) -> list[Effect]:
    """The effect of each feature with all others, and the controls, in one regression. Features that repeat earlier
    ones are left out with a reason."""
    import numpy as np

    ready = _ready(design)
    n, width = ready.z.shape
    found: list[Effect] = [_none(reason, n) for reason in ready.reasons]
    usable = [j for j in range(width) if not ready.reasons[j]]
    if not usable:
        return found
    together = np.column_stack([ready.controls, ready.z[:, usable]])
    kept = independent(together)
    q = ready.controls.shape[1]
    for place, j in enumerate(usable):
        if q + place not in kept:
            found[j] = _none("repeats other features or controls", n)
    usable = [usable[k - q] for k in kept if k >= q]
    if len(usable) > WIDEST or n < ROWS_EACH * len(kept):
        what = f"{len(usable)} features jointly"
        reason = f"{n} labelled pairs are too few for {what}" if len(usable) <= WIDEST else f"too many for {what}"
        return [found[j] if j not in usable else _none(reason, n) for j in range(width)]
    z = ready.z[:, usable]
    moved = _moved_jointly(ready, np.sign(z))
    try:
        beta, inverse = fit_all(np.column_stack([z, ready.controls]), ready.y)
    except ValueError:
        return [found[j] if j not in usable else _none(SEPARATED, n) for j in range(width)]
    x = np.column_stack([z, ready.controls])
    influence = (ready.y - sigma(x @ beta))[:, None] * (x @ inverse[:, : len(usable)])
    errors = np.sqrt(ready.clusters.variance(influence, x.shape[1]))
    for place, (j, effect) in enumerate(zip(usable, _effects(ready, beta[: len(usable)], errors, moved), strict=True)):
        found[j] = effect if errors[place] > 0 else _none(SEPARATED, n)
    return found


def mark(effects: Sequence[Effect], alpha: float = 0.05, tested: Sequence[bool] | None = None) -> list[Effect]:
    """The effects with their significance among those that are tested (default: all that have a p): Bonferroni (p <
    alpha / tests), and Benjamini-Hochberg at the false discovery rate alpha."""
    chosen = [i for i, e in enumerate(effects) if e.p is not None and (tested is None or tested[i])]
    values = [float(p) for i in chosen if (p := effects[i].p) is not None]
    adjusted = benjamini_hochberg(values) if values else []
    found = [replace(e, significant_bonferroni=False, significant_bh=False) for e in effects]
    for place, i in enumerate(chosen):
        strict, mild = values[place] < alpha / len(chosen), adjusted[place] < alpha
        found[i] = replace(found[i], significant_bonferroni=strict, significant_bh=mild)
    return found


def faithful(r: Sequence[float | None], p: Sequence[float | None], alpha: float = 0.05) -> list[bool]:
    """Which of m descriptions hold: r > 0 with p < alpha / m (WIMHF's rule)."""
    return [
        value is not None and chance is not None and value > 0 and chance < alpha / len(r)
        for value, chance in zip(r, p, strict=True)
    ]


def independent(columns: Any, least: float = 1e-6) -> list[int]:
    """Columns (n, p) that are not 0 and that those before them do not make up."""
    import numpy as np

    kept: list[int] = []
    basis = np.empty((0, len(columns)))
    for j in range(columns.shape[1]):
        column = np.asarray(columns[:, j], dtype=float)
        length = float(np.linalg.norm(column))
        if length == 0:
            continue
        unit = column / length
        for _ in range(2):  # twice is enough (Giraud and others, 2005)
            unit = unit - basis.T @ (basis @ unit)
        left = float(np.linalg.norm(unit))
        if left > least:
            kept.append(j)
            basis = np.vstack([basis, unit / left])
    return kept


def scales_of(z: Any) -> Any:
    """Root mean square of each column (m,)."""
    import numpy as np

    z = np.asarray(z)
    return np.sqrt(np.einsum("ij,ij->j", z, z, dtype=float) / max(len(z), 1))


SEPARATED = "no finite effect: it tells all labels apart"
REPEATED = "repeats the controls: no effect of its own"


def _none(reason: str, n: int) -> Effect:
    return Effect(None, None, None, None, None, None, None, n, reason=reason)


def _ready(design: Design) -> _Ready:
    import numpy as np

    z, y = np.asarray(design.z), np.asarray(design.preference, dtype=float)
    controls = np.empty((len(y), 0)) if design.controls is None else np.asarray(design.controls, dtype=float)
    if len(z) != len(y) or len(controls) != len(y) or any(len(c) != len(y) for c in design.clusters):
        raise ValueError("activations, preferences, controls and clusters must be of one length")
    scales = scales_of(z) if design.scales is None else np.asarray(design.scales, dtype=float)
    rows = ~np.isnan(y) & ~np.isnan(controls).any(axis=1)
    if design.ties == "drop":
        rows &= y != 0.5
    y, controls = y[rows], controls[rows]
    z = np.asarray(z[rows], dtype=float) / np.where(scales > 0, scales, 1.0)
    size = scales_of(controls)
    controls = controls / np.where(size > 0, size, 1.0)
    controls = finite_controls(controls[:, independent(controls)], y, FEW)
    clusters = clusters_of(tuple(np.asarray(c)[rows] for c in design.clusters), len(y))
    return _Ready(z, controls, y, clusters, design.level, [_reason(z[:, j], y) for j in range(z.shape[1])])


def _reason(z: Floats, y: Floats) -> str:
    """Why a feature cannot have an effect here; empty where it can."""
    fires = int((z != 0).sum())
    if len(y) < FEW:
        return f"only {len(y)} labelled pairs"
    if fires < FEW:
        return f"is there in {fires} of {len(y)} labelled pairs: too few" if fires else "is 0 in every labelled pair"
    if not (y != 0.5).any():
        return "every label is a tie"
    return ""


@dataclass(frozen=True)
class _Moved:
    """Changes in win rate (m,) with their standard errors; NaN where there is none."""

    change: Floats
    error: Floats


def _moved_alone(ready: _Ready, signs: Floats) -> _Moved:
    import numpy as np

    fits = fit_each(signs, ready.controls, ready.y)
    own, rest = fits.beta[:, 0], ready.controls @ fits.beta[:, 1:].T
    each, by_own, by_rest = changes(own, rest)
    n = len(ready.y)
    slope = np.concatenate([by_own.mean(axis=0)[:, None], by_rest.T @ ready.controls / n], axis=1)
    weights = np.einsum("jkl,jl->jk", fits.inverse, slope)
    residual = ready.y[:, None] - sigma(signs * own + rest)
    influence = residual * (signs * weights[:, 0] + ready.controls @ weights[:, 1:].T) + (each - each.mean(axis=0)) / n
    return _Moved(each.mean(axis=0), np.sqrt(ready.clusters.variance(influence, 1 + ready.controls.shape[1])))


def _moved_jointly(ready: _Ready, signs: Floats) -> _Moved:
    import numpy as np

    m, n = signs.shape[1], len(ready.y)
    x = np.column_stack([signs, ready.controls])
    unknown = _Moved(np.full(m, np.nan), np.full(m, np.nan))
    if len(independent(x)) < x.shape[1]:
        return unknown
    try:
        beta, inverse = fit_all(x, ready.y)
    except ValueError:
        return unknown
    odds = x @ beta
    residual = ready.y - sigma(odds)
    change, error = np.empty(m), np.empty(m)
    step = max(1, AT_ONCE // n)
    for start in range(0, m, step):
        part = np.arange(start, min(start + step, m))
        each, by_own, by_rest = changes(beta[part], odds[:, None] - signs[:, part] * beta[part])
        slope = by_rest.T @ x / n
        slope[np.arange(len(part)), part] = by_own.mean(axis=0)
        influence = residual[:, None] * (x @ (inverse @ slope.T)) + (each - each.mean(axis=0)) / n
        change[part] = each.mean(axis=0)
        error[part] = np.sqrt(ready.clusters.variance(influence, x.shape[1]))
    return _Moved(change, error)


def _betas_alone(ready: _Ready, z: Floats, moved: _Moved) -> list[Effect]:
    import numpy as np

    fits = fit_each(z, ready.controls, ready.y)
    own = fits.beta[:, 0]
    residual = ready.y[:, None] - sigma(z * own + ready.controls @ fits.beta[:, 1:].T)
    weights = fits.inverse[:, 0]
    influence = residual * (z * weights[:, 0] + ready.controls @ weights[:, 1:].T)
    errors = np.sqrt(ready.clusters.variance(influence, 1 + ready.controls.shape[1]))
    effects = _effects(ready, own, errors, moved)
    return [
        effect
        if effect.beta is not None
        else replace(effect, change=None, low=None, high=None, reason=REPEATED if repeats else SEPARATED)
        for effect, repeats in zip(effects, fits.repeats, strict=True)
    ]


def _effects(ready: _Ready, beta: Floats, errors: Floats, moved: _Moved) -> list[Effect]:
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        p = ready.clusters.p_value(beta / errors)
    reach = ready.clusters.quantile(ready.level)
    found = []
    for j in range(len(beta)):
        known = bool(np.isfinite(beta[j]) and errors[j] > 0)
        own = _around(beta[j], reach * errors[j]) if known else NOTHING
        there = bool(np.isfinite(moved.change[j]) and moved.error[j] > 0)
        change = _around(moved.change[j], reach * moved.error[j]) if there else NOTHING
        reason = "" if there else "no change can be given: the feature's sign tells all labels apart"
        found.append(Effect(*own, *change, float(p[j]) if known else None, len(ready.y), reason=reason))
    return found


NOTHING = (None, None, None)


def _around(value: float, half: float) -> tuple[float | None, float | None, float | None]:
    return float(value), float(value - half), float(value + half)
