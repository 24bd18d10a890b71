"""How far a judge agrees with people, and how far people agree with each other.

Conventions: every vote of a person is one comparison (MT-Bench, Zheng et al. 2023), or a majority is formed first;
"with ties" counts a tie as a third answer, "without ties" leaves a comparison out where either side ties. Intervals
keep comparisons on one sample together.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from evalsuite.judging.audit.figures import Figure, difference, nothing, of_interval, share
from evalsuite.judging.audit.items import Item, Rule, Vote, label, outcome
from evalsuite.statistics import bootstrap

if TYPE_CHECKING:
    from evalsuite.statistics.intervals import Floats

RESAMPLES = 2000
NO_PEOPLE = "no pair has both a verdict of the judge and a person's vote"
Who = Callable[[Vote], bool]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two labels (1, 0, -1) on one pair, of a judge and a person, or of two people."""

    a: int
    b: int
    cluster: str


@dataclass(frozen=True, slots=True)
class Agreement:
    with_ties: Figure
    without_ties: Figure


def everybody(vote: Vote) -> bool:
    return True


def with_people(items: Sequence[Item], rule: Rule = "mean", who: Who = everybody) -> list[Comparison]:
    """The judge's outcome against every single vote."""
    found = []
    for item in items:
        said = label(outcome(item.judge, rule))
        if said is not None:
            found += [Comparison(said, v.label, item.cluster) for v in item.people if v.label is not None and who(v)]
    return found


def with_majority(items: Sequence[Item], rule: Rule = "mean") -> list[Comparison]:
    """The judge's outcome against the majority of each pair's votes; no majority is a tie."""
    found = []
    for item in items:
        said, people = label(outcome(item.judge, rule)), majority(item.people)
        if said is not None and people is not None:
            found.append(Comparison(said, people, item.cluster))
    return found


def each_verdict(items: Sequence[Item], who: Who = everybody) -> list[Comparison]:
    """Every single verdict of the judge (each order for itself) against every vote: LLMBar's accuracy."""
    return [
        Comparison(said.label, v.label, item.cluster)
        for item in items
        for said in item.judge
        for v in item.people
        if said.label is not None and v.label is not None and who(v)
    ]


def among_people(items: Sequence[Item], a: Who = everybody, b: Who | None = None) -> list[Comparison]:
    """Votes of two people on one pair: all unordered pairs of `a`'s, or each of `a`'s with each of `b`'s."""
    found = []
    for item in items:
        votes = [v for v in item.people if v.label is not None]
        if b is None:
            pairs = list(combinations([v for v in votes if a(v)], 2))
        else:
            pairs = [(x, y) for x in votes if a(x) for y in votes if b(y)]
        found += [Comparison(x.label or 0, y.label or 0, item.cluster) for x, y in pairs if x.voter != y.voter]
    return found


def agreement(comparisons: Sequence[Comparison], reason: str = NO_PEOPLE) -> Agreement:
    decided = [c for c in comparisons if c.a and c.b]
    return Agreement(
        share([float(c.a == c.b) for c in comparisons], [c.cluster for c in comparisons], reason),
        share(
            [float(c.a == c.b) for c in decided],
            [c.cluster for c in decided],
            "one side ties on every pair" if comparisons else reason,
        ),
    )


def majority(votes: Sequence[Vote]) -> int | None:
    """The most frequent label; a tie where two labels are equally frequent; None without votes."""
    counts = Counter(v.label for v in votes if v.label is not None).most_common(2)
    if not counts:
        return None
    return 0 if len(counts) > 1 and counts[0][1] == counts[1][1] else counts[0][0]


def group_of(vote: Vote) -> str:
    """A person's kind by name: "expert" of "expert_17"."""
    return re.sub(r"[\W_]*\d+$", "", vote.voter) or "people"


def of_group(name: str) -> Who:
    return lambda vote: group_of(vote) == name


def people_groups(items: Sequence[Item]) -> list[str]:
    """Kinds of people that the names tell apart, where there are a few (MT-Bench's experts and authors)."""
    groups = {group_of(v) for item in items for v in item.people}
    return sorted(groups) if 2 <= len(groups) <= 4 else []


def grouped(items: Sequence[Item], rule: Rule = "mean") -> dict[str, Agreement]:
    """Agreement of the judge with each kind of people, and of the kinds with each other: {"judge - expert": ...}."""
    found = {}
    groups = people_groups(items)
    for g in groups:
        found[f"judge - {g}"] = agreement(with_people(items, rule, of_group(g)))
    for i, g in enumerate(groups):
        for h in groups[i:]:
            comparisons = among_people(items, of_group(g), None if g == h else of_group(h))
            if comparisons:
                found[f"{g} - {h}"] = agreement(comparisons)
    return found


@dataclass(frozen=True, slots=True)
class Ceiling:
    """`person`: one person against the most frequent label of the others; `judge`: the judge against the same labels;
    `gap`: judge minus person, paired."""

    person: Figure
    judge: Figure
    gap: Figure


def ceiling(items: Sequence[Item], rule: Rule = "mean", others: int = 1) -> Ceiling:
    """Leave-one-out agreement of people, and the judge's by the same targets (HREF; AlpacaEval's evaluator analysis).

    Where the others are split between labels, each of these counts in equal parts (the expectation of HREF's random
    draw). `others`: how many must be left.
    """
    person, judged, judge, clusters, decided = [], [], [], [], []
    for item in items:
        votes = [v.label for v in item.people if v.label is not None]
        said = label(outcome(item.judge, rule))
        for i, mine in enumerate(votes):
            rest = Counter(votes[:i] + votes[i + 1 :])
            if rest.total() < others:
                continue
            top = [found for found, count in rest.items() if count == max(rest.values())]
            person.append((mine in top) / len(top))
            clusters.append(item.cluster)
            if said is not None:
                judged.append(person[-1])
                judge.append((said in top) / len(top))
                decided.append(item.cluster)
    reason = "no pair has the votes of two people"
    return Ceiling(
        share(person, clusters, reason), share(judge, decided, reason), difference(judge, judged, decided, reason)
    )


def kappa(comparisons: Sequence[Comparison], seed: int = 0) -> Figure:
    """Cohen's kappa over the labels that occur, with a bootstrap over samples (agreement beyond chance)."""
    import numpy as np

    if not comparisons:
        return nothing(NO_PEOPLE, "correlation")
    a, b = (np.array([getattr(c, side) for c in comparisons]) for side in ("a", "b"))
    names = np.unique(np.concatenate([a, b]))
    left, right = (a[:, None] == names).astype(float), (b[:, None] == names).astype(float)
    same = (a == b).astype(float)

    def figure(weights: "Floats") -> "Floats":
        total = weights.sum(axis=1)
        chance = ((weights @ left) * (weights @ right)).sum(axis=1) / np.maximum(total, 1) ** 2
        observed = weights @ same / np.maximum(total, 1)
        free = (chance < 1) & (total > 0)
        return np.where(free, (observed - chance) / np.where(free, 1 - chance, 1), np.nan)

    clusters = [c.cluster for c in comparisons]
    found = bootstrap(same, clusters=clusters, statistic=figure, resamples=RESAMPLES, seed=seed)
    return of_interval(found, "correlation", "all labels are the same: nothing is left beyond chance")


def win_rates(votes: Sequence[Vote]) -> dict[str, float]:
    """Each model's mean preference over all votes that name it, ties half."""
    said: dict[str, list[float]] = defaultdict(list)
    for vote in votes:
        if vote.preference is not None:
            said[vote.key[2]].append(vote.preference)
            said[vote.key[3]].append(1 - vote.preference)
    return {model: sum(values) / len(values) for model, values in sorted(said.items())}


def rank_agreement(items: Sequence[Item], rule: Rule = "mean", seed: int = 0) -> Figure:
    """Spearman's correlation of models' win rates by the judge and by people, on the pairs that both decided; the
    interval resamples samples, so it says how sure the order is for these models, not for others."""
    import numpy as np
    from scipy.stats import rankdata

    both = [(item, outcome(item.judge, rule), _people(item)) for item in items]
    rows = [(item, j, p) for item, j, p in both if j is not None and p is not None]
    models = sorted({m for item, _, _ in rows for m in item.key[2:]})
    if len(models) < 3:
        return nothing(f"{len(models)} models: an order needs at least 3", "correlation")
    one, two = (np.array([[item.key[side] == m for m in models] for item, _, _ in rows], float) for side in (2, 3))
    sides = [np.array([[row[k]] for row in rows], float) for k in (1, 2)]
    wins = [one * s + two * (1 - s) for s in sides]

    def figure(weights: "Floats") -> "Floats":
        played = weights @ (one + two)
        whole = (played > 0).all(axis=1)
        ranks = [rankdata(weights @ w / np.maximum(played, 1e-12), axis=1) for w in wins]
        centred = [r - r.mean(axis=1, keepdims=True) for r in ranks]
        scale = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
        free = whole & (scale > 0)
        return np.where(free, (centred[0] * centred[1]).sum(axis=1) / np.where(free, scale, 1), np.nan)

    found = bootstrap(
        np.ones(len(rows)), clusters=[i.cluster for i, _, _ in rows], statistic=figure, resamples=RESAMPLES, seed=seed
    )
    return of_interval(found, "correlation", "all models win equally often")


def _people(item: Item) -> float | None:
    given = [v.preference for v in item.people if v.preference is not None]
    return sum(given) / len(given) if given else None
