"""What PC2 annotations say about PC2: how often the judge adds up wrongly, who had a hand in it, what it costs.

    found = report(rows, pairwise_tokens=2027.05)
    found.disagreement                      # share of rows whose own total is not the weighted sum, with interval
    found.cost.break_even                   # from so many models on, PC2 needs fewer tokens than all pairs
    ranked = contestants(rows)              # without the judge's, the baseline's and the auxiliaries' models

Grades are linear in models, pairs are quadratic: n models cost `shared + per_model · n` tokens a question here, and
`pairwise · n(n-1)/2` there (Feedbacker, arXiv 2505.06698: 3,479.80 and 2,027.05 tokens, shared left out).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.judging.contract import Annotation
from evalsuite.statistics import Interval, mean_interval


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens read and written: `shared` for a question (criteria and baseline, once for all models), `per_model` for
    a question and a model, `pairwise` for one judged pair (all its orders), None where not measured."""

    shared: float
    per_model: float
    pairwise: float | None = None

    def tokens(self, models: int) -> float:
        """Tokens for one question."""
        return self.shared + self.per_model * models

    @property
    def break_even(self) -> float | None:
        return break_even(self.pairwise, self.per_model, self.shared) if self.pairwise else None


@dataclass(frozen=True, slots=True)
class Report:
    """`n` graded answers; `disagreement` over those whose judge named a total, `unstated` those where it named none;
    `normalised`: share of questions whose weights did not sum to 100; `calls` by stage; `involved`: models that judged,
    anchored or were compared, by role."""

    n: int
    questions: int
    models: int
    disagreement: Interval
    unstated: int
    normalised: Interval
    calls: dict[str, int]
    cost: Cost
    involved: dict[str, tuple[str, ...]]


def report(rows: Sequence[Annotation], pairwise_tokens: float | None = None) -> Report:
    """The figures of one PC2 judge's annotations. Raises ValueError where no row holds a grade."""
    graded = [r for r in rows if r.status == "parsed" and "grades" in r.details]
    if not graded:
        raise ValueError("no row of these annotations holds a PC2 grade")
    stated = [r for r in graded if r.details["agrees"] is not None]
    first = {_question(r): r for r in reversed(graded)}
    tokens = {key: r.details["tokens"] for key, r in first.items()}
    shared = [sum(n for stage, n in used.items() if stage != "grade") for used in tokens.values()]
    own = [r.details["tokens"]["grade"] for r in graded]
    stages = ("criteria", "baseline")
    calls = {stage: sum(stage in used for used in tokens.values()) for stage in stages}
    return Report(
        n=len(graded),
        questions=len(first),
        models=len({r.model_a for r in graded}),
        disagreement=mean_interval(
            [float(not r.details["agrees"]) for r in stated], clusters=[_question(r) for r in stated]
        ),
        unstated=len(graded) - len(stated),
        normalised=mean_interval([float(r.details["normalised"]) for r in first.values()]),
        calls={**calls, "grade": len(graded)},
        cost=Cost(sum(shared) / len(shared), sum(own) / len(own), pairwise_tokens),
        involved=involved(graded),
    )


def involved(rows: Sequence[Annotation]) -> dict[str, tuple[str, ...]]:
    """The models that had a hand in the grades, by role: judge, baseline, auxiliary."""
    found: dict[str, set[str]] = {"judge": set(), "baseline": set(), "auxiliary": set()}
    for row in rows:
        found["judge"].add(row.judge_model)
        found["baseline"].add(row.details.get("baseline", ""))
        found["auxiliary"].update(row.details.get("auxiliary", ()))
    return {role: tuple(sorted(names - {""})) for role, names in found.items()}


def contestants(rows: Sequence[Annotation]) -> list[Annotation]:
    """The rows of models that had no hand in the grades: neither the judge's own, nor the baseline's, nor one whose
    answers the criteria were made from. A ranking of all of them would rank the ruler."""
    hands = {name for names in involved(rows).values() for name in names}
    return [row for row in rows if row.model_a not in hands]


def calls(questions: int, models: int, *, baseline: bool = True) -> dict[str, int]:
    """Calls of a judge by stage where none is repeated: linear in models. The auxiliary answers are not counted: they
    are made once, by other models."""
    return {"criteria": questions, "baseline": questions if baseline else 0, "grade": questions * models}


def saving(models: int, pairwise: float, per_model: float, shared: float = 0.0) -> float:
    """How many times more tokens all pairs of `models` need than their grades."""
    return pairwise * models * (models - 1) / 2 / (shared + per_model * models)


def break_even(pairwise: float, per_model: float, shared: float = 0.0) -> float:
    """The number of models at which all pairs and all grades cost the same: the positive root of
    pairwise · n(n-1)/2 = shared + per_model · n. Raises ValueError where `pairwise` is not positive."""
    if pairwise <= 0 or per_model < 0 or shared < 0:
        raise ValueError(f"costs must be positive, not {pairwise}, {per_model}, {shared}")
    half = pairwise / 2 + per_model
    return (half + (half * half + 2 * pairwise * shared) ** 0.5) / pairwise


def _question(row: Annotation) -> str:
    return f"{row.task}\n{row.sample}\n{row.repeat}"
