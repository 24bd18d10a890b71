"""Where rewards come from: a word on the command line → a function of prompts and answers.

    reward = source("reward-model/", options)          # a reward model (any MODEL that answers `reward` requests)
    reward = source("gold:nano@1", options)            # the microworld's gold reward, in one of its worlds (mini)
    reward = source("task:gsm8k", options)             # a verifier: the task's own score against the row's `target`
    reward = source("my_rewards.py:helpful", options)  # a Python function, in a file or a module
    reward(rows, ["answer", ...])                      # one number for each, None where nothing can be said

A Python function takes what TRL's `reward_funcs` take: f(prompts, completions, **columns) -> [number or None], prompts
and completions as lists of turns, columns as lists of the data's other fields.
"""

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError
from evalsuite.models import SCHEMES, ModelOptions, renderer, resolve
from evalsuite.records import Completion, Completions, Sample, Unit, assistant
from evalsuite.training.contract import Row

Reward = Callable[[Sequence[Row], Sequence[str]], list[float | None]]

GOLD = "evalsuite.microworld.gold:reward", "evalsuite.microworld.world:world_named"
"""The gold reward and its worlds: of a room to the right, hence by name."""

CPU_TOKENS = 2048
"""Padded tokens of a reward model's batch on a CPU: fixed, so that a resumed training batches as an unbroken one."""


def source(spec: str, options: ModelOptions) -> Reward:
    """The reward that a word names. Raises InputError (one line) where it names none."""
    kind, _, rest = spec.partition(":")
    if kind == "gold":
        return gold(rest or "mini")
    if kind == "task":
        return verifier(rest)
    if _is_function(spec):
        return function(spec)
    return reward_model(spec, options)


def unrewarded(rows: Sequence[Row], answers: Sequence[str]) -> list[float | None]:
    """Nothing is said: what a method takes that judges answers by itself."""
    return [None] * len(answers)


def gold(world: str) -> Reward:
    """The gold reward of answers to a world's prompts; None where a prompt names nobody of it."""
    judge, find = (_named(name) for name in GOLD)
    place = find(world)

    def rewards(rows: Sequence[Row], answers: Sequence[str]) -> list[float | None]:
        return [judge(place, _asked(row), answer) for row, answer in zip(rows, answers, strict=True)]

    return rewards


def function(spec: str) -> Reward:
    """A user's function by "module:name" or "file.py:name"."""
    call = _named(spec)

    def rewards(rows: Sequence[Row], answers: Sequence[str]) -> list[float | None]:
        names = sorted({name for row in rows for name in row.metadata} - {"prompt", "completion"})
        columns = {name: [row.metadata.get(name) for row in rows] for name in names}
        prompts = [[dict(turn) for turn in row.messages] for row in rows]
        found = call(prompts=prompts, completions=[[assistant(answer)] for answer in answers], **columns)
        if len(found) != len(answers):
            raise InputError(f"--reward {spec}: gave {len(found)} numbers for {len(answers)} answers")
        return [_checked(spec, value) for value in found]

    return rewards


def verifier(name: str) -> Reward:
    """A task's headline score of an answer, whose row holds `target` (and `metadata`) as the task's samples do."""
    from evalsuite.data import Setup
    from evalsuite.planning.task import Task
    from evalsuite.registry import find_tasks, load_module

    refs = find_tasks([name])
    if len(refs) != 1:
        raise InputError(f"--reward task:{name}: is {len(refs)} tasks; name one ({refs[0].id})")
    entry = refs[0].entry
    setup = Setup(task=refs[0].id, folder=entry.folder, subset=refs[0].subset, method=refs[0].method)
    task = Task(refs[0], setup, load_module(entry.folder / "task.py", "task"), ())

    def rewards(rows: Sequence[Row], answers: Sequence[str]) -> list[float | None]:
        found: list[float | None] = []
        for row, answer in zip(rows, answers, strict=True):
            if "target" not in row.metadata:
                raise InputError(f"--reward task:{name}: row {row.id} has no 'target' to be verified against")
            sample = Sample(row.id, row.messages, row.metadata["target"], row.metadata.get("metadata", row.metadata))
            score = task.score(sample, Completions({"answer": (Completion(text=answer),)}))[task.primary]
            # An answer that cannot be read verifies nothing: wrong, as the task's own reader of answers has it.
            found.append(0.0 if score.value is None else float(score.value))
        return found

    return rewards


def reward_model(spec: str, options: ModelOptions) -> Reward:
    """The "reward" of a model through its backend; the model is loaded at the first call and stays."""
    from evalsuite.backends.base import backend_class
    from evalsuite.models.model import device_name

    model = resolve(spec, options)
    if "reward" not in model.kinds:
        raise InputError(f"--reward {spec}: gives no rewards (it answers: {', '.join(sorted(model.kinds))})")
    if model.local and device_name(model.options) == "cpu":
        args = {"batch_tokens": str(CPU_TOKENS), **model.options.args}
        model = replace(model, options=replace(model.options, args=args))
    backend = backend_class(model.backend)(model, *((renderer(model),) if model.local else ()))

    def rewards(rows: Sequence[Row], answers: Sequence[str]) -> list[float | None]:
        units = [
            Unit(str(i), "reward", (*row.messages, assistant(answer)))
            for i, (row, answer) in enumerate(zip(rows, answers, strict=True))
        ]
        return [found.rewards.get("reward") for found in backend.reward(units)]

    return rewards


def _is_function(spec: str) -> bool:
    """ "module:name" or "file.py:name"; other words before a colon are schemes of models."""
    where, _, name = spec.rpartition(":")
    module = all(part.isidentifier() for part in where.split(".")) and where not in (*SCHEMES, "responses", "openai")
    return name.isidentifier() and (where.endswith(".py") or module)


def _named(spec: str) -> Any:
    """The function that "module:name" or "file.py:name" names."""
    where, _, name = spec.rpartition(":")
    try:
        if where.endswith(".py"):
            from evalsuite.registry import load_module

            if not Path(where).is_file():
                raise InputError(f"--reward {spec}: no such file")
            return getattr(load_module(Path(where), "reward"), name)
        return getattr(importlib.import_module(where), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"--reward {spec}: {' '.join(str(error).split())}") from error


def _checked(spec: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"--reward {spec}: gave {value!r}, not a number") from error
    if not math.isfinite(number):
        raise InputError(f"--reward {spec}: gave {number}; rewards are finite numbers (None: cannot be said)")
    return number


def _asked(row: Row) -> str:
    from evalsuite.models.rendering import text_of

    return next((text_of(turn) for turn in reversed(row.messages) if turn["role"] == "user"), "")
