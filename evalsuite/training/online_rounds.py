"""The items of an online training, round by round, as the loop takes them: which prompts a round asks, how many steps
it is good for, and what a resumed training must know of the round that it stands in.

Everything follows from the seed and the number of the round, so that a resumed training draws what an unbroken one
would have drawn.
"""

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from evalsuite.errors import InputError
from evalsuite.training import batching
from evalsuite.training.contract import Item, Row, Settings, Tokenised
from evalsuite.training.online import Context
from evalsuite.training.online_combining import Combined
from evalsuite.training.online_rewards import Reward
from evalsuite.training.rollouts import Policy


@dataclass
class Rounds:
    """The items of an online training. `policy` draws, `reward` and `gold` judge; `figures` are the last round's."""

    prompts: Sequence[Row]
    policy: Policy
    reward: Reward
    gold: Reward | None = None
    figures: dict[str, float] = field(default_factory=dict)
    _frozen: Any = None
    _items: list[Item] = field(default_factory=list)
    _round: int = -1

    def begin(self, job: Any, accelerator: Any) -> None:
        """Keeps the policy as it is now, before any step (also of a resumed training), and what LSC has to know of it.
        Raises InputError where weights are shared out."""
        kind = accelerator.distributed_type.value
        if kind not in ("NO", "MULTI_CPU", "MULTI_GPU"):
            raise InputError(f"online methods need whole weights in every process, not {kind}; or: --engine trl")
        if job.config.rollout_engine == "vllm" and accelerator.num_processes > 1:
            raise InputError("rollout_engine=vllm: with one process only")
        if job.config.reference == "start":
            plain = getattr(job.model, "policy", job.model)
            worn = hasattr(plain, "disable_adapter")  # the start is then what lies under the adapter
            self._frozen = plain if worn else copy.deepcopy(plain).requires_grad_(False).eval()
            self._frozen.to(accelerator.device)
        if isinstance(self.reward, Combined) and self.reward.how == "lsc":
            self.policy.push(job.model.to(accelerator.device))
            self.reward.begin(self.policy, self.prompts, job.config, job.settings.seed, accelerator.process_index,
                              accelerator.num_processes)  # fmt: skip

    def total(self, job: Any, processes: int) -> int:
        """Optimiser steps of the training."""
        s: Settings = job.settings
        if s.max_steps > 0:
            return s.max_steps
        rounds = max(1, round(s.num_train_epochs * -(-len(self.prompts) // self._size(job, processes))))
        return rounds * self._steps_of(job, processes)

    def steps(self, job: Any, accelerator: Any, model: Any, done: int) -> Iterator[list[Item]]:
        """The items of each step from `done` on, those of all processes together; the same in every process."""
        processes = accelerator.num_processes
        together = _together(job.settings, processes)
        each = self._steps_of(job, processes)
        for number in range(done // each, 1 << 62):
            if number != self._round:
                self._items, self._round = self._roll(job, accelerator, accelerator.unwrap_model(model), number), number
            lengths = [batching.length(item) for item in self._items]
            planned = [
                [self._items[i] for i in chosen]
                for turn in range(job.config.num_iterations)
                for chosen in batching.plan(lengths, together, number * job.config.num_iterations + turn,
                                            job.settings.seed)
            ]  # fmt: skip
            yield from planned[done - number * each :]
            done = (number + 1) * each

    def state(self) -> dict[str, Any]:
        """What a resumed training needs to know of the round that it stands in; plain JSON."""
        return {"round": self._round, "figures": self.figures, "items": [asdict(item) for item in self._items]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on with a round that was drawn already."""
        self._round, self.figures = state["round"], dict(state["figures"])
        self._items = [_item(raw) for raw in state["items"]]

    def _roll(self, job: Any, accelerator: Any, module: Any, number: int) -> list[Item]:
        context = Context(
            self.reward, self.gold, module, self._frozen, job.pad_id, job.settings.seed, number,
            accelerator.process_index, accelerator.num_processes, accelerator.autocast,
        )  # fmt: skip
        self.policy.push(module)
        items: list[Item] = job.method.rollout(self.policy, self._asked(job, accelerator, number), job.config, context)
        self.figures = context.figures
        return items

    def _asked(self, job: Any, accelerator: Any, number: int) -> list[Row]:
        """The prompts of a round: epochs of shuffled prompts, one after another, cut into rounds."""
        size, count = self._size(job, accelerator.num_processes), len(self.prompts)
        orders: dict[int, list[int]] = {}
        chosen = []
        for at in range(number * size, (number + 1) * size):
            if at // count not in orders:
                orders[at // count] = random.Random(f"{job.settings.seed}:prompts:{at // count}").sample(
                    range(count), count
                )
            chosen.append(self.prompts[orders[at // count][at % count]])
        return chosen

    def _size(self, job: Any, processes: int) -> int:
        per = job.config.num_generations if job.method.PER == "answer" else 1
        return job.config.prompts_per_round or max(1, _together(job.settings, processes) // per)

    def _steps_of(self, job: Any, processes: int) -> int:
        per = job.config.num_generations if job.method.PER == "answer" else 1
        items = self._size(job, processes) * per
        return -(-items // _together(job.settings, processes)) * job.config.num_iterations


def _together(s: Settings, processes: int) -> int:
    return s.per_device_train_batch_size * s.gradient_accumulation_steps * processes


def _item(raw: Mapping[str, Any]) -> Item:
    sequences = tuple(
        Tokenised(
            tuple(s["ids"]),
            tuple(s["mask"]),
            tuple(s["weight"]) if s["weight"] is not None else None,
            tuple(s["ref"]) if s["ref"] is not None else None,
            {name: tuple(row) for name, row in s["given"].items()},
        )
        for s in raw["sequences"]
    )
    return Item(sequences, tuple(raw["labels"]), raw["columns"], raw["row"])
