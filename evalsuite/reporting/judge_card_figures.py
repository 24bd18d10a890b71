"""Figures of a judge's report card, as plotly reads them: agreement beside naive judges and people, and verdicts given.

Names come from files and models: they are escaped, because plotly reads markup in labels.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from evalsuite.judging.audit.audit import Audit
from evalsuite.judging.audit.figures import Figure
from evalsuite.reporting.numbers import interval_text

GREY, ACCENT, OTHER, PEOPLE = "#8a8f9c", "#3f6fd8", "#a657c7", "#1f9a7c"
KINDS = {"judge": (ACCENT, "this judge"), "beside": (OTHER, "other judges"), "naive": (GREY, "naive judges")}
ROW = 34


def agreement_figure(card: Audit) -> dict[str, Any]:
    """Agreement without ties of the judge, of judges beside it, of two people and of naive judges: points with
    intervals, one row each."""
    rows: list[tuple[str, str, Figure]] = [(p.name, p.kind, p.without_ties) for p in card.profiles]
    place = sum(p.kind != "naive" for p in card.profiles)
    rows.insert(place, ("two people", "people", card.among_people.without_ties))
    drawn = [(name, kind, f) for name, kind, f in rows if f.value is not None]
    labels = [escape(_short(name)) for name, _, _ in drawn]
    data = [
        _points(kind, [(i, name, f) for i, (name, k, f) in enumerate(drawn) if k == kind])
        for kind in dict.fromkeys(k for _, k, _ in drawn)
    ]
    layout = {
        "height": max(120, len(drawn) * ROW + 90),
        "margin": {"l": 10, "r": 16, "t": 40, "b": 34},
        "xaxis": {"tickformat": ".0%", "range": [-0.02, 1.02], "automargin": True, "fixedrange": True},
        "yaxis": {
            "tickvals": [-i for i in range(len(drawn))],
            "ticktext": labels,
            "range": [-len(drawn) + 0.4, 0.6],
            "automargin": True,
            "fixedrange": True,
            "zeroline": False,
            "showgrid": False,
        },
        "shapes": [
            {
                "type": "line",
                "x0": 0.5,
                "x1": 0.5,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": GREY, "dash": "dot"},
            }
        ],
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left"},
        "showlegend": len(data) > 1,
        "hovermode": "closest",
    }
    return {
        "data": data,
        "layout": layout,
        "alt": "Agreement with people's votes, without ties; also in the table below.",
    }


def _points(kind: str, rows: Sequence[tuple[int, str, Figure]]) -> dict[str, Any]:
    colour, legend = KINDS.get(kind, (PEOPLE, "people"))
    values = [f.value or 0 for _, _, f in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": legend,
        "x": values,
        "y": [-i for i, _, _ in rows],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(f.high if f.high is not None else v) - v for v, (_, _, f) in zip(values, rows, strict=True)],
            "arrayminus": [v - (f.low if f.low is not None else v) for v, (_, _, f) in zip(values, rows, strict=True)],
            "thickness": 2,
            "width": 0,
        },
        "marker": {"color": colour, "size": 10, "symbol": "diamond" if kind == "judge" else "circle"},
        "text": [
            f"<b>{escape(_short(name))}</b><br>{escape(interval_text(f.value, f.low, f.high))}, n={f.n}"
            for _, name, f in rows
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def distribution_figure(card: Audit) -> dict[str, Any] | None:
    """How often each grade, or each preference for the first slot, was given."""
    if not card.distribution:
        return None
    names: Iterable[str] = (name for name, _ in card.distribution)
    return {
        "data": [
            {
                "type": "bar",
                "x": [escape(name) for name in names],
                "y": [count for _, count in card.distribution],
                "marker": {"color": ACCENT},
                "hovertemplate": "%{x}: %{y}<extra></extra>",
            }
        ],
        "layout": {
            "height": 240,
            "margin": {"l": 10, "r": 16, "t": 14, "b": 34},
            "xaxis": {"type": "category", "automargin": True, "fixedrange": True},
            "yaxis": {"automargin": True, "fixedrange": True, "rangemode": "tozero"},
            "showlegend": False,
        },
        "alt": "How often each verdict was given: " + ", ".join(f"{n} {c}" for n, c in card.distribution if c),
    }


def _short(name: str, most: int = 44) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
