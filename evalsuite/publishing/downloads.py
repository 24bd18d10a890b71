"""Everything that the pages show, as files: Parquet, CSV and JSON, the same rows in each.

A spreadsheet runs what begins with =, +, -, @ (also after a tab or line end); such texts get an apostrophe in front in
the CSV alone. Numbers are written as numbers, so a negative one stays one.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.publishing.board import Board
from evalsuite.publishing.recompute import Verdict
from evalsuite.records import Metric
from evalsuite.reporting.escaping import neutral
from evalsuite.reporting.pages import write_page


def write_tables(stem: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """`stem`.json, .csv and .parquet of the same rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = list(dict.fromkeys(key for row in rows for key in row))
    whole = [{c: row.get(c) for c in columns} for row in rows]
    write_page(stem.with_suffix(".json"), json.dumps(whole, ensure_ascii=False, indent=0, allow_nan=False) + "\n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([["" if v is None else neutral(v) for v in row.values()] for row in whole])
    write_page(stem.with_suffix(".csv"), text.getvalue())
    # Lone surrogates of a model's text are no UTF-8.
    table = {c: [_utf8(row[c]) for row in whole] for c in columns}
    pq.write_table(pa.table(table), stem.with_suffix(".parquet"))


def _utf8(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def figure_rows(board: Board) -> Iterator[dict[str, Any]]:
    """One row for each figure of the board."""
    for entry, line in zip(board.entries, board.cells, strict=True):
        for column, cell in zip(board.columns, line, strict=True):
            if cell is None:
                continue
            m = cell.metric
            verdict = entry.verdicts.get((m.task, m.name))
            yield {
                "run": entry.run.name,
                "base": entry.base,
                "method": entry.method,
                "size": entry.size,
                "family": column.family,
                "task": column.task,
                "version": str(column.version),
                "metric": column.metric,
                "unit": column.unit,
                "lower_is_better": column.lower,
                "value": m.value,
                "low": m.low,
                "high": m.high,
                "interval": m.interval,
                "n": m.n,
                "missing": m.missing,
                "rank_best": cell.best,
                "rank_worst": cell.worst,
                "ranked": cell.of,
                "verdict": word(verdict),
                "notes": "; ".join(cell.notes),
            }


def further(board: Board, place: int) -> list[Metric]:
    """An entry's figures that are no column of the board: all but the headline figures of its tasks."""
    shown = {(c.task, c.metric) for c in board.columns}
    return [m for m in board.entries[place].run.metrics if (m.task, m.name) not in shown]


def further_rows(board: Board) -> Iterator[dict[str, Any]]:
    for place, entry in enumerate(board.entries):
        for m in further(board, place):
            own = {k: getattr(m, k) for k in ("task", "unit", "value", "low", "high", "interval", "n", "missing")}
            verdict = word(entry.verdicts.get((m.task, m.name)))
            yield {"run": entry.run.name, "metric": m.name, **own, "verdict": verdict}


def word(verdict: Verdict | None) -> str:
    """How far a figure was made again: "re-scored", "re-aggregated", "unverified" or "does not match"."""
    if verdict is None or verdict.kind == "unverified":
        return "unverified"
    return "does not match" if verdict.kind == "differs" else verdict.how


def entry_rows(board: Board) -> Iterator[dict[str, Any]]:
    for e in board.entries:
        model = e.run.manifest.get("model", {})
        yield {
            "run": e.run.name,
            "model": str(model.get("name") or ""),
            "fingerprint": str(model.get("fingerprint") or ""),
            "base": e.base,
            "method": e.method,
            "size": e.size,
            "parent": board.entries[e.parent].run.name if e.parent is not None else None,
            "template": str(model.get("template") or ""),
            "finished": str(e.run.manifest.get("finished") or ""),
            "origin": e.origin,
            "status": e.status,
            "warnings": "; ".join(e.warnings),
        }
