"""Pure functions on arrays: intervals, paired differences, several tests at once, power, and rankings: win rates,
length control, Bradley–Terry, Elo, ranks, agreement, roll-ups.

Nothing here knows a task, a run or a file; missing values are dropped (and counted) by the caller, who gets a
ValueError where some are left. Every figure comes back with its n and its interval.

    >>> from evalsuite.statistics import mean_interval
    >>> mean_interval([1, 0, 1, 1], clusters=["a", "b", "c", "d"]).method
    'wilson'
"""

from evalsuite.statistics.agreement import (
    LeaveOneOut,
    VoteAgreement,
    brier,
    cohen_kappa,
    f1,
    krippendorff_alpha,
    leave_one_out,
    log_loss,
    raw_agreement,
    vote_agreement,
)
from evalsuite.statistics.battles import Battles, battles, style_difference
from evalsuite.statistics.bradley_terry import (
    BradleyTerry,
    BradleyTerryDraws,
    RatingScale,
    bradley_terry,
    bradley_terry_bootstrap,
)
from evalsuite.statistics.correlation import kendall, pearson, spearman
from evalsuite.statistics.elo import EloOrders, EloRule, elo, elo_over_orders
from evalsuite.statistics.intervals import Interval, bootstrap, mean_interval, ratio, wilson, win_rate
from evalsuite.statistics.judged import AnchoredRate, JudgedRate, anchored_rate, judged_rate
from evalsuite.statistics.length_control import (
    GamedRows,
    LengthControlled,
    fit_length_control,
    instruction_difficulty,
    length_controlled,
    tanh_length,
)
from evalsuite.statistics.logistic import logistic_regression
from evalsuite.statistics.multiple import benjamini_hochberg, holm
from evalsuite.statistics.paired import Paired, mcnemar, paired_difference, sign_flip, tango
from evalsuite.statistics.power import minimum_detectable_effect
from evalsuite.statistics.ranks import (
    RankingAgreement,
    Separability,
    competition_ranks,
    interval_ranks,
    order_scores,
    pair_probabilities,
    rank_groups,
    rank_intervals,
    ranking_agreement,
    separability,
)
from evalsuite.statistics.rates import Averages, WinRate, averages, preference_rate
from evalsuite.statistics.rollup import Node, TableCheck, check_table, leaf_paths, rollup

__all__ = [
    "AnchoredRate",
    "Averages",
    "Battles",
    "BradleyTerry",
    "BradleyTerryDraws",
    "EloOrders",
    "EloRule",
    "GamedRows",
    "Interval",
    "JudgedRate",
    "LeaveOneOut",
    "LengthControlled",
    "Node",
    "Paired",
    "RankingAgreement",
    "RatingScale",
    "Separability",
    "TableCheck",
    "VoteAgreement",
    "WinRate",
    "anchored_rate",
    "averages",
    "battles",
    "benjamini_hochberg",
    "bootstrap",
    "bradley_terry",
    "bradley_terry_bootstrap",
    "brier",
    "check_table",
    "cohen_kappa",
    "competition_ranks",
    "elo",
    "elo_over_orders",
    "f1",
    "fit_length_control",
    "holm",
    "instruction_difficulty",
    "interval_ranks",
    "judged_rate",
    "kendall",
    "krippendorff_alpha",
    "leaf_paths",
    "leave_one_out",
    "length_controlled",
    "log_loss",
    "logistic_regression",
    "mcnemar",
    "mean_interval",
    "minimum_detectable_effect",
    "order_scores",
    "pair_probabilities",
    "paired_difference",
    "pearson",
    "preference_rate",
    "rank_groups",
    "rank_intervals",
    "ranking_agreement",
    "ratio",
    "raw_agreement",
    "rollup",
    "separability",
    "sign_flip",
    "spearman",
    "style_difference",
    "tango",
    "tanh_length",
    "vote_agreement",
    "wilson",
    "win_rate",
]
