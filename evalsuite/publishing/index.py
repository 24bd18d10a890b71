"""The index page: one row for each run, one column for each task's headline metric, and a report behind every row.

A column is a task at one version and one metric, so figures that measure different things never share it; a cell whose
run had other data than most of its column says so. Nothing is ranked by default: sorting is the reader's.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.comparison.lineage import parent_of
from evalsuite.data import fingerprint
from evalsuite.errors import InputError
from evalsuite.records import Metric
from evalsuite.reporting.pages import render, write_page
from evalsuite.reporting.report import write_report
from evalsuite.reporting.tables import HEALTH, HealthCell, families, headline, lower_is_better
from evalsuite.store import Run


@dataclass(frozen=True, slots=True)
class Column:
    task: str
    metric: str
    version: Any
    family: str
    unit: str
    lower_is_better: bool
    data: str | None  # the data hash of most of its runs


@dataclass(frozen=True, slots=True)
class Cell:
    """One run's figure in one column. `worst` is the health share that most needs saying, `own_data` whether the run
    had other samples than most of the column; `from_`, `to`, `at`, `marks` place it on the little axis, 0 to 100."""

    metric: Metric
    worst: HealthCell | None
    worst_name: str
    own_data: bool
    at: float | None
    from_: float | None
    to: float | None
    marks: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    report: str
    about: str
    finished: str
    cells: list[Cell | None]


def build_index(runs: Sequence[Run], out: Path, title: str = "Leaderboard") -> Path:
    """Writes `out/index.html` and `out/runs/NAME.html`, a report of each run beside its parent where that is among the
    runs. Returns the index. Raises InputError where no run is given, or `out` is a file.
    """
    if not runs:
        raise InputError("a leaderboard needs at least one run (evalsuite list runs)")
    if out.is_file():
        raise InputError(f"--out {out}: is a file; give a folder")
    columns = _columns(runs)
    rows = []
    for run in runs:
        report = f"runs/{file_name(run.name)}.html"
        parent = parent_of(run, runs)
        write_report([parent, run] if parent else [run], out / report, title=run.name)
        rows.append(_row(run, report, columns))
    names = [c.family for c in columns]
    groups = [(family, names.count(family)) for family in dict.fromkeys(names)]
    html = render("index.html", {"title": title, "columns": columns, "rows": rows, "groups": groups})
    return write_page(out / "index.html", html)


def file_name(name: str) -> str:
    """A run's name as a file name; names that lose characters get a hash, so that none collide."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    return safe if safe == name else f"{safe}-{fingerprint(name)[:8]}"


def _columns(runs: Sequence[Run]) -> list[Column]:
    columns = []
    for family, tasks in families(runs).items():
        for task in tasks:
            keys: dict[tuple[str, Any], list[tuple[Run, Metric]]] = {}
            for run in runs:
                for m in run.metrics:
                    if m.task == task and m.primary:
                        keys.setdefault((m.name, _spec(run, task).get("version")), []).append((run, m))
            for (metric, version), found in keys.items():
                data = Counter(_spec(run, task).get("data_hash") for run, _ in found).most_common(1)[0][0]
                lower = any(lower_is_better(run, task, metric) for run, _ in found)
                columns.append(Column(task, metric, version, family, found[0][1].unit, lower, data))
    return columns


def _spec(run: Run, task: str) -> dict[str, Any]:
    spec: dict[str, Any] = run.manifest.get("tasks", {}).get(task, {})
    return spec


def _row(run: Run, report: str, columns: Sequence[Column]) -> Row:
    model = run.manifest.get("model", {})
    about = [str(model.get("name") or model.get("address") or ""), f"template {model.get('template')}"]
    if model.get("system"):
        about.append("with a system prompt")
    cells = [_cell(run, column) for column in columns]
    return Row(run.name, report, ", ".join(a for a in about if a), str(run.manifest.get("finished", ""))[:10], cells)


def _cell(run: Run, column: Column) -> Cell | None:
    spec = _spec(run, column.task)
    if spec.get("version") != column.version:
        return None
    for block in headline([run], [column.task]):
        if block.metric == column.metric:
            row = block.rows[0]
            worrying = [(cell, name) for cell, (_, name, _) in zip(row.health, HEALTH, strict=True) if cell.worry]
            worst, name = max(worrying, key=lambda c: float(c[0].text.rstrip("%")), default=(None, ""))
            own = spec.get("data_hash") != column.data
            shares = column.unit == "share"  # other units have no axis that all runs share
            return Cell(
                metric=row.metric,
                worst=worst,
                worst_name=name,
                own_data=own,
                at=row.at if shares else None,
                from_=row.from_ if shares else None,
                to=row.to if shares else None,
                marks=row.marks if shares else [],
            )
    return None
