"""The `ray` backend: any local engine (`--model-args engine=hf|vllm`), sharded over a Ray cluster of any size.

Workers are actors that keep one engine loaded, across tasks and across checkpoints that it can switch to. The units of
a call are cut into chunks by what they hold, never by how many workers there are; idle workers take the next chunk, a
lost worker's chunk is done again by another. So the answers are those of one worker, each given once, in the units'
order. `workers=N`, `cpus=K`, `gpus=K` (of each worker), `address=local|auto|ray://HOST:PORT` and `chunk=TOKENS` are its
`--model-args`; all others are the engine's.

>>> engine = RayBackend(replace(model, backend="ray"), renderer(model))
>>> engine.loglikelihood(units)[0].logprob
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from evalsuite.backends.base import BaseBackend, backend_class
from evalsuite.backends.ray.cluster import PARALLEL, Layout, check_installed, connect, environment, layout
from evalsuite.backends.ray.pool import Pool
from evalsuite.backends.ray.worker import Answered, Setup, Started, Worker, machine
from evalsuite.errors import BackendError, ModelError
from evalsuite.models import Model, Renderer
from evalsuite.models.model import BackendName, numeric_type
from evalsuite.models.tokens import common
from evalsuite.records import Completion, Done, Kind, Unit

ENGINES = ("hf", "vllm")
OWN_ARGS = frozenset({"engine", "workers", "cpus", "gpus", "address", "chunk"})

PARTS = 16
"""Chunks of a call: enough to keep some workers busy to its end, few enough to leave their engines full batches."""

LEAST_TOKENS = {"generate": 8192, "loglikelihood": 4096, "reward": 4096, "embed": 4096}
"""Smallest chunk, in tokens to compute; of generation in prompts and longest answers, whose batches want many rows."""


class RayBackend(BaseBackend):
    """Answers units with the workers of a cluster (`evalsuite.records.Backend`). `counts` adds `loads` (engines that
    workers had to make) and `retries` (chunks done again). Several threads may call at once."""

    def __init__(self, model: Model, renderer: Renderer) -> None:
        super().__init__(model)
        check_installed()
        inner = engine_model(model)
        self.capabilities = backend_class(inner.backend)(inner, renderer).capabilities
        self._chunk = model.options.number("chunk", 1) if "chunk" in model.options.args else None
        self._pool: Pool | None = None
        self._layout: Layout | None = None
        self._joined = False
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        return self._answer("generate", units, done)

    def loglikelihood(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        return self._answer("loglikelihood", units, done)

    def reward(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        return self._answer("reward", units, done)

    def embed(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        return self._answer("embed", units, done)

    @property
    def lanes(self) -> int:
        """Calls at a time that keep all workers busy. Connects to the cluster."""
        return 2 * self._started().size

    @property
    def workers(self) -> list[Started]:
        """The workers that are there now."""
        return self._pool.workers if self._pool is not None else []

    def switch(self, model: Any, renderer: Any) -> bool:
        """Gives the workers another model where they are of the same kind and size. Each asks its engine to switch, and
        makes a new one in its place where that cannot."""
        if _where(model) != _where(self.model):
            return False
        inner = engine_model(model)
        self.capabilities = backend_class(inner.backend)(inner, renderer).capabilities
        self.model = model
        if self._pool is not None and self._layout is not None:
            self._pool.switch(self._setup(self._layout))
        return True

    def close(self) -> None:
        """Ends the workers; leaves the cluster, which ends where it was started here."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
        if self._joined:
            import ray

            ray.shutdown()
            self._joined = False

    # -- inside -------------------------------------------------------------------------------------------------------

    def _answer(self, kind: Kind, units: Sequence[Unit], done: Done | None) -> list[Completion]:
        if kind not in self.capabilities.kinds:
            raise self._cannot(kind)
        pool, limits = self._started(), dict(self.limits)
        asked: dict[Future[Answered], list[int]] = {}
        for places in chunks(units, self._chunk):
            asked[pool.submit(kind, [units[i] for i in places], limits)] = places
        found: list[Completion | None] = [None] * len(units)
        try:
            for future in as_completed(asked):
                answered, places = future.result(), asked[future]
                if len(answered.completions) != len(places):
                    raise BackendError(f"a worker gave {len(answered.completions)} answers to {len(places)} requests")
                for place, completion in zip(places, answered.completions, strict=True):
                    found[place] = completion
                    if done is not None:
                        done(place, completion)
                self._learn(answered, pool)
        finally:
            for future in asked:
                future.cancel()  # after an error nobody waits for the rest
        return [completion for completion in found if completion is not None]

    def _learn(self, answered: Answered, pool: Pool) -> None:
        """Adds up the workers' work, and keeps the smallest of their limits."""
        with self._lock:
            for name, value in answered.counts.items():
                self.count(name, value)
            for name, value in pool.counts.items():
                self.count(name, value - self._told.get(name, 0.0))
                self._told[name] = value
            for name, limit in answered.limits.items():
                self.limits[name] = min(limit, self.limits.get(name, limit))

    def _started(self) -> Pool:
        with self._lock:
            if self._pool is None:
                self._joined = connect(self.model.options)
                self._layout = layout(self.model.options)
                self._told = {}
                self._pool = _pool(self._layout, self._setup(self._layout))
            return self._pool

    def _setup(self, size: Layout) -> Setup:
        return Setup(engine_model(self.model), machine(), environment(size.cpus))


def engine_model(model: Model) -> Model:
    """The model as a worker's engine gets it: absolute paths, the dtype that the driver decided (it is part of the
    model's identity), and none of the arguments that are ours. Raises ModelError for an unknown engine."""
    if model.engine not in ENGINES:
        raise ModelError(f"--model-args engine={model.engine}: known are {', '.join(ENGINES)}")
    options = model.options
    template = options.template if options.template in ("auto", "raw") else str(Path(options.template).absolute())
    args = {key: value for key, value in options.args.items() if key not in OWN_ARGS}
    return replace(
        model,
        backend=cast(BackendName, model.engine),
        path=model.path.absolute() if model.path is not None else None,
        adapter=model.adapter.absolute() if model.adapter is not None else None,
        options=replace(options, template=template, dtype=numeric_type(options), args=args),
    )


def _where(model: Model) -> tuple[str, dict[str, str]]:
    """What decides how many workers there are, and how large each is."""
    args = {key: value for key, value in model.options.args.items() if key in (*OWN_ARGS, *PARALLEL)}
    return model.options.device, args


def chunks(units: Sequence[Unit], tokens: int | None = None) -> list[list[int]]:
    """Places of units, cut in their order into chunks of at most `tokens` tokens to compute (None: a sixteenth of all,
    but no less than `LEAST_TOKENS`); one unit always fits. A prefix that units share with their left neighbours counts
    once, and a full chunk ends in its second half, in front of the unit that shares the least."""
    ids, sizes = [_ids(unit) for unit in units], [_size(unit) for unit in units]
    shared = [0, *(common(a, b) for a, b in pairwise(ids))]
    total = sum(sizes) - sum(shared)
    budget = tokens or max(LEAST_TOKENS[units[0].kind] if units else 1, -(-total // PARTS))
    cut: list[list[int]] = []
    start = 0
    while start < len(units):
        end, filled = start + 1, sizes[start]
        while end < len(units) and filled + sizes[end] - shared[end] <= budget:
            filled += sizes[end] - shared[end]
            end += 1
        if end < len(units):
            middle = start + max(1, (end - start + 1) // 2)
            end = min(range(end, middle - 1, -1), key=lambda i: shared[i])
        cut.append(list(range(start, end)))
        start = end
    return cut


def _ids(unit: Unit) -> tuple[int, ...]:
    return (unit.prompt_ids or ()) + unit.continuation_ids


def _size(unit: Unit) -> int:
    """Tokens of a unit: its prompt and what is scored or may be written. Images count as their text does."""
    ids = len(_ids(unit)) or sum(len(str(m["content"])) for m in unit.messages) // 4
    spoken = unit.sampling.max_tokens + unit.sampling.reasoning_tokens if unit.kind == "generate" else 0
    return ids + spoken


def _pool(size: Layout, setup: Setup) -> Pool:
    import ray

    actor: Any = ray.remote(Worker).options(num_cpus=size.cpus, num_gpus=size.gpus, max_restarts=0)
    return Pool(size.workers, setup, actor.remote, ray.kill)
