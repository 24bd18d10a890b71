"""A correlation whose two sides are both estimates: reward in the data against shift of a model, over features.

    x_draws = normal_draws(beta, errors, alike, 2000, rng)      # (B, m): what else the effects might have been
    y_draws = mean_draws(rows, 2000, rng)                       # (B, m): means over resampled prompts
    correlated(beta, shift, x_draws, y_draws)

The m features are those at hand; what varies is how well each side is known. Noise pulls a correlation towards 0, and
redrawing adds it once more, so both are taken out of the spread of each draw (Spearman's correction for attenuation,
with the noise that the draws themselves show). The numerator stays as it is: the interval holds 0 exactly where that of
the plain, uncorrected correlation does, and a side that is nothing but noise leads to no finding. The interval is the
hull of the corrected draws' percentiles and the plain ones'.

Sources: Spearman, American Journal of Psychology 15 (1904) 72; Efron & Tibshirani, An Introduction to the Bootstrap
(1993), 13; Davison & Hinkley, Bootstrap Methods and their Application (1997), 5.2 (reversed percentiles).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.statistics.correlation import pearson
from evalsuite.statistics.intervals import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = 4
"""Features below which a correlation says nothing."""
BLOCK = 4_000_000  # numbers in a block of resampled weights: 32 MB


@dataclass(frozen=True, slots=True)
class Correlated:
    """Pearson's correlation over `features`, as observed. `low` and `high` count the errors of both sides and hold the
    correlation that there would be without them, the features being these; `sample_low` and `sample_high` are Fisher's:
    were the features a random sample of more like them. None where there are too few, or a side does not vary."""

    value: float | None
    low: float | None
    high: float | None
    features: int
    sample_low: float | None = None
    sample_high: float | None = None


def correlated(x: Any, y: Any, x_draws: Any, y_draws: Any, level: float = 0.95) -> Correlated:
    """x, y: (m,) estimates; x_draws, y_draws: (B, m) what they might have been, row b of both belonging together."""
    import numpy as np

    whole = pearson(x, y, level)
    if whole.value is None or len(x) < LEAST:
        return Correlated(None, None, None, len(x))
    ends = [0.5 - level / 2, 0.5 + level / 2]
    plain = np.quantile(_rows(x_draws, y_draws), ends)
    freed = np.quantile(_rows(x_draws, y_draws, _noise(x, x_draws), _noise(y, y_draws)), ends)
    low, high = min(plain[0], freed[0]), max(plain[1], freed[1])
    return Correlated(whole.value, float(low), float(high), len(x), whole.low, whole.high)


def contrast(x: Any, sides: tuple[Any, Any], x_draws: Any, draws: tuple[Any, Any], level: float = 0.95) -> Interval:
    """How much better x goes with the first side than with the second: the difference of the two correlations over the
    same features, on one set of draws of x (and of prompts, where both sides share them)."""
    values = [pearson(x, y).value for y in sides]
    if values[0] is None or values[1] is None or len(x) < LEAST:
        return Interval(None, None, None, len(x), "none")
    drawn = _rows(x_draws, draws[0]) - _rows(x_draws, draws[1])
    difference = values[0] - values[1]
    low, high = _hull(difference, drawn, level)
    return Interval(difference, max(-2.0, float(low)), min(2.0, float(high)), len(x), "bootstrap")


def normal_draws(values: Any, errors: Any, alike: Any, draws: int, rng: np.random.Generator) -> Floats:
    """(draws, m) from a normal distribution around the estimates (m,) with these standard errors (m,), whose
    correlations are `alike` (m, m)."""
    import numpy as np

    sizes, axes = np.linalg.eigh(np.asarray(alike, dtype=float))
    root = axes * np.sqrt(np.maximum(sizes, 0.0))
    found: Floats = np.asarray(values) + (rng.standard_normal((draws, len(root))) @ root.T) * np.asarray(errors)
    return found


def mean_draws(rows: Any, draws: int, rng: np.random.Generator) -> Floats:
    """(draws, m): means of as many rows (units, m), drawn with replacement; the same units are drawn for the same
    state of `rng` and number of units."""
    import numpy as np

    values = np.asarray(rows, dtype=float)
    units = len(values)
    step = max(1, BLOCK // units)
    even = np.full(units, 1 / units)
    parts = [rng.multinomial(units, even, size=min(step, draws - at)) @ values for at in range(0, draws, step)]
    return np.concatenate(parts) / units


def _rows(a: Any, b: Any, noise_a: float = 0.0, noise_b: float = 0.0) -> Floats:
    """Correlation of each row of a with the same row of b, without so much noise in their sums of squares (±1 where
    nothing else is left); 0 where a row does not vary."""
    import numpy as np

    u, v = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    both = (u * v).sum(axis=1)
    left = [np.maximum((w * w).sum(axis=1) - noise, 0.0) for w, noise in ((u, noise_a), (v, noise_b))]
    size = np.maximum(np.sqrt(left[0] * left[1]), np.abs(both))
    found: Floats = np.divide(both, size, out=np.zeros(len(u)), where=size > 0)
    return found


def _noise(values: Any, draws: Any) -> float:
    """Mean sum of squares, over the features, that errors put into a draw: once as the estimates hold them, and once
    more as they were drawn."""
    off = draws - values
    off = off - off.mean(axis=1, keepdims=True)
    return 2 * float((off * off).sum(axis=1).mean())


def _hull(value: float, drawn: Any, level: float) -> tuple[float, float]:
    """Of the percentile and the reversed percentile interval, whatever lies in either."""
    import numpy as np

    low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
    return min(float(low), 2 * value - float(high)), max(float(high), 2 * value - float(low))
