"""Do confidences mean what they say, and do they tell when to keep silent? Calibration and abstention figures.

    ece(confidence, right)                  # mean |confidence − share right| over ten bins of one width: lower = better
    ece(confidence, right, equal="mass")    # the same over bins of as many answers each ("adaptive")
    auroc(confidence, right)                # chance that a right answer is surer than a wrong one: 0.5 = says nothing
    aurc(confidence, right)                 # area under risk by coverage, surest answers first: lower = better
    accuracy_at(confidence, right, 0.8)     # accuracy when the least sure fifth is withheld

Arrays of one length n: confidence in [0, 1], right 0 or 1 (or a share). Answers of equal confidence are taken together:
whatever depends on an order is the mean over all orders among them. `calibration_rows` turns a task's scores into
metrics with intervals; the Brier score is `evalsuite.statistics.brier`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.statistics import Interval, bootstrap, mean_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Column = Sequence[float] | NDArray[Any]

BINS = 10
RESAMPLES = 999
Equal = Literal["width", "mass"]


def ece(confidence: Column, right: Column, bins: int = BINS, equal: Equal = "width") -> float:
    """Expected calibration error Σ |bin| / n · |mean confidence − mean right|. In [0, 1].

    equal "width": bins (0, 0.1], (0.1, 0.2], ... (Guo et al., ICML 2017; 0 belongs to the first); "mass": as equal in
    number as they can be, answers of one confidence in one bin (adaptive; Nguyen & O'Connor 2015). Sampling alone makes
    it more than 0: see `ece_of_perfect`.
    """
    c, y = _columns(confidence, right)
    return float(_ece(c, y, places(c, bins, equal))(_ones(c))[0])


def places(confidence: Column, bins: int = BINS, equal: Equal = "width") -> NDArray[np.int64]:
    """Which bin each confidence falls into, (n,)."""
    import numpy as np

    c = np.asarray(confidence, dtype=float)
    if bins < 1:
        raise ValueError(f"{bins} bins: at least 1 is wanted")
    if equal == "width":
        # Rounding would move 0.3 · 10 above 3.
        return np.clip(np.ceil(np.round(c * bins, 9)).astype(np.int64) - 1, 0, bins - 1)
    below = np.searchsorted(np.sort(c), c, side="left")
    return np.asarray(below * bins // max(len(c), 1), dtype=np.int64)


def ece_of_perfect(
    confidence: Column, bins: int = BINS, equal: Equal = "width", draws: int = 999, seed: int = 0
) -> float:
    """Mean ECE of as many answers with these confidences that are right exactly so often: an ECE's share of chance."""
    import numpy as np

    c = np.asarray(confidence, dtype=float)
    if not len(c):
        raise ValueError("no confidence is given")
    rng = np.random.default_rng(seed)
    place = places(c, bins, equal)
    onehot = np.equal.outer(place, np.unique(place)).astype(float)
    gaps = (rng.random((draws, len(c))) < c).astype(float) - c
    return float(np.abs(gaps @ onehot).sum(axis=1).mean() / len(c))


def auroc(confidence: Column, right: Column) -> float | None:
    """Chance that a right answer's confidence is above a wrong one's, ties half (Mann–Whitney). None where all are
    right or all wrong."""
    c, y = _columns(confidence, right)
    value = float(_auroc(c, y)(_ones(c))[0])
    return value if value == value else None


def aurc(confidence: Column, right: Column) -> float:
    """Mean risk over the n coverages 1/n, 2/n, ..., 1 (Geifman et al., ICLR 2019). In [0, 1]; a confidence that says
    nothing gives the error rate."""
    c, y = _columns(confidence, right)
    return float(_aurc(c, y)(_ones(c))[0])


def accuracy_at(confidence: Column, right: Column, coverage: float) -> float:
    """Accuracy of the surest `coverage` of all answers (0 < coverage <= 1); of the level that is cut through, its mean
    counts."""
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is a share above 0, not {coverage}")
    c, y = _columns(confidence, right)
    return float(_accuracy_at(c, y, coverage)(_ones(c))[0])


def figures(
    confidence: Column, right: Column, clusters: Sequence[Hashable] | None = None, seed: int = 0
) -> dict[str, Interval]:
    """Every figure with its interval: `ece`, `ece_adaptive`, `brier`, `auroc`, `aurc`, `acc_at_50`, `acc_at_80`,
    `confidence` (its mean) and `overconfidence` (mean confidence − accuracy).

    Bootstrap over clusters (samples) where no formula is simple; an ECE's is laid around its figure, because resampling
    moves an ECE itself upwards. Bins stay where the data put them.
    """
    import numpy as np

    c, y = _columns(confidence, right)
    resampled: dict[str, Callable[[Floats], Floats]] = {
        "ece": _ece(c, y, places(c, BINS, "width")),
        "ece_adaptive": _ece(c, y, places(c, BINS, "mass")),
        "auroc": _auroc(c, y),
        "aurc": _aurc(c, y),
        "acc_at_50": _accuracy_at(c, y, 0.5),
        "acc_at_80": _accuracy_at(c, y, 0.8),
    }
    found = {
        name: bootstrap(y, clusters=clusters, statistic=statistic, resamples=RESAMPLES, seed=seed)
        for name, statistic in resampled.items()
    }
    for name in ("ece", "ece_adaptive"):
        found[name] = _centred(found[name])
    if found["auroc"].value is None or np.isnan(found["auroc"].value):
        found["auroc"] = Interval(None, None, None, found["auroc"].n, "none")
    found["brier"] = mean_interval((c - y) ** 2, clusters=clusters, bounded=True)
    found["confidence"] = mean_interval(c, clusters=clusters, bounded=True)
    found["overconfidence"] = mean_interval(c - y, clusters=clusters)
    return found


def _columns(confidence: Column, right: Column) -> tuple[Floats, Floats]:
    import numpy as np

    c, y = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    if c.shape != y.shape or c.ndim != 1 or not len(c):
        raise ValueError("confidences and outcomes must be of one length, and some")
    if not (np.isfinite(c).all() and np.isfinite(y).all()):
        raise ValueError("a confidence or an outcome is missing: drop (and count) missing ones first")
    if ((c < 0) | (c > 1)).any() or ((y < 0) | (y > 1)).any():
        raise ValueError("confidences and outcomes lie in [0, 1]")
    return c, y


def _ones(c: Floats) -> Floats:
    import numpy as np

    return np.ones((1, len(c)))


def _levels(c: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows from the surest on, and where each level of confidence begins among them."""
    import numpy as np

    order = np.argsort(-c, kind="stable")
    return order, np.flatnonzero(np.append(True, np.diff(c[order]) != 0))


# Each of these gives a statistic for `bootstrap`: weights of rows (b, n) → figures (b,).


def _ece(c: Floats, y: Floats, place: NDArray[np.int64]) -> Callable[[Floats], Floats]:
    import numpy as np

    onehot = np.equal.outer(place, np.unique(place)).astype(float)

    def statistic(weights: Floats) -> Floats:
        return np.asarray(np.abs((weights * (c - y)) @ onehot).sum(axis=1) / weights.sum(axis=1))

    return statistic


def _auroc(c: Floats, y: Floats) -> Callable[[Floats], Floats]:
    import numpy as np

    order, starts = _levels(c)

    def statistic(weights: Floats) -> Floats:
        w = weights[:, order]
        right = np.add.reduceat(w * y[order], starts, axis=1)
        wrong = np.add.reduceat(w * (1 - y[order]), starts, axis=1)
        above = np.cumsum(right, axis=1) - right  # right answers that are surer than this level
        both = right.sum(axis=1) * wrong.sum(axis=1)
        wins = (wrong * (above + right / 2)).sum(axis=1)
        return np.divide(wins, both, out=np.full(len(w), np.nan), where=both > 0)

    return statistic


def _smoothed(c: Floats, y: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Weights, and the errors among them, of all answers as sure or surer, (b, n) from the surest on; within a level
    every answer has the level's mean."""
    import numpy as np

    order, starts = _levels(c)
    sizes = np.diff(np.append(starts, len(c)))

    def running(weights: Floats) -> tuple[Floats, Floats]:
        w = weights[:, order]
        mass = np.add.reduceat(w, starts, axis=1)
        wrong = np.add.reduceat(w * (1 - y[order]), starts, axis=1)
        share = np.divide(wrong, mass, out=np.zeros_like(mass), where=mass > 0)
        return np.cumsum(w, axis=1), np.cumsum(w * np.repeat(share, sizes, axis=1), axis=1)

    return running


def _aurc(c: Floats, y: Floats) -> Callable[[Floats], Floats]:
    import numpy as np

    running, (order, _) = _smoothed(c, y), _levels(c)

    def statistic(weights: Floats) -> Floats:
        given, wrong = running(weights)
        risk = np.divide(wrong, given, out=np.zeros_like(given), where=given > 0)
        return np.asarray((weights[:, order] * risk).sum(axis=1) / weights.sum(axis=1))

    return statistic


def _accuracy_at(c: Floats, y: Floats, coverage: float) -> Callable[[Floats], Floats]:
    import numpy as np

    running = _smoothed(c, y)

    def statistic(weights: Floats) -> Floats:
        given, wrong = (_zero(columns) for columns in running(weights))
        wanted = coverage * given[:, -1]
        after = np.minimum((given < wanted[:, None]).sum(axis=1), given.shape[1] - 1)
        rows = np.arange(len(given))
        step = given[rows, after] - given[rows, after - 1]
        part = np.divide(wanted - given[rows, after - 1], step, out=np.ones_like(step), where=step > 0)
        errors = wrong[rows, after - 1] + part * (wrong[rows, after] - wrong[rows, after - 1])
        return np.asarray(1 - errors / wanted)

    return statistic


def _zero(columns: Floats) -> Floats:
    """The running sums with the 0 before them."""
    import numpy as np

    return np.concatenate([np.zeros((len(columns), 1)), columns], axis=1)


def _centred(found: Interval) -> Interval:
    if found.value is None or found.low is None or found.high is None:
        return found
    half = (found.high - found.low) / 2
    return Interval(found.value, max(0.0, found.value - half), min(1.0, found.value + half), found.n, found.method)
