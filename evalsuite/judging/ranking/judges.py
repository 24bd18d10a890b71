"""Who judged: which judge a ranking is by, which contestants take part in the judging, and how steady the judge is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalsuite.errors import InputError
from evalsuite.judging.contract import Annotation
from evalsuite.judging.ranking.table import EVEN, PERSON, Table, joined

if TYPE_CHECKING:
    from evalsuite.statistics import Interval

ALL = "all"
ROLES = ("judge", "baseline", "auxiliary")
"""What a contestant may be besides: each of them bends a ranking its own way."""


def judge_name(judge: str, model: str) -> str:
    """How a metric names who judged: the judge's identity and its model, or people."""
    if judge == PERSON:
        return "people"
    return f"{judge}:{model}" if model else judge


def select_judge(rows: Sequence[Annotation], wanted: str | None) -> tuple[list[Annotation], str]:
    """The rows of one judge, and its name. `wanted`: a name, a model's name, or "all". Raises InputError where several
    judges' rows are given and none is chosen: their figures are not one figure."""
    names = [judge_name(r.judge, r.judge_model) for r in rows]
    known = list(dict.fromkeys(names))
    if wanted == ALL or (len(known) == 1 and wanted is None):
        return list(rows), known[0] if len(known) == 1 else f"{len(known)} judges together"
    if wanted is None:
        raise InputError(
            f"the annotations are of {len(known)} judges ({_some(known)}); choose one with --judge NAME, "
            "mix them with --judge all, or give a new model's with --place FILE"
        )
    hits = {n for n in known if n == wanted} or {n for n in known if wanted in re.split("[:/#]", n)}
    if not hits:
        raise InputError(f"--judge {wanted}: no annotation is of this judge; they are of {_some(known)}")
    if len(hits) > 1:
        raise InputError(f"--judge {wanted}: fits {_some(sorted(hits))}; give one in full")
    name = hits.pop()
    return [r for r, n in zip(rows, names, strict=True) if n == name], name


def _some(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")


def with_names(rows: Sequence[Annotation]) -> list[Annotation]:
    """Rows whose models have no names (PandaLM's verdicts) take those of the only named pair with the same sample.
    Raises InputError where there is none."""
    if all(r.model_a for r in rows):
        return list(rows)
    pairs: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        if row.model_a:
            pairs[row.task, row.sample].add((row.model_a, row.model_b))
    named = []
    for row in rows:
        found = pairs[row.task, row.sample]
        if not row.model_a and len(found) == 1:
            a, b = next(iter(found))
            row = replace(row, model_a=a, model_b=b)
        elif not row.model_a:
            raise InputError(f"sample {row.sample}: the annotation names no models; give the file that names them too")
        named.append(row)
    return named


def copies(table: Table, least: int = 20) -> list[str]:
    """Remarks on models whose verdicts and lengths are the same in every row: one file under two names."""
    import numpy as np

    seen: dict[bytes, str] = {}
    found = []
    for place, name in enumerate(table.models):
        rows = np.flatnonzero(table.a == place)
        if len(rows) < least or len(np.unique(table.preference[rows])) < 2:
            continue
        rows = rows[np.lexsort((table.order[rows], table.sample[rows]))]
        columns = (table.sample, table.b, table.preference, table.score, table.length_a)
        key = b"".join(column[rows].tobytes() for column in columns)
        if key in seen:
            found.append(f"{seen[key]} and {name} have the same verdicts and lengths in every row: one is a copy")
        seen.setdefault(key, name)
    return found


def roles(rows: Sequence[Annotation], baseline: str | None) -> dict[str, tuple[str, ...]]:
    """Contestants that take part in the judging, with what they are there: the judge itself, the baseline, or one of
    the models whose answers the criteria were made from (`details["auxiliary"]`, `details["baseline"]`)."""
    judges = {_plain(m) for m in {r.judge_model for r in rows if r.judge != PERSON} if m}
    helpers: set[str] = set()
    anchors = {baseline} if baseline else set()
    for details in (r.details for r in rows if r.details):
        given = details.get("auxiliary")
        helpers |= {_plain(given)} if isinstance(given, str) else {_plain(str(n)) for n in given or ()}
        if isinstance(details.get("baseline"), str):
            anchors.add(details["baseline"])
    found = {}
    plain_anchors = {_plain(a) for a in anchors}
    for model in dict.fromkeys(m for r in rows for m in (r.model_a, r.model_b) if m):
        name = _plain(model)
        groups = zip(ROLES, (judges, plain_anchors, helpers), strict=True)
        found[model] = tuple(role for role, group in groups if name in group)
    return found


def _plain(model: str) -> str:
    """A model's bare name: openai:org/Name@http://... and Name are the same one."""
    name = model.rsplit("@", 1)[0] if "@" in model else model
    name = name.split(":", 1)[1] if name.startswith(("openai:", "hf:", "responses:")) else name
    return name.rstrip("/").rsplit("/", 1)[-1].lower()


@dataclass(frozen=True, slots=True)
class Steadiness:
    """`flips`: share of cases whose two orders name different winners, of `swapped` cases; `repeat_variance`: mean
    variance (ddof 1) of a case's repeats, of `repeated` cases. None where it was not tried."""

    flips: float | None
    swapped: int
    repeat_variance: float | None
    repeated: int


def steadiness(table: Table) -> Steadiness:
    """How steady the judge is on these annotations, all people's votes apart."""
    import numpy as np

    judged = np.array([j != PERSON for j, _ in table.judges])[table.judge] if len(table) else np.zeros(0, bool)
    rows = table.take(judged & ~(np.isnan(table.preference) & np.isnan(table.score)))
    keys = [rows.sample, rows.judge, rows.voter, rows.a, rows.b]
    flips, swapped = _flips(rows, np.stack([*keys, rows.repeat]))
    variance, repeated = _repeats(rows, np.stack([*keys, rows.order]))
    return Steadiness(flips, swapped, variance, repeated)


def _flips(rows: Table, keys: object) -> tuple[float | None, int]:
    import numpy as np

    known = (rows.order >= 0) & ~np.isnan(rows.preference)
    _, group = np.unique(np.asarray(keys)[:, known], axis=1, return_inverse=True)
    group = group.reshape(-1)
    sign = np.sign(np.where(np.abs(rows.preference - 0.5) < EVEN, 0, rows.preference - 0.5))[known]
    order = rows.order[known]
    sides = [np.full(int(group.max(initial=-1)) + 1, np.nan) for _ in (0, 1)]
    for side in (0, 1):
        sides[side][group[order == side]] = sign[order == side]
    both = ~np.isnan(sides[0]) & ~np.isnan(sides[1])
    return (float((sides[0] != sides[1])[both].mean()) if both.any() else None), int(both.sum())


def _repeats(rows: Table, keys: object) -> tuple[float | None, int]:
    import numpy as np

    _, group = np.unique(np.asarray(keys), axis=1, return_inverse=True)
    group = group.reshape(-1)
    size = np.bincount(group)
    said = np.where(np.isnan(rows.preference), rows.score, rows.preference)
    mean = np.bincount(group, weights=said) / np.maximum(size, 1)
    square = np.bincount(group, weights=(said - mean[group]) ** 2)
    several = size > 1
    return (float((square[several] / (size[several] - 1)).mean()) if several.any() else None), int(several.sum())


def widenings(table: Table, models: Sequence[int], known: tuple[float | None, float | None]) -> dict[int, float]:
    """By how much each model's interval is too narrow, by its place (1 where it is not): averaging the two orders of
    an undecided judge makes ties, which hardly vary. The judge's inconsistency between orders and repeats is added
    back (`judged_rate`); `known`: its variances from an audit, where these rows cannot show them. People's votes are
    what they are."""
    import numpy as np

    from evalsuite.statistics import judged_rate

    judged = np.array([j != PERSON for j, _ in table.judges])[table.judge]
    rows = table.take(judged & ~np.isnan(table.preference) & (table.a != table.b))
    found = dict.fromkeys(models, 1.0)
    if not len(rows):
        return found
    item = joined([rows.sample, rows.judge, rows.voter, rows.a, rows.b])
    unsure = known != (None, None) or len(np.unique(item)) < len(rows)
    for model in models if unsure else ():
        first = rows.a == model
        mine = np.flatnonzero(first | (rows.b == model))
        if not len(mine):
            continue
        side = first[mine]
        preference = np.where(side, rows.preference[mine], 1 - rows.preference[mine])
        shown = np.where(rows.order[mine] == 1, ~side, side)
        orders = ["ab" if s else "ba" for s in shown] if (rows.order[mine] >= 0).all() else None
        rate = judged_rate(preference, item[mine].tolist(), orders, known)
        plain, wide = (_width(i) for i in (rate.plain, rate.interval))
        if plain and wide:
            found[model] = max(1.0, wide / plain)
    return found


def _width(found: Interval) -> float | None:
    return None if found.low is None or found.high is None else found.high - found.low
