"""A report as data: JSON for programs, CSV for a spreadsheet. Both hold every figure with its n and interval.

JSON, schema 1 (keys are only ever added):

    schema, title
    runs          name, model, tasks, seed, limit, finished, health {task: shares}
    summary       heading, run, baseline (null of a run alone), overall, sentences [{kind, text}]
    scores        run, family, task, metric, primary, unit, lower_is_better, value, low, high, interval, n, missing,
                  baselines
    comparisons   as `evalsuite compare --json`: differences, families, texts, calibration, gaps, ... of each pair
    lineage       plane, curves, formats, skipped
    figures       names and titles of what `--figures` draws

CSV: one row for each (run, task, metric) and for each difference; `kind` says which (COLUMNS below). `value` of a
difference is run − baseline, shares lie between 0 and 1. Cells that a spreadsheet would run begin with an apostrophe.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from evalsuite.comparison import PairComparison
from evalsuite.reporting.escaping import neutral
from evalsuite.reporting.report_data import Report
from evalsuite.reporting.report_figures import report_figures
from evalsuite.reporting.tables import lower_is_better
from evalsuite.statistics import Interval

SCHEMA = 1
COLUMNS = (
    "kind",  # score, difference, family, text, calibration, gap
    "run",
    "baseline",  # empty of a score
    "family",
    "task",
    "metric",  # of a text: the measure; of calibration: the figure
    "primary",
    "unit",
    "lower_is_better",
    "n",
    "missing",
    "value",
    "low",
    "high",
    "interval",  # how it was made
    "run_value",
    "baseline_value",
    "p",
    "q",
    "detects",
    "verdict",
    "fixed",
    "broken",
)
Row = dict[str, Any]


def as_json(report: Report) -> str:
    found = report.comparison
    lineage = _plain(found) if found else {"plane": [], "curves": [], "formats": [], "skipped": []}
    whole = {
        "schema": SCHEMA,
        "title": report.title,
        "runs": [_run(run) for run in report.runs],
        "summary": [
            {
                **{"heading": b.heading, "run": b.run, "baseline": b.baseline, "overall": b.overall},
                "sentences": [{"kind": s.kind, "text": s.text} for g in b.groups for s in g.sentences],
            }
            for b in report.summary
        ],
        "scores": [{k: v for k, v in row.items() if k not in ("kind", "baseline")} for row in _scores(report, True)],
        "comparisons": _plain(list(report.pairs)),
        "lineage": {k: lineage[k] for k in ("plane", "curves", "formats", "skipped")},
        "figures": [{"name": p.name, "title": p.drawn["title"]} for p in report_figures(report)],
    }
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    rows = [*_scores(report, False), *(row for pair in report.pairs for row in _differences(pair))]
    writer.writerows([[_cell(row.get(column)) for column in COLUMNS] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else neutral(value)


def _run(run: Any) -> Row:
    manifest = run.manifest
    kept = {k: manifest.get(k) for k in ("model", "tasks", "seed", "limit", "finished")}
    return _plain({"name": run.name, **kept, "health": {task: asdict(h) for task, h in run.health.items()}})


def _scores(report: Report, whole: bool) -> Iterator[Row]:
    """`whole`: with the constant baselines, which have no column."""
    family = {task: name for name, tasks in report.tasks.items() for task in tasks}
    for run in report.runs:
        for m in run.metrics:
            row = {
                "kind": "score",
                "run": run.name,
                "family": family[m.task],
                "task": m.task,
                "metric": m.name,
                "primary": m.primary,
                "unit": m.unit,
                "lower_is_better": lower_is_better(run, m.task, m.name),
                "n": m.n,
                "missing": m.missing,
                **_bounds(m),
                "interval": m.interval,
            }
            yield _plain({**row, "baselines": dict(m.baselines)}) if whole else row


def _differences(pair: PairComparison) -> Iterator[Row]:
    names = {"run": pair.run, "baseline": pair.baseline}
    for d in pair.differences:
        about = {k: getattr(d, k) for k in ("family", "task", "metric", "primary", "unit", "lower_is_better")}
        flips = {"fixed": len(d.fixed), "broken": len(d.broken)} if d.mcnemar is not None else {}
        tested = {"p": d.p, "q": d.q, "detects": d.mde, "verdict": d.verdict, "interval": d.method}
        figures = {"n": d.n, "missing": d.missing, **_bounds(d), **_sides(d.run, d.baseline)}
        yield {"kind": "difference", **names, **about, **figures, **tested, **flips}
    for f in pair.families:
        tested = {"p": f.p, "q": f.q, "verdict": f.verdict, "unit": "share"}
        yield {"kind": "family", **names, "family": f.family, "n": f.n, **_bounds(f), **tested}
    for t in pair.texts:
        about = {"metric": t.measure, "unit": t.unit, "n": t.n, "p": t.p, "q": t.q}
        yield {"kind": "text", **names, **about, **_bounds(t), **_sides(t.run, t.baseline)}
    for c in pair.calibration:
        about = {"task": c.task, "metric": c.figure, "unit": "share", "lower_is_better": c.lower_is_better, "n": c.n}
        yield {"kind": "calibration", **names, **about, **_bounds(c), **_sides(c.run, c.baseline)}
    for g in pair.gaps:
        for side, found in (("inside", g.inside), ("outside", g.outside), ("gap", g.change)):
            sides = _sides(g.run, g.baseline) if side == "gap" else {}
            about = {"task": g.task, "metric": f"{g.metric} {side}", "unit": g.unit, "n": found.n}
            yield {"kind": "gap", **names, **about, **_bounds(found), **sides}


def _bounds(found: Any) -> Row:
    return {"value": found.value, "low": found.low, "high": found.high}


def _sides(run: Interval | None, baseline: Interval | None) -> Row:
    return {"run_value": run.value if run else None, "baseline_value": baseline.value if baseline else None}


def _plain(value: Any) -> Any:
    """Plain JSON values: dataclasses and tuples taken apart, what is not finite as None."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
