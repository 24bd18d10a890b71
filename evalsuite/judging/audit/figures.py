"""Figures of an audit: a value with its n, interval and counts, or None with the reason why there is none."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from evalsuite.statistics import Interval, mean_interval, paired_difference

Unit = Literal["share", "points", "correlation", "tokens", "cost", "grade", "logit"]


@dataclass(frozen=True, slots=True)
class Figure:
    """`n` counts samples (rows of one sample belong together), `hits` of `total` the rows behind a share. `points` is
    a difference of two shares. Where `value` is None, `reason` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: Unit = "share"
    hits: float | None = None
    total: int | None = None
    reason: str = ""
    method: str = "none"


def nothing(reason: str, unit: Unit = "share") -> Figure:
    return Figure(None, unit=unit, reason=reason)


def share(values: Sequence[float], clusters: Sequence[Hashable], reason: str = "no such rows") -> Figure:
    """The mean of values in [0, 1], rows of one cluster together; None with `reason` where there is no row."""
    if not values:
        return nothing(reason)
    found = mean_interval(values, clusters=clusters, bounded=True)
    return Figure(found.value, found.low, found.high, found.n, hits=sum(values), total=len(values), method=found.method)


def mean(values: Sequence[float], clusters: Sequence[Hashable], unit: Unit, reason: str) -> Figure:
    """The mean of any numbers."""
    return of_interval(mean_interval(values, clusters=clusters), unit) if values else nothing(reason, unit)


def difference(a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable], reason: str) -> Figure:
    """Mean a − b over paired rows, in points."""
    if not a:
        return nothing(reason, "points")
    found = paired_difference(a, b, clusters)
    return Figure(found.value, found.low, found.high, found.n, "points", total=len(a), method=found.method)


def of_interval(found: Interval, unit: Unit, reason: str = "too few samples") -> Figure:
    if found.value is None or found.value != found.value:
        return nothing(reason, unit)
    return Figure(found.value, found.low, found.high, found.n, unit, method=found.method)
