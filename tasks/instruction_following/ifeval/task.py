"""IFEval: 541 prompts with 834 instructions that code can verify."""

from collections.abc import Iterable
from typing import Any

from evalsuite.data import Setup
from evalsuite.errors import InputError
from evalsuite.records import Completions, Request, Sample, Sampling, Score, user
from evalsuite.scoring import ifeval
from evalsuite.scoring.ifeval import writer

TASK = {
    "version": 1,
    "primary": "prompt_strict",
    "public": "ifeval",
    # They ask to repeat a prompt that itself has the comma or the word that must not occur.
    "unsatisfiable": ("1627", "3369", "3371", "3718", "374"),
    "data": ["IFEval input_data.jsonl (Apache-2.0; google-research/instruction_following_eval, or google/IFEval)"],
}


def load(setup: Setup) -> Iterable[Sample]:
    path = setup.file("input_data.jsonl")
    for number, row in enumerate(setup.rows("input_data.jsonl"), start=1):
        try:
            yield _sample(row)
        except InputError as error:
            raise InputError(f"{path}: item {number} (key {row.get('key')}): {error}") from error


def _sample(row: dict[str, Any]) -> Sample:
    for name in ("key", "prompt", "instruction_id_list", "kwargs"):
        if row.get(name) is None:
            raise InputError(f"needs '{name}'")
    kinds, kwargs = row["instruction_id_list"], row["kwargs"]
    for name, values, kind in (("instruction_id_list", kinds, str), ("kwargs", kwargs, dict)):
        if not isinstance(values, list) or not values or not all(isinstance(value, kind) for value in values):
            raise InputError(f"'{name}' must be a list of {'names' if kind is str else 'objects'}")
    if len(kinds) != len(kwargs):
        raise InputError(f"'kwargs' has {len(kwargs)} entries for {len(kinds)} in 'instruction_id_list'; one for each")
    target = [
        {"kind": kind, "kwargs": ifeval.bind(kind, values)[1]} for kind, values in zip(kinds, kwargs, strict=True)
    ]
    return Sample(
        id=str(row["key"]),
        messages=(user(row["prompt"]),),
        target=target,
        metadata={"instructions": kinds},
    )


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=1280, temperature=0.0))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    kinds, kwargs, text = _instructions(sample)
    strict, loose = ifeval.follows(kinds, kwargs, text, completions.text)
    details = {"kinds": kinds, "strict": strict, "loose": loose}
    count = len(kinds)
    return {
        "prompt_strict": Score(float(all(strict)), details=details),
        "prompt_loose": Score(float(all(loose))),
        "inst_strict": Score(sum(strict) / count, weight=count),
        "inst_loose": Score(sum(loose) / count, weight=count),
    }


def gold(sample: Sample) -> str:
    return writer.gold(*_instructions(sample))


def near_miss(sample: Sample) -> str:
    return writer.near_miss(*_instructions(sample))


def _instructions(sample: Sample) -> tuple[list[str], list[dict[str, Any]], str]:
    return (
        [item["kind"] for item in sample.target],
        [item["kwargs"] for item in sample.target],
        str(sample.messages[-1]["content"]),
    )
