"""What an audit is made of: figures with n and interval, in sections. `Figure.n` counts rows; `groups` the independent
groups (prompts) among them that the interval stands on, 0 where rows are independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.statistics import Interval, mean_interval, wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `value` None where it cannot be known, with `reason`; a bound says so in its name."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str = "share"
    groups: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Figures on one subject. `aspect` where a file compares several things; `note`: how to read them."""

    name: str
    figures: tuple[Figure, ...]
    note: str = ""
    aspect: str = ""


def share(name: str, values: Any, clusters: Any = None, reason: str = "no such pair") -> Figure:
    """The mean of yes-or-no values (or halves) with an interval inside [0, 1]; rows of a cluster may depend."""
    import numpy as np

    v = np.asarray(values, dtype=float)
    return figure(name, mean_interval(v, clusters=clusters, bounded=True), len(v), reason=reason)


def mean(name: str, values: Any, clusters: Any = None, unit: str = "words") -> Figure:
    import numpy as np

    v = np.asarray(values, dtype=float)
    return figure(name, mean_interval(v, clusters=clusters), len(v), unit, reason="no such pair")


def count(name: str, part: int, n: int, reason: str = "no such pair") -> Figure:
    """`part` of n independent rows, with Wilson's interval."""
    if not n:
        return Figure(name, None, None, None, 0, reason=reason)
    return Figure(name, part / n, *wilson(part, n), n)


def unknown(name: str, reason: str, n: int = 0, unit: str = "share") -> Figure:
    return Figure(name, None, None, None, n, unit, reason=reason)


def figure(name: str, found: Interval, n: int, unit: str = "share", reason: str = "") -> Figure:
    groups = found.n if found.n != n else 0
    return Figure(name, found.value, found.low, found.high, n, unit, groups, reason if found.value is None else "")


def effective(clusters: Sequence[int] | Codes) -> float:
    """How many independent rows clustered rows are worth at least: (Σ m)² / Σ m² (Kish), as if the rows of a cluster
    all said the same."""
    import numpy as np

    sizes = np.unique(np.asarray(clusters), return_counts=True)[1].astype(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0
