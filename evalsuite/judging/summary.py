"""What annotations of one pair of models say: win rate with what qualifies it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evalsuite.judging.contract import Annotation, Outcome, Verdict, mean_over_orders
from evalsuite.statistics import Interval, mean_interval, win_rate

Aggregate = Callable[[Sequence[Verdict | None]], Outcome]


@dataclass(frozen=True)
class Summary:
    """What annotations say about A against B. `win_rate` counts ties half; `missing` counts cases without an outcome
    by their reason; `unparsed` is the share of asked placements without a verdict; `consistency` the share of cases
    with both orders whose verdicts agree; `first` the mean preference for whichever answer stood first (0.5 where
    position does not matter)."""

    model_a: str
    model_b: str
    judge: str
    judge_model: str
    win_rate: Interval
    missing: Mapping[str, int]
    unparsed: float | None
    consistency: Interval
    first: Interval
    ties: int
    modes: Mapping[str, int]
    tokens: int
    prompt_tokens: int


def outcomes(
    annotations: Sequence[Annotation], aggregate: Aggregate = mean_over_orders
) -> dict[tuple[str, str, int], Outcome]:
    """Each case's outcome by (task, sample, repeat)."""
    groups: dict[tuple[str, str, int], list[Annotation]] = defaultdict(list)
    for row in annotations:
        groups[row.task, row.sample, row.repeat].append(row)
    return {key: aggregate([_verdict(row) for row in rows]) for key, rows in groups.items()}


def summarise(annotations: Sequence[Annotation], aggregate: Aggregate = mean_over_orders) -> Summary:
    """The figures of one pair of models. Raises ValueError where rows of several pairs or judges are mixed."""
    pairs = {(r.model_a, r.model_b, r.judge, r.judge_model) for r in annotations}
    if len(pairs) != 1:
        raise ValueError(f"annotations of one pair and one judge are wanted, not of {len(pairs)}")
    (model_a, model_b, judge, judge_model) = pairs.pop()
    decided = outcomes(annotations, aggregate)
    won = {key: o.preference for key, o in decided.items() if o.preference is not None}
    asked = [r for r in annotations if r.status not in UNASKED]
    read = [r for r in asked if r.preference is not None]
    why: dict[tuple[str, str, int], str] = {}
    for row in annotations:
        if row.preference is None:
            why.setdefault((row.task, row.sample, row.repeat), row.status)
    missing = Counter(why.get(key, "judge_parse") for key, o in decided.items() if o.preference is None)
    identical = {(r.task, r.sample, r.repeat) for r in annotations if r.status in UNASKED}
    agreeing = {k: o.consistent for k, o in decided.items() if o.consistent is not None and k not in identical}
    firsts = [(_first(r), r.task + "\n" + r.sample) for r in read]
    return Summary(
        model_a=model_a,
        model_b=model_b,
        judge=judge,
        judge_model=judge_model,
        win_rate=win_rate(list(won.values()), _clusters(won)) if won else _NONE,
        missing=dict(sorted(missing.items())),
        unparsed=1 - len(read) / len(asked) if asked else None,
        consistency=mean_interval([float(c) for c in agreeing.values()], clusters=_clusters(agreeing))
        if agreeing
        else _NONE,
        first=win_rate([f for f, _ in firsts], [c for _, c in firsts]) if firsts else _NONE,
        ties=sum(p == 0.5 for p in won.values()),
        modes=dict(sorted(Counter(r.mode for r in read).items())),
        tokens=sum(r.tokens for r in annotations),
        prompt_tokens=sum(r.prompt_tokens for r in annotations),
    )


UNASKED = ("identical", "empty")
"""What is decided without a judge."""

_NONE = Interval(None, None, None, 0, "none")


def _clusters(keys: Mapping[tuple[str, str, int], object]) -> list[str]:
    """Repeats of one sample belong together."""
    return [f"{task}\n{sample}" for task, sample, _ in keys]


def _first(row: Annotation) -> float:
    preference = row.preference if row.preference is not None else 0.5
    return 1 - preference if row.order == "ba" else preference


def _verdict(row: Annotation) -> Verdict | None:
    if row.preference is None:
        return None
    return Verdict(_first(row), row.mode, row.order, aspect=row.aspect, details=row.details)
