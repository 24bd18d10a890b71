"""Pure functions on arrays: intervals, paired differences, several tests at once, power.

Nothing here knows a task, a run or a file; missing values are dropped (and counted) by the caller, who gets a
ValueError where some are left. Every figure comes back with its n and its interval.

    >>> from evalsuite.statistics import mean_interval
    >>> mean_interval([1, 0, 1, 1], clusters=["a", "b", "c", "d"]).method
    'wilson'
"""

from evalsuite.statistics.intervals import Interval, bootstrap, mean_interval, ratio, wilson, win_rate
from evalsuite.statistics.multiple import benjamini_hochberg, holm
from evalsuite.statistics.paired import Paired, mcnemar, paired_difference, sign_flip, tango
from evalsuite.statistics.power import minimum_detectable_effect

__all__ = [
    "Interval",
    "Paired",
    "benjamini_hochberg",
    "bootstrap",
    "holm",
    "mcnemar",
    "mean_interval",
    "minimum_detectable_effect",
    "paired_difference",
    "ratio",
    "sign_flip",
    "tango",
    "wilson",
    "win_rate",
]
