"""What every backend starts from: no answers, no counts, no limits learnt. A backend overrides what it can do."""

import importlib
from collections.abc import Sequence
from typing import Any

from evalsuite.errors import BackendError
from evalsuite.models import Model, Renderer
from evalsuite.records import Capabilities, Completion, Done, Unit

BACKENDS = {
    "hf": "evalsuite.backends.hf.backend:HFBackend",
    "vllm": "evalsuite.backends.vllm.backend:VLLMBackend",
    "ray": "evalsuite.backends.ray.backend:RayBackend",
    "openai": "evalsuite.backends.openai.backend:OpenAIBackend",
    "responses": "evalsuite.backends.responses:ResponsesBackend",
    "gold": "evalsuite.microworld.judge:GoldBackend",
}
"""name → "module:class"; local ones are made as Class(model, renderer), others as Class(model)."""


def backend_class(name: str) -> Any:
    """The class of a backend, imported now."""
    module, _, attribute = BACKENDS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def prompt_of(unit: Unit, renderer: Renderer) -> tuple[int, ...]:
    """The ids that a local engine reads: the plan's, else rendered now; never none at all."""
    ids = unit.prompt_ids if unit.prompt_ids is not None else renderer.prompt_ids(unit.messages)
    return ids or (renderer.tokens.first_id,)


def pair_of(unit: Unit, renderer: Renderer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(context, continuation) that a local engine scores: the plan's ids, else rendered now."""
    if unit.prompt_ids and unit.continuation_ids:
        return unit.prompt_ids, unit.continuation_ids
    return renderer.pair_ids(unit.messages, unit.continuation)


class BaseBackend:
    """`evalsuite.records.Backend` with every verb refused, in one line that names the model."""

    capabilities: Capabilities

    def __init__(self, model: Model) -> None:
        self.model = model
        self.counts: dict[str, float] = {}
        self.limits: dict[str, int] = {}

    def count(self, name: str, more: float) -> None:
        """Adds to one of `counts`."""
        self.counts[name] = self.counts.get(name, 0) + more

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        raise self._cannot("generate")

    def loglikelihood(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        raise self._cannot("loglikelihood")

    def reward(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        raise self._cannot("reward")

    def embed(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        raise self._cannot("embed")

    def switch(self, model: Any, renderer: Any) -> bool:
        return False

    def close(self) -> None:
        """Lets go of everything. Safe to call twice."""

    def _check(self, kind: str) -> None:
        if kind not in self.capabilities.kinds:
            raise self._cannot(kind)

    def _cannot(self, kind: str) -> BackendError:
        can = ", ".join(sorted(self.capabilities.kinds)) or "nothing"
        name = f"{self.model.address}: the {self.model.backend} backend"
        return BackendError(f"{name} answers {can}, not {kind} requests")
