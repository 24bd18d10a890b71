"""Samples to read on a page: what was asked, what every run answered, side by side, wrong ones first."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evalsuite.judging import Annotation, read_annotations
from evalsuite.reporting.numbers import MISSING, value_text
from evalsuite.reporting.tables import lower_is_better
from evalsuite.store import Run

SHOWN = 50  # samples of a task on the page
CHANGED, RIGHT = 20, 5  # of these, at least so many that changed between runs, and that all got right
ATTEMPTS = 3  # repeats shown of a sample
TEXT = 3000  # characters shown of one text
Mark = Literal["right", "wrong", "part", "none", "other"]


@dataclass(frozen=True, slots=True)
class Text:
    """A text cut to what a page can bear; `rest` counts the characters that are not shown."""

    shown: str
    rest: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One repeat of one run: its answer, its headline score, and its further scores as text. `other` holds what was not
    an answer (log-probabilities, further requests) as (key, text). Mark "other": the headline metric does not concern
    this sample."""

    mark: Mark
    score: str
    further: str
    answer: Text | None
    reasoning: Text | None
    read: str | None
    finish: str | None
    tokens: int | None
    other: list[tuple[str, Text]]


@dataclass(frozen=True, slots=True)
class Cell:
    run: int
    name: str
    attempts: list[Attempt]
    repeats: int
    prompt: Text | None  # only where this run was asked in other words than the first
    judged: list[str]  # what judges said of the first answer


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    prompt: Text
    target: Text | None
    kind: Literal["wrong", "changed", "right", "unscored", "scored"]
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class TaskSamples:
    task: str
    metric: str
    total: int
    items: list[Item]
    counts: Mapping[str, int] = field(default_factory=dict)


def task_samples(runs: Sequence[Run], frames: Sequence[Any], task: str, shown: int = SHOWN) -> TaskSamples:
    """The samples of one task over all runs that have it. `frames` are the runs' sample frames, in their order.

    Order: without a score, then by mean score, worst first. Where there are more than `shown`, places are kept for some
    that changed between runs and some that all got right; `counts` says how many of each kind there are.
    """
    specs = [run.manifest.get("tasks", {}).get(task) for run in runs]
    metric = next((str(s["primary"]) for s in specs if s and s.get("primary")), "")
    lower = any(lower_is_better(run, task, metric) for run in runs)
    unit = next((m.unit for run in runs for m in run.metrics if (m.task, m.name) == (task, metric)), "share")
    by_sample: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for i, frame in enumerate(frames):
        for row in frame[frame["task"] == task].to_dict("records"):
            by_sample.setdefault(str(row["sample"]), {}).setdefault(i, []).append(row)
    ranked = {s: _rank(rows, metric, lower, unit) for s, rows in by_sample.items()}
    order = sorted(by_sample, key=lambda s: ranked[s][1])
    counts = {kind: sum(j[0] == kind for j in ranked.values()) for kind in dict.fromkeys(j[0] for j in ranked.values())}
    chosen = _choose(order, {s: ranked[s][0] for s in order}, shown)
    said = [verdicts(run, task) for run in runs]
    items = [_item(s, ranked[s][0], by_sample[s], (runs, said), (metric, lower, unit)) for s in chosen]
    return TaskSamples(task, metric, len(by_sample), items, counts)


def _rank(rows: Mapping[int, list[dict[str, Any]]], metric: str, lower: bool, unit: str) -> tuple[Any, float]:
    """(kind, rank) of a sample; a low rank comes first."""
    means: list[float] = []
    binary = unit == "share"
    if not any(given(row, metric) for attempts in rows.values() for row in attempts):
        return "scored", math.inf
    for attempts in rows.values():
        values = [v for row in attempts if (v := number(row.get(f"score.{metric}"))) is not None]
        if not values:
            return "unscored", -math.inf
        binary = binary and set(values) <= {0.0, 1.0}
        mean = sum(values) / len(values)
        means.append(-mean if lower else mean)
    rank = sum(means) / len(means)
    if not binary:
        return "scored", rank
    best = 0.0 if lower else 1.0
    full = [m == best for m in means]
    if all(full):
        return "right", rank
    return ("changed" if any(full) else "wrong"), rank


def verdicts(run: Run, task: str) -> dict[str, list[str]]:
    """What judges said of a run's answers, by sample: one line for each judge and opponent, over both orders."""
    found: dict[tuple[str, str, str], list[Annotation]] = {}
    for path in sorted(run.path.glob("annotations-*.jsonl")):
        for a in read_annotations(path):
            if (a.task, a.model_a) == (task, run.name):
                found.setdefault((a.sample, a.judge_model, a.model_b), []).append(a)
    lines: dict[str, list[str]] = {}
    for (sample, judge, opponent), rows in found.items():
        read = [a.preference for a in rows if a.preference is not None]
        if len(read) < len(rows):
            said = "no verdict: " + ", ".join(dict.fromkeys(a.status for a in rows if a.preference is None))
        else:
            said = f"preference {math.fsum(read) / len(read):.3g}"
        orders = ", ".join(f"{a.order} {a.raw.strip()[:60]!r}" for a in rows if a.raw.strip())
        lines.setdefault(sample, []).append(
            f"{rows[0].protocol} by {judge}, against {opponent}: {said}" + (f" ({orders})" if orders else "")
        )
    return lines


def _choose(order: list[str], kinds: Mapping[str, str], shown: int) -> list[str]:
    if len(order) <= shown:
        return order
    changed = [s for s in order if kinds[s] == "changed"][:CHANGED]
    right = [s for s in order if kinds[s] == "right"][:RIGHT]
    kept = set(changed + right)
    for sample in order:
        if len(kept) >= shown:
            break
        kept.add(sample)
    return [s for s in order if s in kept]


def _item(
    sample: str,
    kind: Any,
    rows: Mapping[int, list[dict[str, Any]]],
    told: tuple[Sequence[Run], Sequence[Mapping[str, list[str]]]],
    metric: tuple[str, bool, str],
) -> Item:
    runs, said = told
    first = next(iter(rows.values()))[0]
    asked = str(first.get("prompt") or "")
    target = from_json(first.get("target"))
    cells = []
    for i, attempts in rows.items():
        prompt = str(attempts[0].get("prompt") or "")
        cells.append(
            Cell(
                run=i,
                name=runs[i].name,
                attempts=[_attempt(row, *metric) for row in attempts[:ATTEMPTS]],
                repeats=len(attempts),
                prompt=cut(prompt) if prompt != asked else None,
                judged=said[i].get(sample, []),
            )
        )
    return Item(sample, cut(asked), None if target is None else cut(plain(target)), kind, cells)


def _attempt(row: Mapping[str, Any], metric: str, lower: bool, unit: str) -> Attempt:
    value = number(row.get(f"score.{metric}"))
    details = from_json(row.get(f"details.{metric}")) or {}
    mark: Mark = "part"
    if value is None and not given(row, metric):
        mark, score = "other", MISSING
    elif value is None:
        mark, score = "none", f"no score: {row[f'reason.{metric}']}"
    else:
        score = f"{value:.3g}" if unit == "share" else value_text(value, unit)
        if unit == "share" and value in (0.0, 1.0):
            mark = "right" if (value == 1.0) != lower else "wrong"
    answer, reasoning = row.get("answer"), row.get("reasoning")
    read = details.get("answer") if isinstance(details, dict) else None
    tokens = number(row.get("tokens"))
    return Attempt(
        mark=mark,
        score=score,
        further=", ".join(_further(row, metric)),
        answer=cut(answer) if isinstance(answer, str) else None,
        reasoning=cut(reasoning) if isinstance(reasoning, str) and reasoning else None,
        read=None if read is None or read == answer else plain(read)[:300],
        finish=row["finish_reason"] if isinstance(row.get("finish_reason"), str) else None,
        tokens=None if tokens is None else int(tokens),
        other=_other(row, answer),
    )


def given(row: Mapping[str, Any], metric: str) -> bool:
    """Whether a row has a score of this name, or a reason for having none."""
    return number(row.get(f"score.{metric}")) is not None or isinstance(row.get(f"reason.{metric}"), str)


def _further(row: Mapping[str, Any], metric: str) -> list[str]:
    names = [key.removeprefix("score.") for key in row if key.startswith("score.") and key != f"score.{metric}"]
    return [f"{name} {value:.3g}" for name in names if (value := number(row[f"score.{name}"])) is not None]


def _other(row: Mapping[str, Any], answer: Any) -> list[tuple[str, Text]]:
    completions = from_json(row.get("completions"))
    if not isinstance(completions, dict):
        return []
    found = []
    for key, texts in completions.items():
        parts = [_completion(from_json(t) if isinstance(t, str) else t) for t in texts]
        joined = "\n".join(p for p in parts if p)
        if joined and joined != answer:
            found.append((str(key), cut(joined)))
    return found


def _completion(value: Any) -> str:
    if not isinstance(value, dict):
        return plain(value)
    if value.get("rewards"):
        return ", ".join(f"{k} {float(v):.4g}" for k, v in value["rewards"].items())
    if value.get("error"):
        return f"error: {value['error']}"
    if "greedy" in value and value.get("logprobs"):
        return f"log p {math.fsum(value['logprobs']):.3f}"
    return str(value.get("text", ""))


def cut(text: str, limit: int = TEXT) -> Text:
    return Text(text[:limit], max(0, len(text) - limit))


def plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def number(value: Any) -> float | None:
    if value is None or isinstance(value, str):
        return None
    return float(value) if math.isfinite(float(value)) else None


def from_json(text: Any) -> Any:
    """What a JSON column holds; text that is no JSON as it stands, None where there is none."""
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
