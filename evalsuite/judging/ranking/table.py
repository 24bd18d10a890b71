"""Annotations as columns: what rankings compute on. 100,000 rows take a fraction of a second.

table = columns(annotations)                       # one line for each annotation
decided = cases(table, orders="mean")              # one line for each case: its orders made one
decided.preference, decided.a, decided.models      # NaN where there is no verdict
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.errors import InputError
from evalsuite.judging.contract import Annotation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]
    Mask = NDArray[np.bool_]

Orders = Literal["mean", "both", "each"]
Missing = Literal["drop", "case", "tie", "loss"]
EVEN = 1e-9
PERSON = "person"


@dataclass(frozen=True)
class Table:
    """Columns of length n. `a`, `b`: places in `models` (b is -1 for a grade of one answer); `preference` for a and
    `score`: NaN where there is none. `sample` counts samples (of a task), `question` what they belong to (81 and its
    second turn, 81#2, are one question: they depend on each other), `judge` judges (all people are one), `voter`
    judges' models and persons; `category`, `task`, `status` are places in their names. `order`: 0 a was shown first,
    1 b was, -1 not known. `strength`: 2 a clear win, 1 a slight one, 0 not told. Lengths are characters, NaN where not
    known. `details` are the annotations' own."""

    models: tuple[str, ...]
    samples: tuple[tuple[str, str], ...]
    judges: tuple[tuple[str, str], ...]
    categories: tuple[str, ...]
    tasks: tuple[str, ...]
    statuses: tuple[str, ...]
    a: Codes
    b: Codes
    preference: Floats
    score: Floats
    sample: Codes
    question: Codes
    judge: Codes
    voter: Codes
    category: Codes
    task: Codes
    status: Codes
    order: Codes
    repeat: Codes
    strength: Codes
    length_a: Floats
    length_b: Floats
    details: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.a)

    def take(self, rows: Mask | Codes | slice) -> Table:
        """Some of the rows; names keep their places."""
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in NAMES}
        return replace(self, **columns)

    def place(self, model: str) -> int:
        """Where a model stands. Raises InputError where it is not among them."""
        if model not in self.models:
            from evalsuite.errors import unknown

            raise InputError(str(unknown("model", model, self.models)).replace("; see: evalsuite list models", ""))
        return self.models.index(model)


NAMES = ("models", "samples", "judges", "categories", "tasks", "statuses")


def columns(rows: Sequence[Annotation]) -> Table:
    """The table of annotations, in their order; models in the order in which they appear."""
    import numpy as np

    models: dict[str, int] = {}
    a, _ = _places((r.model_a for r in rows), models)
    b, _ = _places((r.model_b for r in rows), models, none="")
    sample, samples = _places((r.task, r.sample) for r in rows)
    judge, judges = _places((r.judge, "" if r.judge == PERSON else r.judge_model) for r in rows)
    voter, _ = _places(r.judge_model for r in rows)
    category, categories = _places(r.category for r in rows)
    task, tasks = _places(r.task for r in rows)
    status, statuses = _places(r.status for r in rows)
    lengths = np.array([(r.length_a, r.length_b) for r in rows], dtype=float)
    lengths[(lengths == 0).all(axis=1)] = np.nan
    details = np.empty(len(rows), dtype=object)
    details[:] = [r.details for r in rows]
    return Table(
        models=tuple(models),
        samples=samples,
        judges=judges,
        categories=categories,
        tasks=tasks,
        statuses=statuses,
        a=a,
        b=b,
        preference=_numbers(r.preference for r in rows),
        score=_numbers(r.score for r in rows),
        sample=sample,
        question=_places((task, TURN.sub("", name)) for task, name in samples)[0][sample],
        judge=judge,
        voter=voter,
        category=category,
        task=task,
        status=status,
        order=np.array([ORDER.get(r.order, -1) for r in rows], dtype=np.int64),
        repeat=np.array([r.repeat for r in rows], dtype=np.int64),
        strength=np.array([int(r.details.get("strength") or 0) for r in rows], dtype=np.int64),
        length_a=lengths[:, 0],
        length_b=lengths[:, 1],
        details=details,
    )


ORDER = {"ab": 0, "ba": 1}
TURN = re.compile(r"#\d+$")


def cases(table: Table, orders: Orders = "mean") -> Table:
    """One row for each case (question, repeat, judge, pair): the verdicts of its orders made one.

    "mean": their mean; a case of which one verdict is missing has none (half a swap would carry the judge's liking for
    a position). "both": a win only where all name the same winner, anything else is a tie (MT-Bench's rule). "each":
    every verdict stands for itself (Arena-Hard's). Grades: the mean over aspects.
    """
    import numpy as np

    if orders == "each":
        return table
    columns = (table.sample, table.repeat, table.judge, table.voter, table.a, table.b)
    _, first, group = np.unique(joined(columns), return_index=True, return_inverse=True)
    if len(first) == len(table):
        return table
    size = np.bincount(group)
    values = {}
    for name in ("preference", "score"):
        column = getattr(table, name)
        total = np.bincount(group, weights=np.nan_to_num(column))
        whole = np.bincount(group, weights=np.isnan(column)) == 0
        values[name] = np.where(whole, total / size, np.nan)
    if orders == "both":
        sign = np.sign(np.where(np.abs(table.preference - 0.5) < EVEN, 0, table.preference - 0.5))
        same = np.abs(np.bincount(group, weights=np.nan_to_num(sign))) == size
        values["preference"] = np.where(same | np.isnan(values["preference"]), values["preference"], 0.5)
    lost = np.isnan(table.preference) & np.isnan(table.score)
    reason = first.copy()
    reason[group[lost]] = np.flatnonzero(lost)  # the status of a case is that of a verdict that it lacks
    at = np.argsort(first)  # cases keep the order in which they came
    cases: dict[str, Any] = {name: column[at] for name, column in values.items()}
    decided = replace(table.take(first[at]), **cases)
    return replace(decided, status=table.status[reason[at]], order=np.full(len(at), -1, dtype=np.int64))


def settle(table: Table, missing: Missing, baseline: int | None) -> Table:
    """What becomes of verdicts that are not there, before orders are made one: "drop" leaves each out, "case" all
    verdicts of its case, "tie" counts it a tie, "loss" a loss of the model that is not the baseline."""
    import numpy as np

    gone = np.isnan(table.preference) & (table.b >= 0)
    if missing == "tie":
        return replace(table, preference=np.where(gone, 0.5, table.preference))
    if missing == "loss":
        if baseline is None:
            raise InputError("--missing loss: says nothing without --baseline NAME: who of two models has lost?")
        return replace(table, preference=np.where(gone, (table.a == baseline).astype(float), table.preference))
    if missing == "case":
        case = joined((table.sample, table.repeat, table.judge, table.voter, table.a, table.b))
        _, group = np.unique(case, return_inverse=True)
        lost = np.bincount(group, weights=gone) > 0
        return replace(table, preference=np.where(lost[group], np.nan, table.preference))
    return table


def joined(parts: Sequence[Codes]) -> Codes:
    """One number for each combination of numbers."""
    import numpy as np

    key = np.zeros(len(parts[0]), dtype=np.int64)
    for part in parts:
        low = part - part.min()
        top = int(low.max()) + 1
        if key.max(initial=0) > 2**62 // top:
            _, key = np.unique(key, return_inverse=True)
        key = key * top + low
    return key


def _places(
    values: Iterable[Any], known: dict[Any, int] | None = None, none: Any = None
) -> tuple[Codes, tuple[Any, ...]]:
    """Each value's place among the different ones, in the order in which they appear; -1 for `none`."""
    import numpy as np

    seen: dict[Any, int] = {} if known is None else known
    codes = [-1 if none is not None and v == none else seen.setdefault(v, len(seen)) for v in values]
    return np.array(codes, dtype=np.int64), tuple(seen)


def _numbers(values: Iterable[float | None]) -> Floats:
    import numpy as np

    return np.array([np.nan if v is None else v for v in values], dtype=float)
