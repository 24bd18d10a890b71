"""Ratings and rankings from files.

- CSV without a header line: instruction, input, response, rating; and instruction, input, output_1, output_2, verdict
  ("(a)" the first, "(b)" the second, else equal), as sparse_feedback stores them;
- rows with these fields in any format, also `output` or `answer`, `score`, `preference` (1 the first, 2 the second, 0
  equal) or `winner`, and models: `model` (or `generator`); `model_1`, `model_2` (or `generator_1`, `generator_2`);
- annotations of a judge, ours or the field's: scores of single answers, and preferences.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.data.files import read_rows, read_text
from evalsuite.errors import InputError
from evalsuite.judging.importing import read_any
from evalsuite.judging.importing.codings import of_alpaca, of_number, of_winner
from evalsuite.preferences.consistency import Ranking, Rating

ANSWERS = ("response", "output", "answer")
GRADES = ("rating", "score")
VERDICTS = ("verdict", "winner", "preference", "ranking")
ITEMS = ("instruction", "prompt", "question")
RATED = ("instruction", "input", "response", "rating")
RANKED = ("instruction", "input", "output_1", "output_2", "verdict")


def files_in(folder: Path) -> tuple[Path, Path]:
    """The file of ratings and the one of rankings in a folder, by their names. Raises InputError where either is not
    there or there are several."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; or give --ratings FILE --rankings FILE")
    found = []
    for word in ("rating", "ranking"):
        files = sorted(
            p for p in folder.iterdir() if p.is_file() and word in p.name.lower() and not p.name.startswith(".")
        )
        if len(files) != 1:
            names = f"{len(files)} files" if files else "no file"
            raise InputError(f"{folder}: {names} with '{word}' in the name; give --ratings FILE --rankings FILE")
        found.append(files[0])
    return found[0], found[1]


def read_ratings(path: Path) -> list[Rating]:
    """All grades of a file. Raises InputError (one line: file, row) where it holds none or a grade is no number."""
    rows = _rows(path, RATED)
    if rows and _named(rows[0], GRADES) and _named(rows[0], ANSWERS):
        return [_rating(path, number, row) for number, row in enumerate(rows, start=1)]
    found = [a for a in read_any(path) if a.score is not None and not a.model_b]
    if not found:
        raise InputError(f"{path}: holds no ratings (fields {', '.join(RATED)}, or a judge's scores)")
    return [Rating(a.sample, a.model_a, a.score, a.model_a) for a in found if a.score is not None]


def read_rankings(path: Path) -> list[Ranking]:
    """All verdicts on pairs; those without one (unparsed) are left out."""
    rows = _rows(path, RANKED)
    if rows and {"output_1", "output_2"} <= rows[0].keys() and _named(rows[0], VERDICTS):
        found = [_ranking(path, number, row) for number, row in enumerate(rows, start=1)]
        return [r for r in found if r is not None]
    votes = [a for a in read_any(path) if a.preference is not None and a.model_b]
    if not votes:
        raise InputError(f"{path}: holds no rankings (fields {', '.join(RANKED)}, or a judge's preferences)")
    return [
        Ranking(a.sample, a.model_a, a.model_b, a.preference, a.model_a, a.model_b)
        for a in votes
        if a.preference is not None
    ]


def _rows(path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The file's rows; a CSV file whose first line is no header gets the given names."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if not path.name.removesuffix(".gz").endswith(".csv"):
        return read_rows(path)
    with_header = read_rows(path)
    first = list(with_header[0]) if with_header else []
    if any(str(name).strip().lower() in (*names, *ANSWERS, *GRADES, *VERDICTS) for name in first):
        return with_header
    rows = [row for row in csv.reader(io.StringIO(read_text(path))) if row]
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != len(names)), None)
    if wrong is not None:
        raise InputError(f"{path}: row {wrong}: {len(rows[wrong - 1])} columns where {', '.join(names)} are wanted")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _named(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((n for n in names if n in row), "")


def _item(row: Mapping[str, Any]) -> str:
    return f"{row.get(_named(row, ITEMS), '')}\0{row.get('input') or ''}"


def _rating(path: Path, number: int, row: Mapping[str, Any]) -> Rating:
    value = of_number(row[_named(row, GRADES)])
    if value is None:
        raise InputError(f"{path}: row {number}: {row[_named(row, GRADES)]!r} is no rating")
    model = str(row.get("model") or row.get("generator") or "")
    return Rating(_item(row), str(row[_named(row, ANSWERS)]), value, model)


def _ranking(path: Path, number: int, row: Mapping[str, Any]) -> Ranking | None:
    name = _named(row, VERDICTS)
    text = str(row[name]).strip().lower().strip("()")
    second = of_alpaca(row[name]) if name == "preference" else None
    preference = of_winner(text) if second is None else 1 - second
    if preference is None and text == "equal":
        preference = 0.5
    if preference is None:
        if row[name] in (None, ""):
            return None
        raise InputError(f"{path}: row {number}: verdict {row[name]!r} is none of (a), (b), equal")
    models = [str(row.get(f"model_{i}") or row.get(f"generator_{i}") or "") for i in (1, 2)]
    return Ranking(_item(row), str(row["output_1"]), str(row["output_2"]), preference, *models)
