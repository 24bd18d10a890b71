"""The static site of a leaderboard: pages, data and sample shards below one folder, for any web space or a disk.

    index.html  compare.html  methods.html  judges.html  models/NAME.html  tasks/TASK.html
    assets/     our scripts      data/     figures and models as Parquet, CSV, JSON; board.js for the pages
    samples/NAME/   answers to read, in script files of at most about half a megabyte, and the run's own Parquet file

The same runs give the same bytes, in whatever order they are named: no page holds a time, a path or a random number.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from evalsuite.errors import InputError
from evalsuite.publishing.board import DIFFERS, SUMMED, UNVERIFIED, Board, board_data, make_board
from evalsuite.publishing.downloads import entry_rows, figure_rows, further_rows, write_tables
from evalsuite.publishing.entries import read_entries
from evalsuite.publishing.judges import Judged, copy_cards, judge_rows, judges, of_model, with_length_control
from evalsuite.publishing.methods import change_row, effects
from evalsuite.publishing.pages import BOARD, CORE, TABLES, write_compare, write_model, write_task
from evalsuite.publishing.rendering import render, write_assets, write_data
from evalsuite.publishing.shards import write_samples
from evalsuite.publishing.strengths import Strength, strength_row, strengths
from evalsuite.reporting.pages import write_page
from evalsuite.store import Run


def build_site(
    runs: Sequence[Run], out: Path, title: str = "Leaderboard", verify: bool = True, cards: Sequence[Path] = ()
) -> Path:
    """Writes the site and returns its index. With `verify` every figure is recomputed from its samples first.

    Raises InputError where no run is given, or `out` is a file.
    """
    if not runs:
        raise InputError("a leaderboard needs at least one run (evalsuite list runs)")
    if out.is_file():
        raise InputError(f"--out {out}: is a file; give a folder")
    board = make_board([with_length_control(entry) for entry in read_entries(runs, verify)])
    _clear(out)
    write_assets(out)
    write_data(out / BOARD, "board", board_data(board, title))
    write_tables(out / "data" / "figures", list(figure_rows(board)))
    write_tables(out / "data" / "models", list(entry_rows(board)))
    samples = write_samples(board.entries, board.task_slugs, out)
    found = strengths(board, samples)
    judged = judges([e.run for e in board.entries], cards)
    for place in range(len(board.entries)):
        write_model(board, place, found[place], of_model(judged, board.entries[place].run.name), out, title)
    for task in board.task_slugs:
        write_task(board, task, samples, out, title)
    _methods(board, out, title)
    write_compare(board, out, title)
    _tables(board, found, judged, out)
    told = {"judges": judged, "cards": copy_cards(cards, out)}
    page = render("judges.html", {"site": title, "here": "judges.html", **told}, 0, (CORE, TABLES))
    write_page(out / "judges.html", page)
    return _index(board, out, title)


def _tables(board: Board, found: Sequence[Sequence[Strength]], judged: Sequence[Judged], out: Path) -> None:
    """What the pages of models and judges show, as files."""
    runs = [e.run for e in board.entries]
    nodes = [strength_row(run.name, s) for run, own in zip(runs, found, strict=True) for s in own]
    health = [{"run": run.name, "task": t, **asdict(h)} for run in runs for t, h in sorted(run.health.items())]
    more = list(further_rows(board))
    for name, rows in (
        ("strengths", nodes),
        ("health", health),
        ("judges", list(judge_rows(judged))),
        ("further", more),
    ):
        write_tables(out / "data" / name, rows)


def _clear(out: Path) -> None:
    """Takes an earlier site of ours away, so that no page of a model that has gone stays behind."""
    if (out / CORE).is_file() and (out / BOARD).is_file():
        for folder in ("assets", "data", "judges", "models", "samples", "tasks"):
            shutil.rmtree(out / folder, ignore_errors=True)


def _methods(board: Board, out: Path, title: str) -> None:
    found = effects(board)
    rows = [change_row(c) for of in found.values() for e in of for c in e.changes]
    if rows:
        write_tables(out / "data" / "changes", rows)
    page = render("methods.html", {"site": title, "here": "methods.html", "methods": found}, 0, (CORE, TABLES))
    write_page(out / "methods.html", page)


def _index(board: Board, out: Path, title: str) -> Path:
    cells = [c for line in board.cells for c in line if c is not None]
    summed = sum(bool(c.flags & SUMMED) for c in cells)
    context = {
        "site": title,
        "here": "index.html",
        "models": len(board.entries),
        "tasks": len(board.task_slugs),
        "figures": f"{len(cells):,}",
        "rescored": f"{sum(not c.flags & (SUMMED | UNVERIFIED | DIFFERS) for c in cells):,}",
        "summed": f"{summed:,}",
    }
    return write_page(out / "index.html", render("index.html", context, 0, (CORE, BOARD, "assets/board.js")))
