"""What annotations say: of pairs a win rate with what qualifies it, of single answers mean grades and differences.

for found in summaries(annotations, judge.aggregate):     # one for each judge model, pair of models, or set of models
    found.win_rate if isinstance(found, Summary) else found.models
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from evalsuite.judging.contract import ORDERS, Annotation, Outcome, Verdict, mean_grade, mean_over_orders
from evalsuite.statistics import Interval, judged_rate, mean_interval, win_rate

Aggregate = Callable[[Sequence[Verdict | None]], Outcome]
Key = tuple[str, str, int]
UNASKED = ("identical", "empty")
"""What is decided without a judge."""
_NONE = Interval(None, None, None, 0, "none")


@dataclass(frozen=True)
class Work:
    """What a judge was asked and what that took. `asked`: rows that a model was asked for; `unparsed`: the share of
    them without a verdict; `retried`: rows that were asked for more than once; `modes`: how verdicts were read, more
    than one where a file mixes them; `cost`: money, None where the price is not known."""

    asked: int
    unparsed: float | None
    retried: int
    statuses: Mapping[str, int]
    modes: Mapping[str, int]
    tokens: int
    prompt_tokens: int
    cost: float | None


@dataclass(frozen=True)
class Summary:
    """What annotations say about A against B. `win_rate` counts ties half, its interval is widened by the judge's own
    inconsistency; `missing` counts cases without an outcome
    by their reason; `consistency`: the share of cases with both orders whose verdicts agree, `flips` counts the others;
    `first`: the mean preference for whichever answer stood first (0.5 where position does not matter)."""

    model_a: str
    model_b: str
    judge: str
    judge_model: str
    win_rate: Interval
    missing: Mapping[str, int]
    consistency: Interval
    flips: int
    first: Interval
    ties: int
    work: Work

    @property
    def modes(self) -> Mapping[str, int]:
        return self.work.modes

    @property
    def unparsed(self) -> float | None:
        return self.work.unparsed


@dataclass(frozen=True)
class ModelGrades:
    """One model's mean grade; `missing` counts cases without one by their reason; `aspects`: means of those that have
    a name."""

    model: str
    grade: Interval
    missing: Mapping[str, int]
    aspects: Mapping[str, Interval]


@dataclass(frozen=True)
class Grades:
    """What annotations say about single answers. `differences`: each model's grade minus the first model's, paired by
    sample and repeat."""

    judge: str
    judge_model: str
    models: tuple[ModelGrades, ...]
    differences: Mapping[str, Interval]
    work: Work


def summaries(annotations: Iterable[Annotation], aggregate: Aggregate | None = None) -> list[Summary | Grades]:
    """One summary for each judge, judge model and pair of models; one for all single answers that a judge graded."""
    groups: dict[tuple[str, str, str, str], list[Annotation]] = defaultdict(list)
    for row in annotations:
        pair = (row.model_a, row.model_b) if row.model_b else ("", "")
        groups[row.judge, row.judge_model, *pair].append(row)
    return [
        summarise(rows, aggregate or mean_over_orders) if pair[1] else grades(rows, aggregate or mean_grade)
        for (_, _, *pair), rows in groups.items()
    ]


def outcomes(annotations: Sequence[Annotation], aggregate: Aggregate = mean_over_orders) -> dict[Key, Outcome]:
    """Each case's outcome by (task, sample, repeat)."""
    groups: dict[Key, list[Annotation]] = defaultdict(list)
    for row in annotations:
        groups[_case(row)].append(row)
    return {key: aggregate([verdict_of(row) for row in rows]) for key, rows in groups.items()}


def summarise(annotations: Sequence[Annotation], aggregate: Aggregate = mean_over_orders) -> Summary:
    """The figures of one pair of models. Raises ValueError where rows of several pairs or judges are mixed."""
    pairs = {(r.model_a, r.model_b, r.judge, r.judge_model) for r in annotations}
    if len(pairs) != 1:
        raise ValueError(f"annotations of one pair and one judge are wanted, not of {len(pairs)}")
    (model_a, model_b, judge, judge_model) = pairs.pop()
    decided = outcomes(annotations, aggregate)
    won = {key: o.preference for key, o in decided.items() if o.preference is not None}
    read = [r for r in annotations if r.preference is not None and r.status not in UNASKED]
    unasked = {_case(r) for r in annotations if r.status in UNASKED}
    agreeing = {k: o.consistent for k, o in decided.items() if o.consistent is not None and k not in unasked}
    return Summary(
        model_a=model_a,
        model_b=model_b,
        judge=judge,
        judge_model=judge_model,
        win_rate=_widened(win_rate(list(won.values()), _clusters(won)), annotations, won) if won else _NONE,
        missing=_missing(annotations, decided),
        consistency=_mean({key: float(c) for key, c in agreeing.items()}),
        flips=sum(not c for c in agreeing.values()),
        first=win_rate([_first(r) for r in read], [f"{r.task}\n{r.sample}" for r in read]) if read else _NONE,
        ties=sum(p == 0.5 for p in won.values()),
        work=work(annotations),
    )


def grades(annotations: Sequence[Annotation], aggregate: Aggregate = mean_grade) -> Grades:
    """The figures of single answers. Raises ValueError where rows of several judges are mixed."""
    judges = {(r.judge, r.judge_model) for r in annotations}
    if len(judges) != 1:
        raise ValueError(f"annotations of one judge are wanted, not of {len(judges)}")
    (judge, judge_model) = judges.pop()
    by_model: dict[str, list[Annotation]] = defaultdict(list)
    for row in annotations:
        by_model[row.model_a].append(row)
    decided = {model: outcomes(rows, aggregate) for model, rows in by_model.items()}
    values = {
        model: {key: o.preference for key, o in found.items() if o.preference is not None}
        for model, found in decided.items()
    }
    first, *others = values
    return Grades(
        judge,
        judge_model,
        tuple(
            ModelGrades(model, _mean(values[model]), _missing(rows, decided[model]), _aspects(rows))
            for model, rows in by_model.items()
        ),
        {
            model: _mean({k: v - values[first][k] for k, v in values[model].items() if k in values[first]})
            for model in others
        },
        work(annotations),
    )


def work(annotations: Sequence[Annotation]) -> Work:
    """What was asked, how it was read, what it took."""
    asked = [r for r in annotations if r.status not in UNASKED and r.attempts > 0]
    read = [r for r in asked if r.preference is not None or r.score is not None]
    costs = [r.cost for r in annotations if r.cost is not None]
    return Work(
        asked=len(asked),
        unparsed=1 - len(read) / len(asked) if asked else None,
        retried=sum(r.attempts > 1 for r in asked),
        statuses=_counted(r.status for r in annotations),
        modes=_counted(r.mode for r in read),
        tokens=sum(r.tokens for r in annotations),
        prompt_tokens=sum(r.prompt_tokens for r in annotations),
        cost=sum(costs) if costs else None,
    )


def slim(row: Annotation) -> Annotation:
    """The row without its reply: what summaries of a million rows are made of."""
    return replace(row, raw="")


def verdict_of(row: Annotation) -> Verdict | None:
    """The verdict that a row was made of; None where it has none."""
    if row.preference is not None:
        return Verdict(_first(row), row.mode, row.order or "ab", aspect=row.aspect, details=row.details)
    if row.score is not None:
        return Verdict(row.score, row.mode, "", aspect=row.aspect, details=row.details)
    return None


def _widened(rate: Interval, annotations: Sequence[Annotation], won: Mapping[Key, float]) -> Interval:
    """The interval, as much wider as the judge contradicts itself between orders and repeats: averaging both orders of
    an undecided judge makes ties, which hardly vary."""
    rows = [r for r in annotations if _case(r) in won and r.preference is not None]
    orders = [r.order for r in rows] if all(r.order in ORDERS for r in rows) else None
    preferences = [r.preference for r in rows if r.preference is not None]
    judged = judged_rate(preferences, [(r.task, r.sample) for r in rows], orders)
    plain, wide = (None if i.low is None or i.high is None else i.high - i.low for i in (judged.plain, judged.interval))
    if not plain or not wide or wide <= plain or rate.value is None or rate.low is None or rate.high is None:
        return rate
    low, high = (rate.value + (end - rate.value) * wide / plain for end in (rate.low, rate.high))
    return replace(rate, low=max(low, 0.0), high=min(high, 1.0), method=f"{rate.method}, judge's noise added")


def _case(row: Annotation) -> Key:
    return row.task, row.sample, row.repeat


def _first(row: Annotation) -> float:
    preference = row.preference if row.preference is not None else 0.5
    return 1 - preference if row.order == "ba" else preference


def _missing(rows: Sequence[Annotation], decided: Mapping[Key, Outcome]) -> dict[str, int]:
    """Cases without an outcome, by the first reason among their rows."""
    why: dict[Key, str] = {}
    for row in rows:
        if row.preference is None and row.score is None:
            why.setdefault(_case(row), row.status)
    return _counted(why.get(key, "judge_parse") for key, o in decided.items() if o.preference is None)


def _aspects(rows: Sequence[Annotation]) -> dict[str, Interval]:
    named: dict[str, dict[Key, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.aspect and row.score is not None:
            named[row.aspect][_case(row)].append(row.score)
    return {name: _mean({k: sum(v) / len(v) for k, v in found.items()}) for name, found in named.items()}


def _mean(values: Mapping[Key, float]) -> Interval:
    return mean_interval(list(values.values()), clusters=_clusters(values)) if values else _NONE


def _clusters(keys: Iterable[Key]) -> list[str]:
    """Repeats of one sample belong together."""
    return [f"{task}\n{sample}" for task, sample, _ in keys]


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
