"""Pairwise judging: all cases' requests in one go, verdicts mapped back, win rate with what qualifies it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType

from evalsuite.data import fingerprint
from evalsuite.judging.contract import ORDERS, Annotation, Case, Outcome, Placement, Verdict, mean_over_orders
from evalsuite.records import Completion, Request, user
from evalsuite.scoring.abstention import refuses
from evalsuite.statistics import Interval, mean_interval, win_rate

Answer = Callable[[list[Request]], Sequence[Completion | None]]
"""Asks a model: one completion for each request, in order; None where the prompt does not fit its window."""

Aggregate = Callable[[Sequence[Verdict | None]], Outcome]


def judge_pairs(
    cases: Sequence[Case], judge: ModuleType, answer: Answer, judge_model: str = "", logprobs: bool = True
) -> list[Annotation]:
    """One annotation for each case and order. `logprobs` false asks for text alone, for servers that give no
    log-probabilities; the way each verdict was read stands in its `mode`, it never changes silently."""
    identity = judge_identity(judge)
    placed: list[Placement] = []
    requests: list[Request] = []
    asked: dict[int, list[int]] = defaultdict(list)
    for number, case in enumerate(cases):
        for request in judge.requests(case):
            asked[number].append(len(requests))
            placed.append(Placement(case, "ba" if request.key == "ba" else "ab"))
            requests.append(request if logprobs else _without_logprobs(request))
    completions = list(answer(requests)) if requests else []
    if len(completions) != len(requests):
        raise ValueError(f"{len(completions)} completions for {len(requests)} requests")
    rows: list[Annotation] = []
    for number, case in enumerate(cases):
        base = _base(case, judge, identity, judge_model)
        if not asked[number]:  # the same text twice: a tie without asking
            rows += [replace(base, order=order, preference=0.5, status="identical") for order in ORDERS]
        rows += [_annotated(base, placed[i], requests[i], completions[i], judge) for i in asked[number]]
    return rows


def judge_identity(judge: ModuleType) -> str:
    """Name, version, and a hash of what it asks about a fixed case: prompt text and sampling are part of it."""
    probe = Case("probe", (user("question"),), "one", "two")
    asked = fingerprint([asdict(r) for r in judge.requests(probe)])[:8]
    name = Path(judge.__file__ or "judge").parent.name
    return f"{name}/{judge.JUDGE['version']}#{asked}"


def one_each(answers: Sequence[tuple[Completion, ...]]) -> list[Completion | None]:
    """The single completion of each request, from the form in which running answers."""
    return [found[0] if found else None for found in answers]


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
    asked = [r for r in annotations if r.status != "identical"]
    read = [r for r in asked if r.preference is not None]
    why: dict[tuple[str, str, int], str] = {}
    for row in annotations:
        if row.preference is None:
            why.setdefault((row.task, row.sample, row.repeat), row.status)
    missing = Counter(why.get(key, "judge_parse") for key, o in decided.items() if o.preference is None)
    identical = {(r.task, r.sample, r.repeat) for r in annotations if r.status == "identical"}
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


_NONE = Interval(None, None, None, 0, "none")


def _clusters(keys: Mapping[tuple[str, str, int], object]) -> list[str]:
    """Repeats of one sample belong together."""
    return [f"{task}\n{sample}" for task, sample, _ in keys]


def _first(row: Annotation) -> float:
    preference = row.preference if row.preference is not None else 0.5
    return preference if row.order == "ab" else 1 - preference


def _verdict(row: Annotation) -> Verdict | None:
    if row.preference is None:
        return None
    return Verdict(_first(row), "logprobs" if row.mode == "logprobs" else "text", row.order)


def _without_logprobs(request: Request) -> Request:
    return replace(request, sampling=replace(request.sampling, top_logprobs=0))


def _base(case: Case, judge: ModuleType, identity: str, judge_model: str) -> Annotation:
    return Annotation(
        sample=case.id,
        task=case.task,
        model_a=case.model_a,
        model_b=case.model_b,
        judge=identity,
        judge_model=judge_model,
        protocol=judge.JUDGE["protocol"],
        order="ab",
        preference=None,
        status="judge_parse",
        mode="",
        raw="",
        repeat=case.repeat,
        length_a=len(case.a),
        length_b=len(case.b),
    )


def _annotated(
    base: Annotation, placement: Placement, request: Request, completion: Completion | None, judge: ModuleType
) -> Annotation:
    row = replace(base, order=placement.order, seed=request.sampling.seed)
    if completion is None:
        return replace(row, status="too_long")
    row = replace(
        row,
        raw=completion.text,
        finish_reason=completion.finish_reason,
        tokens=completion.tokens + completion.reasoning_tokens,
        prompt_tokens=completion.prompt_tokens,
    )
    if completion.error is not None:
        return replace(row, status="backend_error", raw=completion.error)
    verdict: Verdict | None = judge.parse(completion)
    if verdict is None:
        refused = refuses(completion.text)
        return replace(
            row, status="judge_refusal" if refused else "judge_parse" if completion.text.strip() else "empty"
        )
    verdict = replace(verdict, order=placement.order)
    return replace(row, status="parsed", preference=verdict.preference, mode=verdict.mode)
