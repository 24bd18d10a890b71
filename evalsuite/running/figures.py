"""Scores → metrics and health. Pure: the same rows give the same figures, whoever stored them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.planning import Task
from evalsuite.records import Completion, Health, Metric, Sample, Score, missing
from evalsuite.scoring.health import health_of
from evalsuite.statistics import mean_interval


@dataclass(frozen=True)
class Row:
    """One sample of one task in one repeat: what was asked, answered and scored."""

    task: Task
    sample: Sample
    repeat: int
    prompt: str
    completions: Mapping[str, tuple[Completion, ...]]
    scores: Mapping[str, Score]

    @property
    def generated(self) -> list[Completion]:
        """The texts that the model wrote (scoring units carry log-probabilities or rewards instead)."""
        every = [c for cs in self.completions.values() for c in cs]
        return [c for c in every if c.error is None and c.greedy is None and not c.rewards]


def fill_missing(rows: Sequence[tuple[dict[str, Score] | None, str]], primary: str) -> list[dict[str, Score]]:
    """Scores of every row; a row that could not be scored (None, reason) is missing in every metric of its task."""
    names = list(dict.fromkeys(n for scores, _ in rows if scores for n in scores)) or [primary]
    return [scores if scores is not None else {n: missing(reason) for n in names} for scores, reason in rows]


def metrics_of(task: Task, rows: Sequence[Row]) -> list[Metric]:
    """A metric for every score name (Σ weight·value / Σ weight, clustered by sample), then the task's own.

    The primary metric comes first.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.scores))
    figures = [_metric(task, name, rows) for name in sorted(names, key=lambda n: n != task.primary)]
    return figures + task.metrics([(row.sample, row.scores) for row in rows])


def _metric(task: Task, name: str, rows: Sequence[Row]) -> Metric:
    scored = [(row.sample.id, row.scores[name]) for row in rows if name in row.scores]
    valued = [(sample, float(s.value), s.weight) for sample, s in scored if s.value is not None and s.weight > 0]
    unit = str(task.spec.get("unit", {}).get(name, "share"))
    interval = mean_interval(
        [value for _, value, _ in valued],
        weights=[weight for _, _, weight in valued],
        clusters=[sample for sample, _, _ in valued],
        bounded=unit == "share",
    )
    return Metric(
        task=task.id,
        name=name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=len({sample for sample, _, _ in valued}),
        missing=sum(s.value is None for _, s in scored),
        interval=interval.method,
        unit=unit,
        primary=name == task.primary,
        baselines=_baselines(task, name),
    )


def _baselines(task: Task, name: str) -> dict[str, float]:
    """Constant baselines of a metric: TASK["baselines"][metric], a number (chance) or names with numbers."""
    given: Any = task.spec.get("baselines", {}).get(name)
    if given is None:
        return {}
    return {str(k): float(v) for k, v in given.items()} if isinstance(given, dict) else {"chance": float(given)}


def health_of_rows(rows: Sequence[Row], shortened: int = 0) -> Health:
    generated = [c for row in rows for c in row.generated]
    unread = sum(any(s.reason == "unparsable" for s in row.scores.values()) for row in rows)
    return health_of(generated, unread, len(rows), shortened)
