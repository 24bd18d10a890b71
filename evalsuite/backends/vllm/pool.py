"""Rewards and embeddings with vLLM: a classifier's raw numbers and pooled hidden states, by the pooling runner.

Rewards are the head's logits, without the sigmoid or softmax that vLLM would put on them. Embeddings follow the same
rules and `--model-args` as those of the `hf` backend (`hf.embed`): vLLM pools where it knows how (first, last or mean
token), and gives every token's hidden state where it does not. Its last layer is the only one that can be had.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.backends.hf.embed import SHORT, SWITCH
from evalsuite.backends.hf.embed import pool as pool_states
from evalsuite.backends.vllm.engine import Job, translated
from evalsuite.errors import BackendError, ModelError
from evalsuite.models import Model
from evalsuite.models.embedders import POOLINGS, Recipe, read_recipe
from evalsuite.models.files import read_json
from evalsuite.models.folders import head_of

NATIVE = {"cls": "CLS", "lasttoken": "LAST", "mean": "MEAN"}
"""sentence-transformers' names → vLLM's."""

CHUNK = 256
"""Requests given to an engine at once: as many as make it idle little, few enough that answers come as they are."""


@dataclass(frozen=True)
class Pooling:
    """How an engine is to pool: vLLM's task, and its way over the sequence (None: the architecture's own); what is done
    here with what it gives: `names` are poolings of token states, joined end to end."""

    task: str
    sequence: str | None = None
    names: tuple[str, ...] = ()
    normalize: bool = False

    def arguments(self) -> dict[str, Any]:
        """What `engine.start` gives to vllm.LLM."""
        from vllm.config import PoolerConfig

        given: dict[str, Any] = {"task": self.task, "use_activation": False}
        if self.sequence is not None:
            given["seq_pooling_type"] = self.sequence
        return {"convert": self.task.rpartition("_")[2], "pooler_config": PoolerConfig(**given)}


def reward_pooling(model: Model) -> Pooling:
    """For a classifier's logits. Raises BackendError for rewards that only the hf backend reads."""
    assert model.path is not None
    head = head_of(model.path, model.options.trust_remote_code, model.adapter)
    if head != "classifier":
        what = "steps" if head == "process" else "a question to a language model"
        raise BackendError(f"{model.address}: rewards by {what} are answered by --backend hf; vllm has classifiers'")
    return Pooling("classify")


def embedding_pooling(model: Model) -> Pooling:
    """For the folder's own recipe, changed by `--model-args`. Raises BackendError for what vLLM does not give."""
    assert model.path is not None
    args, recipe = model.options.args, read_recipe(model.path) or Recipe()
    names, normalize = recipe.pooling, any(step.kind == "normalize" for step in recipe.steps)
    dense = [step.folder.name for step in recipe.steps if step.kind == "dense"]
    if "pooling" in args:
        names = (SHORT.get(args["pooling"], args["pooling"]),)
        if names[0] not in (*POOLINGS, "tokens"):
            raise ModelError(f"--model-args pooling={names[0]}: known are {', '.join((*POOLINGS, 'tokens'))}")
        normalize = normalize and names != ("tokens",)
    if "normalize" in args:
        if args["normalize"] not in SWITCH:
            raise ModelError(f"--model-args normalize={args['normalize']}: true or false is wanted")
        normalize = SWITCH[args["normalize"]]
    if args.get("layer", "-1") != "-1":
        raise BackendError(f"--model-args layer={args['layer']}: vLLM gives the last layer only; use --backend hf")
    if dense and names != ("tokens",):
        raise BackendError(f"{model.address}: vLLM leaves out its dense layer {dense[0]}; use --backend hf")
    if len(names) == 1 and names[0] in NATIVE:
        return Pooling("embed", NATIVE[names[0]], (), normalize)
    return Pooling("token_embed", None, names, normalize)


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
    """A head's numbers by name: "reward" for one, its labels for several (`--model-args reward=LABEL` for one more)."""
    if len(values) == 1:
        return {"reward": values[0]}
    assert model.path is not None
    labels = read_json(model.path / "config.json").get("id2label") or {}
    found = {str(labels.get(str(i), f"LABEL_{i}")): value for i, value in enumerate(values)}
    chosen = model.options.args.get("reward")
    if chosen is not None and chosen not in found:
        raise ModelError(f"--model-args reward={chosen}: {model.address} has the labels {', '.join(found)}")
    return found if chosen is None else {**found, "reward": found[chosen]}


def embedding(pooling: Pooling, data: Any) -> tuple[tuple[float, ...], ...]:
    """The rows of an embedding out of what vLLM gave: a vector, or (tokens, width)."""
    import torch

    rows = data.float().reshape(-1, data.shape[-1])
    if pooling.names and pooling.names != ("tokens",):
        mask = torch.ones((1, len(rows)), dtype=torch.long)
        rows = torch.cat([pool_states(rows[None], mask, name) for name in pooling.names], dim=-1)
    if pooling.normalize:
        rows = torch.nn.functional.normalize(rows, p=2, dim=-1)
    return tuple(tuple(row) for row in rows.tolist())
