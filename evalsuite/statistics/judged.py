"""Win rates as a judge sees them, with intervals that a judge's own unsteadiness cannot narrow; and rates anchored at
people's verdicts.

Averaging both orders turns "A first, then B first" of an undecided judge into ties, and ties have little variance: a
judge that nearly always names the first answer would get 0.5 with hardly any interval. `judged_rate` therefore adds
the variance between orders and between repeats back: its interval is that of one verdict for each item, in a random
order.

    >>> fickle = judged_rate([1, 0] * 49 + [1, 1], [i // 2 for i in range(100)], ["ab", "ba"] * 50)
    >>> [round(end, 2) for end in (fickle.plain.low, fickle.plain.high, fickle.interval.low, fickle.interval.high)]
    [0.49, 0.53, 0.37, 0.65]
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.statistics.intervals import Interval, effective_wilson, mean_interval, t_quantile
from evalsuite.statistics.rates import as_preferences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Column = Sequence[float] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class JudgedRate:
    """`interval`: the widened one; `plain`: over the items' means alone; both hold the value and n (items).

    Variance of one verdict: `item` (between items), `swap` (between the orders of an item; None where no item has both
    and none was given), `repeat` (between repeats of one order; None likewise). `position`: how much more the answer
    shown first is preferred than 0.5, over items seen in both orders."""

    interval: Interval
    plain: Interval
    item: float
    swap: float | None
    repeat: float | None
    position: float | None


def judged_rate(
    preferences: Column,
    items: Sequence[Hashable],
    orders: Sequence[str] | None = None,
    known: tuple[float | None, float | None] = (None, None),
    level: float = 0.95,
) -> JudgedRate:
    """Mean preference for A over n items, each item counting once, with the judge's inconsistency in the interval.

    preferences: (R,) for A in [0, 1], already mapped back; items: (R,); orders: (R,), "ab" where A was shown first,
    else "ba". `known`: the judge's (swap, repeat) variances from an audit, taken where these rows cannot show them.

    Variance components: an item's repeats of one order give `repeat`; ((mean ab − mean ba) / 2)², less what repeats
    make of it, gives `swap`. Var(value) = (s² of the items' means + swap where both orders were averaged, or only one
    was ever asked + repeat · (1 − 1/rows of an item)) / n, and the interval is Wilson's at that effective size.
    """
    import numpy as np

    values = as_preferences(preferences)
    if not len(values) == len(items) == (len(items) if orders is None else len(orders)):
        raise ValueError("preferences, items and orders must be of one length")
    if np.isnan(values).any():
        raise ValueError("a preference is missing: drop (and count) missing ones first")
    if not len(values):
        nothing = Interval(None, None, None, 0, "none")
        return JudgedRate(nothing, nothing, 0.0, *known, None)
    cells = _cells(values, items, orders)
    seen = cells.rows > 0
    means = np.divide(cells.sums, cells.rows, out=np.zeros_like(cells.sums), where=seen)
    item_means = means.sum(axis=1) / seen.sum(axis=1)
    plain = mean_interval(item_means, level=level, bounded=True)
    both = seen.all(axis=1) & (orders is not None)
    repeat = _repeat_variance(values, means, cells)
    repeat = known[1] if repeat is None else repeat
    swap, position = known[0], None
    if both.any():
        gaps = (means[both, 0] - means[both, 1]) / 2
        noise = (repeat or 0.0) * (1 / cells.rows[both]).sum(axis=1).mean() / 4
        swap, position = max(float((gaps**2).mean() - noise), 0.0), float(gaps.mean())
    one_order = bool(seen.any(axis=0).sum() == 1)
    n = len(item_means)
    spread = float(item_means.var(ddof=1)) if n > 1 else 0.0
    hidden = (swap or 0.0) * (1.0 if one_order else float(both.mean()))
    hidden += (repeat or 0.0) * float((1 - 1 / cells.rows.sum(axis=1)).mean())
    value = float(item_means.mean())
    total = min(spread + hidden, value * (1 - value) * n / max(n - 1, 1))  # no verdict in [0, 1] varies more
    interval = effective_wilson(value, total / n, n, level, most=n) if hidden else plain
    return JudgedRate(interval, plain, spread, swap, repeat, position)


@dataclass(frozen=True, slots=True)
class AnchoredRate:
    """`interval`: of people's mean preference; `trust`: how far the judge's verdicts were used (0: not at all);
    `worth`: how many people's verdicts alone would give as narrow an interval; n is people's items."""

    interval: Interval
    trust: float
    worth: float


def anchored_rate(
    judge_on_labelled: Column, people: Column, judge_on_rest: Column, level: float = 0.95
) -> AnchoredRate:
    """What people would say on average, from few of their verdicts and many of a judge's: prediction-powered inference.

    judge_on_labelled, people: (n,) on the same items; judge_on_rest: (N,) on others of the same population. The judge's
    bias is removed by the labelled items, and `trust` chosen for the narrowest interval, so that a useless judge does
    no harm. Source: Angelopoulos et al., Science 382 (2023); Angelopoulos, Duchi & Zrnic, "PPI++" (2023), example 6.1.
    Raises ValueError with fewer than three labelled items or none beside them.
    """
    import numpy as np

    f, y, rest = (np.asarray(column, dtype=float) for column in (judge_on_labelled, people, judge_on_rest))
    n, more = len(y), len(rest)
    if len(f) != n or n < 3 or more < 1:
        raise ValueError(
            "anchoring needs three labelled items or more, each with the judge's verdict, and others beside"
        )
    everything = np.concatenate([f, rest])
    variance = float(everything.var(ddof=1))
    trust = float(np.cov(f, y)[0, 1]) / ((1 + n / more) * variance) if variance > 0 else 0.0
    trust = min(max(trust, 0.0), 1.0)
    value = float(trust * rest.mean() + (y - trust * f).mean())
    # One more degree of freedom than the mean's goes to `trust`; t for the few labelled items.
    error = (float((y - trust * f).var(ddof=2)) / n + trust**2 * variance / more) ** 0.5
    half = t_quantile(n - 2, level) * error
    worth = float(y.var(ddof=1)) / error**2 if error > 0 else float(n)
    return AnchoredRate(Interval(value, value - half, value + half, n, "ppi"), trust, worth)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Rows of each item in each order: (n, 2), and each row's place."""

    sums: Floats
    rows: Floats
    item: NDArray[np.int64]
    order: NDArray[np.int64]


def _cells(values: Floats, items: Sequence[Hashable], orders: Sequence[str] | None) -> _Cells:
    import numpy as np

    numbers: dict[Hashable, int] = {}
    item = np.array([numbers.setdefault(i, len(numbers)) for i in items], dtype=np.int64)
    order = np.zeros(len(item), dtype=np.int64) if orders is None else np.array([int(o != "ab") for o in orders])
    sums, rows = np.zeros((len(numbers), 2)), np.zeros((len(numbers), 2))
    np.add.at(sums, (item, order), values)
    np.add.at(rows, (item, order), 1.0)
    return _Cells(sums, rows, item, order)


def _repeat_variance(values: Floats, means: Floats, cells: _Cells) -> float | None:
    """Pooled variance within an item's rows of one order; None where none has two."""
    freedom = float((cells.rows - 1).clip(min=0).sum())
    if freedom == 0:
        return None
    return float(((values - means[cells.item, cells.order]) ** 2).sum()) / freedom
