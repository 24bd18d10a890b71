"""Annotations → a ranking: every figure with its n and interval, ranks that know of intervals, and what qualifies them.

    ranking = rank(read_any(path), Choices(method="win-rate", baseline="gpt4_1106_preview"))
    for s in ranking.standings:
        print(s.rank, s.model, s.value, (s.low, s.high), s.n)

Methods: "win-rate" (mean preference, ties half; AlpacaEval's standard error), "length-controlled" (AlpacaEval 2's),
"bradley-terry" (Arena-Hard's and Chatbot Arena's, with ties and style control), "elo", "grade" (mean of pointwise
grades). By default both orders of a case are made one, a missing verdict leaves its case out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalsuite.errors import InputError
from evalsuite.judging.contract import Annotation
from evalsuite.judging.ranking.judges import ALL, copies, roles, select_judge, steadiness, widenings, with_names
from evalsuite.judging.ranking.methods import Z, baseline_of, counted, decided, figures
from evalsuite.judging.ranking.rates import influences, sides
from evalsuite.judging.ranking.records import PLACED, UNITS, Averages, Choices, Ranking, Standing
from evalsuite.judging.ranking.table import Table, columns
from evalsuite.judging.ranking.tree import Node, grid, members, roll_up, tags_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Averages", "Choices", "Ranking", "Standing", "rank"]


def rank(rows: Sequence[Annotation], choices: Choices | None = None, placed: Sequence[Annotation] = ()) -> Ranking:
    """Ranks the models of annotations of one judge. `placed`: rows of another judge on further models, which are put
    among the others and marked: the figures of two prompts are not comparable.

    Raises InputError where the rows are of several judges and none is chosen, or hold nothing that the method ranks.
    """
    asked = choices or Choices()
    if not rows:
        raise InputError("there are no annotations to rank")
    chosen, judge = select_judge(with_names(rows), asked.judge)
    others, other_judge = select_judge(with_names(placed), ALL) if placed else ([], "")
    table = columns([*chosen, *others])
    notes = copies(table)
    baseline = baseline_of(table, asked)
    settled = decided(table, asked, baseline)
    found = figures(settled, asked, baseline, notes)
    factors = widenings(counted(table, asked, baseline), range(len(table.models)), asked.judge_variance)
    wider = {table.models[place]: factor for place, factor in factors.items()}
    strangers = _models(others) - _models(chosen)
    name = None if baseline is None else table.models[baseline]
    parts = {m: (*r, *(strangers & {m} and (PLACED,))) for m, r in roles([*chosen, *others], name).items()}
    lines = [
        replace(_widened(s, wider[s.model], found.unit_interval), roles=parts.get(s.model, ())) for s in found.lines
    ]
    out = [s for s in lines if asked.exclude and set(s.roles) - {PLACED}]
    kept = [s for s in lines if s not in out]
    if not kept:
        raise InputError("every model takes part in the judging: without --exclude-judges they are flagged only")
    if placed:
        notes.append(
            f"{', '.join(sorted(strangers))}: judged by {other_judge}, the others by {judge}: another prompt or judge "
            "model gives another figure, so this place is an estimate and not comparable with the published figures"
        )
    return Ranking(
        metric=f"{asked.method.replace('-', '_')}[{judge}]",
        method=asked.method,
        unit=UNITS[asked.method],
        judge=judge,
        baseline=name,
        standings=tuple(_ranked(kept, found.draws, wider)),
        excluded=tuple(out),
        by=asked.by,
        averages=tuple(_averages(table, asked, baseline, kept, wider)) if asked.by else (),
        tree=tuple(_tree(settled, asked, baseline, [s.model for s in kept])) if asked.tree is not None else (),
        coefficients=found.coefficients,
        judge_noise=steadiness(table.take(slice(len(chosen)))),
        notes=tuple(notes),
    )


def _models(rows: Sequence[Annotation]) -> set[str]:
    return {m for r in rows for m in (r.model_a, r.model_b)}


def _widened(line: Standing, factor: float, unit_interval: bool) -> Standing:
    """The interval, and the standard error's, made wider around the figure."""
    if factor == 1 or line.value is None or line.low is None or line.high is None:
        return line
    low, high = (line.value + factor * (end - line.value) for end in (line.low, line.high))
    if unit_interval:
        low, high = max(low, 0.0), min(high, 1.0)
    return replace(line, low=low, high=high, more={**line.more, "widened": factor})


def _ranked(lines: Sequence[Standing], draws: Mapping[str, Floats], wider: Mapping[str, float]) -> list[Standing]:
    """Lines by value, with competition ranks, rank intervals from the draws (as much wider as the figures' intervals),
    and HREF's groups."""
    import numpy as np

    from evalsuite.statistics import competition_ranks, rank_groups, rank_intervals

    known = sorted((s for s in lines if s.value is not None), key=lambda s: -(s.value or 0.0))
    values = [s.value or 0.0 for s in known]
    low, high = ([(v if e is None else e) for v, e in zip(values, ends, strict=True)] for ends in _ends(known))
    order, groups = competition_ranks(values), rank_groups(values, low, high)
    bounds = None
    if known and all(s.model in draws for s in known):
        factors = np.array([wider[s.model] for s in known])
        matrix = np.stack([draws[s.model] for s in known], axis=1)
        matrix = values + factors * (matrix - values)
        matrix = matrix[~np.isnan(matrix).any(axis=1)]
        bounds = rank_intervals(matrix) if len(matrix) else None
    found = [
        replace(
            s,
            rank=int(order[i]),
            group=int(groups[i]),
            rank_low=None if bounds is None else int(bounds[0][i]),
            rank_high=None if bounds is None else int(bounds[1][i]),
        )
        for i, s in enumerate(known)
    ]
    return found + [s for s in lines if s.value is None]


def _ends(lines: Sequence[Standing]) -> tuple[list[float | None], list[float | None]]:
    return [s.low for s in lines], [s.high for s in lines]


def groups_of(table: Table, by: str) -> dict[str, Any]:
    """Rows of each group: of a category, a task, or a value in the details. Raises InputError where none has any."""
    import numpy as np

    if by in ("category", "task"):
        names, codes = (table.categories, table.category) if by == "category" else (table.tasks, table.task)
    else:
        seen: dict[str, int] = {}
        values = [str(d.get(by, "")) for d in table.details]
        codes = np.array([seen.setdefault(v, len(seen)) for v in values])
        names = tuple(seen)
    found = {name: codes == i for i, name in enumerate(names) if name}
    if not found:
        raise InputError(f"--by {by}: no annotation tells its {by}")
    return found


def _averages(
    table: Table, asked: Choices, baseline: int | None, lines: Sequence[Standing], wider: Mapping[str, float]
) -> list[Averages]:
    """Each group ranked for itself, and the macro averages of its figures. Questions that stand in several groups (the
    turns of a dialogue) are one where a figure is a mean; else groups count as independent."""
    by_group: dict[str, dict[str, Standing]] = {}
    parts: dict[str, dict[int, Floats]] = {}
    plain = replace(asked, rounds=2, ratings=replace(asked.ratings, rounds=0))
    for name, rows in groups_of(table, asked.by or "").items():
        settled = decided(table.take(rows), plain, baseline)
        found = figures(settled, plain, baseline, [])
        by_group[name] = {s.model: _widened(s, wider[s.model], found.unit_interval) for s in found.lines}
        if asked.method in ("win-rate", "grade"):
            parts[name] = influences(table, sides(settled, baseline, asked.strong or 1.0))
    weights = asked.weights or dict.fromkeys(by_group, 1.0)
    for name in weights:
        if name not in by_group:
            raise InputError(f"--weight {name}: no such {asked.by}; there are {', '.join(sorted(by_group))}")
    averages = []
    for s in lines:
        groups = {g: rows[s.model] for g, rows in by_group.items() if s.model in rows}
        place = table.models.index(s.model)
        own = {g: wider[s.model] * p[place] for g, p in parts.items() if place in p}
        averages.append(_averaged(s, groups, weights, own))
    return averages


def _averaged(
    line: Standing, groups: Mapping[str, Standing], weights: Mapping[str, float], parts: Mapping[str, Floats]
) -> Averages:
    import numpy as np

    used = {g: w for g, w in weights.items() if w > 0}
    if not used or any(g not in groups or groups[g].value is None for g in used):
        return Averages(line.model, groups, None, None, None, line.n)
    total = sum(used.values())
    macro = sum(w * (groups[g].value or 0.0) for g, w in used.items()) / total
    if all(g in parts for g in used):
        together = np.sum([w / total * parts[g] for g, w in used.items()], axis=0)
        n = sum(groups[g].n for g in used) / len(used)
        error = float((together**2).sum() * n / (n - 1)) ** 0.5 if n > 1 else None
    else:
        errors = [groups[g].standard_error for g in used]
        known = [(w * e) ** 2 for w, e in zip(used.values(), errors, strict=True) if e is not None]
        error = sum(known) ** 0.5 / total if len(known) == len(errors) else None
    if error is None:
        return Averages(line.model, groups, macro, None, None, line.n)
    return Averages(line.model, groups, macro, macro - Z * error, macro + Z * error, line.n)


def _tree(table: Table, asked: Choices, baseline: int | None, models: Sequence[str]) -> list[Node]:
    if asked.method not in ("win-rate", "grade"):
        raise InputError(f"--tree: a node's figure is a mean over its samples; {asked.method} has none: use win-rate")
    groups = members(asked.tree or {}, asked.tags or tags_of(table))
    if len(groups) < 2:
        raise InputError("--tree: no sample's category or tag stands in the tree; give the samples' with --tags FILE")
    means = grid(table, sides(table, baseline, asked.strong or 1.0), [table.models.index(m) for m in models])
    return roll_up(table, means, groups, asked.method != "grade", seed=asked.seed)
