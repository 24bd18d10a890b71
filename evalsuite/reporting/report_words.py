"""One run in plain words: strongest, weakest, what this many samples could tell, and what to be careful of.

    for sentence in [*measured(run), *cautions(run, run.samples())]:
        print(sentence.kind, sentence.text)

A share is judged by how far it lies above the best constant answer (chance, always yes), where the task has one: half
right of two options is nothing.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evalsuite.comparison.summary_words import Sentence, sentence
from evalsuite.records import Health, Metric
from evalsuite.reporting.numbers import interval_text, value_text
from evalsuite.reporting.tables import HEALTH, WORRY, lower_is_better
from evalsuite.statistics import minimum_detectable_effect, wilson
from evalsuite.store import Run

if TYPE_CHECKING:
    import pandas as pd

NAMED = 3  # strongest and weakest tasks that are named


def overall_measured(run: Run) -> str:
    tasks = list(dict.fromkeys(m.task for m in run.metrics))
    samples = sum(
        max((m.n + m.missing for m in run.metrics if m.task == task and m.primary), default=0) for task in tasks
    )
    count = f"{len(tasks)} task{'s' * (len(tasks) != 1)}, {samples:,} samples"
    return f"{run.name} was measured on {count}; with no other run beside it nothing is said of change."


def measured(run: Run) -> list[Sentence]:
    """Strongest and weakest headline shares, those that a constant answer reaches, and what n can detect."""
    first = [m for m in run.metrics if m.primary and m.unit == "share" and m.value is not None]
    ranked = sorted(first, key=lambda m: -_above(run, m))
    k = min(NAMED, len(ranked) // 2)
    below = [m for m in first if (best := _constant(run, m)) is not None and _good(run, m, m.high) < best]
    level = [
        m
        for m in first
        if (best := _constant(run, m)) is not None and _good(run, m, m.low) <= best <= _good(run, m, m.high)
    ]
    made = [
        *sentence("better", "Highest headline shares above a constant answer:", [_told(m) for m in ranked[:k]]),
        *sentence("worse", "Lowest headline shares above a constant answer:", [_told(m) for m in ranked[::-1][:k]]),
        *sentence("worse", "A constant answer does better on", [_told(m) for m in below]),
        *sentence("unclear", "Not shown to be better than a constant answer on", [_told(m) for m in level]),
        *_detectable(first),
    ]
    if len(first) == 1:
        made = [*sentence("better", "The one headline share is", [_told(first[0])]), *made]
    return made


def cautions(run: Run, frame: "pd.DataFrame") -> list[Sentence]:
    """Samples without a score, with the reasons, and health faults above 2% of the answers."""
    missing = [
        f"{m.task} ({m.missing} of {m.n + m.missing}{_reasons(frame, m)})"
        for m in run.metrics
        if m.primary and m.missing
    ]
    made = sentence("care", f"{run.name} has samples without a score, which are left out:", missing)
    for field, _, meaning in HEALTH:
        if field == "refused":  # often what was asked for
            continue
        found = [
            (t, h, share) for t, h in run.health.items() if (share := getattr(h, field)) is not None and share > WORRY
        ]
        items = [f"{task} ({_share(share, h)})" for task, h, share in found]
        made += sentence("care", f"{run.name} gave {meaning} on", items)
    open_ = [(t, h) for t, h in run.health.items() if (h.unclosed_reasoning or 0) > WORRY]
    items = [f"{task} ({_share(h.unclosed_reasoning or 0, h)})" for task, h in open_]
    made += sentence("care", f"{run.name} never closed its reasoning on", items)
    lost = [f"{task} ({h.shortened} of {h.n} prompts)" for task, h in run.health.items() if h.shortened]
    return [*made, *sentence("care", f"{run.name} lost demonstrations to fit its window on", lost)]


def _reasons(frame: "pd.DataFrame", m: Metric) -> str:
    column = f"reason.{m.name}"
    if column not in frame:
        return ""
    counts = Counter(str(r) for r in frame[frame["task"] == m.task][column].dropna())
    told = ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in sorted(counts.items()))
    return f": {told}" if told else ""


def _share(share: float, health: Health) -> str:
    low, high = wilson(min(share, 1.0) * health.n, health.n)
    return f"{interval_text(share, low, high)}, n={health.n}"


def _good(run: Run, m: Metric, value: float | None) -> float:
    """A share turned round where lower is better, so that more is better."""
    if value is None:
        return 0.0
    return 1 - value if lower_is_better(run, m.task, m.name) else value


def _constant(run: Run, m: Metric) -> float | None:
    """The best constant answer; None without any, or without an interval to set it beside."""
    if m.low is None or m.high is None or not m.baselines:
        return None
    return max(_good(run, m, v) for v in m.baselines.values())


def _above(run: Run, m: Metric) -> float:
    """Share of the way from the best constant answer to a full score."""
    best = _constant(run, m) or 0.0
    return (_good(run, m, m.value) - best) / (1 - best) if best < 1 else 0.0


def _told(m: Metric) -> str:
    constants = "".join(f"; {name} {value_text(v, m.unit)}" for name, v in m.baselines.items())
    return f"{m.task} {m.name} ({interval_text(m.value, m.low, m.high, m.unit)}, n={m.n}{constants})"


def _detectable(first: Sequence[Metric]) -> list[Sentence]:
    effects = {m.n: e for m in first if (e := minimum_detectable_effect(m.n)) is not None}
    if not effects:
        return []
    few, many = min(effects), max(effects)
    told = f"{100 * effects[few]:.1f} points (n={few})"
    if few != many:
        told = f"{100 * effects[many]:.1f} points (n={many}) to {told}"
    lead = f"Beside another run on the same samples, a true difference is found from about {told} on"
    return [Sentence("unclear", f"{lead}: power 80%, alpha 5%, correlation 0.5 assumed, before adjustment over tasks")]
