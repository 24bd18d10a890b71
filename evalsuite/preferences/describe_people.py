"""Who labelled, how far they agree, and whether groups of them ask or prefer differently (PRISM's question).

Groups come from `metadata.profile` (loading.py joins profiles to annotators). Dialogue diversity is the mean Jaccard
distance between the words of two prompts by different people; preference diversity compares groups by how often they
prefer the longer answer and by their order of the models. Whether groups differ is tested by dealing the people (not
the rows) to groups at random: rows of one person are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.describe_figures import Figure, Section, figure, mean, share, unknown
from evalsuite.preferences.describe_near import jaccard
from evalsuite.preferences.describe_text import Labels, Texts
from evalsuite.preferences.duplicates import Keys, plain
from evalsuite.preferences.table import prompt_of
from evalsuite.statistics import krippendorff_alpha, ratio, spearman

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]
    Flags = NDArray[np.bool_]

FIELDS = 8
"""Fields of profiles that are looked at: those that most people have."""
PEOPLE, ROWS = 3, 30
"""A group with fewer people or decided pairs is not shown."""
MOST = 20_000
"""Decided pairs that groups are compared on, drawn at random where there are more: their prompts are held."""
DEALS = 500
METS = 400
LOOK = 200
"""Rows that are looked at for profiles before all are."""
MODELS, BATTLES = 4, 10


def people(found: Keys) -> Section:
    """How many people, how evenly, and how far those agree who labelled the same pair."""
    import numpy as np

    named = np.array([bool(name) for name in found.annotators])[found.annotator]
    if not named.any():
        return Section("annotators", (unknown("annotators agree", "the data names no annotators"),))
    counts = np.bincount(found.annotator[named])
    counts = counts[counts > 0]
    figures = [
        Figure("annotators", float(len(counts)), None, None, int(named.sum()), "people"),
        Figure("labels of one annotator, median", float(np.median(counts)), None, None, len(counts), "labels"),
        Figure("labels of the busiest annotator", float(counts.max() / counts.sum()), None, None, int(counts.sum())),
    ]
    figures += agreement(found, named)
    return Section("annotators", tuple(figures), "alpha: 1 is full agreement, 0 chance; ties are a third label")


def agreement(found: Keys, use: Flags) -> list[Figure]:
    """Pairwise agreement and Krippendorff's alpha (nominal) over pairs that several annotators labelled; the interval
    of alpha resamples the pairs."""
    import numpy as np

    use = use & ~np.isnan(found.forward)
    units, codes = np.unique(found.pair[use], return_inverse=True)
    verdict = np.digitize(found.forward[use], [0.5, np.nextafter(0.5, 1)])  # 0 the other, 1 tie, 2 the first
    counts = np.zeros((len(units), 3))
    np.add.at(counts, (codes, verdict), 1)
    counts = counts[counts.sum(axis=1) > 1]
    if not len(counts):
        reason = "no pair is labelled by two annotators"
        return [unknown("two annotators agree", reason), unknown("Krippendorff's alpha", reason, unit="")]
    sizes = counts.sum(axis=1)
    same = ratio((counts * (counts - 1)).sum(axis=1), sizes * (sizes - 1))
    value = krippendorff_alpha([[v for v in range(3) for _ in range(int(row[v]))] for row in counts])
    low, high = _alpha_interval(counts)
    n = len(counts)
    return [
        Figure("two annotators agree", same.value, _held(same.low), _held(same.high), n),
        Figure("Krippendorff's alpha", value, low, high, n, "", reason="" if value is not None else "one label only"),
    ]


def _held(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, value))


def _alpha_interval(counts: Floats, draws: int = 1000) -> tuple[float | None, float | None]:
    """95% percentile interval of nominal alpha over resampled units (n, values)."""
    import numpy as np

    rng = np.random.default_rng(0)
    sizes = counts.sum(axis=1)
    within = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)  # disagreeing ordered label pairs, as alpha weighs them
    found = []
    for _ in range(draws if len(counts) > 1 else 0):
        weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)))
        totals = weights @ counts
        n = totals.sum()
        expected = (n**2 - (totals**2).sum()) / (n - 1)
        if expected > 0:
            found.append(1 - float(weights @ within) / expected)
    if len(found) < draws / 2 or not found:
        return None, None
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class Panel:
    """What groups are compared by, a row a decided pair: annotator, value of the field (or ""), whether the longer
    answer was preferred (NaN: equal lengths), the words of the prompt, and the models."""

    annotator: Codes
    group: NDArray[np.object_]
    longer: Floats
    prompts: list[frozenset[str]]
    first: NDArray[np.object_]
    second: NDArray[np.object_]
    preference: Floats


def groups(pairs: Pairs, found: Keys, texts: Texts, labels: Labels) -> list[Section]:
    """A section for each of the profile's fields with at least two groups that are large enough."""
    import numpy as np

    rows: Any = np.flatnonzero(labels.decided)
    if not any(p.metadata.get("profile") for p in pairs.take(rows[:: max(1, len(rows) // LOOK)])):
        return []
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
    profiles: list[Mapping[str, Any]] = [p.metadata.get("profile") or {} for p in pairs.take(rows)]
    fields: dict[str, int] = {}
    for profile in profiles:
        for name in profile:
            fields[name] = fields.get(name, 0) + 1
    difference = texts.words[rows, 0].astype(float) - texts.words[rows, 1]
    longer = np.where(difference == 0, np.nan, (difference > 0) == labels.first[rows])
    some = pairs.take(rows)
    words = [frozenset(plain(prompt_of(p.messages)).split()) for p in some]
    models = some.column("model_a"), some.column("model_b")
    sections = []
    for name in sorted(fields, key=lambda f: (-fields[f], f))[:FIELDS]:
        group = np.array([str(p.get(name, "")) for p in profiles], dtype=object)
        panel = Panel(found.annotator[rows], group, longer, words, *models, some.preference)
        shown = [g for g in sorted(set(group) - {""}) if _large(panel, g)]
        if len(shown) > 1:
            sections.append(_section(name, panel, shown))
    return sections


def _large(panel: Panel, group: str) -> bool:
    mine = panel.group == group
    return int(mine.sum()) >= ROWS and len(set(panel.annotator[mine])) >= PEOPLE


def _section(name: str, panel: Panel, shown: list[str]) -> Section:
    import numpy as np

    figures = []
    for group in shown:
        mine = (panel.group == group) & ~np.isnan(panel.longer)
        figures.append(share(f"{group}: prefers the longer", panel.longer[mine], panel.annotator[mine]))
    among = np.isin(panel.group, shown) & ~np.isnan(panel.longer)
    p = dealt(panel.longer[among], panel.annotator[among], panel.group[among])
    people = len(set(panel.annotator[among]))
    figures.append(Figure("groups differ in that (p)", p, None, None, people, "p"))
    figures.append(_diversity("everybody: distance of two prompts", panel, np.isin(panel.group, shown)))
    figures += [_diversity(f"{g}: distance of two prompts", panel, panel.group == g) for g in shown]
    figures += [_order(f"{g}: order of models as of the others", panel, panel.group == g) for g in shown]
    return Section(f"groups by {name}", tuple(figures), "intervals and p by people; with many fields some p fall low")


def dealt(values: Any, people: Any, group: Any, seed: int = 0) -> float:
    """p of equal group means, when people are dealt to groups at random (statistic: between-group sum of squares of
    people's sums, weighted by rows)."""
    import numpy as np

    who, codes = np.unique(people, return_inverse=True)
    _, member = np.unique(group.astype(str), return_inverse=True)
    of = np.zeros(len(who), dtype=np.int64)
    of[codes] = member
    sums, sizes = np.bincount(codes, weights=values), np.bincount(codes).astype(float)
    centred = sums - sizes * (sums.sum() / sizes.sum())

    def spread(of: Any) -> float:
        total, rows = np.bincount(of, weights=centred), np.bincount(of, weights=sizes)
        return float((total[rows > 0] ** 2 / rows[rows > 0]).sum())

    rng = np.random.default_rng(seed)
    seen = spread(of)
    as_far = sum(spread(rng.permutation(of)) >= seen - 1e-12 for _ in range(DEALS))
    return (1 + as_far) / (1 + DEALS)


def _diversity(name: str, panel: Panel, mine: Any) -> Figure:
    """Mean distance of prompts by two different people, over pairs of rows of which none is used twice."""
    import numpy as np

    rows = np.random.default_rng(0).permutation(np.flatnonzero(mine))
    met = [(i, j) for i, j in zip(rows[::2], rows[1::2], strict=False) if panel.annotator[i] != panel.annotator[j]]
    return mean(name, [1 - jaccard(panel.prompts[i], panel.prompts[j]) for i, j in met[:METS]], unit="distance")


def _order(name: str, panel: Panel, mine: Any) -> Figure:
    """Spearman's correlation of models' win rates in a group and among the others."""
    ours, theirs = (_rates(panel, side) for side in (mine, ~mine))
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) < MODELS:
        return unknown(name, f"fewer than {MODELS} models with {BATTLES} pairs each", unit="")
    return figure(name, spearman([ours[m] for m in shared], [theirs[m] for m in shared]), len(shared), "")


def _rates(panel: Panel, mine: Any) -> dict[str, float]:
    import numpy as np

    wins: dict[str, list[float]] = {}
    for row in np.flatnonzero(mine):
        a, b, preference = panel.first[row], panel.second[row], float(panel.preference[row])
        if a and b and a != b:
            wins.setdefault(a, []).append(preference)
            wins.setdefault(b, []).append(1 - preference)
    return {model: sum(v) / len(v) for model, v in wins.items() if len(v) >= BATTLES}
