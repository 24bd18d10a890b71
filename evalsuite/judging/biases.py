"""How far position, length and noise move a judge, on the logit scale, out of its own verdicts on swapped pairs.

Model of one verdict on case i in one order, s = +1 where answer a stands first and -1 where b does:

    logit P(first shown wins) = position + s · (quality_i + length · z_i) + noise · ε,    ε of mean 0 and variance 1

z_i is the difference of the answers' lengths (a - b, characters) over its root mean square in the data, so that the
figure does not depend on which answer is called a. Sums of a case's two orders hold position and noise alone, and
differences hold quality, length and noise: each effect is read from where the others cancel.

    position_bias(rows)                       # logit for standing first; 0 where position does not matter
    length_bias(rows, people=votes)           # logit for being longer by one unit, beyond what people grant
    noise(rows)                               # standard deviation of one verdict's logit

Soft verdicts (probabilities) are read so. Of text verdicts (win, loss, tie) only what swapping turns around is known:
there the figures come from logistic models and hold for a judge that draws its verdict with that probability. Where a
file has both kinds, the soft rows count. Rows without a verdict, or never asked, are left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evalsuite.judging.biases_fit import fit_linear, fit_logistic, fit_votes
from evalsuite.judging.contract import Annotation
from evalsuite.statistics import Interval, mean_interval
from evalsuite.statistics.intervals import NORMAL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PairKey = tuple[str, str, str, str]
"""(task, sample, model, model), the models in the order of their names."""

SOFT = ("logprobs", "likelihood", "reward")
GRADES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of verdicts in words, as importers code them
NONE = Interval(None, None, None, 0, "none")


@dataclass
class Swapped:
    """One pair of answers: the verdicts for the answer shown first, by order ("ab": the key's first model is shown
    first), one for each repeat; `length` is its answer's characters minus the other one's."""

    key: PairKey
    length: float
    shown: dict[str, list[float]] = field(default_factory=lambda: {"ab": [], "ba": []})

    @property
    def cluster(self) -> str:
        return f"{self.key[0]}\n{self.key[1]}"


def pair_key(row: Annotation) -> tuple[PairKey, bool]:
    """A row's pair, and whether its models had to be turned round for it."""
    turned = row.model_b < row.model_a
    models = (row.model_b, row.model_a) if turned else (row.model_a, row.model_b)
    return (row.task, row.sample, *models), turned


def swapped(annotations: Sequence[Annotation]) -> tuple[list[Swapped], bool]:
    """The pairs that were judged in both orders, and whether their verdicts are soft."""
    rows = [r for r in annotations if r.status == "parsed" and r.preference is not None and r.order in ("ab", "ba")]
    graded = [r for r in rows if r.mode in SOFT or (r.mode == "none" and r.preference not in GRADES)]
    soft = bool(graded)
    found: dict[tuple[PairKey, float], Swapped] = {}
    for row in graded if soft else rows:
        key, turned = pair_key(row)
        length = float(row.length_b - row.length_a if turned else row.length_a - row.length_b)
        pair = found.setdefault((key, length), Swapped(key, length))
        preference = row.preference if row.preference is not None else 0.5
        order = row.order if not turned else {"ab": "ba", "ba": "ab"}[row.order]
        pair.shown[order].append(preference if row.order == "ab" else 1 - preference)
    return [pair for pair in found.values() if pair.shown["ab"] and pair.shown["ba"]], soft


def position_bias(annotations: Sequence[Annotation], level: float = 0.95) -> Interval:
    """Logit that an answer gains by standing first (σ of it: the chance of the first of two equal answers).

    Soft verdicts: mean over pairs of half the sum of both orders' logits, t interval, pairs of one sample clustered.
    Text verdicts: conditional maximum likelihood (Rasch's model for two orders: given that both orders name the same
    place, P(both name the first) = σ(2·position) whatever the answers are), half the log-odds of the two counts with
    one half added to each, Woolf's interval; ties, and pairs whose orders agree, say nothing.
    """
    pairs, soft = swapped(annotations)
    if not soft:
        return _conditional(pairs, level)
    sums, _ = _halves(pairs)
    return mean_interval(sums, clusters=[p.cluster for p in pairs], level=level) if len(pairs) else NONE


def noise(annotations: Sequence[Annotation], level: float = 0.95) -> Interval:
    """Standard deviation of one soft verdict's logit: by what it moves when nothing that should matter changes.

    Out of repeats of the same pair in the same order where there are any, else out of the orders: twice the variance
    of the half sums is the noise's, as far as the liking for a place is the same for every pair (where it is not, the
    figure holds both, and so does the judge's inconsistency). Interval of a variance under any kurtosis (Bonett,
    Comput. Stat. Data Anal. 50 (2006) 775). None for text verdicts: they do not say how near they were.
    """
    import numpy as np

    pairs, soft = swapped(annotations)
    if not soft:
        return NONE
    cells = [np.asarray(_logits(shown)) for p in pairs for shown in p.shown.values()]
    repeated = [c for c in _finite(cells) if len(c) > 1]
    if repeated:
        parts = np.concatenate([c - c.mean() for c in repeated])
        return _spread(parts, sum(len(c) - 1 for c in repeated), 1.0, level)
    sums, _ = _halves(pairs)
    if len(sums) < 4:
        return Interval(None, None, None, len(sums), "none")
    return _spread(np.asarray(sums) - np.mean(sums), len(sums) - 1, math.sqrt(2), level)


def length_bias(
    annotations: Sequence[Annotation],
    people: Sequence[Annotation] = (),
    gold: Mapping[PairKey, float] | None = None,
    level: float = 0.95,
) -> Interval:
    """Logit that an answer gains by one unit (`length_unit`) of length beyond what its quality earns it.

    Quality is `gold` where given (how much better the pair's first model did, on any linear scale), else what `people`
    say. Where pairs have votes of several people, a model with a hidden quality of each pair explains votes (logistic
    in it) and verdicts (linear in it) together: `fit_votes`; a control by the mean vote instead would be blurred by
    people's disagreement and leave part of what they like about longer answers to the judge. With one vote a pair
    the vote itself is the control, so that the figure errs towards what people like. With neither, quality is left
    out. Text verdicts: logistic regression over both orders; it shrinks where quality is only partly known.

    `method` says which: "hidden", "cluster" (linear), "logistic"; none where lengths are all equal.
    """
    import numpy as np

    pairs, soft = swapped(annotations)
    votes = _votes(people)
    known = gold if gold is not None else votes if votes else None
    pairs = [p for p in pairs if known is None or p.key in known]
    if len(pairs) < 8 or not any(p.length for p in pairs):
        return Interval(None, None, None, len(pairs), "none")
    z = np.asarray([p.length for p in pairs]) / _unit(pairs)
    clusters = [p.cluster for p in pairs]
    columns = [z]
    if gold is not None:
        columns.append(np.asarray([gold[p.key] for p in pairs], dtype=float))
    elif votes:
        said = [votes[p.key] for p in pairs]
        if soft and sum(len(v) > 1 for v in said) >= max(8, len(said) // 5):
            return fit_votes(np.asarray(_halves(pairs)[1]), z, said, clusters, level)
        columns.append(np.asarray([2 * sum(v) / len(v) - 1 for v in said]))
    if soft:
        return fit_linear(np.asarray(_halves(pairs)[1]), np.stack(columns, axis=1), clusters, level)
    return _logistic(pairs, np.stack(columns, axis=1), level)


def length_unit(annotations: Sequence[Annotation]) -> float:
    """Characters of one unit of length: the root mean square difference of the lengths over pairs in both orders."""
    return _unit(swapped(annotations)[0])


def _unit(pairs: Sequence[Swapped]) -> float:
    return math.sqrt(sum(p.length**2 for p in pairs) / len(pairs)) if pairs else 0.0


def _votes(people: Sequence[Annotation]) -> dict[PairKey, list[float]]:
    """What people say for the key's first model, by pair."""
    found: dict[PairKey, list[float]] = defaultdict(list)
    for row in people:
        if row.preference is not None:
            key, turned = pair_key(row)
            found[key].append(1 - row.preference if turned else row.preference)
    return dict(found)


def _logits(values: Iterable[float]) -> list[float]:
    """Infinite where a verdict is certain."""
    return [math.log(p / (1 - p)) if 0 < p < 1 else math.copysign(math.inf, p - 0.5) for p in values]


def _finite(cells: Sequence[Floats]) -> list[Floats]:
    """Certain verdicts (the other letter was not among those given) count as the farthest one that is not."""
    import numpy as np

    every = np.concatenate(cells) if cells else np.zeros(0)
    inside = np.abs(every[np.isfinite(every)])
    farthest = float(inside.max()) if len(inside) else 1.0
    return [np.clip(c, -farthest, farthest) for c in cells]


def _halves(pairs: Sequence[Swapped]) -> tuple[list[float], list[float]]:
    """For each pair half the sum and half the difference (ab - ba) of its orders' logits."""
    import numpy as np

    cells = _finite([np.asarray(_logits(p.shown[order])) for p in pairs for order in ("ab", "ba")])
    means = [float(c.mean()) for c in cells]
    both = list(zip(means[::2], means[1::2], strict=True))
    return [(x + y) / 2 for x, y in both], [(x - y) / 2 for x, y in both]


def _conditional(pairs: Sequence[Swapped], level: float) -> Interval:
    both = [said for p in pairs for said in zip(p.shown["ab"], p.shown["ba"], strict=False)]
    first, second = (sum(all(side * (v - 0.5) > 0 for v in said) for said in both) for side in (1, -1))
    if not first + second:
        return NONE
    a, b = first + 0.5, second + 0.5
    value = math.log(a / b) / 2
    half = NORMAL.inv_cdf(0.5 + level / 2) * math.sqrt(1 / a + 1 / b) / 2
    return Interval(value, value - half, value + half, first + second, "conditional")


def _spread(residuals: Floats, df: int, scale: float, level: float) -> Interval:
    """sd of residuals (times `scale`) with Bonett's interval for it."""
    import numpy as np

    n = df + 1
    squares = float((residuals**2).sum())
    variance = squares / df
    if n < 6:
        return Interval(math.sqrt(variance) * scale, None, None, n, "none")
    if variance < 1e-18:  # rounding
        return Interval(0.0, 0.0, 0.0, n, "bonett")
    cut = int(len(residuals) / (2 * math.sqrt(len(residuals) - 4)))
    middle = np.sort(residuals)[cut : len(residuals) - cut].mean()
    kurtosis = len(residuals) * float(((residuals - middle) ** 4).sum()) / squares**2
    z = NORMAL.inv_cdf(0.5 + level / 2)
    widen = n / (n - z)
    error = widen * math.sqrt(max((kurtosis - (n - 3) / n) / (n - 1), 0.0))
    low, high = (math.sqrt(widen * variance * math.exp(side * z * error)) for side in (-1, 1))
    return Interval(math.sqrt(variance) * scale, low * scale, high * scale, n, "bonett")


def _logistic(pairs: Sequence[Swapped], x: Floats, level: float) -> Interval:
    """Text verdicts of both orders: logit P(the first shown wins) = position ± x·β."""
    import numpy as np

    sides = (("ab", 1.0), ("ba", -1.0))
    rows = [(i, side, v) for i, p in enumerate(pairs) for order, side in sides for v in p.shown[order]]
    place = np.asarray([i for i, _, _ in rows])
    turned = x[place] * np.asarray([side for _, side, _ in rows])[:, None]
    design = np.concatenate([turned, np.ones((len(rows), 1))], axis=1)
    return fit_logistic(np.asarray([v for _, _, v in rows]), design, [pairs[i].cluster for i in place], level)
