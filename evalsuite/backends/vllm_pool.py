"""Rewards and embeddings with vLLM: a classifier's raw numbers and pooled hidden states, by the pooling runner.

Rewards are the head's logits, without the sigmoid or softmax that vLLM would put on them. Embeddings are pooled by
vLLM where it knows the pooling (first, last or mean token), and normalised where the folder's recipe says so.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.backends.vllm_engine import Job, translated
from evalsuite.errors import BackendError
from evalsuite.models import Model
from evalsuite.models.embedders import Recipe
from evalsuite.models.files import read_json

POOLINGS = {"cls": "CLS", "lasttoken": "LAST", "mean": "MEAN"}
"""sentence-transformers' names → vLLM's."""

CHUNK = 256
"""Requests given to an engine at once: as many as make it idle little, few enough that answers come as they are."""


@dataclass(frozen=True)
class Pooling:
    """How an engine is to pool: vLLM's task, and its way over the sequence (None: the architecture's own)."""

    task: str
    sequence: str | None = None

    def arguments(self) -> dict[str, Any]:
        """What `vllm_engine.start` gives to vllm.LLM."""
        from vllm.config import PoolerConfig

        given: dict[str, Any] = {"task": self.task, "use_activation": False}
        if self.sequence is not None:
            given["seq_pooling_type"] = self.sequence
        return {"convert": self.task.rpartition("_")[2], "pooler_config": PoolerConfig(**given)}


def embedding_of(model: Model, recipe: Recipe) -> Pooling:
    """The pooling of an embedding recipe. Raises BackendError (one line) for one that vLLM does not have."""
    strange = [name for name in recipe.pooling if name not in POOLINGS]
    if strange or len(recipe.pooling) != 1:
        known = ", ".join(POOLINGS)
        raise BackendError(
            f"{model.address}: vLLM pools by one of {known}, not by {'+'.join(recipe.pooling)}; use --backend hf"
        )
    dense = [step.folder.name for step in recipe.steps if step.kind == "dense"]
    if dense:
        raise BackendError(f"{model.address}: vLLM leaves out its dense layer {dense[0]}; use --backend hf")
    return Pooling("embed", POOLINGS[recipe.pooling[0]])


def pool(engines: Sequence[Any], jobs: Sequence[Job], task: str, finish: Callable[[int, Any], None]) -> None:
    """Runs jobs on pooling engines; `finish(place, output)` hears of each, from one thread at a time. Several engines
    take chunks from one queue."""
    size = min(CHUNK, -(-len(jobs) // (2 * len(engines)))) if len(engines) > 1 else CHUNK
    chunks = [range(i, min(i + size, len(jobs))) for i in range(0, len(jobs), max(1, size))]
    lock = threading.Lock()
    failures: list[BaseException] = []

    def work(engine: Any) -> None:
        while True:
            with lock:
                if not chunks or failures:
                    return
                places = chunks.pop(0)
            try:
                given = [jobs[place] for place in places]
                outputs = engine.encode(
                    [job.prompt for job in given],
                    pooling_task=task,
                    lora_request=[job.lora for job in given],
                    use_tqdm=False,
                )
            except BaseException as error:  # carried to the calling thread, where it is raised
                failures.append(translated(error))
                return
            for place, output in zip(places, outputs, strict=True):
                with lock:
                    finish(place, output)

    threads = [threading.Thread(target=work, args=(engine,), daemon=True) for engine in engines[1:]]
    for thread in threads:
        thread.start()
    work(engines[0])
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def rewards(model: Model, values: Sequence[float]) -> dict[str, float]:
    """A head's numbers by name: "reward" for one, its labels for several."""
    if len(values) == 1:
        return {"reward": values[0]}
    assert model.path is not None
    labels = read_json(model.path / "config.json").get("id2label") or {}
    return {str(labels.get(str(i), f"LABEL_{i}")): value for i, value in enumerate(values)}


def vector(values: Sequence[float], recipe: Recipe) -> tuple[float, ...]:
    """A pooled vector after the recipe's steps."""
    found = tuple(float(value) for value in values)
    if any(step.kind == "normalize" for step in recipe.steps):
        length = math.hypot(*found) or 1.0
        found = tuple(value / length for value in found)
    return found
