"""The board's figures: which columns there are, what stands in each cell, and the ranks that its intervals allow.

A column is a task at one version and one metric, so figures that measure different things never share it. A win rate
and its length-controlled fellow stand side by side. A rank is a range: 1 + the models whose intervals lie wholly above,
to K − those wholly below; models whose ranges cross are not settled. Figures travel rounded (four decimals of a share,
six digits of anything else), and ranks are those of the rounded bounds, so that page and downloads agree.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evalsuite.publishing.entries import Entry, slugs_of
from evalsuite.records import Metric
from evalsuite.reporting.tables import HEALTH, WORRY, families, leading, lower_is_better

CONTROLLED = re.compile(r"length[-_ ]controlled|(?<![a-z])lc[-_]")
UNVERIFIED, OTHER_DATA, DIFFERS, UNHEALTHY, SUMMED = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class Column:
    """`data` is the data hash of most of its runs, `raw` the place of the raw column of a length-controlled one."""

    task: str
    slug: str
    metric: str
    version: Any
    family: str
    unit: str
    lower: bool
    data: str | None
    raw: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry's figure in one column. `best` to `worst` is its rank range among `of` figures; `flags` is a sum of
    UNVERIFIED, OTHER_DATA, DIFFERS, UNHEALTHY and SUMMED (re-aggregated only); `notes` say the same in words."""

    metric: Metric
    best: int | None
    worst: int | None
    of: int
    flags: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """`cells[e][c]`: entry by column, None where the entry has no such figure."""

    entries: Sequence[Entry]
    columns: Sequence[Column]
    cells: Sequence[Sequence[Cell | None]]
    task_slugs: dict[str, str]


def make_board(entries: Sequence[Entry]) -> Board:
    runs = [e.run for e in entries]
    by_family = families(runs)
    tasks = [t for names in by_family.values() for t in names]
    slugs = dict(zip(tasks, slugs_of(tasks), strict=True))
    columns: list[Column] = []
    found: list[list[Cell | None]] = [[] for _ in entries]
    figures = _by_key(entries)
    for family, names in by_family.items():
        for task in names:
            keys = sorted((k for k in figures if k[0] == task), key=_side_by_side)
            for key in keys:
                column = _column(key, figures[key], entries, family, slugs[task])
                raw = next((i for i, c in enumerate(columns) if _pair(c, column)), None)
                column = replace(column, raw=raw)
                columns.append(column)
                for line, cell in zip(found, _cells(column, figures[key], entries), strict=True):
                    line.append(cell)
    return Board(entries, columns, found, slugs)


def _raw(metric: str) -> str:
    return CONTROLLED.sub("", metric)


def _side_by_side(key: "Key") -> tuple[str, bool]:
    return _raw(key[1]), key[1] != _raw(key[1])


def _pair(raw: Column, controlled: Column) -> bool:
    same = (raw.task, raw.version) == (controlled.task, controlled.version)
    return same and raw.metric != controlled.metric and _raw(controlled.metric) == raw.metric


Key = tuple[str, str, str]  # task, metric, version


def _by_key(entries: Sequence[Entry]) -> dict[Key, dict[int, Metric]]:
    found: dict[Key, dict[int, Metric]] = {}
    for i, entry in enumerate(entries):
        for m in entry.run.metrics:
            if leading(m) or CONTROLLED.search(m.name):
                version = str(_spec(entry, m.task).get("version"))
                found.setdefault((m.task, m.name, version), {})[i] = m
    return found


def _spec(entry: Entry, task: str) -> dict[str, Any]:
    spec: dict[str, Any] = entry.run.manifest.get("tasks", {}).get(task, {})
    return spec


def _column(key: Key, figures: dict[int, Metric], entries: Sequence[Entry], family: str, slug: str) -> Column:
    task, metric, _ = key
    data = Counter(_spec(entries[i], task).get("data_hash") for i in figures).most_common(1)[0][0]
    lower = any(lower_is_better(entries[i].run, task, metric) for i in figures)
    first = next(iter(figures))
    version, unit = _spec(entries[first], task).get("version"), figures[first].unit
    return Column(task, slug, metric, version, family, unit, lower, data)


def rounded(value: float | None, unit: str) -> float | None:
    """As figures travel: a share in ten thousandths, another unit to six digits."""
    if value is None:
        return None
    return round(value * 1e4) if unit == "share" else float(f"{value:.6g}")


def _cells(column: Column, figures: dict[int, Metric], entries: Sequence[Entry]) -> list[Cell | None]:
    import numpy as np

    bounded = [i for i, m in figures.items() if m.low is not None and m.high is not None]
    ends = [(rounded(figures[i].low, column.unit), rounded(figures[i].high, column.unit)) for i in bounded]
    low, high = np.array(ends, dtype=float).reshape(-1, 2).T
    if column.lower:
        low, high = -high, -low
    lows, highs = np.sort(low), np.sort(high)
    best = 1 + len(lows) - np.searchsorted(lows, high, side="right")
    worst = len(highs) - np.searchsorted(highs, low, side="left")
    ranks = {i: (int(b), int(w)) for i, b, w in zip(bounded, best, worst, strict=True)}
    made: list[Cell | None] = []
    for i, entry in enumerate(entries):
        metric = figures.get(i)
        if metric is None:
            made.append(None)
            continue
        flags, notes = _flags(entry, column, metric)
        best_rank, worst_rank = ranks.get(i, (None, None))
        made.append(Cell(metric, best_rank, worst_rank, len(bounded), flags, notes))
    return made


def _flags(entry: Entry, column: Column, metric: Metric) -> tuple[int, tuple[str, ...]]:
    flags, notes = 0, []
    verdict = entry.verdicts.get((metric.task, metric.name))
    if verdict is None or verdict.kind == "unverified":
        flags |= UNVERIFIED
        notes.append(f"unverified: {verdict.reason if verdict and verdict.reason else 'not recomputed'}")
    elif verdict.kind == "differs":
        flags |= DIFFERS
        notes.append(f"does not match its samples: {verdict.reason}")
    elif verdict.how == "re-aggregated":
        flags |= SUMMED
        notes.append(f"re-aggregated: {verdict.reason}")
    elif verdict.reason:
        notes.append(f"re-scored: {verdict.reason}")
    if _spec(entry, metric.task).get("data_hash") != column.data:
        flags |= OTHER_DATA
        notes.append("other samples than most of this column")
    health = entry.run.health.get(metric.task)
    for field, _, meaning in HEALTH:
        share: float | None = getattr(health, field) if health else None
        if share is not None and share > WORRY:
            flags |= UNHEALTHY
            notes.append(f"{100 * share:.0f}% {meaning}")
    if metric.missing:
        notes.append(f"{metric.missing} without a score")
    return flags, tuple(notes)


def board_data(board: Board, title: str) -> dict[str, Any]:
    """What the pages' scripts read. A cell is [value, low, high, n, flags] with what equals the column's usual n, and
    flags of 0, left out; 0 stands for no figure."""
    usual = []
    for c in range(len(board.columns)):
        counts = Counter(cell.metric.n for line in board.cells if (cell := line[c]) is not None)
        usual.append(counts.most_common(1)[0][0] if counts else 0)
    columns = [
        {
            "task": c.task,
            "slug": c.slug,
            "metric": c.metric,
            "version": c.version,
            "family": c.family,
            "unit": c.unit,
            "lower": c.lower,
            "n": n,
            "raw": c.raw,
        }
        for c, n in zip(board.columns, usual, strict=True)
    ]
    units = [c.unit for c in board.columns]
    rows = [
        {
            "name": e.run.name,
            "slug": e.slug,
            "base": e.base,
            "method": e.method,
            "size": e.size,
            "parent": e.parent,
            "chain": list(e.chain) if e.parent is None and len(e.chain) > 1 else None,
            "status": e.status,
            "samples": e.has_samples,
            "warnings": len(e.warnings),
            "date": str(e.run.manifest.get("finished", ""))[:10],
            **({"origin": e.origin} if e.origin else {}),
            "cells": [_packed(*part) for part in zip(line, units, usual, strict=True)],
        }
        for e, line in zip(board.entries, board.cells, strict=True)
    ]
    return {"title": title, "columns": columns, "rows": rows}


def _packed(cell: Cell | None, unit: str, usual: int) -> Any:
    if cell is None:
        return 0
    m = cell.metric
    packed: list[Any] = [rounded(x, unit) for x in (m.value, m.low, m.high)]
    if m.n != usual or cell.flags:
        packed.append(0 if m.n == usual else m.n)
    if cell.flags:
        packed.append(cell.flags)
    return packed
