"""Paired differences of two runs: per task and metric, on the (sample, repeat) keys that both have.

A difference is run − baseline, with interval, p, and q = p adjusted by Holm over the tasks' headline metrics (and,
apart from them, over all other metrics). `verdict` is what may be said aloud: better, worse, tied (statistically:
q > 0.05), unknown (too few samples for a test), or "not comparable" with the reason in `notes` and without a figure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.errors import InputError
from evalsuite.records import Metric
from evalsuite.statistics import Interval, holm, mean_interval, paired_difference
from evalsuite.store import Run

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
KEYS = ["task", "sample", "repeat"]
Verdict = Literal["better", "worse", "tied", "unknown", "not comparable"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of one task: both runs on the shared samples, their difference, and what may be said about it.

    `n` counts samples with a value on both sides, `missing` shared rows where a side has none. `fixed` and `broken` are
    ids of samples that turned right or wrong (shares only; majority of repeats). `unit` as in Metric.
    """

    task: str
    metric: str
    family: str
    primary: bool
    unit: str
    lower_is_better: bool
    n: int
    missing: int
    run: Interval | None
    baseline: Interval | None
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    q: float | None
    test: str
    method: str
    verdict: Verdict
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tied(self) -> bool:
        """Statistically tied: comparable, and no difference was found after adjustment."""
        return self.verdict == "tied"


def paired(run: Run, baseline: Run, alpha: float = ALPHA, seed: int = 0) -> list[Difference]:
    """Differences of every metric that both runs have and that is a (weighted) mean over samples, headline ones first
    within a task. Corpus figures have no value for a sample and are left out.

    Raises InputError where the runs share no (task, sample).
    """
    frames = {side.name: side.samples() for side in (run, baseline)} if run.name != baseline.name else {}
    if not frames:
        raise InputError(f"run {run.name}: cannot be compared with itself; name two runs")
    shared = _shared(frames[run.name], frames[baseline.name])
    if not len(shared):
        raise InputError(
            f"runs {run.name} and {baseline.name}: no shared samples (tasks {_tasks(run)} against {_tasks(baseline)}); "
            "run both on the same task"
        )
    found = []
    ours, theirs = ({(m.task, m.name): m for m in side.metrics} for side in (run, baseline))
    for task in dict.fromkeys(m.task for m in run.metrics if m.task in set(shared["task"])):
        rows = shared[shared["task"] == task]
        reasons, notes = _comparability(run, baseline, task, rows)
        for name in _names(run, task, set(ours) & set(theirs), rows):
            metric = ours[task, name]
            blank = _blank(run, metric, notes=(*reasons, *notes))
            found.append(blank if reasons else _difference(blank, rows, seed))
    return _adjusted(found, alpha)


def notes_of(differences: Iterable[Difference]) -> dict[str, list[str]]:
    """Each note once, with the tasks that it concerns."""
    notes: dict[str, list[str]] = {}
    for d in differences:
        for note in d.notes:
            if d.task not in notes.setdefault(note, []):
                notes[note].append(d.task)
    return notes


def _shared(run: "pd.DataFrame", baseline: "pd.DataFrame") -> "pd.DataFrame":
    """Rows of both sides joined on task, sample and repeat; the baseline's columns end in `|b`."""
    return run.merge(baseline, on=KEYS, suffixes=("", "|b"), how="inner", validate="one_to_one")


def _tasks(run: Run) -> str:
    return ", ".join(run.manifest.get("tasks", {})) or "none"


def _names(run: Run, task: str, both: set[tuple[str, str]], rows: "pd.DataFrame") -> list[str]:
    """Metric names of a task that both runs have with a value for each sample, the headline metric first."""
    metrics = [m for m in run.metrics if m.task == task and (task, m.name) in both]
    columns = [m for m in metrics if {f"score.{m.name}", f"score.{m.name}|b"} <= set(rows.columns)]
    return [m.name for m in sorted(columns, key=lambda m: not m.primary)]


def _comparability(run: Run, baseline: Run, task: str, rows: "pd.DataFrame") -> tuple[list[str], list[str]]:
    """Why the two may not be compared on this task (empty where they may), and what a reader should know anyway."""
    ours, theirs = (side.manifest.get("tasks", {}).get(task, {}) for side in (run, baseline))
    reasons, notes = [], []
    if ours.get("version") != theirs.get("version"):
        reasons.append(f"task version {ours.get('version')} against {theirs.get('version')}")
    same_data = ours.get("data_hash") == theirs.get("data_hash")
    if not same_data:
        if any((rows[c] != rows[f"{c}|b"]).any() for c in ("target", "metadata") if f"{c}|b" in rows):
            reasons.append("the task's data differ on shared sample ids")
        else:
            notes.append(f"other selections of samples: compared on the {rows['sample'].nunique()} that both have")
    # A prompt hash covers all selected samples, so another selection changes it too: then the texts decide.
    model, other = run.manifest.get("model", {}), baseline.manifest.get("model", {})
    changed = [key for key in ("template_hash", "system") if model.get(key) != other.get(key)]
    if ours.get("prompt_hash") != theirs.get("prompt_hash"):
        texts = not changed and bool((rows["prompt"] != rows["prompt|b"]).any())
        if same_data or texts:
            reasons.append("the task's prompts differ")
    notes += [f"other {'template' if key == 'template_hash' else 'system prompt'}" for key in changed]
    if any(run.manifest.get(k) != baseline.manifest.get(k) for k in ("sampling", "seed")):
        notes.append("other sampling settings or seed")
    return reasons, notes


def _blank(run: Run, metric: Metric, notes: tuple[str, ...]) -> Difference:
    spec: Mapping[str, Any] = run.manifest.get("tasks", {}).get(metric.task, {})
    return Difference(
        task=metric.task,
        metric=metric.name,
        family=str(spec.get("family", "")),
        primary=metric.primary,
        unit=metric.unit,
        lower_is_better=metric.name in (spec.get("lower_is_better") or ()),
        n=0,
        missing=0,
        run=None,
        baseline=None,
        value=None,
        low=None,
        high=None,
        p=None,
        q=None,
        test="none",
        method="none",
        verdict="not comparable",
        notes=notes,
    )


def _difference(blank: Difference, rows: "pd.DataFrame", seed: int) -> Difference:
    import numpy as np

    a, b = (_numbers(rows, f"score.{blank.metric}{side}") for side in ("", "|b"))
    wa, wb = (np.nan_to_num(_numbers(rows, f"weight.{blank.metric}{side}"), nan=1.0) for side in ("", "|b"))
    keep = np.isfinite(a) & np.isfinite(b)
    # A row whose score is absent without a reason on both sides is one that the metric does not concern.
    concerned = keep | _given(rows, blank.metric)
    missing = int((concerned & ~keep).sum())
    a, b, wa, wb = a[keep], b[keep], wa[keep], wb[keep]
    ids = rows["sample"].astype(str).to_numpy()[keep].tolist()
    notes = list(blank.notes)
    if missing:
        notes.append(f"{missing} of {int(concerned.sum())} shared rows have no score on one side and are left out")
    if not wa.sum() or not wb.sum():
        reason = "no shared sample has a score on both sides"
        return replace(blank, missing=missing, verdict="unknown", notes=(*notes, reason))
    result = paired_difference(a, b, clusters=ids, weights=(wa, wb), seed=seed)
    fixed, broken = _flips(ids, a, b, blank.lower_is_better)
    return replace(
        blank,
        n=result.n,
        missing=missing,
        run=mean_interval(a, wa, ids, bounded=blank.unit == "share"),
        baseline=mean_interval(b, wb, ids, bounded=blank.unit == "share"),
        value=result.value,
        low=result.low,
        high=result.high,
        p=result.p,
        test=result.test,
        method=result.method,
        verdict="unknown",
        fixed=fixed,
        broken=broken,
        notes=tuple(notes),
    )


def _numbers(rows: "pd.DataFrame", column: str) -> Any:
    import numpy as np
    import pandas as pd

    if column not in rows:
        return np.full(len(rows), np.nan)
    return pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=float)


def _given(rows: "pd.DataFrame", metric: str) -> Any:
    """Rows that on either side have a score, or a reason for having none."""
    import numpy as np

    columns = [f"{kind}.{metric}{side}" for kind in ("score", "reason") for side in ("", "|b")]
    return np.logical_or.reduce([rows[c].notna().to_numpy() for c in columns if c in rows])


def _flips(ids: list[str], a: Any, b: Any, lower_is_better: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Samples that went from wrong to right and back, where every value is 0 or 1; halves are neither."""
    if not (set(a.tolist()) | set(b.tolist())) <= {0.0, 1.0}:
        return (), ()
    sums: dict[str, list[float]] = {}
    for sample, ours, theirs in zip(ids, a, b, strict=True):
        entry = sums.setdefault(sample, [0.0, 0.0, 0.0])
        entry[0], entry[1], entry[2] = entry[0] + ours, entry[1] + theirs, entry[2] + 1
    up = tuple(s for s, (x, y, k) in sums.items() if x / k > 0.5 > y / k)
    down = tuple(s for s, (x, y, k) in sums.items() if x / k < 0.5 < y / k)
    return (down, up) if lower_is_better else (up, down)


def _adjusted(found: list[Difference], alpha: float) -> list[Difference]:
    adjusted = list(found)
    for primary in (True, False):
        places = [i for i, d in enumerate(found) if d.primary is primary and d.p is not None]
        for i, q in zip(places, holm([p for k in places if (p := found[k].p) is not None]), strict=True):
            adjusted[i] = replace(found[i], q=q, verdict=_verdict(found[i], q, alpha))
    return adjusted


def _verdict(difference: Difference, q: float, alpha: float) -> Verdict:
    if q > alpha or not difference.value:
        return "tied"
    return "better" if (difference.value > 0) != difference.lower_is_better else "worse"
