"""Agreement of labels: raw, kappa, F1, alpha, votes counted as MT-Bench does, and the leave-one-out human ceiling.

Labels are anything hashable; None is a label like any other here, so drop (and count) missing ones first, or keep them
where a convention counts "no answer" as an answer of its own.

    >>> cohen_kappa([1, 1, 2, 2], [1, 1, 2, 1]).value
    0.5
    >>> leave_one_out([["a", "a", "b"]], ["a"]).outer.value > leave_one_out([["a", "a", "b"]]).inner.value
    True
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.statistics.intervals import NORMAL, Interval, mean_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = Sequence[Hashable] | NDArray[Any]


def raw_agreement(a: Labels, b: Labels, clusters: Sequence[Hashable] | None = None, level: float = 0.95) -> Interval:
    """Share of n items with equal labels."""
    if len(a) != len(b):
        raise ValueError("labels must be of one length")
    return mean_interval([float(x == y) for x, y in zip(a, b, strict=True)], clusters=clusters, level=level)


def cohen_kappa(
    a: Labels,
    b: Labels,
    weights: Literal["linear", "quadratic"] | None = None,
    labels: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Interval:
    """Cohen's kappa of two raters over n items, with a large-sample interval (method "kappa").

    Weighted kappa takes the order of `labels` (sorted, unless given), disagreement growing with the distance (squared).
    None where chance agreement is complete (both always say the same one label). Source: Cohen, Psychol. Bull. 70
    (1968); Fleiss, Cohen & Everitt, Psychol. Bull. 72 (1969) for the variance.
    """
    import numpy as np

    table = _table(a, b, labels)
    n = float(table.sum())
    if n == 0:
        return Interval(None, None, None, 0, "none")
    shares = table / n
    places = np.arange(len(table))
    distance = np.abs(places[:, None] - places) / max(len(table) - 1, 1)
    credit = np.eye(len(table)) if weights is None else 1 - (distance if weights == "linear" else distance**2)
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, expected = float((credit * shares).sum()), float(rows @ credit @ columns)
    if expected >= 1 - 1e-12:
        return Interval(None, None, None, int(n), "none")
    kappa = (observed - expected) / (1 - expected)
    margins = (credit @ columns)[:, None] + (rows @ credit)[None, :]
    inner = (shares * (credit - margins * (1 - kappa)) ** 2).sum() - (kappa - expected * (1 - kappa)) ** 2
    half = NORMAL.inv_cdf(0.5 + level / 2) * float(max(inner, 0.0) / n) ** 0.5 / (1 - expected)
    return Interval(kappa, max(-1.0, kappa - half), min(1.0, kappa + half), int(n), "kappa")


def f1(
    truth: Labels,
    predicted: Labels,
    average: Literal["macro", "weighted"] = "macro",
    labels: Sequence[Hashable] | None = None,
) -> float | None:
    """F1 averaged over `labels` (all that occur on either side, unless given), each once or by its count in `truth`.

    F1 of a label is 2·hits / (times true + times predicted), 0 where it is never hit. None where there is no item.
    """
    if len(truth) != len(predicted):
        raise ValueError("labels must be of one length")
    wanted = list(dict.fromkeys([*truth, *predicted])) if labels is None else list(labels)
    true, said = Counter(truth), Counter(predicted)
    hits = Counter(t for t, p in zip(truth, predicted, strict=True) if t == p)
    scores = [2 * hits[x] / (true[x] + said[x]) if hits[x] else 0.0 for x in wanted]
    shares = [1.0 if average == "macro" else float(true[x]) for x in wanted]
    total = sum(shares)
    return sum(s * w for s, w in zip(scores, shares, strict=True)) / total if total else None


def krippendorff_alpha(
    ratings: Sequence[Sequence[float | str | None]], level: Literal["nominal", "ordinal", "interval"] = "nominal"
) -> float | None:
    """Krippendorff's alpha of units that each carry the values of any number of raters.

    ratings: for each unit its values (None: not rated); units with fewer than two are left out. None where nothing can
    be paired, or all values are one. Source: Krippendorff, Content Analysis (2004), chapter 11.
    """
    import numpy as np

    units = [[v for v in unit if v is not None] for unit in ratings]
    units = [unit for unit in units if len(unit) > 1]
    values = sorted({v for unit in units for v in unit}, key=lambda v: (isinstance(v, str), v))
    if len(values) < 2:
        return None
    place = {v: i for i, v in enumerate(values)}
    coincidence = np.zeros((len(values), len(values)))
    for unit in units:
        counts = np.bincount([place[v] for v in unit], minlength=len(values)).astype(float)
        coincidence += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    totals = coincidence.sum(axis=1)
    if level == "nominal":
        distance = 1 - np.eye(len(values))
    elif level == "interval":
        numbers = np.array(values, dtype=float)
        distance = (numbers[:, None] - numbers) ** 2
    else:  # how many values lie between, those at the ends by half
        middle = np.cumsum(totals) - totals / 2
        distance = (middle[:, None] - middle) ** 2
    n = totals.sum()
    return float(1 - (n - 1) * (coincidence * distance).sum() / (totals @ distance @ totals))


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """`inner`: how often a person agrees with the mode of the others; `outer`: how often the judge agrees with those
    same modes, so that the two compare. `n` of both counts items with at least two people."""

    inner: Interval
    outer: Interval | None


def leave_one_out(
    people: Sequence[Sequence[Hashable]], judge: Labels | None = None, level: float = 0.95
) -> LeaveOneOut:
    """The human ceiling (HREF): each person's label against the mode of the others' on the item, and a judge's label
    against the same targets.

    people: for each item the labels of those who gave one; judge: one label for each item. Where several labels share
    the mode, agreement with one of them counts 1 over their number (the expectation of HREF's random choice). Items of
    one person are left out. Intervals treat items as clusters.
    """
    if judge is not None and len(judge) != len(people):
        raise ValueError("the judge needs one label for each item")
    inner: list[float] = []
    outer: list[float] = []
    items: list[int] = []
    for i, labels in enumerate(people):
        if len(labels) < 2:
            continue
        counts = Counter(labels)
        for label in labels:
            modes = _modes(counts, label)
            inner.append((label in modes) / len(modes))
            if judge is not None:
                outer.append((judge[i] in modes) / len(modes))
            items.append(i)
    return LeaveOneOut(
        mean_interval(inner, clusters=items, level=level, bounded=True),
        None if judge is None else mean_interval(outer, clusters=items, level=level, bounded=True),
    )


@dataclass(frozen=True, slots=True)
class VoteAgreement:
    """Equal votes among compared ones: over all, and over those in which neither side is a tie."""

    equal: int
    compared: int
    decisive_equal: int
    decisive_compared: int


def vote_agreement(
    keys: Sequence[Hashable],
    votes: Sequence[float],
    other_keys: Sequence[Hashable] | None = None,
    other_votes: Sequence[float] | None = None,
) -> VoteAgreement:
    """MT-Bench's agreement: every vote of one side with every vote of the other on the same key.

    keys: what is voted on (question and the pair of models, in one order); votes: 1, 0.5 (tie) or 0 for the first of
    the pair. Without another side: every two votes of the same side on a key.
    """
    mine = _by_key(keys, votes)
    equal = compared = decisive_equal = decisive = 0
    theirs = mine if other_keys is None or other_votes is None else _by_key(other_keys, other_votes)
    for key in mine.keys() & theirs.keys():
        a, b = mine[key], theirs[key]
        for vote, count in a.items():
            for other, times in b.items():
                pairs = count * times if theirs is not mine else count * (times - (vote == other))
                equal += pairs * (vote == other)
                compared += pairs
                both = pairs * (vote != 0.5 and other != 0.5)
                decisive += both
                decisive_equal += both * (vote == other)
    half = 2 if theirs is mine else 1  # within one side each pair was met twice
    return VoteAgreement(equal // half, compared // half, decisive_equal // half, decisive // half)


def brier(probabilities: Sequence[float], outcomes: Sequence[float]) -> float | None:
    """Mean squared distance of forecasts from what happened (1 or 0)."""
    if len(probabilities) != len(outcomes):
        raise ValueError("forecasts and outcomes must be of one length")
    return sum((p - y) ** 2 for p, y in zip(probabilities, outcomes, strict=True)) / len(outcomes) if outcomes else None


def log_loss(probabilities: Sequence[float], outcomes: Sequence[float]) -> float | None:
    """Mean −log of the chance given to what happened (outcomes 1, 0, or shares between); infinite where that was 0."""
    import numpy as np
    from scipy.special import xlogy

    p, y = np.asarray(probabilities, dtype=float), np.asarray(outcomes, dtype=float)
    if p.shape != y.shape:
        raise ValueError("forecasts and outcomes must be of one length")
    return float(-(xlogy(y, p) + xlogy(1 - y, 1 - p)).mean()) if len(p) else None


def _modes(counts: Counter[Hashable], without: Hashable) -> set[Hashable]:
    """The most frequent labels when one of `without` is taken away."""
    rest = {label: n - (label == without) for label, n in counts.items()}
    most = max(rest.values())
    return {label for label, n in rest.items() if n == most}


def _by_key(keys: Sequence[Hashable], votes: Sequence[float]) -> dict[Hashable, Counter[float]]:
    if len(keys) != len(votes):
        raise ValueError("keys and votes must be of one length")
    found: dict[Hashable, Counter[float]] = defaultdict(Counter)
    for key, vote in zip(keys, votes, strict=True):
        found[key][float(vote)] += 1
    return found


def _table(a: Labels, b: Labels, labels: Sequence[Hashable] | None) -> Floats:
    """Counts (L, L): rows of `a`, columns of `b`. ValueError where a label is not among those given."""
    import numpy as np

    if len(a) != len(b):
        raise ValueError("labels must be of one length")
    if labels is None:
        labels = _ordered({*a, *b})
    place = {label: i for i, label in enumerate(labels)}
    unknown = sorted({str(x) for x in (*a, *b) if x not in place})
    if unknown:
        raise ValueError(f"labels that are not among {list(labels)}: {', '.join(unknown)}")
    table = np.zeros((len(place), len(place)))
    np.add.at(table, ([place[x] for x in a], [place[x] for x in b]), 1.0)
    return table


def _ordered(labels: set[Any]) -> list[Any]:
    numbers = all(isinstance(x, (int, float)) for x in labels)
    return sorted(labels) if numbers else sorted(labels, key=lambda x: (type(x).__name__, str(x)))
