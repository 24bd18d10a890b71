"""What the tables of a page say, computed once: headline scores with health, and the runs' own particulars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.records import Health, Metric
from evalsuite.registry import FAMILIES
from evalsuite.reporting.numbers import interval_text, share_text
from evalsuite.statistics import wilson
from evalsuite.store import Run

WORRY = 0.02  # a health share above this is marked
CARD = 300  # characters of one line of a run's card
HEALTH = (
    ("truncated", "cut", "answers that ran into the token limit"),
    ("empty", "empty", "empty answers"),
    ("refused", "refused", "refusals"),
    ("repeated", "loops", "answers caught in a loop"),
    ("unparsable", "unread", "answers in which the parser found nothing"),
)


@dataclass(frozen=True, slots=True)
class HealthCell:
    text: str
    title: str
    worry: bool


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One run's figure on one task. `at`, `from_`, `to` and `marks` are places on the little axis, 0 to 100."""

    run: int
    name: str
    metric: Metric
    health: list[HealthCell]
    tokens: str
    at: float | None
    from_: float | None
    to: float | None
    marks: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class TaskBlock:
    task: str
    metric: str
    unit: str
    lower_is_better: bool
    rows: list[ScoreRow]


def families(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Tasks of all runs by family, families in the registry's order, tasks in the order they were run."""
    of_task = {t: str(s.get("family") or "other") for run in runs for t, s in run.manifest.get("tasks", {}).items()}
    for run in runs:
        for metric in run.metrics:
            of_task.setdefault(metric.task, "other")
    order = [*FAMILIES, *sorted(set(of_task.values()) - set(FAMILIES))]
    found = {family: [t for t, f in of_task.items() if f == family] for family in order}
    return {family: tasks for family, tasks in found.items() if tasks}


def headline(runs: Sequence[Run], tasks: Sequence[str]) -> list[TaskBlock]:
    """The headline metrics of some tasks and the judges' win rates: one block for each, one row for each run that has
    it."""
    return _blocks(runs, tasks, leading)


def further(runs: Sequence[Run], tasks: Sequence[str]) -> list[TaskBlock]:
    """The other metrics of some tasks, as `headline` has the first ones."""
    return _blocks(runs, tasks, lambda metric: not leading(metric))


def leading(metric: Metric) -> bool:
    """Whether a metric stands in the first table: a headline metric, or what a judge was asked for."""
    return metric.primary or metric.name.startswith("win_rate[")


def _blocks(runs: Sequence[Run], tasks: Sequence[str], wanted: Callable[[Metric], bool]) -> list[TaskBlock]:
    return [
        _block(runs, task, name)
        for task in tasks
        for name in dict.fromkeys(m.name for run in runs for m in run.metrics if m.task == task and wanted(m))
    ]


def lower_is_better(run: Run, task: str, metric: str) -> bool:
    return metric in (run.manifest.get("tasks", {}).get(task, {}).get("lower_is_better") or ())


def _block(runs: Sequence[Run], task: str, name: str) -> TaskBlock:
    found = [(i, run, m) for i, run in enumerate(runs) for m in run.metrics if (m.task, m.name) == (task, name)]
    unit = found[0][2].unit
    tops = [x for _, _, m in found for x in (m.value, m.high, *m.baselines.values()) if x is not None]
    bottoms = [x for _, _, m in found for x in (m.value, m.low) if x is not None]
    top = 1.0 if unit == "share" else max([0.0, *tops]) * 1.05 or 1.0
    bottom = 0.0 if unit == "share" else min([0.0, *bottoms])

    def place(value: float | None) -> float | None:
        return None if value is None else round(100 * min(max((value - bottom) / (top - bottom), 0), 1), 2)

    rows = [
        ScoreRow(
            run=i,
            name=run.name,
            metric=m,
            health=_health(run.health.get(task)),
            tokens=_tokens(run.health.get(task)),
            at=place(m.value),
            from_=place(m.low),
            to=place(m.high),
            marks=[(place(v) or 0.0, k) for k, v in m.baselines.items()],
        )
        for i, run, m in found
    ]
    return TaskBlock(task, name, unit, lower_is_better(found[0][1], task, name), rows)


def _health(health: Health | None) -> list[HealthCell]:
    cells = []
    written = health is not None and health.n > 0 and any(getattr(health, field) is not None for field, *_ in HEALTH)
    for field, _, meaning in HEALTH:
        share: float | None = getattr(health, field) if health else None
        if health is None or share is None or not health.n:
            why = "not known (an imported log does not tell it)" if written else "nothing was generated"
            cells.append(HealthCell("–", f"{meaning}: {why}", False))
            continue
        low, high = wilson(min(share, 1.0) * health.n, health.n)
        title = f"{meaning}: {interval_text(share, low, high)} of n={health.n}"
        cells.append(HealthCell(share_text(share), title, share > WORRY))
    return cells


def _tokens(health: Health | None) -> str:
    return "–" if health is None or health.mean_tokens is None else f"{health.mean_tokens:.0f}"


def particulars(run: Run) -> list[tuple[str, str]]:
    """The lines of a run's card that say how it was made."""
    manifest, model = run.manifest, run.manifest.get("model", {})
    lineage: dict[str, Any] = model.get("lineage") or {}
    parent = lineage.get("parent_name") or lineage.get("parent")
    lines = [
        ("model", model.get("address") or model.get("name")),
        ("fingerprint", model.get("fingerprint")),
        ("backend", model.get("backend")),
        ("template", model.get("template")),
        ("system prompt", model.get("system")),
        ("trained from", f"{parent} by {lineage.get('method') or 'an unnamed method'}" if parent else None),
        ("sampling", _settings(manifest.get("sampling") or model.get("sampling"))),
        ("limit, seed", f"{manifest.get('limit') or 'all samples'}, {manifest.get('seed')}"),
        ("finished", str(manifest.get("finished", "")).replace("T", " ").replace("+00:00", " UTC")),
    ]
    return [(name, _short(str(value))) for name, value in lines if value not in (None, "")]


def _short(text: str) -> str:
    """A card's line; the manifest on the same page has the whole."""
    return text if len(text) <= CARD else f"{text[:CARD]} … {len(text) - CARD:,} more characters"


def _settings(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return ", ".join(f"{k} {v}" for k, v in value.items() if v is not None) or None
