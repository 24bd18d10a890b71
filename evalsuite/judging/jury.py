"""Several judge models decide together: their rows become a jury's rows, and how far they disagree is measured.

Every juror is asked through the ordinary path, with the same judge and cases, and its rows stay what they are. The jury
decides each order of a pair for itself, so that whatever is measured of a judge (flips, position, agreement with
people) is measured of a jury by the same functions.

    rows = judge_cases(cases, judge, ask_m1, "m1") + judge_cases(cases, judge, ask_m2, "m2") + ...
    decided = convene(rows, Jury(rule="mean"))                  # judge_model "jury(m1,m2,m3)"
    disagreement(rows).alpha                                    # Krippendorff's alpha with its interval
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import Annotation, Status
from evalsuite.statistics import Interval, bootstrap, mean_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Rule = Literal["mean", "majority"]
Level = Literal["nominal", "interval"]
RULES: tuple[Rule, ...] = ("mean", "majority")
UNASKED = ("identical", "empty")
Place = tuple[str, str, int, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Jury:
    """`rule`: "mean" of what the jurors say, or "majority": each juror has one vote for a winner or a tie, and where no
    verdict has more votes than every other, the jury is tied (of grades the median). `quorum`: how many jurors must
    have a verdict, 0 for more than half of them; below it the jury has none."""

    rule: Rule = "mean"
    quorum: int = 0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise JudgeError(f"jury: the rule '{self.rule}' is not known (one of {', '.join(RULES)})")

    def needed(self, jurors: int) -> int:
        if self.quorum > jurors:
            raise JudgeError(f"jury: a quorum of {self.quorum} is wanted of {jurors} judge models")
        return self.quorum or jurors // 2 + 1


def convene(annotations: Sequence[Annotation], jury: Jury | None = None) -> list[Annotation]:
    """One row for each verdict that the jurors were asked for, in the order of their first rows.

    `judge_model` is "jury(M1,M2,...)", tokens and costs are summed, `details` hold what each juror said. Raises
    JudgeError where there are not two judge models, or rows of several judges.
    """
    jury = jury or Jury()
    jurors = _jurors(annotations)
    needed = jury.needed(len(jurors))
    name = f"jury({','.join(jurors)})"
    return [_decided(rows, jurors, jury, needed, name) for rows in _placed(annotations).values()]


def _jurors(annotations: Sequence[Annotation]) -> list[str]:
    judges = sorted({row.judge for row in annotations})
    jurors = list(dict.fromkeys(row.judge_model for row in annotations))
    if len(judges) > 1:
        raise JudgeError(f"jury: the rows are of several judges ({', '.join(judges)}); jurors answer one question")
    if len(jurors) < 2:
        raise JudgeError("jury: two judge models or more are needed: --judge-model M1 --judge-model M2")
    return jurors


def _placed(annotations: Sequence[Annotation]) -> dict[Place, dict[str, Annotation]]:
    """Each juror's row on the same verdict. A juror asked twice for one counts once: its last row."""
    found: dict[Place, dict[str, Annotation]] = defaultdict(dict)
    for row in annotations:
        place = (row.task, row.sample, row.repeat, row.model_a, row.model_b, row.order, row.aspect)
        found[place][row.judge_model] = row
    return dict(found)


def _decided(rows: Mapping[str, Annotation], jurors: Sequence[str], jury: Jury, needed: int, name: str) -> Annotation:
    said = {model: _value(rows[model]) if model in rows else None for model in jurors}
    given = [value for value in said.values() if value is not None]
    base = next(iter(rows.values()))
    grades = any(row.score is not None for row in rows.values())
    value = _together(given, jury.rule, grades) if len(given) >= needed else None
    costs = [row.cost for row in rows.values()]
    statuses: Counter[Status] = Counter(row.status for row in rows.values() if _value(row) is None)
    status: Status = base.status if base.status in UNASKED else "parsed"
    if value is None:
        status = statuses.most_common(1)[0][0] if statuses else "skipped"
    return replace(
        base,
        judge_model=name,
        preference=None if grades else value,
        score=value if grades else None,
        status=status,
        raw="",
        tokens=sum(row.tokens for row in rows.values()),
        prompt_tokens=sum(row.prompt_tokens for row in rows.values()),
        cost=None if None in costs else sum(c for c in costs if c is not None),
        attempts=sum(row.attempts for row in rows.values()),
        details={"rule": jury.rule, "jurors": said},
    )


def _value(row: Annotation) -> float | None:
    return row.score if row.score is not None else row.preference


def _together(given: Sequence[float], rule: Rule, grades: bool) -> float:
    if rule == "mean":
        return sum(given) / len(given)
    if grades:
        ordered = sorted(given)
        return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    votes = Counter(_winner(value) for value in given).most_common()
    return votes[0][0] if len(votes) == 1 or votes[0][1] > votes[1][1] else 0.5


def _winner(preference: float) -> float:
    return 0.5 + ((preference > 0.5) - (preference < 0.5)) / 2


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far jurors disagree. `alpha`: Krippendorff's, of their preferences or grades as numbers; `alpha_winner` of
    the winners they name (a tie is a name of its own); `unanimous`: share of verdicts on which all who have one name
    the same winner; `juror`: each one's share of agreement with the majority of the others, verdicts on which these are
    tied left out; `missing`: verdicts that a juror lacks. Rows nobody was asked about do not count."""

    alpha: Interval
    alpha_winner: Interval
    unanimous: Interval
    juror: Mapping[str, Interval]
    missing: Mapping[str, int]


def disagreement(annotations: Sequence[Annotation]) -> Disagreement:
    """What the jurors' own rows say about each other. Raises JudgeError as `convene` does."""
    import numpy as np

    jurors = _jurors(annotations)
    placed = [rows for rows in _placed(annotations).values() if not any(r.status in UNASKED for r in rows.values())]
    table = np.full((len(placed), len(jurors)), np.nan)
    for i, rows in enumerate(placed):
        for j, model in enumerate(jurors):
            value = _value(rows[model]) if model in rows else None
            table[i, j] = np.nan if value is None else value
    clusters = [f"{row.task}\n{row.sample}" for row in (next(iter(rows.values())) for rows in placed)]
    grades = any(row.score is not None for row in annotations)
    names = table if grades else np.where(np.isnan(table), np.nan, 0.5 + np.sign(table - 0.5) / 2)
    several = [i for i in range(len(placed)) if (~np.isnan(table[i])).sum() > 1]
    same = [float(len(set(names[i][~np.isnan(names[i])])) == 1) for i in several]
    return Disagreement(
        alpha_interval(table, "interval", clusters),
        alpha_interval(names, "nominal", clusters),
        mean_interval(same, clusters=[clusters[i] for i in several], bounded=True),
        {model: _with_others(names, j, clusters) for j, model in enumerate(jurors)},
        {model: int(np.isnan(table[:, j]).sum()) for j, model in enumerate(jurors)},
    )


def _with_others(names: Floats, juror: int, clusters: Sequence[str]) -> Interval:
    import numpy as np

    agreed, kept = [], []
    for i, row in enumerate(names):
        votes = Counter(float(v) for j, v in enumerate(row) if j != juror and not np.isnan(v)).most_common()
        if not votes or np.isnan(row[juror]) or (len(votes) > 1 and votes[0][1] == votes[1][1]):
            continue
        agreed.append(float(row[juror] == votes[0][0]))
        kept.append(clusters[i])
    return mean_interval(agreed, clusters=kept, bounded=True)


def alpha_interval(
    ratings: Floats,
    level: Level = "interval",
    clusters: Sequence[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """1 - observed / expected disagreement of raters (columns) on units (rows), nan where one did not rate.

    1 is agreement, 0 what chance gives with these values, below 0 less than that. `level`: "nominal" (equal or not) or
    "interval" (squared difference). Units with fewer than two ratings say nothing. Interval: bootstrap over clusters
    of units. None where all ratings are equal: chance would agree as well. Krippendorff, Content Analysis (2004), 11.
    """
    import numpy as np

    rated = ~np.isnan(ratings)
    kept = np.flatnonzero(rated.sum(axis=1) > 1)
    values, rated = np.where(rated, ratings, 0.0)[kept], rated[kept]
    every = values[rated]
    if not len(every) or (every == every[0]).all():
        return Interval(None, None, None, len(kept), "none")
    m = rated.sum(axis=1).astype(float)
    if level == "interval":
        centre = float(every.mean())  # differences do not change, and squares stay exact
        moved = np.where(rated, values - centre, 0.0)
        sums = np.stack([moved.sum(axis=1), (moved**2).sum(axis=1)], axis=1)
        observed = 2 * (m * sums[:, 1] - sums[:, 0] ** 2) / (m - 1)
    else:
        kinds = np.unique(every)
        sums = np.stack([((values == kind) & rated).sum(axis=1) for kind in kinds], axis=1).astype(float)
        observed = (m**2 - (sums**2).sum(axis=1)) / (m - 1)

    def alpha(weights: Floats) -> Floats:
        n, total = weights @ m, weights @ sums
        if level == "interval":
            expected = 2 * (n * total[:, 1] - total[:, 0] ** 2)
        else:
            expected = n**2 - (total**2).sum(axis=1)
        expected = expected / (n - 1)
        # A resample in which all ratings are equal has no alpha, and is left out.
        return np.divide(expected - weights @ observed, expected, out=np.full(len(n), np.nan), where=expected > 1e-12)

    groups: Any = None if clusters is None else [clusters[i] for i in kept]
    return bootstrap(m, clusters=groups, statistic=alpha, resamples=resamples, seed=seed)
