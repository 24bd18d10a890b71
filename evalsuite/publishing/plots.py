"""Small figures as SVG without style attributes: a strict policy lets them through, and they print.

What a figure shows also stands in a table beside it, so it is one image to a screen reader, with a sentence.
"""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from evalsuite.reporting.escaping import clean
from evalsuite.reporting.numbers import value_text

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, LABEL, ROW = 720, 190, 22
BINS = 20


def dots(rows: Sequence[tuple[str, float, float | None, float | None]], unit: str, said: str | None = None) -> "Markup":
    """(name, value, low, high), top down: a point with its interval each. `said` is what a screen reader hears."""
    ends = [x for _, *figures in rows for x in figures if x is not None]
    bottom, top = (0.0, 1.0) if unit == "share" else (min(0.0, *ends), max(0.0, *ends) or 1.0)

    def at(value: float) -> str:
        return f"{LABEL + 10 + (WIDTH - LABEL - 30) * (value - bottom) / (top - bottom):.1f}"

    height = len(rows) * ROW + 30
    parts = []
    for i, (name, value, low, high) in enumerate(rows):
        y = 12 + i * ROW
        short = name if len(name) <= 28 else name[:27] + "…"
        parts.append(f'<text x="{LABEL}" y="{y + 4}" text-anchor="end">{escape(clean(short))}</text>')
        if low is not None and high is not None:
            parts.append(f'<line class="whisk" x1="{at(low)}" x2="{at(high)}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot" cx="{at(value)}" cy="{y}" r="4"/>')
    parts += _axis(bottom, top, unit, at, height)
    told = said or f"{len(rows)} models with their 95% intervals; the figures stand in the table"
    return _svg(height, parts, told)


def bars(values: Sequence[float], unit: str, what: str) -> "Markup":
    """A histogram of twenty bins."""
    bottom, top = (0.0, 1.0) if unit == "share" else (min(values), max(values))
    span = (top - bottom) or 1.0
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, max(0, int(BINS * (value - bottom) / span)))] += 1
    width, most = (WIDTH - 40) / BINS, max(counts)
    parts = []
    for i, count in enumerate(counts):
        high = 130 * count / most
        x, y = 20 + i * width + 1, 150 - high
        parts.append(f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width - 2:.1f}" height="{high:.1f}"/>')
        if count:
            parts.append(f'<text x="{x + width / 2:.1f}" y="{y - 4:.1f}" text-anchor="middle">{count}</text>')

    def at(value: float) -> str:
        return f"{20 + (WIDTH - 40) * (value - bottom) / span:.1f}"

    parts += _axis(bottom, bottom + span, unit, at, 178)
    return _svg(178, parts, f"Histogram: {what}")


def _axis(bottom: float, top: float, unit: str, at: "object", height: int) -> list[str]:
    assert callable(at)
    parts = [f'<line x1="{at(bottom)}" x2="{at(top)}" y1="{height - 24}" y2="{height - 24}"/>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = bottom + share * (top - bottom)
        text = escape(value_text(value, unit))
        parts.append(f'<text x="{at(value)}" y="{height - 8}" text-anchor="middle">{text}</text>')
    return parts


def _svg(height: int, parts: Sequence[str], said: str) -> "Markup":
    from markupsafe import Markup

    head = f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(clean(said))}">'
    return Markup(head + "".join(parts) + "</svg>")
