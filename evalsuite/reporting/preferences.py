"""The page of an explained dataset: one self-contained file that says what the pairs reward, and lets one check it.

    write_page(explanation, Path("report.html"))

Cautions on how the pairs came about stand first, then plain words, then figures and a table of all features; each
feature has a view of its own at `#feature-N` with its examples side by side. Examples are other people's text: the
template escapes them, long ones are folded, and what a page cannot bear is cut with a note.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evalsuite.features.contract import Effect, Explanation, Feature
from evalsuite.reporting import pages
from evalsuite.reporting.numbers import bounds_text, p_text, value_text
from evalsuite.reporting.preferences_examples import EXAMPLES, Shown, room, shown, votes
from evalsuite.reporting.preferences_figures import (
    effects_figure,
    fidelity_figure,
    predicted_figure,
    prevalence_figure,
    short,
)
from evalsuite.reporting.preferences_files import as_json, from_json, read_explanation, write_explanation
from evalsuite.reporting.preferences_readings import CHIPS, FITS, Reading, read_features
from evalsuite.reporting.preferences_words import cautions, opening, sentence, summary

__all__ = ["read_explanation", "write_explanation", "write_page"]
FOUND = {
    "model": "by a judge model, from examples",
    "extractive": "by counting words and formats",
    "given": "with the data",
}
ABOUT = ("pairs looked at", "scale")
"""Statistics that say how a feature was looked at, not what it is like."""
HOW = {"model": "named by a model", "extractive": "extractive", "given": "given"}


@dataclass(frozen=True, slots=True)
class Line:
    """An effect as it is written."""

    name: str
    meaning: str
    change: str
    bounds: str
    beta: str
    p: str
    corrected: str
    bonferroni: str
    bh: str
    n: str
    reason: str


@dataclass(frozen=True, slots=True)
class View:
    """A feature as its part of the page needs it. `title` is its description, or its name where there is none."""

    index: int
    title: str
    name: str
    kind: str
    chip: str
    sure: bool
    fit: str
    fit_chip: str
    how: str
    found: str
    r: str
    fidelity: str
    prevalence: str
    change: str
    bounds: str
    order: float | str
    lines: list[Line]
    terms: list[tuple[str, str, bool]]
    statistics: list[tuple[str, str]]
    looked: str
    cautions: list[str]
    examples: list[Shown]
    hidden: int
    votes: str
    alike: list[int]


def write_page(explanation: Explanation, path: Path) -> Path:
    """Writes the page and returns its path. Raises InputError where a feature's index is there twice."""
    explanation = from_json(as_json(explanation), "explanation")  # numbers that are not finite become None
    readings = read_features(explanation)
    groups = _groups(explanation.features)
    limit = room(explanation.features)
    views = [_view(explanation, r, groups.get(r.feature.component, []), limit) for r in readings]
    drawn = {
        "effects": effects_figure(readings),
        "fidelity": fidelity_figure(readings),
        "prevalence": prevalence_figure(readings),
        "prediction": predicted_figure(explanation),
    }
    figures = {name: figure for name, figure in drawn.items() if figure is not None}
    titles = {v.index: v.title for v in views}
    context = {
        "title": explanation.dataset,
        "opening": opening(explanation),
        "notes": [sentence(note) for note in explanation.notes],
        "checked": any(v.fit in ("holds", "weak") for v in views),
        "explanation": explanation,
        "words": summary(explanation, readings),
        "views": views,
        "titles": titles,
        "counts": {kind: sum(v.kind == kind for v in views) for kind in CHIPS},
        "chips": CHIPS,
        "groups": [sorted(g, key=list(titles).index) for g in groups.values() if len(g) > 1],
        "apart": len(groups) + sum(f.component < 0 for f in explanation.features),
        "grouped": bool(groups),
        "main": readings[0].by if readings else "",
        "meanings": _meanings(explanation),
        "shown_effects": {name for f in explanation.features for name in f.effects},
        "settings": json.dumps(as_json(explanation.settings), indent=1, ensure_ascii=False, sort_keys=True),
        "figures": figures,
        "predicted": [(p, _number(p.auc), _interval(p.low, p.high)) for p in explanation.predicted],
        "short": short,
    }
    html = pages.render("preferences.html.j2", context, figures=bool(figures), script="preferences.js")
    return pages.write_page(path, html)


def _groups(features: Sequence[Feature]) -> dict[int, list[int]]:
    """Component → indices of its features; a component below 0 is unknown."""
    found: dict[int, list[int]] = defaultdict(list)
    for feature in features:
        if feature.component >= 0:
            found[feature.component].append(feature.index)
    return dict(found)


def _view(explanation: Explanation, reading: Reading, group: Sequence[int], limit: int) -> View:
    feature, effect, fidelity = reading.feature, reading.effect, reading.feature.fidelity
    alike = [i for i in group if i != feature.index]
    names = [n for n in ("raw", "alone", "joint", "adjusted") if n in feature.effects]
    names += [n for n in feature.effects if n not in names]
    meanings = _meanings(explanation)
    known = fidelity is not None and fidelity.r is not None
    return View(
        index=feature.index,
        title=feature.description or feature.name or f"feature {feature.index}",
        name=feature.name,
        kind=reading.kind,
        chip=CHIPS[reading.kind],
        sure=reading.sure,
        fit=reading.fit,
        fit_chip=FITS[reading.fit],
        how=HOW[feature.how],
        found=FOUND[feature.how],
        r=_number(fidelity.r) if known and fidelity else "–",
        fidelity=f"r = {_number(fidelity.r)} {_interval(fidelity.low, fidelity.high)}, p {p_text(fidelity.p)}, "
        f"n = {fidelity.n:,} pairs that had no part in its choice"
        if known and fidelity
        else "not measured",
        prevalence=value_text(feature.prevalence),
        change=value_text(reading.change, "share", True),
        bounds=bounds_text(effect.low, effect.high, "share", True) if effect and reading.change is not None else "",
        order=reading.change if reading.change is not None else "",
        lines=[_line(n, meanings.get(n, ""), feature.effects[n], explanation.tests) for n in names],
        terms=[(term, f"{weight:+.2f}".replace("-", "−"), weight > 0) for term, weight in feature.terms],
        statistics=[(key, text) for key, v in feature.statistics.items() if key not in ABOUT and (text := _signed(v))],
        looked=f"{feature.statistics.get('pairs looked at', 0):,.0f}",
        cautions=cautions(explanation, reading, alike),
        examples=[shown(e, limit, feature.terms) for e in feature.examples[:EXAMPLES]],
        hidden=max(0, len(feature.examples) - EXAMPLES),
        votes=votes(feature.examples),
        alike=alike,
    )


def _meanings(explanation: Explanation) -> dict[str, str]:
    controls, known = ", ".join(explanation.controls), ", ".join(explanation.adjusted_for)
    return {
        "raw": "the feature by itself, nothing held fixed",
        "alone": f"with {controls} held fixed" if controls else "by itself; no controls were asked for",
        "joint": "all features together: what it adds beside the others",
        "adjusted": f"with {known} held fixed too" if known else "with the named confounders held fixed",
    }


def _line(name: str, meaning: str, effect: Effect, tests: int) -> Line:
    corrected = None if effect.p is None or not tests else min(1.0, effect.p * tests)
    beta = _number(effect.beta)
    return Line(
        name=name,
        meaning=meaning,
        change=value_text(effect.change, "share", True),
        bounds=bounds_text(effect.low, effect.high, "share", True) if effect.change is not None else "",
        beta=beta if beta == "–" else f"{beta} {_interval(effect.beta_low, effect.beta_high)}",
        p=p_text(effect.p),
        corrected=p_text(corrected),
        bonferroni=_yes(effect, effect.significant_bonferroni),
        bh=_yes(effect, effect.significant_bh),
        n=f"{effect.n:,}",
        reason=effect.reason,
    )


def _yes(effect: Effect, holds: bool) -> str:
    return "–" if effect.p is None else "yes" if holds else "no"


def _signed(value: float) -> str:
    """A mean difference; nothing where it is next to nothing."""
    if abs(value) < 0.05:
        return ""
    return (f"{value:+.0f}" if abs(value) >= 10 else f"{value:+.2g}").replace("-", "−")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _interval(low: float | None, high: float | None) -> str:
    return "[–]" if low is None or high is None else f"[{_number(low)}, {_number(high)}]"
