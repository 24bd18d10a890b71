"""The methods: a table of annotations → every model's figure, interval and bootstrap draws, not yet ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalsuite.errors import InputError
from evalsuite.judging.ranking.battles import Fit, elo_fit, fit
from evalsuite.judging.ranking.length import controlled
from evalsuite.judging.ranking.rates import Rate, rates, sides
from evalsuite.judging.ranking.records import Choices, Standing
from evalsuite.judging.ranking.table import Table, cases, settle
from evalsuite.judging.ranking.tree import grid, resampled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """Lines without ranks, and each model's bootstrap draws by its name (all of one length)."""

    lines: list[Standing]
    draws: Mapping[str, Floats]
    coefficients: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unit_interval: bool = False


def baseline_of(table: Table, asked: Choices) -> int | None:
    """The place of the model that the others are compared with; None where there is none."""
    if asked.baseline is not None:
        return table.place(asked.baseline)
    if asked.method not in ("win-rate", "length-controlled"):
        return None
    paired = table.b >= 0
    common = {m for m in set(table.b[paired].tolist()) if ((table.a == m) | (table.b == m))[paired].all()}
    if len(common) == 2:  # one pair of models alone: the second is who the first is compared with
        common = {int(table.b[paired][0])}
    return common.pop() if len(common) == 1 else None


def counted(table: Table, asked: Choices, baseline: int | None) -> Table:
    """The verdicts that are counted: of pairs or grades, strengths weighed, missing ones settled."""
    import numpy as np

    graded = asked.method == "grade"
    rows = table.take(table.b < 0 if graded else table.b >= 0)
    if not len(rows):
        raise InputError(
            "the annotations hold no grades of single answers"
            if graded
            else "the annotations hold grades of single answers, no pairs: rank them with --method grade"
        )
    slight = (rows.strength == 1) & (np.abs(rows.preference - 0.5) > 0.25)
    if asked.length_margin is not None:
        longer = np.where(rows.preference > 0.5, rows.length_a - rows.length_b, rows.length_b - rows.length_a)
        tied = slight & (longer > asked.length_margin)
        rows = replace(rows, preference=np.where(tied, 0.5, rows.preference))
        slight &= ~tied
    worth = 0.5 + (rows.preference - 0.5) * (2 * asked.slight - 1)
    rows = replace(rows, preference=np.where(slight, worth, rows.preference))
    return settle(rows, asked.missing, baseline)


def decided(table: Table, asked: Choices, baseline: int | None) -> Table:
    """One row for each case: its orders made one."""
    return cases(counted(table, asked, baseline), asked.orders)


def figures(table: Table, asked: Choices, baseline: int | None, notes: list[str]) -> Found:
    method: Callable[[Table, Choices, int | None, list[str]], Found] = {
        "win-rate": _win_rates,
        "grade": _win_rates,
        "length-controlled": _controlled,
        "bradley-terry": _rated,
        "elo": _rated,
    }[asked.method]
    return method(table, asked, baseline, notes)


def _win_rates(table: Table, asked: Choices, baseline: int | None, notes: list[str]) -> Found:
    """Mean preferences against the baseline (or over whoever each met), or mean grades."""
    graded = asked.method == "grade"
    if baseline is None and not graded:
        notes.append(
            "no model was met by all others: a win rate is over whoever each one met; bradley-terry puts them on one "
            "scale"
        )
    views = sides(table, baseline, asked.strong or 1.0)
    found = {m: r for m, r in rates(table, views, graded).items() if m != baseline or r.n}
    _some_verdict(found)
    draws = resampled(grid(table, views, list(found), by_question=True), asked.rounds, asked.seed)
    lines = [_line(table.models[m], r, graded) for m, r in found.items()]
    return Found(lines, {line.model: draws[:, i] for i, line in enumerate(lines)}, unit_interval=not graded)


def _some_verdict(found: Mapping[int, Rate]) -> None:
    if not any(r.verdicts for r in found.values()):
        reasons = sorted({k for r in found.values() for k in r.missing})
        raise InputError(f"no annotation holds a verdict (all are {', '.join(reasons) or 'missing'}): nothing to rank")


def _line(model: str, rate: Rate, graded: bool = False) -> Standing:
    discrete = None if graded or not rate.verdicts else (rate.wins + rate.ties / 2) / rate.verdicts
    return Standing(
        model=model,
        value=rate.value,
        low=rate.low,
        high=rate.high,
        n=rate.n,
        verdicts=rate.verdicts,
        standard_error=rate.standard_error,
        wins=rate.wins,
        losses=rate.losses,
        ties=rate.ties,
        missing=rate.missing,
        length=rate.length,
        more={} if graded else {"discrete": discrete},
    )


def _controlled(table: Table, asked: Choices, baseline: int | None, notes: list[str]) -> Found:
    import numpy as np

    if baseline is None:
        raise InputError("--method length-controlled: needs one baseline that every model met: --baseline NAME")
    views = sides(table, baseline)
    plain = rates(table, views)
    _some_verdict(plain)
    models = [m for m, r in plain.items() if r.verdicts and m != baseline]
    found = controlled(table, views, models, asked.length, notes)
    rng = np.random.default_rng(asked.seed)
    lines, draws = [], {}
    for model in models:
        figure, raw = found[model], plain[model]
        error = figure.fit_error if figure.fit_error is not None else figure.error
        half = None if error is None else Z * error
        line = replace(
            _line(table.models[model], raw),
            value=figure.value,
            low=None if half is None else figure.value - half,
            high=None if half is None else figure.value + half,
            standard_error=error,
            more={
                "win_rate": raw.value,
                "win_rate_standard_error": raw.standard_error,
                "published_standard_error": figure.error,
                **dict(zip(("length", "difficulty", "model"), figure.coefficients, strict=True)),
            },
        )
        lines.append(line)
        draws[line.model] = figure.value + (error or 0.0) * rng.standard_normal(asked.rounds)
    return Found(lines, draws)


Z = 1.959963984540054


def _rated(table: Table, asked: Choices, baseline: int | None, notes: list[str]) -> Found:
    anchor = None if baseline is None else table.models[baseline]
    strong = asked.strong if asked.strong is not None else 3.0 if asked.method == "bradley-terry" else 1.0
    how = replace(asked.ratings, anchor=anchor, strong=strong, seed=asked.seed)
    if asked.method == "elo":
        found = elo_fit(table, how)
        notes.append("elo: the interval is over random orders of the same battles: order noise, no sampling error")
    else:
        found = fit(table, how)
        if strong != 1 and (table.strength == 2).any():
            notes.append(f"a clear win (A>>B) counts {strong:g} times a slight one")
        if found.undetermined:
            notes.append(f"in {found.undetermined} of {how.rounds} draws somebody won or lost every battle")
    plain = {table.models[m]: r for m, r in rates(table, sides(table, strong=strong)).items()}
    lines = [_rated_line(found, i, plain[model]) for i, model in enumerate(found.models)]
    draws = {} if found.draws is None else {m: found.draws[:, i] for i, m in enumerate(found.models)}
    return Found(lines, draws, found.coefficients)


def _rated_line(found: Fit, i: int, plain: Rate) -> Standing:
    more: dict[str, float | None] = {"mean_preference": plain.value, "weight": plain.weight}
    if found.chances is not None:
        names = ("win_rate", "win_rate_low", "win_rate_high")
        more |= {name: float(part[i]) for name, part in zip(names, found.chances, strict=True)}
    return replace(
        _line(found.models[i], plain),
        value=float(found.ratings[i]),
        low=float(found.low[i]),
        high=float(found.high[i]),
        standard_error=None if found.errors is None else float(found.errors[i]),
        more=more,
    )
