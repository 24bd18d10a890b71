"""The report: what some runs did and what changed between them, as a page, as Markdown, JSON or CSV.

    write_report([base, sft], Path("report.html"))             # the form follows from the file's name
    report = gather([base, sft]); page(report); write_images(report, Path("figures"), "svg")

The page is one self-contained HTML file, to be opened from a disk, a file share or a mail. It begins with what was
found in plain words; then the paired differences with everything that moved beside them, the scores with health,
samples to read, every run's answer side by side, and how each run was made.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalsuite.comparison import Asked, Difference, PairComparison, notes_of
from evalsuite.errors import InputError, unknown
from evalsuite.reporting.comparison_tables import Words, curve_words, lineage_tables, pair_tables
from evalsuite.reporting.figures import colour
from evalsuite.reporting.pages import render, source, write_page
from evalsuite.reporting.report_data import Report, gather
from evalsuite.reporting.report_figures import Placed, report_figures
from evalsuite.reporting.report_files import as_csv, as_json
from evalsuite.reporting.report_markdown import as_markdown
from evalsuite.reporting.samples import SHOWN, task_samples
from evalsuite.reporting.tables import HEALTH, TaskBlock, further, headline, particulars
from evalsuite.store import Run


@dataclass(frozen=True, slots=True)
class Family:
    id: str
    title: str
    blocks: list[TaskBlock]
    further: list[TaskBlock]
    figures: list[Placed]


@dataclass(frozen=True, slots=True)
class Compared:
    """One run against its baseline: headline differences first, then the others, figures and tables behind them."""

    id: str
    run: str
    baseline: str
    headline: list[Difference]
    others: list[Difference]
    unpaired: list[str]
    figures: list[Placed]
    tables: list[Words]


def write_report(
    runs: Sequence[Run], out: Path, title: str | None = None, asked: Asked | None = None, form: str | None = None
) -> Path:
    """Writes the report and returns its path. With two runs or more, each is compared with its parent, else the first.
    `form`: html, md, json or csv; without it the suffix of `out` says, and a file without one is a page.

    Raises InputError where no run is given, or two of one name, or the form is unknown.
    """
    write = FORMS[form_of(out, form)]
    return write_page(out, write(gather(runs, title, asked)))


def form_of(out: Path, form: str | None = None) -> str:
    """One of FORMS. Raises InputError where it is another one, or the file's suffix names none."""
    suffix = out.suffix.lower().removeprefix(".")
    named = form or {"": "html", "htm": "html", "markdown": "md"}.get(suffix, suffix)
    if named in FORMS:
        return named
    if form is None:
        raise InputError(f"--out {out}: no report is written in that form; end it in .html, .md, .json or .csv")
    raise unknown("format", form, FORMS)


def page(report: Report) -> str:
    """The whole HTML page."""
    placed = report_figures(report)
    samples = [task_samples(report.runs, report.frames, task) for tasks in report.tasks.values() for task in tasks]
    found = report.comparison
    return render(
        "report.html",
        {
            "title": report.title,
            "summary": report.summary,
            "runs": [{"name": r.name, "colour": colour(i), "lines": particulars(r)} for i, r in enumerate(report.runs)],
            "manifests": [(r.name, _manifest(r.manifest)) for r in report.runs],
            "families": [_family(report, name, placed) for name in report.tasks],
            "health": HEALTH,
            "compared": [_compared(report, k, pair, placed) for k, pair in enumerate(report.pairs)],
            "together": [p for p in placed if p.section == "lineage"],
            "together_tables": lineage_tables(found) if found else [],
            "curves": curve_words(found) if found else [],
            "samples": [s for s in samples if s.total],
            "ids": {(s.task, item.id) for s in samples for item in s.items},
            "notes": notes_of,
            "shown": SHOWN,
            "figures": {p.name: p.drawn for p in placed},
            "rows": sum(len(f) for f in report.frames),
        },
        figures=bool(placed),
        style=source("style.css"),
    )


FORMS: Mapping[str, Callable[[Report], str]] = {"html": page, "md": as_markdown, "json": as_json, "csv": as_csv}


def _manifest(manifest: Mapping[str, object]) -> str:
    return json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)


def _family(report: Report, name: str, placed: Sequence[Placed]) -> Family:
    title = name.replace("_", " ")
    tasks = report.tasks[name]
    return Family(
        name,
        title[:1].upper() + title[1:],
        headline(report.runs, tasks),
        further(report.runs, tasks),
        [p for p in placed if p.section == f"family:{name}"],
    )


def _compared(report: Report, number: int, pair: PairComparison, placed: Sequence[Placed]) -> Compared:
    by_name = {run.name: run for run in report.runs}
    run, baseline = by_name[pair.run], by_name[pair.baseline]
    first = [d for d in pair.differences if d.primary]
    shared = {m.task for m in run.metrics} & {m.task for m in baseline.metrics}
    said = {d.task for d in first}
    return Compared(
        f"pair-{number}",
        pair.run,
        pair.baseline,
        first,
        [d for d in pair.differences if not d.primary],
        [t for t in dict.fromkeys(m.task for m in run.metrics) if t in shared - said],
        [p for p in placed if p.section == f"pair:{number}"],
        pair_tables(pair),
    )
