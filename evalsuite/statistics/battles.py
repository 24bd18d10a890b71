"""Battles: who met whom, with what score and weight: what Bradley–Terry and Elo are computed from.

>>> table = battles(["a", "a", "b"], ["b", "c", "c"], [1, 0.5, 0])
>>> table.models, table.score.tolist()
(('a', 'b', 'c'), [1.0, 0.5, 0.0])
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Column = Sequence[float] | NDArray[Any]

SelfBattles = Literal["drop", "one_sided"]


@dataclass(frozen=True, slots=True)
class Battles:
    """R battles between K models.

    models: their names, sorted. a, b: (R,) places in `models`; score: (R,) of `a`, 1 won, 0.5 tied, 0 lost or a
    probability; weight: (R,). covariates: (R, p), of `a` over `b` (positive where `a` has more), named by `names`.
    cluster: (R,) numbers 0..G-1 of what is drawn together (a prompt), or None. In a row whose `a` equals `b` the model
    met itself; it is then the second one, and nobody the first (see `battles`).
    """

    models: tuple[str, ...]
    a: Integers
    b: Integers
    score: Floats
    weight: Floats
    covariates: Floats
    names: tuple[str, ...] = ()
    cluster: Integers | None = None


def battles(
    a: Sequence[str],
    b: Sequence[str],
    scores: Column,
    weights: Column | None = None,
    covariates: Mapping[str, Column] | None = None,
    clusters: Sequence[Hashable] | None = None,
    self_battles: SelfBattles = "drop",
) -> Battles:
    """Checks and numbers R battles; rows of weight 0 are left out.

    a, b: names; scores: of `a`, in [0, 1]; weights: not negative, 1 unless given; covariates: columns of length R, as
    they enter the model (see `style_difference`). `self_battles` of a model with itself say nothing and are dropped;
    "one_sided" keeps them as Arena-Hard v0.1 enters a judged copy of its baseline: the first entry of such a row of the
    design is overwritten by the second (−1), which moves penalised fits a little. Raises ValueError on what does not
    fit.
    """
    import numpy as np

    rows = len(a)
    score = np.asarray(scores, dtype=float)
    weight = np.ones(rows) if weights is None else np.asarray(weights, dtype=float)
    names = tuple(covariates or ())
    columns = [np.asarray(column, dtype=float) for column in (covariates or {}).values()]
    if {len(b), len(score), len(weight), *map(len, columns)} != {rows} or (
        clusters is not None and len(clusters) != rows
    ):
        raise ValueError("all columns of battles must be of one length")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError("weights of battles must be finite and not negative")
    if not ((score >= 0) & (score <= 1)).all():
        raise ValueError("scores must lie in [0, 1]: drop (and count) missing ones first")
    matrix = np.column_stack(columns) if columns else np.empty((rows, 0))
    if not np.isfinite(matrix).all():
        raise ValueError("a covariate is missing or not finite")
    first, second = np.asarray(a, dtype=str), np.asarray(b, dtype=str)
    keep = np.flatnonzero((weight > 0) & ((first != second) | (self_battles == "one_sided")))
    if not len(keep):
        raise ValueError("there is no battle between two models")
    models, places = np.unique(np.concatenate([first[keep], second[keep]]), return_inverse=True)
    cluster = None
    if clusters is not None:
        numbers: dict[Hashable, int] = {}
        cluster = np.array([numbers.setdefault(clusters[i], len(numbers)) for i in keep], dtype=np.int64)
    one, other = places.reshape(2, -1).astype(np.int64)
    return Battles(tuple(models.tolist()), one, other, score[keep], weight[keep], matrix[keep], names, cluster)


def style_difference(a: Column, b: Column, weights: Column | None = None) -> Floats:
    """(a − b) / (a + b + 1) of two counts (tokens, headers, list items), less its mean, over its population sd.

    a, b, weights: (R,), over all battles that are to be fitted; weights count rows that stand several times. This is
    the style feature of Arena-Hard v0.1 and Chatbot Arena. 0 where it does not vary.
    """
    import numpy as np

    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    share = (x - y) / (x + y + 1)
    centred = share - np.average(share, weights=w)
    spread = float(np.average(centred**2, weights=w)) ** 0.5
    return centred / spread if spread > 1e-12 else np.zeros_like(centred)
