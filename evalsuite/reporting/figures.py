"""Figures as plotly data: forest plots of metrics and of differences. Colours that depend on the reader's light or dark
scheme are set by the page's script; everything a hover shows is escaped (plotly reads some HTML in its labels).

Each figure is {"data": [...], "layout": {...}, "title": ..., "alt": one sentence for those who cannot see it}. Titles
and alternatives are plain text; what stands in data and layout is escaped.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.comparison import Difference
from evalsuite.comparison.differences import ALPHA
from evalsuite.comparison.texts import TextDifference
from evalsuite.records import Metric
from evalsuite.reporting.escaping import label
from evalsuite.reporting.numbers import interval_text, p_text
from evalsuite.reporting.tables import lower_is_better
from evalsuite.store import Run

COLOURS = ("#3f6fd8", "#d9652f", "#1f9a7c", "#a657c7", "#b98a10", "#d14d7a", "#4f9fc6", "#7a7f8c")
KINDS = {
    "better": ("better", "triangle-up", "#1f9a7c"),
    "worse": ("worse", "triangle-down", "#d1493f"),
    "changed": ("changed", "diamond", "#3d6fd1"),
    "tied": ("statistically tied", "circle", "#8a8f9c"),
    "in": ("in distribution", "circle", "#3f6fd8"),
    "out": ("out of distribution", "diamond", "#d9652f"),
}
"""Name, symbol and colour of what a row of differences may be."""
MOST_ROWS = 28  # of one figure; beyond it only headline metrics are drawn
ROW, GAP = 15, 20  # pixels for each run's line, and between rows
SMALL = "<br><span style='font-size:10.5px'>"
Figure = dict[str, Any]
"""What plotly draws, with its title and its words (above)."""


def colour(run: int) -> str:
    return COLOURS[run % len(COLOURS)]


def forest(runs: Sequence[Run], tasks: Sequence[str], unit: str) -> Figure | None:
    """Metrics of one unit of some tasks, all runs: a point with its 95% interval each, baselines as ticks.

    None where nothing has this unit. Metrics without an interval are left to the table.
    """
    drawn = [_drawable(run, tasks, unit) for run in runs]
    keys = list(dict.fromkeys(key for found in drawn for key in found))
    keys.sort(key=lambda k: tasks.index(k[0]))
    if len(keys) > MOST_ROWS:
        keys = [k for k in keys if any(k in found and found[k].primary for found in drawn)]
    if not keys:
        return None
    present = [i for i, found in enumerate(drawn) if any(k in found for k in keys)]
    height = len(present) * ROW + GAP
    data = [_run_trace(runs[i], i, place, len(present), keys, drawn[i]) for place, i in enumerate(present)]
    baselines = [_baseline_trace(keys, drawn)] if any(m.baselines for found in drawn for m in found.values()) else []
    axis = {"tickformat": ".0%", "range": [-0.02, 1.02], **_titled("share")} if unit == "share" else _titled(unit)
    labels = []
    for task, name in keys:
        arrow = " ↓" if any(lower_is_better(run, task, name) for run in runs) else ""
        labels.append(_row_label(task, name + arrow, {found[task, name].n for found in drawn if (task, name) in found}))
    layout = _layout(labels, height, axis)
    names = ", ".join(runs[i].name for i in present)
    title = f"{'Shares' if unit == 'share' else unit.capitalize()}: {names}"
    alt = f"Forest plot of {len(keys)} metrics with 95% intervals for {names}; the same figures stand in the tables."
    traces = [*baselines, *data]
    if len(traces) == 1:
        layout |= {"showlegend": False, "height": layout["height"] - 26, "margin": {**layout["margin"], "t": 14}}
    return {"data": traces, "layout": layout, "title": title, "alt": alt}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a forest of differences: where it lies, `kind` for its colour and symbol, and what a hover says.
    `label` and `hover` are escaped."""

    label: str
    kind: str
    value: float
    low: float
    high: float
    hover: str


def difference_forest(differences: Sequence[Difference], run: str, baseline: str) -> Figure | None:
    """Differences of shares in points, one row each, with interval; colour and symbol say the verdict."""
    rows = [
        Row(
            _row_label(d.task, d.metric + " ↓" * d.lower_is_better, {d.n}),
            d.verdict,
            *(100 * d.value, 100 * d.low, 100 * d.high),
            _difference_hover(d),
        )
        for d in differences
        if d.unit == "share" and d.value is not None and d.low is not None and d.high is not None
    ]
    alt = f"Forest plot of paired differences, {run} minus {baseline}, with 95% intervals; also in the table below."
    return forest_of_rows(rows, f"{run} minus {baseline}: headline scores", alt)


def texts_forest(texts: Sequence[TextDifference], run: str, baseline: str) -> Figure | None:
    """How answers read, the measures that are shares: in points, coloured where the difference is clear."""
    rows = []
    for d in texts:
        if d.unit != "share" or d.value is None or d.low is None or d.high is None:
            continue
        kind = "changed" if d.q is not None and d.q <= ALPHA and d.value else "tied"
        told = f"{interval_text(d.value, d.low, d.high, d.unit, sign=True)}, n={d.n}, q={label(p_text(d.q))}"
        words = f"{label(d.about.partition(',')[0])}{SMALL}n={d.n}</span>"  # what follows stands in the table
        rows.append(Row(words, kind, 100 * d.value, 100 * d.low, 100 * d.high, f"{label(d.about)}<br>{told}"))
    alt = f"Forest plot of how the answers read, {run} minus {baseline}, with 95% intervals; also in the table below."
    return forest_of_rows(rows, f"{run} minus {baseline}: how answers read", alt)


def forest_of_rows(rows: Sequence[Row], title: str, alt: str) -> Figure | None:
    """One line for each row from the top down, in points; None without rows."""
    data: list[dict[str, Any]] = []
    for kind, (name, symbol, tint) in KINDS.items():
        part = [(i, r) for i, r in enumerate(rows) if r.kind == kind]
        if part:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": name,
                    "x": [r.value for _, r in part],
                    "y": [-i for i, _ in part],
                    "error_x": whiskers([(r.value, r.low, r.high) for _, r in part]),
                    "marker": {"color": tint, "size": 9, "symbol": symbol},
                    "text": [r.hover for _, r in part],
                    "hovertemplate": "%{text}<extra></extra>",
                }
            )
    if not data:
        return None
    axis = {"ticksuffix": " pt", "zeroline": True, "zerolinewidth": 2, **_titled("difference in points")}
    return {"data": data, "layout": _layout([r.label for r in rows], ROW + GAP, axis), "title": title, "alt": alt}


def _drawable(run: Run, tasks: Sequence[str], unit: str) -> dict[tuple[str, str], Metric]:
    return {
        (m.task, m.name): m
        for m in run.metrics
        if m.task in tasks and m.unit == unit and None not in (m.value, m.low, m.high)
    }


def _run_trace(
    run: Run, index: int, place: int, of: int, keys: Sequence[tuple[str, str]], found: dict[tuple[str, str], Metric]
) -> dict[str, Any]:
    # The lines of one row stand round its centre, the first run on top.
    offset = ((of - 1) / 2 - place) * ROW / (of * ROW + GAP)
    points = [(row, found[key]) for row, key in enumerate(keys) if key in found]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(run.name),
        "x": [m.value for _, m in points],
        "y": [-row + offset for row, _ in points],
        "error_x": whiskers([(m.value or 0, m.low or 0, m.high or 0) for _, m in points]),
        "marker": {"color": colour(index), "size": 8},
        "text": [
            f"<b>{label(run.name)}</b><br>{label(m.task)} {label(m.name)}<br>"
            f"{label(interval_text(m.value, m.low, m.high, m.unit))}, n={m.n}"
            for _, m in points
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _baseline_trace(keys: Sequence[tuple[str, str]], drawn: Sequence[dict[tuple[str, str], Metric]]) -> dict[str, Any]:
    marks = {
        (row, value): f"{label(name)}: {interval_text(value, None, None, m.unit).split(' [')[0]} (constant)"
        for row, key in enumerate(keys)
        for found in drawn
        if (m := found.get(key))
        for name, value in m.baselines.items()
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "constant baseline",
        "x": [value for _, value in marks],
        "y": [-row for row, _ in marks],
        "marker": {"symbol": "line-ns-open", "size": 22, "color": "#8a8f9c", "line": {"width": 2}},
        "text": list(marks.values()),
        "hovertemplate": "%{text}<extra></extra>",
    }


def whiskers(points: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, _, high in points],
        "arrayminus": [value - low for value, low, _ in points],
        "thickness": 2,
        "width": 0,
    }


def _row_label(task: str, metric: str, ns: Collection[int]) -> str:
    counted = f"{min(ns)}" if len(ns) == 1 else f"{min(ns)} to {max(ns)}"
    return f"{label(task)}{SMALL}{label(metric)}, n={counted}</span>"


def _titled(text: str) -> dict[str, Any]:
    return {"title": {"text": f"{label(text)}, 95% interval", "font": {"size": 12}, "standoff": 6}}


def _layout(labels: Sequence[str], row: float, x: dict[str, Any]) -> dict[str, Any]:
    """Rows from the top down, labelled."""
    return {
        "height": round(len(labels) * row + 112),
        "margin": {"l": 10, "r": 16, "t": 40, "b": 54},
        "xaxis": {"automargin": True, "fixedrange": True, "zeroline": False, **x},
        "yaxis": {
            "tickvals": [-i for i in range(len(labels))],
            "ticktext": list(labels),
            "range": [-len(labels) + 0.45, 0.55],
            "automargin": True,
            "fixedrange": True,
            "zeroline": False,
            "showgrid": False,
        },
        "legend": {
            "orientation": "h",
            "itemsizing": "constant",
            "x": 0,
            "y": 1,
            "yanchor": "bottom",
            "xanchor": "left",
        },
        "hovermode": "closest",
        "showlegend": True,
    }


def _difference_hover(d: Difference) -> str:
    return (
        f"{label(d.task)} {label(d.metric)}<br>"
        f"{label(interval_text(d.value, d.low, d.high, d.unit, sign=True))}, n={d.n}, q={label(p_text(d.q))}<br>"
        f"{len(d.fixed)} fixed, {len(d.broken)} broken"
    )
