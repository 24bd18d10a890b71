"""A run's figures made again from its samples: what a leaderboard believes is what can be made again.

First the scores: where the task's scorer stands here it scores the stored answers again (`rescoring`). Then figures of
three kinds, in three ways: a score's weighted mean from its column; a task's own corpus figure by the task's `metrics`
on samples and scores; a judge's win rate from the annotations beside the samples. A figure is "re-scored" where its
scores were given again, "re-aggregated" where the submitter's scores were only summed again, and "unverified", with the
reason, where neither could be done.

>>> verdicts_of(run)[("facts", "acc")]                                              # doctest: +SKIP
Verdict(kind='same', how='re-scored', reason='', found=Metric(...))
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalsuite import registry
from evalsuite.errors import EvalsuiteError
from evalsuite.judging import find, read_annotations, summarise
from evalsuite.planning import Task
from evalsuite.publishing.judge_calibration import PERSON
from evalsuite.publishing.rescoring import Rescored, lines_of, options_of, rescore, sample_of, setup_of, stored_score
from evalsuite.records import Metric, Sample, Score
from evalsuite.statistics import mean_interval
from evalsuite.store import Run

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-9  # rounding of sums in another order; far below anything that is shown
WIN_RATE = "win_rate["


How = Literal["re-scored", "re-aggregated", ""]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the samples give a figure again: "same", "differs" (the reason names both), "unverified" (and why). `how`
    a figure that is the same was made again; one that was only re-aggregated has the reason why."""

    kind: Literal["same", "differs", "unverified"]
    reason: str = ""
    found: Metric | None = None
    how: How = ""


def verdicts_of(run: Run) -> dict[tuple[str, str], Verdict]:
    """One verdict for each figure of the run, by (task, metric)."""
    return verify(run)[0]


Verified = tuple[dict[tuple[str, str], Verdict], list[str]]
_known: dict[Path, tuple[object, Verified]] = {}
"""What this process has verified, by run: `leaderboard serve` builds again whenever one of many runs changes."""


def verify(run: Run) -> Verified:
    """The verdicts, and what is doubtful about the samples though it refutes no figure."""
    stats = [(p.name, (s := p.stat()).st_mtime_ns, s.st_size) for p in sorted(run.path.iterdir()) if p.is_file()]
    now = (stats, repr(run.metrics))
    before, found = _known.get(run.path, (None, None))
    if found is None or before != now:
        found = _verify(run)
        _known[run.path] = (now, found)
    return found


def _verify(run: Run) -> Verified:
    if not (run.path / "samples.parquet").is_file():
        return {(m.task, m.name): Verdict("unverified", "no samples were handed in") for m in run.metrics}, []
    frame = run.samples()
    made = {(m.task, m.name): m for m in _win_rates(run)}
    again: dict[str, Rescored] = {}
    reasons: dict[str, str] = {}
    for name, stored in frame.groupby("task", sort=False):
        task = str(name)
        again[task] = rescore(run, task, stored)
        fresh = again[task].rows
        rows = stored if fresh is None else fresh
        names = [m.name for m in run.metrics if m.task == task]
        made.update({(task, n): _mean(run, task, n, rows) for n in names if f"score.{n}" in rows})
        if any((task, n) not in made and not n.startswith(WIN_RATE) for n in names):
            own, reasons[task] = _corpus(run, task, rows)
            made.update({key: m for key, m in own.items() if key not in made})
    verdicts = {(m.task, m.name): _verdict(m, made, reasons, again.get(m.task)) for m in run.metrics}
    return verdicts, [doubt for r in again.values() for doubt in r.doubts]


def _verdict(
    claimed: Metric, made: Mapping[tuple[str, str], Metric], reasons: Mapping[str, str], again: Rescored | None
) -> Verdict:
    label = f"{claimed.task} {claimed.name}"
    if again is None:
        return Verdict("differs", f"{label}: the samples have no row of this task")
    judged = claimed.name.startswith(WIN_RATE)
    found = made.get((claimed.task, claimed.name))
    if found is None and claimed.name in again.differing:
        return Verdict("differs", f"{label}: {again.differing[claimed.name]}")
    if found is None:
        reason = "no annotations of its judge" if judged else reasons.get(claimed.task, "nothing here computes it")
        return Verdict("unverified", reason)
    by = "samples" if again.rows is None or judged else "scorer"
    faults = [
        f"{name} {_text(ours)} is {_text(theirs)} by the {by}"
        for name, ours, theirs in (
            ("value", claimed.value, found.value),
            ("lower bound", claimed.low, found.low),
            ("upper bound", claimed.high, found.high),
            ("n", claimed.n, found.n),
            ("missing", claimed.missing, found.missing),
        )
        if not _equal(ours, theirs)
    ]
    faults += [again.differing[claimed.name]] if claimed.name in again.differing else []
    if faults:
        return Verdict("differs", f"{label}: " + ", ".join(faults), found)
    if judged:
        return Verdict("same", "the judge's verdicts are taken as they were handed in", found, "re-aggregated")
    if again.rows is None:
        return Verdict("same", again.why, found, "re-aggregated")
    return Verdict("same", "a judge's stored replies were read again" if again.replies else "", found, "re-scored")


def _equal(ours: float | None, theirs: float | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return math.isclose(ours, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _mean(run: Run, task: str, name: str, rows: "pd.DataFrame") -> Metric:
    """Σ weight·value / Σ weight over rows, clustered by sample: as the run's own figures are made."""
    import numpy as np
    import pandas as pd

    claimed = next(m for m in run.metrics if (m.task, m.name) == (task, name))
    values = pd.to_numeric(rows[f"score.{name}"], errors="coerce").to_numpy(dtype=float)
    given = rows.get(f"weight.{name}")
    weights = np.ones(len(values)) if given is None else pd.to_numeric(given, errors="coerce").fillna(1.0).to_numpy()
    none = ~np.isfinite(values)
    reasons = rows[f"reason.{name}"].notna().to_numpy() if f"reason.{name}" in rows else none
    keep = ~none & (weights > 0)
    clusters = pd.factorize(rows["sample"])[0][keep]
    n = len(set(clusters.tolist()))
    interval = mean_interval(
        values[keep],
        weights=weights[keep] if (weights[keep] != 1).any() else None,
        clusters=clusters if n < len(clusters) else None,
        bounded=claimed.unit == "share",
    )
    bounds = (interval.value, interval.low, interval.high, n)
    return Metric(task, name, *bounds, missing=int((none & reasons).sum()), interval=interval.method, unit=claimed.unit)


def _corpus(run: Run, task: str, rows: "pd.DataFrame") -> tuple[dict[tuple[str, str], Metric], str]:
    """The task's own figures, and why there are none."""
    try:
        ref = registry.find_tasks([task])[0]
        module = registry.load_module(ref.entry.folder / "task.py", "task")
        if not hasattr(module, "metrics"):
            return {}, "the task has no such figure"
        setup = setup_of(ref, options_of(run.manifest))
        made = Task(ref, setup, module, ()).metrics(list(_pairs(rows)))
    except EvalsuiteError as error:
        return {}, f"not recomputed: {error}"
    return {(m.task, m.name): m for m in made}, "the task gives no such figure from these samples"


def _pairs(rows: "pd.DataFrame") -> Iterator[tuple[Sample, dict[str, Score]]]:
    names = [str(c).removeprefix("score.") for c in rows.columns if str(c).startswith("score.")]
    for line in lines_of(rows):
        yield sample_of(line), {n: score for n in names if (score := stored_score(line, n)) is not None}


def _win_rates(run: Run) -> Iterator[Metric]:
    """Win rates of the annotations beside a run, under the names of the figures that claim them."""
    claimed = [m for m in run.metrics if m.name.startswith(WIN_RATE)]
    if not claimed:
        return
    groups: dict[tuple[str, str, str, str], list[Any]] = {}
    for path in sorted(run.path.glob("annotations-*.jsonl")):
        for a in read_annotations(path):
            if a.judge == PERSON:
                continue
            groups.setdefault((a.task, a.judge, a.judge_model, a.model_b), []).append(a)
    for (task, judge, model, against), rows in groups.items():
        summary = summarise(rows, find(judge.partition("/")[0].partition("#")[0]).aggregate)
        for m in claimed:
            if m.task == task and m.name.endswith(f" against {against}]") and _names(m.name, judge, model):
                rate = summary.win_rate
                missing = sum(summary.missing.values())
                yield Metric(task, m.name, rate.value, rate.low, rate.high, rate.n, missing, rate.method)


def _names(metric: str, judge: str, model: str) -> bool:
    label = metric.removeprefix(WIN_RATE).partition(" by ")[0]
    said, _, who = label.partition(":")
    return said.partition("#")[0] == judge.partition("#")[0] and who.partition("@")[0] == model.partition("@")[0]
