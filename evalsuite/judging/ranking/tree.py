"""Figures over groups and over a tree of categories.

A node of the tree holds the union of its children's samples, each once, and its score is their mean (Feedbacker): a
node with many questions in two branches does not count them twice, and the root is the micro average. Ranks at a node
carry intervals from a bootstrap over samples, the same draws for all models, so that shared questions cancel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.data.files import read_rows, read_text
from evalsuite.errors import InputError
from evalsuite.judging.ranking.rates import Sides
from evalsuite.judging.ranking.table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROOT = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One model at one node (or group): mean with interval, rank with interval, n samples."""

    model: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """`path`: the names from the root, joined by "/"; "" is the root. `n`: samples of the union."""

    path: str
    depth: int
    n: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """Every model's sums of weighted values and of weights by sample: sparse matrices (samples, models)."""

    models: tuple[str, ...]
    sums: Any
    counts: Any


def grid(table: Table, found: Sides, models: Sequence[int], by_question: bool = False) -> Grid:
    """The grid of the models at some places, in that order; questions instead of samples where what is drawn must
    not depend on each other."""
    import numpy as np
    from scipy import sparse

    places = np.full(len(table.models), -1)
    places[list(models)] = np.arange(len(models))
    keep = (places[found.model] >= 0) & ~np.isnan(found.value)
    at = ((found.question if by_question else found.sample)[keep], places[found.model[keep]])
    parts = ((found.value * found.weight)[keep], found.weight[keep])
    shape = (len(table.samples), len(models))
    sums, counts = (sparse.coo_matrix((part, at), shape=shape).tocsr() for part in parts)
    return Grid(tuple(table.models[m] for m in models), sums, counts)


BLOCK = 4_000_000


def resampled(means: Grid, rounds: int, seed: int = 0) -> Floats:
    """Every model's mean in bootstrap draws of samples, the same draws for all: (rounds, models), NaN where a model
    has no sample in a draw."""
    import numpy as np

    rng = np.random.default_rng(seed)
    there = np.flatnonzero(means.counts.sum(axis=1))
    sums, counts = means.sums[there], means.counts[there]
    size, step = len(there), max(1, BLOCK // max(len(there), 1))
    blocks = []
    for at in range(0, rounds, step):
        drawn = rng.integers(0, size, size=(min(step, rounds - at), size))
        lanes = np.arange(len(drawn))[:, None] * size
        weights = np.bincount((drawn + lanes).ravel(), minlength=len(drawn) * size).reshape(len(drawn), size)
        total, weight = weights @ sums, weights @ counts
        blocks.append(np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0))
    return np.concatenate(blocks) if blocks else np.zeros((0, len(means.models)))


def read_tree(path: Path) -> dict[str, Any]:
    """A nested JSON object of names: {"coding": {"languages": {"Python": {}}}}; a list or null ends a branch too."""
    try:
        tree = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(tree, dict) or not tree:
        raise InputError(f"{path}: a tree is a JSON object of categories, each an object of its parts")
    return tree


def read_tags(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Sample → (its domain, its tags): rows with id, domain (or category) and tags (a list, or lists by basis)."""
    found = {}
    for number, row in enumerate(read_rows(path), start=1):
        row = {**row, **(row.get("meta_data") or {})}
        identity = next((str(row[k]) for k in ("sample", "id", "question_id", "index") if k in row), None)
        if identity is None:
            raise InputError(f"{path}: row {number}: has no id")
        domain = str(row.get("domain") or row.get("category") or "")
        found[identity] = (domain, frozenset(flat(row.get("tags", row.get("type_tags")))))
    return found


def flat(tags: Any) -> list[str]:
    """Tags out of a name, a list, or lists by their basis."""
    if isinstance(tags, Mapping):
        return [t for v in tags.values() for t in flat(v)]
    if isinstance(tags, Sequence) and not isinstance(tags, str):
        return [t for v in tags for t in flat(v)]
    return [str(tags)] if tags else []


def tags_of(table: Table) -> dict[str, tuple[str, frozenset[str]]]:
    """What annotations say themselves: their category as domain, and `details["tags"]`."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for sample, category, details in zip(table.sample, table.category, table.details, strict=True):
        name = table.samples[sample][1]
        if name not in found:
            found[name] = (table.categories[category], frozenset(flat(details.get("tags"))))
    return found


def members(tree: Mapping[str, Any], tagged: Mapping[str, tuple[str, frozenset[str]]]) -> dict[str, set[str]]:
    """Path → samples of every node that has any, parents before children.

    A sample belongs to a node that its tags name (inside its own domain, where it has one), or whose name is its
    domain; and to every node above.
    """
    found: dict[str, set[str]] = {ROOT: set()}
    for domain, branch in tree.items():
        mine = {s: tags for s, (d, tags) in tagged.items() if d in ("", domain)}
        inside = _gather(branch, (domain,), mine, found)
        inside |= {s for s, (d, _) in tagged.items() if d == domain}
        found[domain] = inside
        found[ROOT] |= inside
    order = sorted((p for p, samples in found.items() if samples), key=lambda p: (p != ROOT, p.split("/")))
    return {path: found[path] for path in order}


def _gather(
    branch: Any, path: tuple[str, ...], tagged: Mapping[str, frozenset[str]], found: dict[str, set[str]]
) -> set[str]:
    parts = branch if isinstance(branch, Mapping) else {name: {} for name in flat(branch)}
    own = {s for s, tags in tagged.items() if path[-1] in tags}
    for name, below in parts.items():
        own |= _gather(below, (*path, name), tagged, found)
    found["/".join(path)] = own
    return own


def roll_up(
    table: Table, means: Grid, groups: Mapping[str, set[str]], bounded: bool = True, rounds: int = 1000, seed: int = 0
) -> list[Node]:
    """Every node's means with their intervals, and ranks with a bootstrap's; the root holds all samples."""
    import numpy as np

    from evalsuite.statistics import mean_interval, rollup

    weight = means.counts.toarray()
    there = np.flatnonzero(weight.sum(axis=1))
    weight = weight[there]
    values = np.divide(means.sums.toarray()[there], weight, out=np.full(weight.shape, np.nan), where=weight > 0)
    paths: dict[str, list[tuple[str, ...]]] = {}
    for path, samples in groups.items():
        for sample in samples if path else ():
            paths.setdefault(sample, []).append(tuple(path.split("/")))
    own = [paths.get(table.samples[i][1], []) for i in there]
    scores = {model: [None if np.isnan(v) else float(v) for v in values[:, k]] for k, model in enumerate(means.models)}
    inside: dict[tuple[str, ...], list[int]] = {(): list(range(len(own)))}
    for i, several in enumerate(own):
        for path_ in {p[:depth] for p in several for depth in range(1, len(p) + 1)}:
            inside.setdefault(path_, []).append(i)
    nodes = []
    for node in rollup(scores, own, rounds, seed=seed):
        cells = []
        for k, model in enumerate(means.models):
            column = values[inside[node.path], k]
            found = mean_interval(column[~np.isnan(column)], bounded=bounded)
            bounds = node.bounds[k] or (None, None)
            cells.append(Cell(model, found.value, found.low, found.high, found.n, node.ranks[k], *bounds))
        nodes.append(Node("/".join(node.path), len(node.path), node.n, tuple(cells)))
    return nodes
