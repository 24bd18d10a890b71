"""Battles as a fitting problem: rows sorted by pair, summed where nothing tells them apart, checked for a maximum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalsuite.statistics.newton import (
    Design,
    hessian,
    information,
    make_design,
    pair_sums,
    probabilities,
    solve,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evalsuite.statistics.battles import Battles

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

WEAK = 1e-3  # of log-odds: the pull on ratings that a draw leaves undetermined


@dataclass(frozen=True, slots=True)
class Rows:
    """All battles, the smaller node first, sorted by pair; the ground is node K. score: of the first; z: (p, R)."""

    first: Integers
    second: Integers
    score: Floats
    weight: Floats
    z: Floats
    cluster: Integers | None


@dataclass(frozen=True, slots=True)
class Problem:
    """`rows` and the `design` that is fitted: the rows themselves where there are covariates, else one row for each
    pair. pair: (R,) of each battle; weight, won: (design rows,), of all battles. `centre`: the node that all others
    met, where the ratings have a closed form."""

    rows: Rows
    design: Design
    pair: Integers
    weight: Floats
    won: Floats
    centre: int | None

    @property
    def summed(self) -> bool:
        return not len(self.rows.z)


def prepare(table: Battles, penalty: tuple[float, float]) -> Problem:
    """Raises ValueError where the penalty is negative or, without one, no finite maximum can exist."""
    import numpy as np

    if min(penalty) < 0:
        raise ValueError("the penalty must not be negative")
    rows = _sorted(table)
    k = len(table.models)
    design = make_design(rows.first, rows.second, rows.z, penalty, k)
    pair, weight, won = design.pair, rows.weight, rows.weight * rows.score
    weights, wins = (pair_sums(design, column[None])[0] for column in (weight, won))
    if penalty[0] == 0:
        _check_connected(design, weights, wins, table.models)
    if len(rows.z):
        return Problem(rows, design, pair, weight, won, None)
    design = make_design(design.first, design.second, rows.z[:, : len(weights)], penalty, k)
    met = np.asarray(abs(design.incidence).sum(axis=0))
    common = np.flatnonzero(met == len(weights))
    return Problem(rows, design, pair, weights, wins, int(common[0]) if design.free and len(common) else None)


def weakened(problem: Problem) -> Problem:
    """The same problem with the weak pull that makes every weighting of it determined."""
    import numpy as np

    design = replace(problem.design, penalty=np.maximum(problem.design.penalty, WEAK), free=False)
    return replace(problem, design=design, centre=None)


def maximise(
    problem: Problem, weight: Floats, won: Floats, start: Floats | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Parameters (B, K + p) of B weightings (B, design rows), and whether each has a finite maximum.

    start: (1, K + p).
    """
    import numpy as np

    design = problem.design
    if problem.centre is None:
        first = np.zeros(len(design.penalty)) if start is None else start[0]
        return solve(design, weight, won, np.tile(first, (len(weight), 1)))
    determined = np.asarray(((won > 0) & (won < weight)).all(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.log(won / (weight - won))
    theta = np.zeros((len(weight), design.models))
    inward = design.second == problem.centre
    theta[:, np.where(inward, design.first, design.second)] = np.where(inward, odds, -odds)
    return theta, determined


def covariance(problem: Problem, theta: Floats) -> Floats | None:
    """Robust covariance (K + p, K + p) of the parameters; exact for differences of ratings. None where a covariate
    cannot be told from the models (collinear, and no penalty)."""
    import numpy as np

    design, rows = problem.design, problem.rows
    chance = probabilities(design, theta)[0]
    curvature = hessian(design, (problem.weight * chance * (1 - chance))[None])[0]
    k, p = design.models, len(design.z)
    if p and not design.penalty[-1]:
        left = curvature[k:, k:] - curvature[k:, :k] @ np.linalg.solve(curvature[:k, :k], curvature[:k, k:])
        scale = np.sqrt(np.maximum(np.diag(curvature)[k:], 1e-300))
        if np.linalg.eigvalsh(left / scale / scale[:, None]).min() < 1e-9:
            return None
    residual = rows.weight * (rows.score - (chance[problem.pair] if problem.summed else chance))
    bread = np.linalg.inv(curvature)
    return np.asarray(bread @ _meat(problem, residual) @ bread)


def _meat(problem: Problem, residual: Floats) -> Floats:
    """Sum over clusters (rows, where there are none) of the outer product of their part in the gradient."""
    import numpy as np
    from scipy.sparse import csr_array

    design, cluster = problem.design, problem.rows.cluster
    if cluster is None:
        n, squares = len(residual), residual**2
        if problem.summed:
            squares = np.bincount(problem.pair, weights=squares, minlength=len(design.first)).astype(float)
        return information(design, squares[None])[0] * (n / (n - 1) if n > 1 else 1.0)
    groups = int(cluster.max()) + 1
    by_pair = csr_array((residual, (cluster, problem.pair)), shape=(groups, len(design.first)))
    parts = (by_pair @ design.incidence).toarray()[:, : design.models]
    columns = [np.bincount(cluster, weights=residual * line, minlength=groups) for line in problem.rows.z]
    parts = np.column_stack([parts, *columns])
    return np.asarray(parts.T @ parts) * (groups / (groups - 1) if groups > 1 else 1.0)


def _sorted(table: Battles) -> Rows:
    import numpy as np

    k = len(table.models)
    a = np.where(table.a == table.b, k, table.a)  # who met itself: see `battles`
    turned = a > table.b
    first, second = np.where(turned, table.b, a), np.where(turned, a, table.b)
    order = np.lexsort((second, first))
    score = np.where(turned, 1 - table.score, table.score)[order]
    z = (np.where(turned, -1.0, 1.0)[:, None] * table.covariates)[order].T
    cluster = None if table.cluster is None else table.cluster[order]
    return Rows(first[order], second[order], score, table.weight[order], z, cluster)


def _check_connected(design: Design, weight: Floats, won: Floats, models: tuple[str, ...]) -> None:
    """A finite maximum needs that, split the nodes as you will, somebody of each side scored against the other."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = design.models + (not design.free)
    up, down = won > 0, won < weight
    source = np.concatenate([design.first[up], design.second[down]])
    target = np.concatenate([design.second[up], design.first[down]])
    graph = coo_array((np.ones(len(source)), (source, target)), shape=(size, size)).tocsr()
    parts, label = connected_components(graph, directed=True, connection="weak")
    names = np.array([*models, "(itself)"])[:size]
    if parts > 1:
        smallest = np.argmin(np.bincount(label))
        raise ValueError(
            f"the battles fall into {parts} separate parts, so that ratings of one cannot be compared with those of "
            f"another; the smallest: {_some(names[label == smallest].tolist())}. Leave it out, or give a penalty"
        )
    parts, label = connected_components(graph, directed=True, connection="strong")
    if parts == 1:
        return
    between = label[source] != label[target]
    unbeaten = set(range(parts)) - set(label[target][between].tolist())
    winless = set(range(parts)) - set(label[source][between].tolist())
    sizes = np.bincount(label)
    part = min(unbeaten | winless, key=lambda i: (sizes[i], i))
    what = "scored in all" if part in unbeaten else "lost all"
    raise ValueError(
        f"{_some(names[label == part].tolist())} {what} battles against the others and never the other way round: no "
        "finite rating exists. Leave it out, or give a penalty"
    )


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
