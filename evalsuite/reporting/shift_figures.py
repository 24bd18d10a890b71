"""The figure of `compare --features`: the data's reward across, the model's shift upwards, one panel for each run.

All panels have the same axes, so that runs compare by eye (a button of the page gives each its own). Quadrants are
named in words; a point's place in them is what the page is about, and its colour says whether that is more than chance.
`customdata` holds the feature's index, of which the page's script makes a link. Everything that plotly could read as
HTML is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from evalsuite.reporting.escaping import clean
from evalsuite.reporting.shift_words import CHIPS, label, reward_text, shift_text

if TYPE_CHECKING:
    from evalsuite.comparison.shift_folder import Feature
    from evalsuite.comparison.shift_records import Relation, RunShift, Shift, Shifts

    Point = tuple[Feature, Shift]

COLOURS: dict[Relation, str] = {
    "followed": "#1f9a7c",
    "against": "#d1493f",
    "unrewarded": "#c77d0a",
    "unmoved": "#3f6fd8",
    "open": "#8a8f9c",
}
SYMBOLS: dict[Relation, str] = {
    "followed": "circle",
    "against": "x",
    "unrewarded": "diamond",
    "unmoved": "circle-open",
    "open": "circle-open",
}
HEIGHT = 480
WIDE, TALL = 520.0, 380.0
"""Pixels of a panel's inside, for telling whether two names would meet."""
NAMED = 14
"""Points that are named at most: those that moved or are rewarded, the furthest out first."""
LETTER, LINE = 6.3, 15.0
PLACES: tuple[tuple[str, float, float], ...] = (
    ("top right", 0.0, 1.4), ("bottom right", 0.0, -0.4), ("top left", -1.0, 1.4), ("bottom left", -1.0, -0.4),
    ("top center", -0.5, 1.5), ("bottom center", -0.5, -0.5), ("middle right", 0.0, 0.5), ("middle left", -1.0, 0.5),
)  # fmt: skip
"""plotly's positions with where the text's box begins: across in widths, upwards in heights."""
FIXED = {"fixedrange": True, "automargin": True, "zeroline": True, "zerolinewidth": 1.5}
TINTS = (("rgba(31,154,124,.08)", 0, 0), ("rgba(31,154,124,.08)", -1, -1))


def shift_figures(found: Shifts) -> dict[str, dict[str, Any]]:
    """One figure for each run, by the id of its place on the page; those without a point have none."""
    about = {f.index: f for f in found.features}
    points = [[(about[s.index], s) for s in run.features if _drawn(about[s.index], s)] for run in found.runs]
    flat = [point for part in points for point in part]
    if not flat:
        return {}
    reach = (
        _reach([(f.reward.beta, None, None) for f, _ in flat]),
        _reach([(s.shift, s.low, s.high) for _, s in flat]),
    )
    return {
        f"shift-{i}": _panel(found, run, part, reach)
        for i, (run, part) in enumerate(zip(found.runs, points, strict=True))
        if part
    }


def _drawn(feature: Feature, shift: Shift) -> bool:
    return feature.reward.beta is not None and shift.shift is not None and shift.low is not None


def _reach(values: Sequence[tuple[float | None, float | None, float | None]]) -> float:
    """Half an axis: room for names beside the points, and for every interval."""
    ends = [abs(v) for triple in values for v in triple if v is not None]
    return max(1.28 * max(abs(v or 0.0) for v, _, _ in values), 1.05 * max(ends), 1e-6)


def _panel(found: Shifts, run: RunShift, points: Sequence[Point], reach: tuple[float, float]) -> dict[str, Any]:
    names = _names(points, reach)
    data = [_trace(relation, [p for p in points if p[1].relation == relation], names) for relation in CHIPS]
    x, y = reach
    fixed = f", {', '.join(found.controls)} held fixed" if found.controls else ""
    layout = {
        "height": HEIGHT,
        "margin": {"l": 8, "r": 10, "t": 10, "b": 52},
        "xaxis": {**FIXED, "range": [-x, x], "title": {"text": f"data's reward: log-odds for 1 s.d.{_safe(fixed)}",
                                                      "font": {"size": 12}}},
        "yaxis": {**FIXED, "range": [-y, y], "title": {"text": "model's shift in s.d.", "font": {"size": 12}}},
        "shapes": [_tint(colour, left * x, low * y, x, y) for colour, left, low in TINTS],
        "annotations": _quadrants(),
        "hovermode": "closest",
        "showlegend": False,
    }  # fmt: skip
    alt = (
        f"{run.run}: reward in the data against shift from {run.parent} for {len(points)} features; also in the table."
    )
    own = _reach([(s.shift, s.low, s.high) for _, s in points])
    return {"data": [trace for trace in data if trace["x"]], "layout": layout, "alt": alt, "reach": [y, own]}


def _tint(colour: str, x: float, y: float, wide: float, tall: float) -> dict[str, Any]:
    """A quadrant in which shifts go the way the data pull."""
    box = {"x0": x, "x1": x + wide, "y0": y, "y1": y + tall}
    return {"type": "rect", **box, "fillcolor": colour, "line": {"width": 0}, "layer": "below"}


def _quadrants() -> list[dict[str, Any]]:
    texts = {
        (0.99, 0.985): "rewarded, more of it",
        (0.01, 0.985): "punished, yet more of it",
        (0.99, 0.015): "rewarded, yet less of it",
        (0.01, 0.015): "punished, less of it",
    }
    return [
        {
            "x": x, "y": y, "xref": "paper", "yref": "paper", "showarrow": False, "text": f"<i>{text}</i>",
            "xanchor": "right" if x > 0.5 else "left", "yanchor": "top" if y > 0.5 else "bottom",
            "font": {"size": 12.5}, "opacity": 0.8,
        }
        for (x, y), text in texts.items()
    ]  # fmt: skip


def _trace(relation: Relation, points: Sequence[Point], names: dict[int, tuple[str, str]]) -> dict[str, Any]:
    faint = relation == "open"
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": CHIPS[relation],
        "x": [f.reward.beta for f, _ in points],
        "y": [s.shift for _, s in points],
        "error_x": _bars([(f.reward.beta, f.reward.beta_low, f.reward.beta_high) for f, _ in points], faint),
        "error_y": _bars([(s.shift, s.low, s.high) for _, s in points], faint),
        "marker": {
            "color": COLOURS[relation],
            "size": 7 if faint else 11,
            "symbol": SYMBOLS[relation],
            "opacity": 0.55 if faint else 1,
            "line": {"width": 1.6 if SYMBOLS[relation].endswith("open") else 0, "color": COLOURS[relation]},
        },
        "text": [_safe(names.get(f.index, ("", ""))[0]) for f, _ in points],
        "textposition": [names.get(f.index, ("", "middle right"))[1] for f, _ in points],
        "textfont": {"size": 12},
        "customdata": [f.index for f, _ in points],
        "hovertext": [_hover(f, s) for f, s in points],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "cliponaxis": False,
    }


def _bars(values: Sequence[tuple[float | None, float | None, float | None]], faint: bool) -> dict[str, Any]:
    known = [
        (v or 0.0, v or 0.0 if low is None else low, v or 0.0 if high is None else high) for v, low, high in values
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - v for v, _, high in known],
        "arrayminus": [v - low for v, low, _ in known],
        "thickness": 0.7 if faint else 1.3,
        "width": 0,
    }


def _hover(feature: Feature, shift: Shift) -> str:
    paid = f"data: {_safe(reward_text(feature))} for the answer that has it"
    seen = f"more in {100 * shift.more:.0f}% of prompts, less in {100 * shift.less:.0f}%"
    title = f"<b>#{feature.index} {_safe(label(feature, 80))}</b>"
    return f"{title}<br>{CHIPS[shift.relation]}<br>{paid}<br>model: {_safe(shift_text(shift))}<br>{seen}"


def _names(points: Sequence[Point], reach: tuple[float, float]) -> dict[int, tuple[str, str]]:
    """Names of the points that matter, each where it meets no other name and no point; none where there is no room."""
    scale = (WIDE / 2 / reach[0], TALL / 2 / reach[1])
    at = {f.index: ((f.reward.beta or 0.0) * scale[0], (s.shift or 0.0) * scale[1]) for f, s in points}
    taken = [box for f, s in points for box in _drawn_boxes(f, s, scale)]
    wanted = sorted(
        (p for p in points if p[1].relation != "open"), key=lambda p: -sum(abs(v) for v in at[p[0].index])
    )  # fmt: skip
    found: dict[int, tuple[str, str]] = {}
    for feature, _ in wanted[:NAMED]:
        text = label(feature, 26)
        wide, (x, y) = LETTER * len(text), at[feature.index]
        for place, across, up in PLACES:
            left = x + across * wide + (10 if across == 0 else -10 if across == -1 else 0)
            low = y + (up - 1) * LINE
            box = (left, low, left + wide, low + LINE)
            inside = max(-box[0], box[2]) <= WIDE / 2 and max(-box[1], box[3]) <= TALL / 2
            if inside and not any(_meet(box, other) for other in taken):
                found[feature.index] = (text, place)
                taken.append(box)
                break
    return found


def _drawn_boxes(feature: Feature, shift: Shift, scale: tuple[float, float]) -> list[tuple[float, ...]]:
    """What a point and its two intervals cover, in pixels."""
    r, (across, up) = feature.reward, scale
    x, y = (r.beta or 0.0) * across, (shift.shift or 0.0) * up
    lines = [(r.beta_low, r.beta_high, across), (shift.low, shift.high, up)]
    (left, right), (low, high) = ((low * k, high * k) if low is not None and high is not None else (0.0, 0.0)
                                  for low, high, k in lines)  # fmt: skip
    bars = [(left, y - 1, right, y + 1), (x - 1, low, x + 1, high)] if shift.relation != "open" else []
    return [(x - 6, y - 6, x + 6, y + 6), *bars]


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _safe(text: str) -> str:
    """Text that plotly cannot read as markup, and that turns no line round."""
    return escape(clean(text), quote=False)
