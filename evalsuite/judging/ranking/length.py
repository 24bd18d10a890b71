"""Length-controlled win rates as AlpacaEval 2 has them: fitted from annotations, or from coefficients that are given.

Files as AlpacaEval names their fields: coefficients (model, np.tanh(std_delta_len), instruction_difficulty,
not_gamed_baseline.astype(float)), difficulty (index or instruction, instruction_difficulty), and the gamed baselines'
rows that hold a fit back (variant, index, tanh_std_delta_len, instruction_difficulty, and a preference). Without a
difficulty file the term is left out, and the ranking says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.data.files import read_rows
from evalsuite.errors import InputError
from evalsuite.judging.importing.alpaca import instruction_id
from evalsuite.judging.importing.codings import of_number
from evalsuite.judging.ranking.rates import Sides
from evalsuite.judging.ranking.table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evalsuite.statistics import LengthControlled

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Terms:
    """The three coefficients of one model: of tanh of the scaled length difference, of difficulty, and its own."""

    length: float
    difficulty: float
    model: float


@dataclass(frozen=True, slots=True)
class Gamed:
    """Rows of one gamed baseline: scaled length difference (after tanh), difficulty, preference in [0, 1]."""

    length: tuple[float, ...]
    difficulty: tuple[float, ...]
    preference: tuple[float, ...]


@dataclass(frozen=True)
class LengthControl:
    """What a length-controlled win rate is made with. `coefficients`: by model, nothing is fitted; `difficulty`: by
    sample id; `gamed`: the gamed baselines' rows."""

    coefficients: Mapping[str, Terms] = field(default_factory=dict)
    difficulty: Mapping[str, float] = field(default_factory=dict)
    gamed: tuple[Gamed, ...] = ()


def read_control(
    coefficients: Path | None = None,
    difficulty: Path | None = None,
    gamed: Path | None = None,
    questions: Path | None = None,
) -> LengthControl:
    """Reads the files that are given. `questions`: rows with an instruction, in the order that an index counts."""
    return LengthControl(
        read_coefficients(coefficients) if coefficients else {},
        read_difficulty(difficulty, questions) if difficulty else {},
        read_gamed(gamed) if gamed else (),
    )


def read_coefficients(path: Path) -> dict[str, Terms]:
    found = {}
    for number, row in enumerate(read_rows(path), start=1):
        name = str(row.get("model") or row.get("") or "")
        values = [_value(row, key) for key in ("delta_len", "instruction_difficulty", "not_gamed_baseline")]
        if not name or None in values:
            raise InputError(f"{path}: row {number}: needs a model and its three terms (as AlpacaEval names them)")
        found[name] = Terms(*(v or 0.0 for v in values))
    return found


def _value(row: Mapping[str, Any], part: str) -> float | None:
    return next((of_number(v) for k, v in row.items() if k and part in k), None)


def read_difficulty(path: Path, questions: Path | None = None) -> dict[str, float]:
    """Difficulty by sample id, and by instruction where the questions tell which index is which."""
    found: dict[str, float] = {}
    for number, row in enumerate(read_rows(path), start=1):
        value = of_number(row.get("instruction_difficulty"))
        index = row.get("index", row.get("sample"))
        if value is None or (index is None and "instruction" not in row):
            raise InputError(f"{path}: row {number}: needs instruction_difficulty and an index or an instruction")
        if index is not None:
            found[str(index)] = value
        if "instruction" in row:
            found[instruction_id(str(row["instruction"]))] = value
    for number, row in enumerate(read_rows(questions) if questions else (), start=0):
        if str(number) in found and "instruction" in row:
            found[instruction_id(str(row["instruction"]))] = found[str(number)]
    return found


def read_gamed(path: Path) -> tuple[Gamed, ...]:
    blocks: dict[str, list[tuple[float, float, float]]] = {}
    for number, row in enumerate(read_rows(path), start=1):
        values = [_value(row, key) for key in ("delta_len", "instruction_difficulty", "preference")]
        if None in values:
            raise InputError(f"{path}: row {number}: needs tanh_std_delta_len, instruction_difficulty and a preference")
        length, difficulty, preference = (v or 0.0 for v in values)
        blocks.setdefault(str(row.get("variant") or ""), []).append((length, difficulty, preference))
    return tuple(Gamed(*zip(*rows, strict=True)) for rows in blocks.values())


def controlled(
    table: Table, views: Sides, models: Sequence[int], how: LengthControl, notes: list[str]
) -> dict[int, LengthControlled]:
    """Each model's length-controlled win rate, by its place. Raises InputError where lengths or difficulties are not
    known, or the verdicts determine no fit."""
    import numpy as np

    hard = np.array([how.difficulty.get(name, np.nan) for _, name in table.samples])
    if how.difficulty:
        used = np.unique(views.sample)
        unknown = used[np.isnan(hard[used])]
        if len(unknown):
            raise InputError(
                f"--difficulty: has nothing for {len(unknown)} of {len(used)} samples (the first is "
                f"{table.samples[int(unknown[0])][1]}); where it counts an index, give the instructions' file with "
                "--questions FILE"
            )
    elif how.coefficients:
        raise InputError("--coefficients: need --difficulty FILE, over which their prediction is averaged")
    else:
        notes.append("no difficulty of instructions is given (--difficulty FILE): the term is left out")
    if not how.coefficients and not how.gamed:
        notes.append("no gamed baselines hold the fit (--gamed FILE): one model's lengths alone tell the length term")
    found = {}
    for model in models:
        rows = views.of(model)
        name = table.models[model]
        known = hard[views.sample[rows]] if how.difficulty else None
        if how.coefficients:
            found[model] = _given(name, how, known, views.value[rows])
        else:
            found[model] = _fitted(table, views, rows, name, how, known)
        if found[model].warning:
            notes.append(f"{name}: {found[model].warning}")
    return found


def _given(name: str, how: LengthControl, difficulty: Floats | None, value: Floats) -> LengthControlled:
    import numpy as np

    from evalsuite.statistics import length_controlled

    if name not in how.coefficients:
        raise InputError(f"--coefficients: have no row for {name}")
    terms = how.coefficients[name]
    there = value[~np.isnan(value)]
    raw = float(there.mean()) if len(there) else None
    hard = np.zeros(len(value)) if difficulty is None else difficulty
    return length_controlled((terms.length, terms.difficulty, terms.model), hard, raw)


def _fitted(
    table: Table, views: Sides, rows: slice, name: str, how: LengthControl, difficulty: Floats | None
) -> LengthControlled:
    import numpy as np

    from evalsuite.statistics import GamedRows, fit_length_control

    at = views.row[rows]
    mine = views.length[rows]
    theirs = np.where(table.a[at] == table.models.index(name), table.length_b[at], table.length_a[at])
    if np.isnan(mine).any() or np.isnan(theirs).any():
        raise InputError(f"--method length-controlled: {name} has annotations without the lengths of both answers")
    gamed = None
    if how.gamed:
        parts = ("preference", "length", "difficulty")
        preference, length, hard = (np.concatenate([getattr(g, part) for g in how.gamed]) for part in parts)
        gamed = GamedRows(preference, length, hard if difficulty is not None else np.zeros(len(hard)))
    try:
        return fit_length_control(views.value[rows], (mine, theirs), difficulty, gamed)
    except ValueError as error:
        raise InputError(f"--method length-controlled: {name}: {error}") from error
