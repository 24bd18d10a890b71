"""A foreign task's figures, made again from its samples and compared with what the log says.

A figure that is the mean of its samples' scores is computed as every figure here (interval, clustered by sample), and a
value or standard error of the log that differs is said. A figure that is no mean of scores (perplexity over a corpus,
pass@k) is taken over as the log gives it, with the interval of its standard error where there is one, and stays
unverified. Where a log declares that a figure is a mean and its samples have another one, the samples are another
run's: that is refused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from evalsuite.errors import InputError
from evalsuite.importing.foreign import Answer, Claim, ForeignTask
from evalsuite.records import Health, Metric
from evalsuite.scoring.health import health_of
from evalsuite.statistics import mean_interval

VALUE, STDERR = 1e-6, 1e-3
"""Relative differences up to which a figure and a standard error are the log's own."""
NORMAL = 1.959964
NOT_SHARES = ("perplexity", "bits_per_byte", "bpb", "loss", "nll", "brier", "likelihood", "latency", "time", "length")
"""Words in the names of metrics that may lie between 0 and 1 by chance and are no shares."""


@dataclass(frozen=True)
class Figures:
    """`columns` are the metrics that have a value for each sample."""

    metrics: list[Metric]
    columns: frozenset[str]
    primary: str
    health: Health | None
    notes: list[str]


def figures_of(task: ForeignTask, answers: Sequence[Answer], path: Path) -> Figures:
    """Raises InputError where the samples are fewer than the log counts, or have another mean than it declares."""
    if task.answers is not None:
        _complete(task, answers, path)
    names = list(dict.fromkeys([*(c.metric for c in task.claims), *(n for a in answers for n in a.scores)]))
    columns = frozenset(n for a in answers for n in a.scores)
    claims = {c.metric: c for c in task.claims}
    notes = [] if task.answers is not None else [f"{task.name}: the log has no samples; its figures are unverified"]
    metrics, dropped = [], set()
    for name in names:
        claim = claims.get(name)
        made = _mean(task, name, answers) if name in columns else None
        if made is not None and claim is not None and not _same(made, claim):
            if claim.mean:
                raise InputError(_mismatch(task, made, claim, path))
            notes.append(f"{_differs(task, made, claim)}: the log's is kept, and is no mean of scores")
            dropped.add(name)
            made = None
        if made is not None:
            metrics.append(made)
            notes += _stderr_note(task, name, answers, claim)
        elif claim is not None:
            metrics.append(_taken(task, claim))
            if answers:
                notes.append(f"{task.name} {name}: taken over as the log gives it (no mean of samples' scores)")
    if not metrics:
        raise InputError(f"{path}: task {task.name}: neither a figure nor a score of a sample")
    primary = task.primary if any(m.name == task.primary for m in metrics) else metrics[0].name
    metrics = sorted((replace(m, primary=m.name == primary) for m in metrics), key=lambda m: not m.primary)
    return Figures(metrics, columns - dropped, primary, _health(answers), notes)


def _complete(task: ForeignTask, answers: Sequence[Answer], path: Path) -> None:
    n = len({a.sample for a in answers})
    if task.expected and n != task.expected:
        raise InputError(f"{path}: task {task.name}: {n} samples where the log counts {task.expected}; were they cut?")


def _rows(name: str, answers: Sequence[Answer]) -> tuple[list[float], list[str], int]:
    """(values, their samples, rows that should have one and do not)."""
    scored = [(a.scores[name], a.sample) for a in answers if name in a.scores]
    given = [(s.value, sample) for s, sample in scored if s.value is not None]
    return [v for v, _ in given], [s for _, s in given], len(scored) - len(given)


def _mean(task: ForeignTask, name: str, answers: Sequence[Answer]) -> Metric:
    values, samples, missing = _rows(name, answers)
    share = all(0 <= v <= 1 for v in values) and _may_be_share(name)
    several = len(set(samples)) < len(samples)
    interval = mean_interval(values, clusters=samples if several else None, bounded=share)
    bounds = (interval.value, interval.low, interval.high, interval.n)
    return Metric(task.id, name, *bounds, missing=missing, interval=interval.method, unit="share" if share else "score")


def _may_be_share(name: str) -> bool:
    return not any(word in name.lower() for word in NOT_SHARES)


def _taken(task: ForeignTask, claim: Claim) -> Metric:
    """A figure of the log's own, with the normal interval of its standard error."""
    half = None if claim.stderr is None else NORMAL * claim.stderr
    low, high = (None, None) if half is None else (claim.value - half, claim.value + half)
    share = 0 <= claim.value <= 1 and _may_be_share(claim.metric)
    if share and low is not None and high is not None:
        low, high = max(0.0, low), min(1.0, high)
    method = "none" if half is None else "the log's standard error"
    n, unit = claim.n or task.expected, "share" if share else "score"
    return Metric(task.id, claim.metric, claim.value, low, high, n, interval=method, unit=unit)


def _same(made: Metric, claim: Claim) -> bool:
    return made.value is not None and math.isclose(made.value, claim.value, rel_tol=VALUE, abs_tol=VALUE)


def _differs(task: ForeignTask, made: Metric, claim: Claim) -> str:
    ours = "no value" if made.value is None else f"{made.value:.6g}"
    return f"{task.name} {made.name}: {claim.value:.6g} in the log, {ours} by its samples"


def _mismatch(task: ForeignTask, made: Metric, claim: Claim, path: Path) -> str:
    return f"{path}: {_differs(task, made, claim)}: the samples are another run's, or one of the two was altered"


def _stderr_note(task: ForeignTask, name: str, answers: Sequence[Answer], claim: Claim | None) -> list[str]:
    """The standard error again: of the samples' means over their repeats, n − 1 in the denominator."""
    if claim is None or claim.stderr is None:
        return []
    values, samples, _ = _rows(name, answers)
    of: dict[str, list[float]] = {}
    for value, sample in zip(values, samples, strict=True):
        of.setdefault(sample, []).append(value)
    means = [fmean(v) for v in of.values()]
    found = stdev(means) / math.sqrt(len(means)) if len(means) > 1 else 0.0
    if math.isclose(found, claim.stderr, rel_tol=STDERR, abs_tol=1e-9):
        return []
    return [f"{task.name} {name}: standard error {claim.stderr:.4g} in the log, {found:.4g} by its samples"]


def _health(answers: Sequence[Answer]) -> Health | None:
    """What the texts show; a share that the log cannot tell (how a text ended, how many tokens) is None."""
    texts = [c for a in answers for c in a.completions if c.error is None and not c.logprobs]
    if not answers:
        return None
    unread = sum(any(s.reason == "unparsable" for s in a.scores.values()) for a in answers)
    health = health_of(texts, unread, len(answers))
    told = any(a.finish is not None for a in answers)
    return health if told or not health.n else replace(health, truncated=None)
