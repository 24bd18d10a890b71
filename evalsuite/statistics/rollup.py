"""Scores rolled up over a tree of categories, with ranks and their intervals at every node (Feedbacker).

A node's score is the mean over the union of the samples below it, each counted once however many of its leaves a sample
carries; the root's is over all samples. So large categories weigh more: compare `rates.averages` for macro averages.

    >>> nodes = rollup({"m": [1, 0, 1]}, [[("math", "sets")], [("math", "sets"), ("math", "sums")], []], rounds=0)
    >>> [(node.path, node.n, node.values) for node in nodes][:2]
    [((), 3, (0.6666666666666666,)), (('math',), 2, (0.5,))]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.statistics.ranks import competition_ranks, rank_intervals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One category. Columns follow the order of the models given; None where a model has no score here. `n`: samples;
    `counts`: how many of them each model has a score for; `bounds`: (low, high) rank, None without a bootstrap."""

    path: Path
    n: int
    values: tuple[float | None, ...]
    counts: tuple[int, ...]
    ranks: tuple[int | None, ...]
    bounds: tuple[tuple[int, int] | None, ...]


def rollup(
    scores: Mapping[str, Sequence[float | None]],
    paths: Sequence[Collection[Path]],
    rounds: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[Node]:
    """Every node of the tree that `paths` span, depth first, names sorted, the root () first.

    scores: for each model its scores of S samples, None where missing; paths: for each sample the nodes it belongs to,
    each from the root down (a path of an inner node is as good as a leaf's). Rank intervals resample each node's
    samples `rounds` times, all models together (so what they share does not widen them); 0 rounds: none.
    """
    import numpy as np

    table = np.array([np.asarray(line, dtype=float) for line in scores.values()])  # (M, S), None → nan
    if table.ndim != 2 or table.shape[1] != len(paths):
        raise ValueError("scores and paths must be of one length")
    members: dict[Path, set[int]] = {(): set(range(len(paths)))}
    for sample, own in enumerate(paths):
        for path in own:
            for depth in range(1, len(path) + 1):
                members.setdefault(tuple(path[:depth]), set()).add(sample)
    rng = np.random.default_rng(seed)
    return [_node(path, table[:, sorted(members[path])], rounds, level, rng) for path in sorted(members)]


def leaf_paths(tree: Mapping[str, Any]) -> Iterator[Path]:
    """Paths of all leaves of nested mappings ({} is a leaf), in their order."""
    for name, below in tree.items():
        if below:
            yield from ((name, *rest) for rest in leaf_paths(below))
        else:
            yield (name,)


@dataclass(frozen=True, slots=True)
class TableCheck:
    """A printed overall beside the sample-weighted mean of its parts."""

    model: str
    printed: float
    recomputed: float
    agrees: bool

    @property
    def difference(self) -> float:
        return self.recomputed - self.printed


def check_table(
    parts: Mapping[str, Sequence[float]], counts: Sequence[int], overall: Mapping[str, float], tolerance: float = 0.01
) -> list[TableCheck]:
    """Whether each model's printed overall is the mean of its parts' scores weighted by their sample counts."""
    total = sum(counts)
    if total <= 0:
        raise ValueError("the parts have no samples")
    found = []
    for model, values in parts.items():
        if len(values) != len(counts):
            raise ValueError(f"{model} has {len(values)} parts, and there are {len(counts)} counts")
        mean = sum(v * c for v, c in zip(values, counts, strict=True)) / total
        found.append(TableCheck(model, overall[model], mean, abs(mean - overall[model]) <= tolerance))
    return found


def _node(path: Path, table: Floats, rounds: int, level: float, rng: np.random.Generator) -> Node:
    """table: (M, samples of the node)."""
    import numpy as np

    known = ~np.isnan(table)
    counts = known.sum(axis=1)
    present = np.flatnonzero(counts)
    means = np.nansum(table[present], axis=1) / counts[present]
    values: list[float | None] = [None] * len(table)
    ranked: list[int | None] = [None] * len(table)
    bounds: list[tuple[int, int] | None] = [None] * len(table)
    for i, value, rank in zip(present.tolist(), means.tolist(), competition_ranks(means).tolist(), strict=True):
        values[i], ranked[i] = value, rank
    if rounds and len(present):
        size = table.shape[1]
        draws = rng.multinomial(size, np.full(size, 1 / size), size=rounds).astype(float)
        sums, weight = draws @ np.nan_to_num(table[present]).T, draws @ known[present].T.astype(float)
        # A draw without any score of a model says nothing of it; its own mean stands in.
        figures = np.divide(sums, weight, out=np.broadcast_to(means, sums.shape).copy(), where=weight > 0)
        for i, low, high in zip(present.tolist(), *(b.tolist() for b in rank_intervals(figures, level)), strict=True):
            bounds[i] = (low, high)
    return Node(path, table.shape[1], tuple(values), tuple(counts.tolist()), tuple(ranked), tuple(bounds))
