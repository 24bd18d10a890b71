"""Do ratings and rankings of the same pairs say the same? And who wins, by which of the two?

    found = consistency(ratings, rankings)     # 3 x 3 table, share that agrees, with Wilson intervals
    flips = protocol_flips(ratings, rankings)  # two models compared under both protocols

From the ratings of its two answers a pair gets a verdict (the higher one, or equal), beside the verdict that the pair
itself got. Protocol and figures: Bansal, Dang & Grover, "Peering Through Preferences" (2024).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evalsuite.statistics import Interval, wilson, win_rate

Repeated = Literal["first", "last", "mean"]
VERDICTS = ("first", "second", "equal")


@dataclass(frozen=True, slots=True)
class Rating:
    """A grade of one answer to one item. `answer` is its text, or the model's name where texts are not stored."""

    item: str
    answer: str
    value: float
    model: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """A verdict on two answers to one item: `preference` for the first, 0.5 equal."""

    item: str
    first: str
    second: str
    preference: float
    model_1: str = ""
    model_2: str = ""


@dataclass(frozen=True, slots=True)
class Consistency:
    """`table[i][j]`: pairs with verdict i by ratings and j by ranking, in the order first, second, equal. `agreement`
    is over all pairs of both, `decisive` over those in which neither says equal. `unmatched` rankings have an answer
    without a rating; `repeated` answers are rated more than once, and `rule` says which rating counts."""

    table: tuple[tuple[int, int, int], ...]
    agreement: Interval
    decisive: Interval
    unmatched: int
    repeated: int
    rule: Repeated


@dataclass(frozen=True, slots=True)
class Flip:
    """Two models under both protocols: the first one's win rate over the second (ties half). `flips` where the rates
    lie on different sides of one half; `sure` where both intervals exclude it."""

    model_1: str
    model_2: str
    by_rating: Interval
    by_ranking: Interval
    flips: bool
    sure: bool


def consistency(ratings: Sequence[Rating], rankings: Sequence[Ranking], rule: Repeated = "first") -> Consistency:
    """Every ranking whose two answers are rated, against what the ratings say of it."""
    given: dict[tuple[str, str], list[float]] = defaultdict(list)
    for rating in ratings:
        given[rating.item, rating.answer].append(rating.value)
    table = [[0, 0, 0] for _ in VERDICTS]
    unmatched = 0
    for ranking in rankings:
        values = [given.get((ranking.item, answer)) for answer in (ranking.first, ranking.second)]
        if values[0] is None or values[1] is None:
            unmatched += 1
            continue
        one, two = _counted(values[0], rule), _counted(values[1], rule)
        table[_verdict(one - two)][_verdict(ranking.preference - 0.5)] += 1
    n, equal = sum(map(sum, table)), sum(table[i][i] for i in range(3))
    decided, right = sum(table[i][j] for i in (0, 1) for j in (0, 1)), table[0][0] + table[1][1]
    return Consistency(
        tuple((row[0], row[1], row[2]) for row in table),
        share_of(equal, n),
        share_of(right, decided),
        unmatched,
        sum(len(v) > 1 for v in given.values()),
        rule,
    )


def share_of(part: int, n: int) -> Interval:
    """A share of independent items with Wilson's interval; no value where n is 0."""
    return Interval(part / n, *wilson(part, n), n, "wilson") if n else Interval(None, None, None, 0, "none")


def protocol_flips(ratings: Sequence[Rating], rankings: Sequence[Ranking], rule: Repeated = "first") -> list[Flip]:
    """Every two models that both protocols compare, by name. By rating: two answers to one item, the higher rating
    wins. Intervals are t intervals over items inside [0, 1] (ties make them narrower than Wilson's)."""
    rated = _wins_of_ratings(ratings, rule)
    ranked: dict[tuple[str, str], dict[Hashable, list[float]]] = defaultdict(lambda: defaultdict(list))
    for r in rankings:
        if r.model_1 and r.model_2 and r.model_1 != r.model_2:
            turned = r.model_1 > r.model_2
            names = (r.model_2, r.model_1) if turned else (r.model_1, r.model_2)
            ranked[names][r.item].append(1 - r.preference if turned else r.preference)
    return [_flip(names, rated[names], ranked[names]) for names in sorted(rated.keys() & ranked.keys())]


def _wins_of_ratings(
    ratings: Sequence[Rating], rule: Repeated
) -> Mapping[tuple[str, str], Mapping[Hashable, Sequence[float]]]:
    by_item: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for rating in ratings:
        if rating.model:
            by_item[rating.item][rating.model].append(rating.value)
    found: dict[tuple[str, str], dict[Hashable, list[float]]] = defaultdict(lambda: defaultdict(list))
    for item, values in by_item.items():
        grades = {model: _counted(v, rule) for model, v in values.items()}
        for one in grades:
            for two in grades:
                if one < two:
                    found[one, two][item].append((1.0, 0.0, 0.5)[_verdict(grades[one] - grades[two])])
    return found


def _flip(
    names: tuple[str, str], rated: Mapping[Hashable, Sequence[float]], ranked: Mapping[Hashable, Sequence[float]]
) -> Flip:
    rates = []
    for side in (rated, ranked):
        rows = [(value, item) for item, values in side.items() for value in values]
        rates.append(win_rate([v for v, _ in rows], clusters=[i for _, i in rows]))
    values = [r.value for r in rates if r.value is not None]
    flips = len(values) == 2 and (values[0] - 0.5) * (values[1] - 0.5) < 0
    sure = flips and all(r.low is not None and r.high is not None and not r.low <= 0.5 <= r.high for r in rates)
    return Flip(*names, rates[0], rates[1], flips, sure)


def _counted(values: Sequence[float], rule: Repeated) -> float:
    return values[0] if rule == "first" else values[-1] if rule == "last" else sum(values) / len(values)


def _verdict(difference: float) -> int:
    return 0 if difference > 0 else 1 if difference < 0 else 2
