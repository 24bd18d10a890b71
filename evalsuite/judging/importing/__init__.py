"""Annotations as the field stores them → our one coding: a preference in [0, 1] for model_a, 0.5 a tie, None unparsed.

    rows = read_any(Path("annotations.json"))          # list[Annotation]; the shape is recognised
    read_any(Path("verdicts.jsonl"), baseline="gpt-4-0314")   # for shapes that do not name their baseline

Ours (JSON Lines), AlpacaEval (full and compact), MT-Bench (judge's games, votes, grades), Chatbot Arena, Arena-Hard,
PandaLM, LLMBar, JudgeBench, WildBench, PRISM; plain or gzip, JSON Lines, JSON, CSV or Parquet. What is unparsed stays
None with its status; the policy for it belongs to the aggregation. JSON lines are split at \\n only.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalsuite.data.files import read_rows
from evalsuite.errors import InputError
from evalsuite.judging.annotations import read_annotations
from evalsuite.judging.contract import Annotation
from evalsuite.judging.importing import alpaca, arena, labelled, sessions
from evalsuite.judging.importing.shapes import Origin, Shape

OURS = ("sample", "model_a", "model_b", "judge", "status")
SHAPES: tuple[Shape, ...] = (*alpaca.SHAPES, *arena.SHAPES, *labelled.SHAPES, *sessions.SHAPES)
ENDINGS = (".gz", ".jsonl", ".json", ".csv", ".parquet", ".ndjson")

__all__ = ["SHAPES", "read_any", "recognise", "stem"]


def read_any(path: Path, baseline: str = "baseline") -> list[Annotation]:
    """All annotations of a file, in its order. Rows that repeat one question to one judge get `repeat` 0, 1, 2, ...

    Raises InputError naming the shapes that are recognised, or the row and the field that cannot be read.
    """
    rows = read_rows(path)
    if not rows:
        raise InputError(f"{path}: holds no annotations")
    if all(field in rows[0] for field in OURS):
        return read_annotations(path)
    shape = recognise(rows[0])
    if shape is None:
        raise InputError(
            f"{path}: not a shape of annotations that is known; its fields are {_some(rows[0])}; known are {known()}"
        )
    origin = Origin(stem(path), baseline)
    found: list[Annotation] = []
    for number, row in enumerate(rows, start=1):
        try:
            found += shape.read(row, origin)
        except KeyError as error:
            raise InputError(f"{path}: row {number}: no field {error} ({shape.name})") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: row {number}: cannot be read as {shape.name} ({error})") from error
    return _numbered(found)


def recognise(row: Mapping[str, Any]) -> Shape | None:
    """The shape of a row, the first that fits."""
    return next((shape for shape in SHAPES if shape.fits(row)), None)


def known() -> str:
    """Every shape with the fields that it is known by."""
    shapes = {s.name: s.fields for s in reversed(SHAPES)}
    ours = f"ours ({', '.join(OURS)})"
    return "; ".join([ours, *(f"{name} ({', '.join(fields)})" for name, fields in reversed(shapes.items()))])


def stem(path: Path) -> str:
    """A file's name without its endings."""
    name = path.name
    while (ending := next((e for e in ENDINGS if name.endswith(e)), "")) and name != ending:
        name = name.removesuffix(ending)
    return name


def _numbered(rows: list[Annotation]) -> list[Annotation]:
    seen: dict[tuple[str, ...], int] = {}
    for place, row in enumerate(rows):
        key = (row.sample, row.task, row.model_a, row.model_b, row.judge, row.judge_model, row.order, row.aspect)
        times = seen.get(key, 0)
        seen[key] = times + 1
        if times:
            rows[place] = replace(row, repeat=row.repeat + times)
    return rows


def _some(row: Mapping[str, Any], most: int = 12) -> str:
    names = list(row)
    return ", ".join(map(str, names[:most])) + (", ..." if len(names) > most else "")
