"""Everyday prompts with one to three instructions that code can check, answered in few words."""

from collections.abc import Iterable
from typing import Any

from evalsuite.data import Setup
from evalsuite.records import Completions, Request, Sample, Sampling, Score, user
from evalsuite.scoring.ifeval import follows

TASK = {
    "version": 1,
    "primary": "prompt_strict",
    "baselines": {"prompt_strict": {"always Okay.": 0.0588}},
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in setup.own():
        target = {name: row[name] for name in ("instruction_id_list", "kwargs")}
        metadata = {name: row[name] for name in ("instruction_id_list", "gold", "near_miss")}
        yield Sample(row["id"], (user(row["prompt"]),), target=target, metadata=metadata)


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=256))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    kinds: list[str] = sample.target["instruction_id_list"]
    kwargs: list[dict[str, Any]] = sample.target["kwargs"]
    # An empty reply follows nothing: that is a verdict, not missing data (as in IFEval).
    strict, loose = follows(kinds, kwargs, str(sample.messages[-1]["content"]), completions.text)
    count = len(kinds)
    return {
        "prompt_strict": Score(float(all(strict)), details={"kinds": kinds, "strict": strict, "loose": loose}),
        "prompt_loose": Score(float(all(loose))),
        "inst_strict": Score(sum(strict) / count, weight=count),
        "inst_loose": Score(sum(loose) / count, weight=count),
    }


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["near_miss"])
