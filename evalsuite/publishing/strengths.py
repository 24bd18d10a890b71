"""What a model is good and bad at beside the other models of the board, over the taxonomy family → task → category.

A node's difference is the model's figure minus the mean of the others' (turned round where lower is better). Task: the
standard errors are read from the intervals. Family: the mean of its tasks' differences, shares only. Category (a field
of the samples' metadata): paired, the model's scores minus the mean of the others on the same samples. Every node of
the tree is one test; q is Benjamini–Hochberg over all of them, so that of what is called a strength or weakness, at
most 5% are expected to be false.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from evalsuite.publishing.board import Board
from evalsuite.publishing.shards import TaskSamples
from evalsuite.statistics import benjamini_hochberg, paired_difference

Z = 1.959963984540054
ALPHA, FEWEST = 0.05, 10  # FEWEST: samples of a category, and shared with it


@dataclass(frozen=True, slots=True)
class Strength:
    """One node. `value`, `low`, `high` are gains over the others in `unit` (95%); `n` samples (tasks of a family)."""

    kind: Literal["family", "task", "category"]
    family: str
    task: str
    label: str
    unit: str
    value: float
    low: float
    high: float
    n: int
    others: int
    p: float
    q: float = 1.0

    @property
    def sure(self) -> bool:
        return self.q <= ALPHA


@dataclass(frozen=True, slots=True)
class Part:
    """A task's difference before it is a test: value and variance."""

    column: int
    value: float
    variance: float
    others: int


def strengths(board: Board, samples: Mapping[str, TaskSamples]) -> list[list[Strength]]:
    """For each entry its nodes, largest gain first; empty where there is no other model to stand beside."""
    parts = _parts(board)
    categories = _categories(board, samples)
    found = []
    for place in range(len(board.entries)):
        nodes = [*_families(board, parts[place]), *_tasks(board, place, parts[place]), *categories[place]]
        q = benjamini_hochberg([n.p for n in nodes])
        adjusted = [replace(node, q=value) for node, value in zip(nodes, q, strict=True)]
        found.append(sorted(adjusted, key=lambda n: (-n.value, n.label)))
    return found


def strength_row(run: str, s: Strength) -> dict[str, object]:
    """A node as a row of a file."""
    names = ("kind", "family", "task", "label", "unit", "value", "low", "high", "n", "others", "p", "q", "sure")
    return {"run": run, **{name: getattr(s, name) for name in names}}


def _parts(board: Board) -> list[list[Part]]:
    found: list[list[Part]] = [[] for _ in board.entries]
    for c, column in enumerate(board.columns):
        if column.raw is not None:
            continue
        known = [
            (i, m.value, ((m.high - m.low) / (2 * Z)) ** 2)
            for i, line in enumerate(board.cells)
            if (cell := line[c]) is not None
            and (m := cell.metric).value is not None
            and m.low is not None
            and m.high is not None
        ]
        k = len(known) - 1
        if k < 1:
            continue
        total, spread = sum(v or 0.0 for _, v, _ in known), sum(s for _, _, s in known)
        for i, value, variance in known:
            gain = (value or 0.0) - (total - (value or 0.0)) / k
            found[i].append(Part(c, -gain if column.lower else gain, variance + (spread - variance) / k**2, k))
    return found


def _normal(value: float, variance: float) -> tuple[float, float, float]:
    """Bounds and two-sided p."""
    from scipy.special import ndtr

    error = variance**0.5
    p = float(2 * ndtr(-abs(value) / error)) if error else float(value == 0)
    return value - Z * error, value + Z * error, p


def _families(board: Board, parts: Sequence[Part]) -> list[Strength]:
    found = []
    for family in dict.fromkeys(board.columns[p.column].family for p in parts):
        own = [p for p in parts if board.columns[p.column].family == family and board.columns[p.column].unit == "share"]
        if len(own) < 2:
            continue
        value = sum(p.value for p in own) / len(own)
        low, high, p = _normal(value, sum(x.variance for x in own) / len(own) ** 2)
        others = min(x.others for x in own)
        label = f"{family.replace('_', ' ')}, mean of {len(own)} figures"
        found.append(Strength("family", family, "", label, "share", value, low, high, len(own), others, p))
    return found


def _tasks(board: Board, place: int, parts: Sequence[Part]) -> list[Strength]:
    found = []
    for part in parts:
        c, cell = board.columns[part.column], board.cells[place][part.column]
        low, high, p = _normal(part.value, part.variance)
        n = cell.metric.n if cell is not None else 0
        label = f"{c.task} {c.metric}"
        found.append(Strength("task", c.family, c.task, label, c.unit, part.value, low, high, n, part.others, p))
    return found


def _categories(board: Board, samples: Mapping[str, TaskSamples]) -> list[list[Strength]]:
    import numpy as np

    found: list[list[Strength]] = [[] for _ in board.entries]
    family = {c.task: (c.family, c.unit) for c in board.columns}
    for task, known in samples.items():
        places = list(known.scores)
        labels = sorted({label for of in known.categories.values() for label in of})
        if len(places) < 2 or not labels:
            continue
        for label in labels:
            ids = [s for s, of in known.categories.items() if label in of]
            table = np.array([[known.scores[i].get(s, np.nan) for s in ids] for i in places])
            whole = table[:, ~np.isnan(table).any(axis=0)]
            if whole.shape[1] < FEWEST:
                continue
            for row, place in enumerate(places):
                rest = (whole.sum(axis=0) - whole[row]) / (len(places) - 1)
                turned = -1 if known.lower else 1
                result = paired_difference(turned * whole[row], turned * rest)
                if result.low is None or result.high is None or result.p is None or result.value is None:
                    continue
                bounds = (result.value, result.low, result.high, whole.shape[1], len(places) - 1, result.p)
                kin, unit = family.get(task, ("other", "share"))
                found[place].append(Strength("category", kin, task, f"{task}: {label}", unit, *bounds))
    return found
