"""How far a judge's verdicts on one model mean what they say: calibration, against people or else against itself.

Against people, where a person's annotations of the same pairs lie beside the run: where the judge says 80% for this
model, do people say so in 80%? Without people, against its own second look: where it says 80% in one order of the two
answers, does it choose this model in 80% with the answers exchanged? That is necessary and not sufficient: a judge may
be steadily wrong.

>>> found = calibration(rows, "sft", "base")                                        # doctest: +SKIP
>>> found.against, found.n, found.ece
('people', 120, 0.08)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from evalsuite.judging import Annotation
from evalsuite.statistics import Interval, mean_interval

BINS, FEWEST = 5, 20
PERSON = "person"


@dataclass(frozen=True, slots=True)
class Bin:
    """Verdicts between `low` and `high`: their mean, and the rate at which this model was chosen with its interval."""

    low: float
    high: float
    said: float
    found: Interval
    n: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """`ece`: mean distance of what was said from what was found, by bin; `brier`: mean squared one, by verdict. `n`
    counts pairs of answers."""

    against: Literal["people", "its own verdict in the other order"]
    bins: tuple[Bin, ...]
    ece: float
    brier: float
    n: int


Pair = tuple[str, float, float]  # sample, what was said, what was found


def calibration(rows: Sequence[Annotation], model: str, against: str) -> Calibration | None:
    """Of one judge's rows (and any person's) on this model against another; None for fewer than FEWEST pairs."""
    own = [r for r in rows if (r.model_a, r.model_b) == (model, against) and r.preference is not None]
    people = [r for r in own if r.judge == PERSON]
    judged = [r for r in own if r.judge != PERSON]
    by_people = list(_with_people(judged, people))
    if len({sample for sample, *_ in by_people}) >= FEWEST:
        return _of(by_people, "people")
    by_itself = list(_with_itself(judged))
    if len({sample for sample, *_ in by_itself}) >= FEWEST:
        return _of(by_itself, "its own verdict in the other order")
    return None


def _by_sample(rows: Sequence[Annotation]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.preference is not None:
            found.setdefault(row.sample, []).append(row.preference)
    return found


def _with_people(judged: Sequence[Annotation], people: Sequence[Annotation]) -> Iterator[Pair]:
    voted = {sample: fmean(votes) for sample, votes in _by_sample(people).items()}
    for sample, said in _by_sample(judged).items():
        if sample in voted:
            yield sample, fmean(said), voted[sample]


def _with_itself(judged: Sequence[Annotation]) -> Iterator[Pair]:
    """Each order against the other: a choice is 1, a tie one half."""
    orders = {order: _by_sample([r for r in judged if r.order == order]) for order in ("ab", "ba")}
    for order, other in (("ab", "ba"), ("ba", "ab")):
        for sample, said in orders[order].items():
            if sample in orders[other]:
                again = fmean(orders[other][sample])
                yield sample, fmean(said), 0.5 if again == 0.5 else float(again > 0.5)


def _of(pairs: Sequence[Pair], against: Literal["people", "its own verdict in the other order"]) -> Calibration:
    bins, distance = [], 0.0
    for k in range(BINS):
        own = [p for p in pairs if min(BINS - 1, int(p[1] * BINS)) == k]
        if own:
            found = mean_interval([f for _, _, f in own], clusters=[s for s, *_ in own], bounded=True)
            said = fmean(s for _, s, _ in own)
            bins.append(Bin(k / BINS, (k + 1) / BINS, said, found, len({s for s, *_ in own})))
            distance += len(own) * abs(said - fmean(f for *_, f in own))
    brier = fmean((said - found) ** 2 for _, said, found in pairs)
    return Calibration(against, tuple(bins), distance / len(pairs), brier, len({s for s, *_ in pairs}))
