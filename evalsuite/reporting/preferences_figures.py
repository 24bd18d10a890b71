"""Figures of an explained dataset as plotly data: effects, description against effect, prevalence, prediction.

Names stand inside the plot, above their row, so that a phone shows them too. `customdata` holds a feature's index: the
page's script makes of it a link. Everything that plotly could read as HTML is escaped.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from evalsuite.features.contract import Effect, Explanation
from evalsuite.reporting.numbers import value_text
from evalsuite.reporting.preferences_readings import CHIPS, Kind, Reading
from evalsuite.reporting.preferences_words import change_text

GREY, ACCENT, GOOD, BAD = "#8a8f9c", "#3f6fd8", "#1f9a7c", "#d1493f"
PALE = "#b4b8c2"
STYLES = {"raw": "circle-open", "alone": "circle", "joint": "diamond-open", "adjusted": "square"}
"""Marks of the kinds of effects; what judges is drawn in the colour of its verdict, the others pale."""
KINDS: dict[Kind, str] = {"rewarded": GOOD, "punished": BAD, "little": ACCENT, "open": GREY, "none": "#b9bdc6"}
SYMBOLS: dict[Kind, str] = {
    "rewarded": "triangle-up",
    "punished": "triangle-down",
    "little": "circle",
    "open": "diamond-open",
    "none": "x",
}
MOST = 48  # rows of the forest plot; the strongest, either way
LABEL, LINE = 22, 9  # pixels of a row's name, and of each of its effects
LINES = "rgba(128,128,128,.22)"
FIXED = {"automargin": True, "fixedrange": True}


def effects_figure(readings: Sequence[Reading]) -> dict[str, Any] | None:
    """Forest plot: a row for each feature, its effects under one another; None where nothing was estimated."""
    drawn = [r for r in readings if r.change is not None]
    if not drawn:
        return None
    strongest = sorted(drawn, key=lambda r: -abs(r.change or 0))[:MOST]
    rows = [r for r in drawn if r in strongest]
    known = {name for r in rows for name, e in r.feature.effects.items() if e.change is not None}
    names = [n for n in STYLES if n in known] + sorted(known - set(STYLES))
    row = LABEL + LINE * len(names) + 6
    main = rows[0].by
    names.sort(key=lambda name: name != main)  # what judges stands nearest to the feature's name
    kinds = dict.fromkeys(r.kind for r in rows)
    data = [_effect_trace(main, 0, rows, row, kind) for kind in CHIPS if kind in kinds]
    data += [_effect_trace(name, i, rows, row) for i, name in enumerate(names) if name != main]
    layout = {
        "height": len(rows) * row + 110,
        "margin": {"l": 12, "r": 16, "t": 78, "b": 16},
        "xaxis": {
            **FIXED,
            "side": "top",
            "ticksuffix": " pt",
            "zeroline": True,
            "zerolinewidth": 2,
            "title": {"text": "change in the chance to be preferred", "font": {"size": 12}, "standoff": 4},
        },
        "yaxis": {**FIXED, "visible": False, "range": [-len(rows) + 0.5, 0.5], "zeroline": False},
        "annotations": [_row_name(i, r) for i, r in enumerate(rows)],
        "shapes": [_rule(-i - 0.5) for i in range(len(rows) - 1)],
        "legend": {"orientation": "h", "x": 0, "y": 1, "yref": "container", "yanchor": "top", "xanchor": "left"},
        "hovermode": "closest",
        "showlegend": True,
    }
    left = f"; {len(drawn) - len(rows)} weaker ones stand in the table" if len(rows) < len(drawn) else ""
    alt = f"Effects of {len(rows)} features with 95% intervals, most rewarded first; also in the table below{left}."
    return {"data": data, "layout": layout, "alt": alt}


def _effect_trace(name: str, place: int, rows: Sequence[Reading], row: int, kind: Kind | None = None) -> dict[str, Any]:
    """One kind of effect of all rows; with `kind`, the judging effect of the rows with that verdict."""
    colour, symbol = KINDS[kind] if kind else PALE, STYLES.get(name, "cross")
    offset = 0.5 - (LABEL + LINE * (place + 0.5)) / row
    points = [
        (i, r, e)
        for i, r in enumerate(rows)
        if (e := r.feature.effects.get(name)) and e.change is not None and kind in (None, r.kind)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": _safe(f"{name}: {CHIPS[kind]}" if kind else name),
        "x": [100 * (e.change or 0) for _, _, e in points],
        "y": [-i + offset for i, _, _ in points],
        "error_x": _whiskers([e for _, _, e in points]) | {"thickness": 3 if kind else 1.2},
        "marker": {"color": colour, "size": 10 if kind else 5, "symbol": symbol},
        "customdata": [r.feature.index for _, r, _ in points],
        "text": [f"{_title(r)}<br>{_safe(name)}: {_safe(change_text(e))}, n={e.n}" for _, r, e in points],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _whiskers(effects: Sequence[Effect]) -> dict[str, Any]:
    ends = [
        (e.change or 0, e.low if e.low is not None else e.change or 0, e.high if e.high is not None else e.change or 0)
        for e in effects
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (high - value) for value, _, high in ends],
        "arrayminus": [100 * (value - low) for value, low, _ in ends],
        "thickness": 1.6,
        "width": 0,
    }


def _row_name(place: int, reading: Reading) -> dict[str, Any]:
    index = reading.feature.index
    return {
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": -place + 0.5,
        "yanchor": "top",
        "align": "left",
        "showarrow": False,
        "text": f"#{index} {_safe(short(_name(reading), 60))}",
        "font": {"size": 12.5},
        "captureevents": True,
        "name": str(index),
    }


def _rule(at: float) -> dict[str, Any]:
    line = {"color": LINES, "width": 1}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at, "line": line, "layer": "below"}


def fidelity_figure(readings: Sequence[Reading]) -> dict[str, Any] | None:
    """How well the words fit (x) against the effect (y); None where no fidelity is known."""
    known = [r for r in readings if r.change is not None and r.feature.fidelity and r.feature.fidelity.r is not None]
    if not known:
        return None
    data: list[dict[str, Any]] = []
    for kind in dict.fromkeys(r.kind for r in known):
        part = [r for r in known if r.kind == kind]
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": CHIPS[kind],
                "x": [r.feature.fidelity.r for r in part if r.feature.fidelity],
                "y": [100 * (r.change or 0) for r in part],
                "error_y": _whiskers([r.effect for r in part if r.effect]) | {"thickness": 1},
                "marker": {"color": KINDS[kind], "size": 10, "symbol": SYMBOLS[kind]},
                "textposition": "middle right",
                "texttemplate": "#%{customdata}",
                "textfont": {"size": 11},
                "customdata": [r.feature.index for r in part],
                "hovertext": [_hover(r) for r in part],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )
    layout = {
        "height": 420,
        "margin": {"l": 12, "r": 30, "t": 52, "b": 46},
        "xaxis": {
            **FIXED,
            "range": [min(0.0, *(x for part in data for x in part["x"])) - 0.05, 1.05],
            "title": {"text": "how well the words fit (r)", "font": {"size": 12}},
            "zeroline": True,
        },
        "yaxis": {**FIXED, "title": {"text": "effect", "font": {"size": 12}}, "ticksuffix": " pt", "zeroline": True},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left"},
        "hovermode": "closest",
        "showlegend": True,
    }
    alt = f"Fidelity of the description against effect for {len(known)} features; also in the table of features."
    return {"data": data, "layout": layout, "alt": alt}


def prevalence_figure(readings: Sequence[Reading]) -> dict[str, Any] | None:
    """Share of pairs in which each feature differs, most frequent first."""
    rows = sorted(readings, key=lambda r: -r.feature.prevalence)[:MOST]
    if not rows:
        return None
    return {
        "data": [
            {
                "type": "bar",
                "x": [f"#{r.feature.index}" for r in rows],
                "y": [r.feature.prevalence for r in rows],
                "marker": {"color": [KINDS[r.kind] for r in rows]},
                "customdata": [r.feature.index for r in rows],
                "hovertext": [_hover(r) for r in rows],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        ],
        "layout": {
            "height": 260,
            "margin": {"l": 12, "r": 16, "t": 14, "b": 36},
            "xaxis": {**FIXED, "type": "category"},
            "yaxis": {**FIXED, "tickformat": ".0%", "rangemode": "tozero"},
            "showlegend": False,
        },
        "alt": f"How often {len(rows)} features set the two answers apart; also in the table of features.",
    }


def predicted_figure(explanation: Explanation) -> dict[str, Any] | None:
    """Held-out AUC as bars from 0.5, a coin; None where none is known."""
    known = [p for p in explanation.predicted if p.auc is not None]
    if not known:
        return None
    values = [p.auc or 0 for p in known]
    lows = [p.low if p.low is not None else v for p, v in zip(known, values, strict=True)]
    highs = [p.high if p.high is not None else v for p, v in zip(known, values, strict=True)]
    texts = [f"<b>{v:.2f}</b> {_safe(short(p.name, 40))}" for p, v in zip(known, values, strict=True)]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "base": 0.5,
                "x": [v - 0.5 for v in values],
                "y": [-i for i in range(len(known))],
                "width": 0.34,
                "marker": {"color": [ACCENT if p.name == "features" else PALE for p in known]},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [h - v for h, v in zip(highs, values, strict=True)],
                    "arrayminus": [v - low for low, v in zip(lows, values, strict=True)],
                    "thickness": 1.6,
                    "color": "#6d7380",
                },
                "hovertext": [
                    f"{t}<br>[{low:.3f}, {h:.3f}], n={p.n}"
                    for t, low, h, p in zip(texts, lows, highs, known, strict=True)
                ],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        ],
        "layout": {
            "height": 46 * len(known) + 60,
            "margin": {"l": 12, "r": 16, "t": 10, "b": 40},
            "xaxis": {
                **FIXED,
                "range": [min(0.48, *lows) - 0.01, max(0.8, *highs) + 0.02],
                "title": {"text": "AUC", "font": {"size": 12}},
            },
            "yaxis": {**FIXED, "visible": False, "range": [-len(known) + 0.35, 0.65]},
            "annotations": [
                {
                    "x": 0,
                    "xref": "paper",
                    "xanchor": "left",
                    "y": -i + 0.2,
                    "yanchor": "bottom",
                    "showarrow": False,
                    "text": text,
                    "font": {"size": 12.5},
                }
                for i, text in enumerate(texts)
            ],
            "showlegend": False,
        },
        "alt": "Held-out AUC: " + ", ".join(f"{p.name} {v:.2f}" for p, v in zip(known, values, strict=True)) + ".",
    }


def _safe(text: str) -> str:
    """Text that plotly cannot read as markup; it would show an escaped quotation mark as it stands."""
    return escape(text, quote=False)


def short(text: str, most: int) -> str:
    """One line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _name(reading: Reading) -> str:
    return reading.feature.description or reading.feature.name


def _title(reading: Reading) -> str:
    return f"<b>#{reading.feature.index} {_safe(short(_name(reading), 70))}</b>"


def _hover(reading: Reading) -> str:
    fidelity, effect = reading.feature.fidelity, reading.effect
    r = f"{fidelity.r:.2f}" if fidelity and fidelity.r is not None else "not measured"
    said = change_text(effect) if effect else "–"
    return (
        f"{_title(reading)}<br>{CHIPS[reading.kind]}: {_safe(said)}<br>words fit: r {r}"
        f"<br>in {value_text(reading.feature.prevalence)} of pairs"
    )
