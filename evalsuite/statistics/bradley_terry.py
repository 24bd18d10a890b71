"""Bradley–Terry ratings: weighted battles, ties, style control, penalty, standard errors and a bootstrap.

log odds(a beats b) = θ_a − θ_b + β·z, a tie being half a win. The fit is the converged maximum of the (penalised)
likelihood, whatever the solver; ratings are level + width · (θ − anchor) / ln base.

    >>> from evalsuite.statistics import battles
    >>> fit = bradley_terry(battles(["m"] * 4, ["base"] * 4, [1, 1, 1, 0]), RatingScale(anchor="base"))
    >>> dict(zip(fit.models, fit.ratings.round(1).tolist())), fit.probabilities("base").round(3).tolist()
    ({'base': 1000.0, 'm': 1190.8}, [0.5, 0.75])

With one common opponent, no covariates and no penalty the probability against it is exactly the weighted win rate, and
that is how it is computed. Published conventions in these terms: Arena-Hard v0.1 plain: weight 3 for ">>" and "<<",
anchor its baseline at 1000, `unit="copies"`; with style control: `style_difference` columns, penalty 0.5 (L2 with C = 1
on the doubled list), `self_battles="one_sided"`; FastChat's arena: anchor 1114, penalty 0.5 with style control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evalsuite.statistics.battles import Battles

    Floats = NDArray[np.float64]

Unit = Literal["rows", "copies", "clusters"]


@dataclass(frozen=True, slots=True)
class RatingScale:
    """A lead of `width` points means odds of `base` to 1; `anchor` (a model; None: the mean of all) stands at
    `level`."""

    base: float = 10.0
    width: float = 400.0
    anchor: str | None = None
    level: float = 1000.0

    def points(self, models: tuple[str, ...], log_odds: Floats) -> Floats:
        """Ratings of log-odds (..., K); ValueError where the anchor is not among the models."""
        zero = log_odds.mean(axis=-1) if self.anchor is None else log_odds[..., place(models, self.anchor)]
        return self.level + self.width / math.log(self.base) * (log_odds - zero[..., None])


DEFAULT_SCALE = RatingScale()


@dataclass(frozen=True, slots=True)
class BradleyTerry:
    """models: K names, sorted; ratings, errors: (K,) in points, errors of the difference from the anchor; log_odds:
    (K,) natural, θ; coefficients, coefficient_errors: (p,) of the covariates `names`; n: battles; weight: their sum."""

    models: tuple[str, ...]
    ratings: Floats
    errors: Floats
    log_odds: Floats
    names: tuple[str, ...]
    coefficients: Floats
    coefficient_errors: Floats
    n: int
    weight: float

    def probabilities(self, against: str) -> Floats:
        """P(each model beats `against`) at equal covariates, (K,): Arena-Hard's score (times 100)."""
        return chances(self.models, self.log_odds, against)


@dataclass(frozen=True, slots=True)
class BradleyTerryDraws:
    """B bootstrap fits: ratings, log_odds (B, K), coefficients (B, p). In `undetermined` draws somebody won or lost
    everything, or met nobody; those are fitted with a weak penalty: ratings that are extreme, not infinite."""

    models: tuple[str, ...]
    ratings: Floats
    log_odds: Floats
    coefficients: Floats
    undetermined: int

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Percentile bounds (K,), (K,) of the ratings."""
        import numpy as np

        low, high = np.quantile(self.ratings, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return low, high

    def probabilities(self, against: str) -> Floats:
        """P(each model beats `against`) in each draw, (B, K)."""
        return chances(self.models, self.log_odds, against)


def bradley_terry(table: Battles, scale: RatingScale = DEFAULT_SCALE, penalty: float = 0.0) -> BradleyTerry:
    """Fits R battles (a weight multiplies its battle's log-likelihood).

    `penalty` λ adds λ/2 · (Σ (θ/ln base)² + Σ β²) to the negative log-likelihood: λ = 1/(2C) equals scikit-learn's C on
    a list of battles that stands doubled. Standard errors are robust (sandwich, over clusters where the table has
    them), so that ties and weights are honoured. Source: Bradley & Terry, Biometrika 39 (1952); Ford, Am. Math. Monthly
    64 (1957) on when the maximum exists. Raises ValueError where it does not: battles that fall into separate parts,
    somebody who won or lost everything against the rest, or a covariate that cannot be told from the models.
    """
    import numpy as np

    from evalsuite.statistics.paired_rows import covariance, maximise, prepare

    problem = prepare(table, (penalty / math.log(scale.base) ** 2, penalty))
    theta, found = maximise(problem, problem.weight[None], problem.won[None])
    k = len(table.models)
    points = scale.points(table.models, theta[:, :k])[0]
    spread = covariance(problem, theta)
    if not found[0] or spread is None:
        raise ValueError(
            f"the covariates ({', '.join(table.names)}) tell all wins from losses, or cannot be told from the models: "
            "leave one out, or give a penalty"
        )
    zero = np.full(k, 1 / k) if scale.anchor is None else np.eye(k)[place(table.models, scale.anchor)]
    contrast = np.eye(k) - zero
    variance = np.diag(contrast @ spread[:k, :k] @ contrast.T)
    errors = np.sqrt(np.maximum(variance, 0.0)) * scale.width / math.log(scale.base)
    return BradleyTerry(
        *(table.models, points, errors, theta[0, :k] - theta[0, :k].mean()),
        *(table.names, theta[0, k:], np.sqrt(np.diag(spread)[k:])),
        *(len(table.score), float(table.weight.sum())),
    )


def bradley_terry_bootstrap(
    table: Battles,
    scale: RatingScale = DEFAULT_SCALE,
    penalty: float = 0.0,
    rounds: int = 1000,
    seed: int = 0,
    unit: Unit | None = None,
) -> BradleyTerryDraws:
    """Refits `rounds` resamples of the battles, each to convergence, in batches that start from the full fit.

    `unit`: what is drawn with replacement: "rows"; "copies" (a battle of weight 3 counts as three that are drawn on
    their own, as Arena-Hard does; weights must be whole); "clusters" (prompts: battles on one prompt are not
    independent; the default where the table has them). Raises ValueError as `bradley_terry` does.
    """
    import numpy as np

    from evalsuite.statistics.paired_rows import maximise, prepare, weakened
    from evalsuite.statistics.resampling import blocks

    problem = prepare(table, (penalty / math.log(scale.base) ** 2, penalty))
    start, found = maximise(problem, problem.weight[None], problem.won[None])
    scale.points(table.models, start[:, : len(table.models)])  # an unknown anchor is said before the work
    if not found[0]:
        raise ValueError("the battles have no finite ratings: give a penalty")
    kind = unit or ("rows" if table.cluster is None else "clusters")
    thetas, undetermined = [], 0
    for weight, won in blocks(problem, kind, rounds, seed):
        theta, found = maximise(problem, weight, won, start)
        lost = np.flatnonzero(~found)
        if len(lost):
            theta[lost] = maximise(weakened(problem), weight[lost], won[lost], start)[0]
            undetermined += len(lost)
        thetas.append(theta)
    every = np.concatenate(thetas)
    k = len(table.models)
    log_odds = every[:, :k] - every[:, :k].mean(axis=1, keepdims=True)
    return BradleyTerryDraws(table.models, scale.points(table.models, log_odds), log_odds, every[:, k:], undetermined)


def chances(models: tuple[str, ...], log_odds: Floats, against: str) -> Floats:
    """P(each model beats `against`) of log-odds (..., K)."""
    import numpy as np
    from scipy.special import expit

    return np.asarray(expit(log_odds - log_odds[..., place(models, against)][..., None]))


def place(models: tuple[str, ...], name: str) -> int:
    """Where a model stands; ValueError where it does not."""
    if name not in models:
        raise ValueError(f"{name!r} is in no battle; models: {', '.join(models)}")
    return models.index(name)
