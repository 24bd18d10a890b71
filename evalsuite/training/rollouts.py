"""Answers of the policy that is being trained, with the log-probabilities of the distribution they were drawn from.

    policy = Live(module, model, renderer)
    policy.answers(rows, seeds, Drawing(max_tokens=256))[0].behaviour

`Live` speaks through the suite's own `hf` backend around the module in training, so nothing is loaded between steps;
`Served` through `vllm`, which takes each round's weights from a folder. Every answer has a seed of its own, so neither
batch nor number of processes moves a word.
"""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from evalsuite.errors import InputError
from evalsuite.models import Model, Renderer, renderer, resolve
from evalsuite.records import Sampling, Unit
from evalsuite.training import batching
from evalsuite.training.contract import Item, Row, Tokenised
from evalsuite.training.objectives.scores import token_logps

CPU_LIMITS = {"chunk_tokens": 512, "slot_tokens": 1 << 16}
"""Budgets that do not follow free memory: a resumed training batches as an unbroken one."""


@dataclass(frozen=True)
class Drawing:
    """How answers are drawn."""

    temperature: float = 1.0
    max_tokens: int = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policy said: `ids` with the end mark where it `ended`, `behaviour` (nats) of each of them under the
    distribution that it was drawn from."""

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    behaviour: tuple[float, ...]
    text: str
    ended: bool

    @property
    def sequence(self) -> Tokenised:
        """Prompt and answer as training data; the answer's tokens are learned from."""
        before = len(self.prompt)
        mask = (*([False] * before), *([True] * len(self.ids)))
        return Tokenised((*self.prompt, *self.ids), mask, given={"behaviour": (*([0.0] * before), *self.behaviour)})


class Policy(Protocol):
    """Whatever gives answers to prompts, one for each (row, seed). `push` tells it that the weights have changed,
    `close` that it is needed no more."""

    def push(self, module: Any) -> None: ...

    def answers(self, rows: Sequence[Row], seeds: Sequence[int], drawing: Drawing) -> list[Answer]: ...

    def close(self) -> None: ...


class Live:
    """The policy as it stands in memory. `module` may wear an adapter, or a critic beside it (`.policy`)."""

    def __init__(self, module: Any, model: Model, made: Renderer) -> None:
        plain = getattr(module, "policy", module)
        self._module = plain.get_base_model() if hasattr(plain, "get_base_model") else plain
        self._model, self._renderer = model, made
        self._backend: Any = None

    def push(self, module: Any) -> None:
        """Nothing: it is the same module."""

    def answers(self, rows: Sequence[Row], seeds: Sequence[int], drawing: Drawing) -> list[Answer]:
        from evalsuite.backends.hf.attention import speaking
        from evalsuite.backends.hf.backend import HFBackend

        units = [_unit(row, seed, drawing, self._renderer) for row, seed in zip(rows, seeds, strict=True)]
        with speaking(self._module):
            if self._backend is None:
                self._backend = HFBackend.around(self._module, self._model, self._renderer)
                if self._backend.net.device == "cpu":
                    self._backend.limits.update(CPU_LIMITS)
            spoken = self._backend.draw(units)
        return [_answer(r.prompt, r.ids, r.behaviour, r.reason == "stop", self._renderer) for r in spoken]

    def close(self) -> None:
        """Lets the backend go; the module is the training's."""
        self._backend = None


class Served:
    """The policy in an engine of vLLM's, which reads its weights anew where they have changed (`push`)."""

    def __init__(self, folder: Path, model: Model) -> None:
        self._folder, self._model = folder, model
        self._backend: Any = None
        self._renderer: Any = None
        self._round = 0

    def push(self, module: Any) -> None:
        """Writes the module's weights as a checkpoint and has the engine read them."""
        import shutil

        from transformers import AutoTokenizer

        from evalsuite.backends.base import backend_class
        from evalsuite.training.saving import write

        plain = getattr(module, "policy", module)
        before, self._round = self._folder / f"round-{self._round}", self._round + 1
        now = self._folder / f"round-{self._round}"
        write(plain, AutoTokenizer.from_pretrained(self._model.path), now, {})
        model = replace(resolve(str(now), self._model.options), backend="vllm")
        self._renderer = renderer(model)
        if self._backend is None or not self._backend.switch(model, self._renderer):
            self._backend = backend_class("vllm")(model, self._renderer)
        shutil.rmtree(before, ignore_errors=True)

    def answers(self, rows: Sequence[Row], seeds: Sequence[int], drawing: Drawing) -> list[Answer]:
        if drawing.temperature != 1:
            raise InputError(
                "rollout_engine=vllm: log-probabilities are those of temperature 1; leave temperature at 1"
            )
        units = [_unit(row, seed, drawing, self._renderer) for row, seed in zip(rows, seeds, strict=True)]
        return [
            _answer(u.prompt_ids or (), ids, logps, ended, self._renderer)
            for u, (ids, logps, ended) in zip(units, self._backend.draw(units), strict=True)
        ]

    def close(self) -> None:
        """Ends the engine's processes."""
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close()


def policy_of(engine: str, module: Any, model: Model, made: Renderer, folder: Path) -> Policy:
    """What draws the answers of a module in training."""
    return Live(module, model, made) if engine == "hf" else Served(folder, model)


def seed_of(*parts: object) -> int:
    """A draw's own seed out of what names it (seed, round, place, number)."""
    return int(hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:12], 16)


def read(
    module: Any, sequences: Sequence[Tokenised], pad_id: int, temperature: float = 1.0, size: int = 8
) -> list[dict[str, tuple[float, ...]]]:
    """What a module says of finished sequences, without gradients: "logps" of each token (tempered as the draws were),
    and "values" where it has a critic. Numbers do not depend on how sequences are shared out over processes."""
    import torch

    device = next(module.parameters()).device
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
    found: list[dict[str, tuple[float, ...]]] = [{} for _ in sequences]
    training = module.training
    module.eval()
    with torch.no_grad():
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = batching.collate([Item((sequences[i],)) for i in chosen], pad_id).to(device)
            if hasattr(module, "critic"):
                told = dict(zip(("logps", "values"), module(batch.ids, batch.mask, temperature), strict=True))
            else:
                told = {"logps": token_logps(module, batch.ids, batch.mask, temperature=temperature)}
            for name, table in told.items():
                for i, row in zip(chosen, table.float().cpu().tolist(), strict=True):
                    found[i][name] = tuple(row[: len(sequences[i].ids)])
    module.train(training)
    return found


def without_adapter(module: Any) -> AbstractContextManager[Any]:
    """The module as it was before training, where an adapter is all that is trained."""
    plain = getattr(module, "policy", module)
    return plain.disable_adapter() if hasattr(plain, "disable_adapter") else nullcontext()


def _unit(row: Row, seed: int, drawing: Drawing, made: Renderer) -> Unit:
    sampling = Sampling(max_tokens=drawing.max_tokens, temperature=drawing.temperature)
    ids = made.prompt_ids(row.messages)
    return Unit("", "generate", row.messages, prompt_ids=ids, sampling=sampling, seed=seed)


def _answer(
    prompt: Sequence[int], ids: Sequence[int], behaviour: Sequence[float], ended: bool, made: Renderer
) -> Answer:
    spoken = ids[:-1] if ended and ids[-1] in made.eos_ids else ids
    return Answer(tuple(prompt), tuple(ids), tuple(behaviour), made.decode(spoken), ended)
