"""One seed of the findings: how much of everything, where its results lie, what is trained for it.

seed = Seed(PLANS["nano"], 0, work)
run(seed, STEPS)                  # every step that has no result yet
seed.results["dpo"]               # {"axes": {"iid": {"gold": [...], ...}, ...}, "cpu_s": ...}
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from evalsuite.data import fingerprint
from evalsuite.errors import InputError
from evalsuite.microworld.checkpoints import resolve
from evalsuite.microworld.kin import Wish, train
from evalsuite.microworld.world import World, build

METHODS = ("sft", "reward", "dpo", "listwise", "rloo", "ppo", "expert-iteration", "weak-to-strong")


@dataclass(frozen=True)
class Plan:
    """How much of everything. `prompts`: of each axis and policy; `draws`: for best-of-n; `rate`: of preference
    methods; `hack`: parts of the run against a weak reward, and steps in each."""

    size: str
    pairs: int
    lists: int
    prompts: int
    draws: int
    rate: float
    online_steps: int
    hack: tuple[int, int]
    weak_pairs: int = 400


PLANS = {
    "nano": Plan("nano", 2000, 500, 48, 64, 3e-4, 40, (6, 20)),
    "mini": Plan("mini", 4000, 1000, 60, 64, 1e-4, 60, (6, 20)),
}


@dataclass
class Seed:
    """One seed's world and its ledger: `work/<size>-<seed>-<key>/<step>.json`. The key covers the methods' recipes and
    defaults: results of others are never taken for these."""

    plan: Plan
    seed: int
    work: Path
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def folder(self) -> Path:
        key = fingerprint([self.wish(method).digest for method in METHODS])[:8]
        return self.work / f"{self.plan.size}-{self.seed}-{key}"

    @cached_property
    def world(self) -> World:
        return build(self.plan.size, self.seed)

    def checkpoint(self, name: str) -> Path:
        return resolve(f"{self.plan.size}/{name}@{self.seed}", threads=1)

    def wish(self, method: str, **more: Any) -> Wish:
        changes = {
            **({"learning_rate": self.plan.rate} if method in ("dpo", "listwise") else {}),
            **more.pop("changes", {}),
        }
        return Wish(method, self.plan.size, self.seed, **{"rows": self.plan.pairs, **more}, changes=changes)

    def made(self, method: str, **more: Any) -> Path:
        return train(self.wish(method, **more), threads=1)

    def file(self, name: str, rows: Callable[[], list[dict[str, Any]]]) -> str:
        """Rows of the benchmark's own as a file, made once."""
        path = self.folder / f"{name}.jsonl"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(".partial")
            beside.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
            beside.replace(path)
        return str(path)

    # --- rewards ---

    @property
    def clean_reward(self) -> Path:
        return self.made("reward")

    @property
    def weak_reward(self) -> Path:
        """Few labels, a quarter of them flipped, from a crowd that likes length."""
        return self.made("reward", rows=self.plan.weak_pairs, flip=0.25, length_bias=1.0,
                         changes={"num_train_epochs": 6})  # fmt: skip


Step = Callable[[Seed], dict[str, Any]]


def run(seed: Seed, steps: Mapping[str, Step], only: str = "") -> None:
    """Makes or reads every step's result. A step whose method does not stand is told, and tried again next time."""
    for name, step in steps.items():
        path = seed.folder / f"{name}.json"
        if path.is_file():
            seed.results[name] = json.loads(path.read_text(encoding="utf-8"))
            continue
        if only and only != name:
            continue
        started, wall = time.process_time(), time.monotonic()
        try:
            result = step(seed)
        except InputError as error:
            seed.results[name] = {"missing": str(error)}
            print(f"seed {seed.seed}: {name}: {error}", file=sys.stderr, flush=True)
            continue
        result |= {"cpu_s": round(time.process_time() - started, 1), "wall_s": round(time.monotonic() - wall, 1)}
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".partial")
        beside.write_text(json.dumps(result) + "\n", encoding="utf-8")
        os.replace(beside, path)
        seed.results[name] = result
        print(f"seed {seed.seed}: {name}: {result['cpu_s']} CPU s", file=sys.stderr, flush=True)
