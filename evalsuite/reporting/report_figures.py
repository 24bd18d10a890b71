"""Every figure of a report by name, once for the page and for the static files.

for figure in report_figures(report):
    print(figure.name, figure.drawn["title"])      # difference-0, texts-0, ..., plane, reward-0, family-factuality-0
"""

from collections.abc import Iterator
from dataclasses import dataclass

from evalsuite.comparison import PairComparison
from evalsuite.reporting.comparison_figures import curve_figure, gaps_figure, plane_figure, trade_off_figure
from evalsuite.reporting.escaping import file_name
from evalsuite.reporting.figures import Figure, difference_forest, forest, texts_forest
from evalsuite.reporting.report_data import Report

TRADE_OFFS = 6  # drawn of one comparison; the table has all


@dataclass(frozen=True, slots=True)
class Placed:
    """A figure and where it belongs: `section` is "pair:K" (of the K-th comparison), "lineage", or "family:NAME"."""

    name: str
    section: str
    drawn: Figure


def report_figures(report: Report) -> list[Placed]:
    """In the order of the page; names are fit for files and differ."""
    made: list[Placed] = []
    for section, name, drawn in _all(report):
        if drawn is not None:
            taken = {p.name for p in made}
            unique = next(n for k in range(len(made) + 1) if (n := f"{name}-{k}" if k else name) not in taken)
            made.append(Placed(unique, section, drawn))
    return made


def _all(report: Report) -> Iterator[tuple[str, str, Figure | None]]:
    for number, pair in enumerate(report.pairs):
        for name, drawn in _pair(pair):
            yield f"pair:{number}", f"{name}-{number}", drawn
    if report.comparison is not None:
        yield "lineage", "plane", plane_figure(report.comparison.plane)
        for number, curve in enumerate(report.comparison.curves):
            yield "lineage", f"reward-{number}", curve_figure(curve)
    for family, tasks in report.tasks.items():
        units = list(dict.fromkeys(m.unit for run in report.runs for m in run.metrics if m.task in tasks))
        for number, unit in enumerate(sorted(units, key=lambda u: u != "share")):
            drawn = forest(report.runs, tasks, unit)
            title = f"{family.replace('_', ' ').capitalize()}, {'shares' if unit == 'share' else unit}"
            titled = {**drawn, "title": title} if drawn else None
            yield f"family:{family}", f"family-{file_name(family)}-{number}", titled


def _pair(pair: PairComparison) -> Iterator[tuple[str, Figure | None]]:
    first = [d for d in pair.differences if d.primary]
    yield "difference", difference_forest(first, pair.run, pair.baseline)
    yield "gaps", gaps_figure(pair.gaps, pair.run, pair.baseline)
    yield "texts", texts_forest(pair.texts, pair.run, pair.baseline)
    for curve in pair.trade_offs[:TRADE_OFFS]:
        yield f"tradeoff-{file_name(curve.task)}", trade_off_figure(curve, pair.run, pair.baseline)
