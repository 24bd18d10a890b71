"""Figures of a comparison as plotly data, in the form of `reporting.figures`.

    plane_figure(found.plane)        # quality against diversity, an arrow from each run to the next
    curve_figure(found.curves[0])    # proxy and gold reward against √KL, or against steps where no KL was logged
    trade_off_figure(pair.trade_offs[0], pair.run, pair.baseline)

Everything a hover or a legend shows is escaped (plotly reads some HTML in its labels). None where there is nothing to
draw.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from evalsuite.comparison.calibration import TradeOff
from evalsuite.comparison.gaps import GapChange, Point
from evalsuite.comparison.training_curve import Curve
from evalsuite.reporting.escaping import label
from evalsuite.reporting.figures import KINDS, SMALL, Figure, Row, colour, forest_of_rows, whiskers
from evalsuite.reporting.numbers import interval_text
from evalsuite.statistics import Interval, wilson

HEIGHT = 360


def plane_figure(points: Sequence[Point]) -> Figure | None:
    """Runs with both axes; the first diversity figure that all of them have."""
    shared = [name for name in (points[0].diversity if points else ()) if all(name in p.diversity for p in points)]
    drawn = [(p, p.quality, p.diversity[shared[0]]) for p in points if p.quality and shared]
    known = [(p, q, d) for p, q, d in drawn if q.value is not None and d.value is not None]
    if len(known) < 2:
        return None
    name = shared[0]
    data = [_path([d.value for _, _, d in known], [q.value for _, q, _ in known])]
    for place, (point, quality, diversity) in enumerate(known):
        told = f"quality {interval_text(quality.value, quality.low, quality.high)}, n={quality.n}"
        varied = f"diversity {interval_text(diversity.value, diversity.low, diversity.high, '')}, n={diversity.n}"
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": label(point.run),
                "x": [diversity.value],
                "y": [quality.value],
                "error_x": _whisker(diversity),
                "error_y": _whisker(quality),
                "text": [f"{label(point.run)}, n={quality.n}"],
                "textposition": "top right",
                "marker": {"color": colour(place), "size": 10},
                "hovertext": [f"<b>{label(point.run)}</b><br>{label(told)}<br>{label(varied)}"],
                "hoverinfo": "text",
            }
        )
    tasks = ", ".join(known[0][0].tasks)
    layout = _layout(f"{name}, 95% interval", "mean headline share, 95% interval", {"tickformat": ".0%"})
    alt = f"Quality (mean share on {tasks}) against diversity ({name}) of {', '.join(p.run for p, _, _ in known)}."
    return {"data": data, "layout": layout, "title": "Quality against diversity", "alt": alt}


def curve_figure(curve: Curve) -> Figure | None:
    """Proxy and gold reward, each on the scale that it was logged in."""
    drift = all(p["kl"] is not None for p in curve.points)
    x = [_root(p["kl"]) if drift else p["step"] for p in curve.points]
    data = []
    for place, (key, name) in enumerate((("reward", "proxy reward"), ("gold", "gold"))):
        y = [p[key] for p in curve.points]
        if any(v is not None for v in y):
            line = {"color": colour(place), "width": 2}
            data.append({"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line})
    if not data or len(curve.points) < 2:
        return None
    axis = "√KL to the reference (nats an answer)" if drift else "step"
    alt = f"Reward of {curve.run} over {curve.steps} steps against {axis}: {curve.verdict}."
    title = f"Reward of {curve.run} as it was trained"
    return {"data": data, "layout": _layout(axis, "reward", {}), "title": title, "alt": alt}


def trade_off_figure(curve: TradeOff, run: str, baseline: str) -> Figure:
    """Accuracy among the surest answers as more of them are given, before and after, with the interval of the answers
    that are given (Wilson)."""
    data = []
    for place, (name, values) in enumerate(((baseline, curve.baseline), (run, curve.run))):
        given = [max(1, round(share * curve.n)) for share in curve.coverage]
        bounds = [(v, *wilson(v * k, k)) for v, k in zip(values, given, strict=True)]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": label(name),
                "x": [x + (place - 0.5) * 0.012 for x in curve.coverage],  # whiskers side by side
                "y": list(values),
                "error_y": whiskers(bounds),
                "line": {"color": colour(place), "width": 2},
            }
        )
    title = f"{curve.task}: accuracy as the least sure answers are withheld"
    layout = _layout(
        f"share of {curve.n} questions answered, the surest first", "accuracy, 95% interval", {"tickformat": ".0%"}
    )
    layout["xaxis"]["tickformat"] = ".0%"
    alt = f"Accuracy on {curve.task} as the least sure answers are withheld, {run} against {baseline}, n={curve.n}."
    return {"data": data, "layout": layout, "title": title, "alt": alt}


def gaps_figure(gaps: Sequence[GapChange], run: str, baseline: str) -> Figure | None:
    """Of shares: what changed inside and what outside of the distribution, task by task."""
    rows = []
    for gap in gaps:
        for side, found in (("in", gap.inside), ("out", gap.outside)):
            if gap.unit != "share" or found.value is None or found.low is None or found.high is None:
                continue
            told = interval_text(found.value, found.low, found.high, sign=True)
            words = f"{label(gap.task)}{SMALL}{KINDS[side][0]}, n={found.n}</span>"
            hover = f"{label(gap.task)}, {KINDS[side][0]}<br>{told}, n={found.n}"
            rows.append(Row(words, side, 100 * found.value, 100 * found.low, 100 * found.high, hover))
    alt = f"Paired differences {run} minus {baseline}, in and out of distribution, with 95% intervals."
    return forest_of_rows(rows, f"{run} minus {baseline}: in and out of distribution", alt)


def _path(x: Sequence[float | None], y: Sequence[float | None]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "line": {"color": "#8a8f9c", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _whisker(i: Interval) -> dict[str, Any]:
    if i.value is None or i.low is None or i.high is None:
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [i.high - i.value],
        "arrayminus": [i.value - i.low],
        "thickness": 1.5,
        "width": 0,
    }


def _root(value: float | None) -> float | None:
    """√KL; an estimate below 0 is drawn at 0."""
    return None if value is None else max(0.0, value) ** 0.5


def _layout(x: str, y: str, more: Mapping[str, Any]) -> dict[str, Any]:
    def axis(title: str) -> dict[str, Any]:
        titled = {"text": label(title), "font": {"size": 12}, "standoff": 6}
        return {"title": titled, "automargin": True, "fixedrange": True, "zeroline": False}

    return {
        "height": HEIGHT,
        "margin": {"l": 10, "r": 16, "t": 40, "b": 54},
        "xaxis": axis(x),
        "yaxis": {**axis(y), **more},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left"},
        "hovermode": "closest",
        "showlegend": True,
    }
