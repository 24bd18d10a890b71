"""Win rates as leaderboards print them: mean preference, its standard error, wins, losses and ties, averages of groups.

A preference is a number in [0, 1]: 1 won, 0 lost, 0.5 tied, between them a probability; None (or nan) where nobody
could say. All figures are shares (a leaderboard's per cent divided by 100). For an interval inside [0, 1] that knows of
clusters, see `intervals.win_rate`.

    >>> round(preference_rate([1, 1, 0.5, 0, None]).value, 3), preference_rate([1, None], missing="loss").value
    (0.625, 0.5)
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Preferences = Sequence[float | None] | NDArray[Any]

Missing = Literal["excluded", "loss", "tie"]


@dataclass(frozen=True, slots=True)
class WinRate:
    """`value` is the mean preference, `error` its standard error (sample sd with ddof 1 over sqrt n; None below two),
    `discrete` (wins + ties / 2) / n. `n` counts what the mean is over; `missing` what had no preference."""

    value: float | None
    error: float | None
    discrete: float | None
    n: int
    wins: int
    losses: int
    ties: int
    missing: int


def preference_rate(preferences: Preferences, missing: Missing = "excluded") -> WinRate:
    """Win rate of n preferences, as AlpacaEval and HREF compute it.

    `missing` says what becomes of None: "excluded" (AlpacaEval, MT-Bench), "loss" (HREF), "tie" (PandaLM). Raises
    ValueError where a preference lies outside [0, 1].
    """
    import numpy as np

    given = as_preferences(preferences)
    known = given[~np.isnan(given)]
    values = known if missing == "excluded" else np.where(np.isnan(given), 0.0 if missing == "loss" else 0.5, given)
    n, absent = len(values), len(given) - len(known)
    if n == 0:
        return WinRate(None, None, None, 0, 0, 0, 0, absent)
    wins, losses = int((values > 0.5).sum()), int((values < 0.5).sum())
    ties = n - wins - losses
    error = float(values.std(ddof=1)) / n**0.5 if n > 1 else None
    return WinRate(float(values.mean()), error, (wins + ties / 2) / n, n, wins, losses, ties, absent)


@dataclass(frozen=True, slots=True)
class Averages:
    """`micro` is the mean over all values, `macro` the (weighted) mean of the groups' means; `groups` holds each
    group's mean and n. None where nothing is known."""

    micro: float | None
    macro: float | None
    n: int
    groups: Mapping[Hashable, tuple[float, int]]


def averages(
    values: Preferences, groups: Sequence[Hashable], weights: Mapping[Hashable, float] | None = None
) -> Averages:
    """Micro and macro average of values by group (category, domain); None and nan are left out.

    values, groups: length R. `weights`: of groups in the macro average (1 each unless given; one not named counts 0,
    as in WildBench's table). A group without any value is not part of the macro average.
    """
    import numpy as np

    v = np.array([np.nan if x is None else x for x in values], dtype=float)
    if len(v) != len(groups):
        raise ValueError("values and groups must be of one length")
    numbers: dict[Hashable, int] = {}
    ids = np.array([numbers.setdefault(g, len(numbers)) for g in groups], dtype=np.int64)
    known = ~np.isnan(v)
    counts = np.bincount(ids[known], minlength=len(numbers))
    sums = np.bincount(ids[known], weights=v[known], minlength=len(numbers))
    found = {g: (float(sums[i] / counts[i]), int(counts[i])) for g, i in numbers.items() if counts[i]}
    if not found:
        return Averages(None, None, 0, {})
    weight = {g: 1.0 if weights is None else float(weights.get(g, 0.0)) for g in found}
    total = sum(weight.values())
    macro = sum(weight[g] * mean for g, (mean, _) in found.items()) / total if total > 0 else None
    return Averages(float(v[known].mean()), macro, int(known.sum()), found)


def as_preferences(preferences: Preferences) -> Floats:
    """Preferences as floats, nan where missing; ValueError outside [0, 1]."""
    import numpy as np

    given = np.asarray(preferences, dtype=float)  # None becomes nan
    if given.ndim != 1:
        raise ValueError("preferences must be one row of numbers")
    if ((given < 0) | (given > 1)).any():
        raise ValueError("preferences must lie in [0, 1]")
    return given
