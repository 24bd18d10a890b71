"""What stands on the pages of models, tasks, methods and judges, as plain values for the templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite import registry
from evalsuite.errors import InputError
from evalsuite.publishing.board import Board, Cell, Column
from evalsuite.publishing.downloads import further, word, write_tables
from evalsuite.publishing.entries import Entry
from evalsuite.publishing.judges import Judged, Pairing
from evalsuite.publishing.markdown import html_of, section
from evalsuite.publishing.plots import bars, dots
from evalsuite.publishing.rendering import render
from evalsuite.publishing.shards import TaskSamples
from evalsuite.publishing.strengths import Strength
from evalsuite.reporting.pages import write_page
from evalsuite.reporting.tables import HEALTH, particulars

CORE, BOARD, TABLES = "assets/core.js", "data/board.js", "assets/tables.js"
SHOWN = 8  # strengths and weaknesses in the cards; the table below has all
HARDEST = 25  # samples
DRAWN = 60  # models of a dot plot; more are drawn as bars


@dataclass(frozen=True, slots=True)
class Line:
    """A figure in a table of a page."""

    name: str
    link: str
    column: Column
    cell: Cell


def rank_text(cell: Cell) -> str:
    if cell.best is None:
        return "–"
    return f"{cell.best}" if cell.best == cell.worst else f"{cell.best}–{cell.worst}"


def write_model(
    board: Board,
    place: int,
    found: Sequence[Strength],
    judged: Sequence[tuple[Judged, Pairing]],
    out: Path,
    site: str,
) -> None:
    """`judged`: the judges that its win rates rest on."""
    entry = board.entries[place]
    lines = [
        Line(c.task, f"tasks/{c.slug}.html", c, cell)
        for c, cell in zip(board.columns, board.cells[place], strict=True)
        if cell is not None
    ]
    good = [s for s in found if s.sure and s.value > 0]
    bad = [s for s in found if s.sure and s.value < 0][::-1]
    context = {
        "site": site,
        "here": "",
        "entry": entry,
        "lines": lines,
        "rank_text": rank_text,
        "particulars": particulars(entry.run),
        "chain": [(n, _link(board, n)) for n in entry.chain],
        "children": [(e.run.name, f"models/{e.slug}.html", e.method) for e in board.entries if e.parent == place],
        "good": good[:SHOWN],
        "bad": bad[:SHOWN],
        "sure": (len(good), len(bad)),
        "strengths": found,
        "differs": [v.reason for v in entry.verdicts.values() if v.kind == "differs"],
        "further": [(m, word(entry.verdicts.get((m.task, m.name)))) for m in further(board, place)],
        "health": [
            (task, [(getattr(h, field), meaning) for field, _, meaning in HEALTH], h.mean_tokens)
            for task, h in sorted(entry.run.health.items())
        ],
        "health_names": [short for _, short, _ in HEALTH],
        "judged": [(j, p, _reliability(p)) for j, p in judged],
        "graders": _graders(entry),
    }
    scripts = (CORE, TABLES, "assets/explorer.js") if entry.has_samples else (CORE, TABLES)
    write_page(out / "models" / f"{entry.slug}.html", render("model.html", context, 1, scripts))


def _reliability(pairing: Pairing) -> Any:
    """Where the judge's verdict lies, and how often this model was then found better."""
    found = pairing.calibration
    if found is None:
        return None
    rows = [
        (f"says {100 * b.low:.0f}–{100 * b.high:.0f}% (n={b.n})", b.found.value, b.found.low, b.found.high)
        for b in found.bins
        if b.found.value is not None
    ]
    said = f"how often {found.against} choose this model, by what the judge says; the figures stand in the labels"
    return dots([(name, value or 0.0, low, high) for name, value, low, high in rows], "share", said)


def _graders(entry: Entry) -> list[tuple[str, str, list[str]]]:
    """(role, model, tasks) of other models whose replies are part of this model's scores."""
    roles = entry.run.manifest.get("roles") or {}
    asked = {
        role: sorted(t for t in entry.run.manifest["tasks"] if (e := _entry(t)) and role in e.roles) for role in roles
    }
    return [(role, str(model.get("name") or ""), asked[role]) for role, model in sorted(roles.items()) if asked[role]]


def _link(board: Board, name: str) -> str | None:
    return next((f"models/{e.slug}.html" for e in board.entries if e.run.name == name), None)


def write_task(board: Board, task: str, samples: Mapping[str, TaskSamples], out: Path, site: str) -> None:
    columns = [(i, c) for i, c in enumerate(board.columns) if c.task == task]
    slug, card = board.task_slugs[task], card_of(task)
    blocks = []
    for i, column in columns:
        lines = [
            Line(e.run.name, f"models/{e.slug}.html", column, cell)
            for e, line in zip(board.entries, board.cells, strict=True)
            if (cell := line[i]) is not None
        ]
        sign = 1 if column.lower else -1
        lines.sort(key=lambda x: (x.cell.metric.value is None, sign * (x.cell.metric.value or 0.0), x.name))
        blocks.append((column, lines, _distribution(lines, column)))
    known = samples.get(task)
    hardest = _hardest(board, known) if known is not None else []
    if known is not None:
        write_tables(out / "data" / "hardest" / slug, [h["row"] for h in hardest])
    context = {
        "site": site,
        "here": "",
        "task": task,
        "family": columns[0][1].family if columns else "other",
        "summary": entry.summary if (entry := _entry(task)) else "",
        "card": html_of(card, 3) if card else None,
        "flaws": html_of(section(card, "Known flaws"), 3) if section(card, "Known flaws") else None,
        "blocks": blocks,
        "rank_text": rank_text,
        "hardest": hardest,
        "readers": len(known.scores) if known else 0,
        "solved": _solved(known) if known and len(known.scores) > 1 else None,
        "slug": slug,
    }
    write_page(out / "tasks" / f"{slug}.html", render("task.html", context, 1, (CORE, TABLES)))


def _distribution(lines: Sequence[Line], column: Column) -> Any:
    drawn = [(x.name, x.cell.metric) for x in lines if x.cell.metric.value is not None]
    if len(drawn) < 2:
        return None
    if len(drawn) <= DRAWN:
        return dots([(n, m.value or 0.0, m.low, m.high) for n, m in drawn], column.unit)
    return bars([m.value or 0.0 for _, m in drawn], column.unit, f"{column.metric} of {len(drawn)} models")


def _solved(known: TaskSamples) -> Any:
    """How many of the models have each sample right: samples that all or none solve tell no models apart."""
    means = [m for m, n, _ in _difficulty(known).values() if n > 1]
    return bars(means, "share", "mean score of a sample over the models") if means else None


def _difficulty(known: TaskSamples) -> dict[str, tuple[float, int, int]]:
    """sample → mean score over the models, how many models, how many have full marks."""
    sums: dict[str, list[float]] = {}
    best = 0.0 if known.lower else 1.0
    for of in known.scores.values():
        for sample, value in of.items():
            entry = sums.setdefault(sample, [0.0, 0.0, 0.0])
            entry[0], entry[1], entry[2] = entry[0] + value, entry[1] + 1, entry[2] + (value == best)
    return {s: (total / n, int(n), int(full)) for s, (total, n, full) in sums.items()}


def _hardest(board: Board, known: TaskSamples) -> list[dict[str, Any]]:
    found = _difficulty(known)
    order = sorted(found, key=lambda s: (found[s][0] if not known.lower else -found[s][0], s))[:HARDEST]
    readers = [board.entries[i] for i in known.scores]
    rows = []
    for sample in order:
        mean, n, full = found[sample]
        question = known.questions.get(sample, "")
        row = {"sample": sample, "metric": known.metric, "mean": mean, "models": n, "right": full, "question": question}
        rows.append({**row, "row": row, "slug": readers[0].slug})
    return rows


def _entry(task: str) -> registry.Entry | None:
    """The task as it stands here, None where this installation does not have it."""
    try:
        return registry.find_tasks([task])[0].entry
    except (InputError, IndexError):
        return None


def card_of(task: str) -> str:
    """The task's README, empty where this installation does not have the task."""
    entry = _entry(task)
    path = entry.folder / "README.md" if entry else None
    return path.read_text(encoding="utf-8") if path and path.is_file() else ""


def write_compare(board: Board, out: Path, site: str) -> None:
    scripts = (CORE, BOARD, "assets/statistics.js", "assets/diff.js", "assets/compare.js")
    context = {"site": site, "here": "compare.html", "readable": sum(e.has_samples for e in board.entries)}
    write_page(out / "compare.html", render("compare.html", context, 0, scripts))
