"""Win rates and mean grades of all models at once, with AlpacaEval's standard error and an interval."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalsuite.judging.ranking.table import EVEN, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Sides:
    """Each model's own view of every case that it took part in; rows of one model stand together.

    `value` is its preference (or grade), `weight` how much the case counts, `sample` and `question` what it is on,
    `length` its answer's characters (NaN unknown), `row` where it stood in the table."""

    model: Codes
    value: Floats
    weight: Floats
    sample: Codes
    question: Codes
    length: Floats
    row: Codes

    def of(self, model: int) -> slice:
        """Where a model's rows stand."""
        import numpy as np

        return slice(int(np.searchsorted(self.model, model)), int(np.searchsorted(self.model, model, side="right")))


@dataclass(frozen=True, slots=True)
class Rate:
    """A model's figure. `value` is a mean over verdicts, `n` counts questions, `verdicts` cases with one, `weight`
    is what they sum to; `standard_error` keeps a question's verdicts together, and is sd(ddof 1)/sqrt(n) where each has
    one; `missing` counts cases without verdict by their reason. `length`: mean characters of its answers."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    verdicts: int
    weight: float
    standard_error: float | None
    wins: int
    losses: int
    ties: int
    missing: dict[str, int]
    length: float | None


def sides(table: Table, baseline: int | None = None, strong: float = 1.0) -> Sides:
    """Both models of each case, or with a baseline its opponent (and the baseline where it met itself).

    `strong`: how many times a clear win (A>>B) counts; a question's weight stays with it for both models.
    """
    import numpy as np

    rows = np.arange(len(table))
    weight = np.where(table.strength == 2, strong, 1.0)
    graded = np.isnan(table.preference) & ~np.isnan(table.score) | (table.b < 0)
    value = np.where(graded, table.score, table.preference)
    left = np.ones(len(table), dtype=bool) if baseline is None else graded | (table.b == baseline)
    right = ~graded & (table.a != table.b)
    right &= np.ones(len(table), dtype=bool) if baseline is None else (table.a == baseline)
    model = np.concatenate([table.a[left], table.b[right]])
    at = np.argsort(model, kind="stable")
    return Sides(
        model=model[at],
        value=np.concatenate([value[left], 1 - value[right]])[at],
        weight=np.concatenate([weight[left], weight[right]])[at],
        sample=np.concatenate([table.sample[left], table.sample[right]])[at],
        question=np.concatenate([table.question[left], table.question[right]])[at],
        length=np.concatenate([table.length_a[left], table.length_b[right]])[at],
        row=np.concatenate([rows[left], rows[right]])[at],
    )


def rates(table: Table, found: Sides, graded: bool = False) -> dict[int, Rate]:
    """Every model's rate, by its place; of grades where `graded` (no unit interval, no wins)."""
    import numpy as np

    return {int(m): rate(table, found, found.of(int(m)), graded) for m in np.unique(found.model)}


def rate(table: Table, found: Sides, rows: slice, graded: bool = False) -> Rate:
    import numpy as np

    from evalsuite.statistics import mean_interval

    value, weight, question = found.value[rows], found.weight[rows], found.question[rows]
    there = ~np.isnan(value)
    reasons = Counter(table.statuses[s] for s in table.status[found.row[rows][~there]])
    length = found.length[rows]
    mean_length = float(length[~np.isnan(length)].mean()) if (~np.isnan(length)).any() else None
    value, weight, question = value[there], weight[there], question[there]
    interval = mean_interval(value, weight, question, bounded=not graded)
    return Rate(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=interval.n,
        verdicts=len(value),
        weight=float(weight.sum()),
        standard_error=standard_error(value, weight, question),
        wins=0 if graded else int((value > 0.5 + EVEN).sum()),
        losses=0 if graded else int((value < 0.5 - EVEN).sum()),
        ties=0 if graded else int((np.abs(value - 0.5) <= EVEN).sum()),
        missing=dict(sorted(reasons.items())),
        length=mean_length,
    )


def standard_error(value: Floats, weight: Floats, question: Codes) -> float | None:
    """Of Σ wv / Σ w, a question's rows together; without repeats and weights it is sd(ddof 1) / sqrt(n). None below
    two questions."""
    import numpy as np

    if not len(value):
        return None
    names, group = np.unique(question, return_inverse=True)
    if len(names) < 2:
        return None
    centred = weight * (value - (weight * value).sum() / weight.sum()) / weight.sum()
    parts = np.bincount(group, weights=centred)
    return float(np.sqrt((parts**2).sum() * len(names) / (len(names) - 1)))


def influences(table: Table, found: Sides) -> dict[int, Floats]:
    """Each question's part in every model's mean around its value, by the model's place: (questions of the table,)."""
    import numpy as np

    parts: dict[int, Floats] = {}
    for model in np.unique(found.model):
        rows = found.of(int(model))
        value, weight, question = found.value[rows], found.weight[rows], found.question[rows]
        there = ~np.isnan(value)
        value, weight, question = value[there], weight[there], question[there]
        if len(value):
            centred = weight * (value - (weight * value).sum() / weight.sum()) / weight.sum()
            parts[int(model)] = np.asarray(
                np.bincount(question, weights=centred, minlength=len(table.samples)), dtype=np.float64
            )
    return parts
