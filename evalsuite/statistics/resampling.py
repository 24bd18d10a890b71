"""Bootstrap weightings of battles, a block of draws at a time, small enough to stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evalsuite.statistics.paired_rows import Problem

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Expand = Callable[[Floats], tuple[Floats, Floats]]

BLOCK = 262_144  # numbers in a block: 2 MB


def blocks(problem: Problem, unit: str, rounds: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """(weight, won), each (B, rows of the design), for `rounds` draws in all; see `bradley_terry_bootstrap` for `unit`.

    Raises ValueError where copies are to be drawn of weights that are not whole, or clusters where there are none.
    """
    import numpy as np

    if unit == "clusters" and problem.rows.cluster is None:
        raise ValueError("clusters cannot be drawn: the battles have none")
    if unit == "copies" and (problem.rows.weight % 1 != 0).any():
        raise ValueError("copies can be drawn of whole weights only")
    rng = np.random.default_rng(seed)
    shares, expand = (_pair_units if problem.summed else _row_units)(problem, unit)
    step = max(1, BLOCK // max(len(problem.weight), len(shares)))
    for at in range(0, rounds, step):
        yield expand(draw_counts(rng, shares, min(step, rounds - at)))


def draw_counts(rng: np.random.Generator, shares: Integers, rounds: int) -> Floats:
    """How often each unit comes up among Σ shares draws with replacement, `shares` being its number of tickets:
    multinomial, (rounds, units)."""
    import numpy as np

    tickets = int(shares.sum())
    if len(shares) * 4 < tickets:
        return rng.multinomial(tickets, shares / tickets, size=rounds).astype(float)
    owner = None if len(shares) == tickets else np.repeat(np.arange(len(shares)), shares)
    counts = np.empty((rounds, len(shares)))
    for line in counts:  # several times faster than numpy's multinomial, which walks through all categories
        drawn = rng.integers(tickets, size=tickets)
        line[:] = np.bincount(drawn if owner is None else owner[drawn], minlength=len(shares))
    return counts


def _row_units(problem: Problem, unit: str) -> tuple[Integers, Expand]:
    """Tickets of each unit, and how counts of units (B, U) become weights and wins of the rows (B, R)."""
    import numpy as np

    rows, cluster = problem.rows, problem.rows.cluster
    if unit == "clusters" and cluster is not None:
        return np.ones(int(cluster.max()) + 1, dtype=np.int64), lambda n: (
            n[:, cluster] * rows.weight,
            n[:, cluster] * problem.won,
        )
    if unit == "copies":
        return rows.weight.astype(np.int64), lambda n: (n, n * rows.score)
    return np.ones(len(rows.score), dtype=np.int64), lambda n: (n * rows.weight, n * problem.won)


def _pair_units(problem: Problem, unit: str) -> tuple[Integers, Expand]:
    """The same where only sums by pair matter: battles of one pair, score and weight are one unit."""
    import numpy as np
    from scipy.sparse import csr_array

    rows, pair = problem.rows, problem.pair
    won = rows.weight * rows.score
    if unit == "clusters" and rows.cluster is not None:
        shape = (int(rows.cluster.max()) + 1, len(problem.weight))
        weights, wins = (csr_array((column, (rows.cluster, pair)), shape=shape) for column in (rows.weight, won))
        return np.ones(shape[0], dtype=np.int64), lambda n: (n @ weights, n @ wins)
    kinds, count = np.unique(np.column_stack([pair, rows.score, rows.weight]), axis=0, return_counts=True)
    shape = (len(kinds), len(problem.weight))
    worth = np.ones(len(kinds)) if unit == "copies" else kinds[:, 2]
    shares = count * kinds[:, 2].astype(np.int64) if unit == "copies" else count
    place = (np.arange(len(kinds)), kinds[:, 0].astype(np.int64))
    weights, wins = (csr_array((column, place), shape=shape) for column in (worth, worth * kinds[:, 1]))
    return shares, lambda n: (n @ weights, n @ wins)
