"""The page of `compare --features`: one self-contained file that sets what data rewarded beside what models do.

    write_page(found, Path("shift.html"))

Plain words and the figure come first, one panel for each run; then what moved, run by run; a table of all features;
and a view of each feature at `#feature-N` with prompts on which the run and its parent part furthest. Everything that
a model or a file wrote is escaped by the template; long texts are folded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.reporting import pages
from evalsuite.reporting.numbers import p_text, value_text
from evalsuite.reporting.preferences_examples import TEXT, Folded, Shown, folded, shown
from evalsuite.reporting.shift_figures import COLOURS, shift_figures
from evalsuite.reporting.shift_words import (
    CHIPS,
    LISTS,
    contrasts,
    correlation_text,
    label,
    notes,
    odds_text,
    reward_text,
    standing,
    told,
)

if TYPE_CHECKING:
    from evalsuite.comparison.shift_folder import Feature
    from evalsuite.comparison.shift_records import RunShift, Seen, Shift, Shifts

PAID = {
    "rewarded": ("rewarded", "better"),
    "punished": ("punished", "worse"),
    "little": ("little or no reward", "plain"),
    "open": ("cannot be told", "plain"),
    "none": ("no estimate", "plain"),
}
STYLES = {"followed": "better", "against": "worse", "unrewarded": "unknown", "unmoved": "plain", "open": "plain"}
MARKED = 40
"""Words of an answer that are marked at most, because the other answer has them not."""


@dataclass(frozen=True, slots=True)
class Contrasting:
    """Two answers to one prompt, the run's and its parent's."""

    id: str
    asked: Folded
    run: Folded
    parent: Folded
    strength: str


@dataclass(frozen=True, slots=True)
class Line:
    """One feature in one run, as it is written. `order` sorts the table."""

    run: str
    parent: str
    chip: str
    style: str
    shift: str
    bounds: str
    order: str
    q: str
    more: str
    less: str
    examples: tuple[Contrasting, ...]


@dataclass(frozen=True, slots=True)
class View:
    """A feature as its part of the page needs it."""

    index: int
    title: str
    how: str
    fidelity: str
    prevalence: str
    paid: str
    paid_style: str
    beta: str
    beta_bounds: str
    order: str
    change: str
    p: str
    n: str
    reason: str
    lines: tuple[Line, ...]
    pairs: tuple[Shown, ...]
    kind: str


def write_page(found: Shifts, path: Path) -> Path:
    """Writes the page and returns its path."""
    figures = shift_figures(found)
    views = [_view(found, f) for f in sorted(found.features, key=lambda f: -(f.reward.beta or 0.0))]
    context = {
        "title": " · ".join(run.run for run in found.runs),
        "found": found,
        "runs": [_run(found, run, f"shift-{i}" in figures) for i, run in enumerate(found.runs)],
        "contrasts": contrasts(found),
        "notes": [f"{note[:1].upper()}{note[1:]}." for note in notes(found)],
        "views": views,
        "counts": {kind: sum(v.kind == kind for v in views) for kind in CHIPS},
        "chips": CHIPS,
        "lists": LISTS,
        "colours": COLOURS,
        "figures": figures,
        "fixed": ", ".join(found.controls),
        "short": _short,
    }
    html = pages.render("shift.html.j2", context, figures=bool(figures), script="preferences.js")
    return pages.write_page(path, html)


def _run(found: Shifts, run: RunShift, drawn: bool) -> Mapping[str, Any]:
    return {
        "run": run,
        "standing": standing(found, run),
        "correlation": correlation_text(run.correlation),
        "lists": told(found, run),
        "counts": {relation: sum(s.relation == relation for s in run.features) for relation in CHIPS},
        "drawn": drawn,
    }


def _view(found: Shifts, feature: Feature) -> View:
    r = feature.reward
    paid, style = PAID[r.verdict]
    lines = tuple(_line(run, next(s for s in run.features if s.index == feature.index)) for run in found.runs)
    first = next(s for s in found.runs[0].features if s.index == feature.index)
    return View(
        index=feature.index,
        title=label(feature, 160),
        how={"model": "named by a model", "extractive": "counted words", "given": "measured"}[feature.how],
        fidelity="" if feature.fidelity is None else f"r = {feature.fidelity:.2f}".replace("-", "−"),
        prevalence=value_text(feature.prevalence),
        paid=paid,
        paid_style=style,
        beta=odds_text(r.beta, r.beta_low, r.beta_high)[0],
        beta_bounds=odds_text(r.beta, r.beta_low, r.beta_high)[1],
        order="" if r.beta is None else f"{r.beta:.6g}",
        change=reward_text(feature),
        p=p_text(r.p),
        n=f"{r.n:,}",
        reason=r.reason,
        lines=lines,
        pairs=tuple(shown(e, TEXT) for e in feature.pairs[:2]),
        kind=first.relation,
    )


def _line(run: RunShift, shift: Shift) -> Line:
    value, ends = odds_text(shift.shift, shift.low, shift.high)
    return Line(
        run.run,
        run.parent,
        CHIPS[shift.relation],
        STYLES[shift.relation],
        value,
        ends or "in no answer",
        f"{shift.shift:.6g}" if ends else "",
        p_text(shift.q),
        f"{100 * shift.more:.0f}%",
        f"{100 * shift.less:.0f}%",
        tuple(_contrasting(seen) for seen in shift.examples),
    )


def _contrasting(seen: Seen) -> Contrasting:
    return Contrasting(
        f"{seen.task} {seen.sample}",
        folded(seen.question),
        folded(seen.run, marks=_own_words(seen.run, seen.parent)),
        folded(seen.parent, marks=_own_words(seen.parent, seen.run)),
        f"{'more' if seen.activation > 0 else 'less'} of it by {abs(seen.activation):.3g}",
    )


def _own_words(text: str, other: str) -> re.Pattern[str] | None:
    """What finds the words that only this text has."""
    there = {w.lower() for w in re.findall(r"\w+", other)}
    own = list(dict.fromkeys(w for w in re.findall(r"\w+", text) if w.lower() not in there))
    if not own or len(own) > MARKED or 2 * len(own) > len(set(re.findall(r"\w+", text))):
        return None  # where most of it is new, marks say nothing
    return re.compile(rf"(\b(?:{'|'.join(map(re.escape, own))})\b)")


def _short(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
