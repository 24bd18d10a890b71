"""Runs written to disk as `evalsuite run` writes them, from plain lists of scores."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evalsuite.records import Health, Metric
from evalsuite.statistics import mean_interval
from evalsuite.store import Run, write_run

Values = Sequence[float | None]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """`make_run("sft", {"facts": {"acc": [1, 0, None]}}, ...)`: the first metric of a task is its headline."""

    def make(name: str, scores: Mapping[str, Mapping[str, Values]], **options: Any) -> Run:
        return write_fixture_run(tmp_path / "store", name, scores, **options)

    return make


def write_fixture_run(
    store: Path,
    name: str,
    scores: Mapping[str, Mapping[str, Values]],
    model: Mapping[str, Any] | None = None,
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
    repeats: int = 1,
    text: Callable[[str, int], Mapping[str, Any]] = lambda task, i: {},
    finished: str = "2026-01-01T00:00:00+00:00",
) -> Run:
    metrics, rows, specs, health = [], [], {}, {}
    for task, by_metric in scores.items():
        n = max(len(v) for v in by_metric.values()) // repeats
        base = {"version": 1, "family": "factuality", "data_hash": "d0", "prompt_hash": "p0", "n": n}
        specs[task] = {**base, "primary": next(iter(by_metric)), **(tasks or {}).get(task, {})}
        health[task] = Health(n, truncated=0.1, empty=0.0, refused=0.0, repeated=0.02, unparsable=0.0, mean_tokens=41.5)
        for i in range(n * repeats):
            row: dict[str, Any] = {
                "task": task,
                "sample": f"s{i // repeats}",
                "repeat": i % repeats,
                "family": specs[task]["family"],
                "prompt": f"Question {i // repeats}?",
                "answer": f"answer {i} of {name}",
                "reasoning": None,
                "finish_reason": "stop",
                "tokens": 12,
                "prompt_tokens": 30,
                "target": json.dumps(f"target {i // repeats}"),
                "metadata": "{}",
                "completions": "{}",
            }
            for metric, values in by_metric.items():
                row[f"score.{metric}"] = values[i]
                row[f"reason.{metric}"] = None if values[i] is not None else "unparsable"
                row[f"weight.{metric}"] = 1.0
                row[f"details.{metric}"] = "{}"
            rows.append({**row, **text(task, i)})
        for metric, values in by_metric.items():
            kept = [(v, i // repeats) for i, v in enumerate(values) if v is not None]
            found = mean_interval([v for v, _ in kept], clusters=[c for _, c in kept])
            unit = (specs[task].get("unit") or {}).get(metric, "share")
            bounds = (found.value, found.low, found.high, found.n)
            baselines = (specs[task].get("baselines") or {}) if metric == specs[task]["primary"] else {}
            rest = {"missing": n - found.n, "interval": found.method, "unit": unit, "baselines": baselines}
            metrics.append(Metric(task, metric, *bounds, **rest, primary=metric == specs[task]["primary"]))
    about = {"address": name, "name": name, "fingerprint": f"f-{name}", "backend": "hf", "template": "chat"}
    about |= {"template_hash": "t0", "system": None, "sampling": {"temperature": 0.0}, "args": {}, "lineage": {}}
    manifest = {"model": {**about, **(model or {})}, "tasks": specs, "seed": 0, "limit": None, "finished": finished}
    manifest |= {"command": f"evalsuite run {name}", "packages": {"torch": "2.9"}, "python": "3.11", "wall_s": 3.0}
    return write_run(store, name, manifest, metrics, health, rows)
