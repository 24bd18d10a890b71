"""Bradley–Terry and Elo over annotations: battles, style control, bootstrap.

Published conventions in these terms: Arena-Hard v0.1 is orders "each", strong 3, its baseline as anchor; with style
control also `style=("length", "markdown")`, penalty 0.5. Chatbot Arena is anchor mixtral-8x7b-instruct-v0.1 at 1114.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalsuite.errors import InputError
from evalsuite.judging.ranking.table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evalsuite.statistics import Battles
    from evalsuite.statistics.battles import SelfBattles

    Floats = NDArray[np.float64]

MARKDOWN = ("header", "list", "bold")
FEATURES = ("length", *MARKDOWN)
GROUPS = {"style": FEATURES, "markdown": MARKDOWN}
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_HEADER = re.compile(r"^#{1,6}[ \t]", re.MULTILINE)
_LIST = re.compile(r"^[ \t]*(?:[-*+]|\d+\.)[ \t]", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")


@dataclass(frozen=True, slots=True)
class Fit:
    """What a rating method found, models in `models`: ratings in points with intervals and standard errors (K,), the
    draws (B, K) behind them, P(beats the anchor) with intervals where there is an anchor, and the coefficients of
    what was controlled for, {name: (value, error)}."""

    models: tuple[str, ...]
    ratings: Floats
    low: Floats
    high: Floats
    errors: Floats | None
    draws: Floats | None
    chances: tuple[Floats, Floats, Floats] | None
    coefficients: Mapping[str, tuple[float, float]]
    battles: int
    undetermined: int = 0


@dataclass(frozen=True, slots=True)
class Ratings:
    """How ratings are made. `anchor` stands at `level` (None: the mean of all does); `strong`: how often a clear win
    counts; `style`: what is controlled for (length, header, list, bold, or markdown, style for several); `penalty`: λ
    of an L2 penalty, by default 0, and 0.5 with style control as Arena-Hard and Chatbot Arena have it."""

    anchor: str | None = None
    level: float = 1000.0
    strong: float = 3.0
    style: tuple[str, ...] = ()
    penalty: float | None = None
    rounds: int = 200
    seed: int = 0
    centred: bool = False
    self_battles: SelfBattles = "drop"


def fit(table: Table, how: Ratings) -> Fit:
    """Bradley–Terry ratings of decided cases. Raises InputError where they cannot be determined, with the reason."""
    import numpy as np

    from evalsuite.statistics import RatingScale, bradley_terry, bradley_terry_bootstrap

    scale = RatingScale(anchor=how.anchor, level=how.level)
    penalty = how.penalty if how.penalty is not None else 0.5 if how.style else 0.0
    rows = battles_of(table, how if penalty else replace(how, self_battles="drop"))  # without penalty they say nothing
    try:
        found = bradley_terry(rows, scale, penalty)
        draws = bradley_terry_bootstrap(rows, scale, penalty, how.rounds, how.seed) if how.rounds else None
    except ValueError as error:
        raise InputError(f"--method bradley-terry: {error}") from error
    low, high = (
        draws.interval() if draws is not None else (found.ratings - Z * found.errors, found.ratings + Z * found.errors)
    )
    chances = None
    if how.anchor is not None:
        value = found.probabilities(how.anchor)
        ends = (
            np.quantile(draws.probabilities(how.anchor), [0.025, 0.975], axis=0)
            if draws is not None
            else (value, value)
        )
        chances = (value, ends[0], ends[1])
    both = zip(found.coefficients.tolist(), found.coefficient_errors.tolist(), strict=True)
    return Fit(
        models=found.models,
        ratings=found.ratings,
        low=low,
        high=high,
        errors=found.errors,
        draws=draws.ratings if draws is not None else None,
        chances=chances,
        coefficients=dict(zip(found.names, both, strict=True)),
        battles=found.n,
        undetermined=draws.undetermined if draws is not None else 0,
    )


Z = 1.959963984540054


def elo_fit(table: Table, how: Ratings) -> Fit:
    """Elo in the order of the rows. Its interval is over random orders of the same battles: order noise alone."""
    from evalsuite.statistics import EloRule, elo, elo_over_orders

    rows = battles_of(table, how)
    rule = EloRule(start=how.level)
    found = elo(rows, rule)
    orders = elo_over_orders(rows, rule, max(how.rounds, 2), seed=how.seed)
    return Fit(rows.models, found, orders.low, orders.high, None, None, None, {}, len(rows.score))


def battles_of(table: Table, how: Ratings) -> Battles:
    import numpy as np

    from evalsuite.statistics import battles

    there = table.take(~np.isnan(table.preference) & (table.b >= 0))
    if not len(there):
        raise InputError("no pair of models has a verdict to rate them by")
    names = np.array(there.models)
    weight = np.where(there.strength == 2, how.strong, 1.0)
    # The anchor stands first, as Arena-Hard has it: that tells which entry a battle with itself overwrites.
    turned = np.zeros(len(there), bool) if how.anchor is None else there.b == there.place(how.anchor)
    sign = np.where(turned, -1.0, 1.0)
    try:
        return battles(
            names[np.where(turned, there.b, there.a)],
            names[np.where(turned, there.a, there.b)],
            np.where(turned, 1 - there.preference, there.preference),
            weight,
            {name: sign * column for name, column in style_columns(there, how.style, weight, how.centred).items()},
            there.question.tolist(),
            how.self_battles,
        )
    except ValueError as error:
        raise InputError(f"no ratings: {error}") from error


def style_columns(table: Table, wanted: Sequence[str], weight: Floats, centred: bool = False) -> dict[str, Floats]:
    """The style features of battles by name: differences of counts over their sum (and 1), over their sd; 0 is equal
    style, unless they are centred."""
    import numpy as np

    from evalsuite.statistics import style_difference

    found = {}
    for name in chosen(wanted):
        a, b = counts(table, name)
        found[name] = style_difference(a, b, weight)
        if not centred and found[name].any():
            share = (a - b) / (a + b + 1)
            mean = np.average(share, weights=weight)
            found[name] += mean / np.average((share - mean) ** 2, weights=weight) ** 0.5
    return found


def chosen(wanted: Sequence[str]) -> list[str]:
    """Names of features out of names and groups of them. Raises InputError naming what is known."""
    found = [f for name in wanted for f in GROUPS.get(name, (name,))]
    for name in found:
        if name not in FEATURES:
            raise InputError(f"--style {name}: not a style that is known; known are {', '.join((*FEATURES, *GROUPS))}")
    return list(dict.fromkeys(found))


def counts(table: Table, name: str) -> tuple[Floats, Floats]:
    """How much of a feature each side's answer has: `details["style_a"]` ({"tokens", "header", "list", "bold"}), else
    counted in `details["text_a"]`; the length falls back on characters. Raises InputError where it is not known."""
    import numpy as np

    key = "tokens" if name == "length" else name
    sides = [np.array([_count(d, side, key) for d in table.details], dtype=float) for side in ("a", "b")]
    if name == "length":
        told = ~(np.isnan(sides[0]) | np.isnan(sides[1]))  # both sides of a pair in one unit
        sides = [
            np.where(told, s, characters) for s, characters in zip(sides, (table.length_a, table.length_b), strict=True)
        ]
    unknown = np.isnan(sides[0]) | np.isnan(sides[1])
    if unknown.any():
        where = "neither its tokens nor its length" if name == "length" else "neither its markdown counts nor its text"
        row = int(np.flatnonzero(unknown)[0])
        raise InputError(
            f"--style {name}: {int(unknown.sum())} annotations of {len(table)} tell {where} (the first is on sample "
            f"{table.samples[table.sample[row]][1]}); leave the style out, or give details.style_a and details.style_b"
        )
    return sides[0], sides[1]


def _count(details: Mapping[str, object], side: str, key: str) -> float:
    style, text = details.get(f"style_{side}"), details.get(f"text_{side}")
    if isinstance(style, Mapping) and key in style:
        return float(style[key])
    if isinstance(text, str) and key != "tokens":
        return float(markdown(text)[key])
    return float("nan")


def markdown(text: str) -> dict[str, int]:
    """Headers, list items and bold spans of a text outside its fenced code."""
    prose = _FENCE.sub("", text)
    found = {"header": _HEADER, "list": _LIST, "bold": _BOLD}
    return {name: sum(1 for _ in pattern.finditer(prose)) for name, pattern in found.items()}
