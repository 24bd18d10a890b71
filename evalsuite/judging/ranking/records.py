"""What a ranking is asked for and what it says, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evalsuite.judging.ranking.battles import Ratings
from evalsuite.judging.ranking.judges import Steadiness
from evalsuite.judging.ranking.length import LengthControl
from evalsuite.judging.ranking.table import Missing, Orders
from evalsuite.judging.ranking.tree import Node

Method = Literal["win-rate", "length-controlled", "bradley-terry", "elo", "grade"]
METHODS: tuple[Method, ...] = ("win-rate", "length-controlled", "bradley-terry", "elo", "grade")
UNITS = {
    "win-rate": "share",
    "length-controlled": "share",
    "bradley-terry": "points",
    "elo": "points",
    "grade": "grade",
}
PLACED = "judged otherwise"


@dataclass(frozen=True)
class Choices:
    """What a ranking is asked for.

    `baseline`: whom models are compared with (by default the one that all met; of ratings, none). `orders`, `missing`:
    see `cases` and `settle`. `strong`: how many times a clear win counts (default 1; of Bradley–Terry 3, Arena-Hard's
    rule); `slight`: what a slight win is worth where strengths are told (1, or 0.75 for WildBench's reward);
    `length_margin`: a slight win by an answer that is longer by more than so many characters is a tie (WildBench's K).
    `by`: the field that groups are made of ("category", "task", or a key of `details`), `weights` of groups in the
    macro average. `judge_variance`: the judge's own, between orders and between repeats, from an audit. `tree` with
    `tags`: see `tree`. `exclude`: leave out contestants that take part in judging.
    """

    method: Method = "win-rate"
    baseline: str | None = None
    orders: Orders = "mean"
    missing: Missing = "drop"
    judge: str | None = None
    strong: float | None = None
    slight: float = 1.0
    length_margin: float | None = None
    by: str | None = None
    weights: Mapping[str, float] | None = None
    tree: Mapping[str, Any] | None = None
    tags: Mapping[str, tuple[str, frozenset[str]]] | None = None
    exclude: bool = False
    judge_variance: tuple[float | None, float | None] = (None, None)
    ratings: Ratings = field(default_factory=Ratings)
    length: LengthControl = field(default_factory=LengthControl)
    rounds: int = 1000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """One model's line. `value` in the ranking's unit, with its 95% interval; `n` questions, `verdicts` cases with a
    verdict. `rank`: by value; `rank_low`, `rank_high`: its 95% interval over bootstrap draws; `group`: HREF's rank
    group. `roles`: what it is besides a contestant. `more`: figures of the method by name."""

    model: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    verdicts: int
    standard_error: float | None
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    group: int | None = None
    wins: int = 0
    losses: int = 0
    ties: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    length: float | None = None
    roles: tuple[str, ...] = ()
    more: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Averages:
    """A model's averages over groups: `groups` its figure in each, `micro` over all samples, `macro` the weighted mean
    of the groups' figures (None where a group has none)."""

    model: str
    groups: Mapping[str, Standing]
    macro: float | None
    macro_low: float | None
    macro_high: float | None
    n: int


@dataclass(frozen=True)
class Ranking:
    metric: str
    method: Method
    unit: str
    judge: str
    baseline: str | None
    standings: tuple[Standing, ...]
    excluded: tuple[Standing, ...]
    by: str | None
    averages: tuple[Averages, ...]
    tree: tuple[Node, ...]
    coefficients: Mapping[str, tuple[float, float]]
    judge_noise: Steadiness
    notes: tuple[str, ...]
