"""The `vllm` backend: vLLM's offline engine, for GPUs (and its CPU build), with the project's own tokens and texts.

Generation, log-likelihoods (`vllm.score` says by which requests), rewards and embeddings of a local folder; LoRA
adapters over one base; several GPUs by `--model-args tensor_parallel_size=N`, `pipeline_parallel_size=N` and
`data_parallel_size=N`. All keys are in `vllm.settings`; docs/vllm.md is the guide.

One engine of vLLM either writes or pools, so rewards and embeddings have engines of their own, made at the first such
request; the writing engine is ended before, since both would ask for the whole memory of the device.

>>> engine = VLLMBackend(model, renderer(model))
>>> engine.generate(units)[0].text
>>> engine.close()
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from evalsuite.backends.base import BaseBackend, pair_of, prompt_of
from evalsuite.backends.hf.embed import fitted
from evalsuite.backends.vllm import generate, pool, score
from evalsuite.backends.vllm.engine import Job, check_installed, drive, marked_ids, start, stop, vllm_prompt
from evalsuite.backends.vllm.generate import Draw
from evalsuite.backends.vllm.pool import Pooling
from evalsuite.backends.vllm.score import Ask, Pair, Plan, Row
from evalsuite.backends.vllm.settings import Scoring, read_settings
from evalsuite.backends.vllm.switch import check_adapter, lora_rank, lora_request, reload, same_weights, swappable
from evalsuite.data.images import has_images, image_hashes
from evalsuite.errors import BackendError, InputError
from evalsuite.models import Model, Renderer
from evalsuite.models.vision import VisionRenderer
from evalsuite.records import Capabilities, Completion, Done, Unit

COUNTS: dict[Plan, str] = {"forced": "forced", "cached": "prompt_cached", "prompt": "prompt_logprobs"}
"""Plans of scoring → what `counts` calls them."""


class VLLMBackend(BaseBackend):
    """Answers units with vLLM (`evalsuite.records.Backend`).

    `counts` adds to those of every backend: `cached_tokens` (prompt tokens read from the prefix cache), `forced`,
    `prompt_cached` and `prompt_logprobs` (continuations scored by each plan), `calls` (requests to the engine).
    """

    def __init__(self, model: Model, renderer: Renderer) -> None:
        super().__init__(model)
        check_installed()
        self._engines: list[Any] = []
        self._work = ""  # what they were started for
        self._rank = 0  # of the adapters that they have room for
        self._adopt(model, renderer)

    def _adopt(self, model: Model, renderer: Renderer) -> None:
        if model.adapter is not None:
            check_adapter(model, model.adapter)
        self._settings = read_settings(model.options.args, model.context_window)
        self.model = model
        self._renderer = renderer
        self.capabilities = Capabilities(
            kinds=model.kinds, input="ids", images=isinstance(renderer, VisionRenderer), seeds=True, top_logprobs=True
        )

    # -- verbs --------------------------------------------------------------------------------------------------------

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Text for each unit. vLLM batches rows of any sampling together and keeps each row's seed its own."""
        found: list[Completion | None] = [None] * len(units)

        def tell(place: int, output: Any) -> None:
            found[place] = answer = generate.completion(units[place], output, self._renderer)
            if done is not None:
                done(place, answer)

        self._speak(units, found, done, tell)
        return _complete(found)

    def draw(self, units: Sequence[Unit]) -> list[Draw]:
        """Text for each unit as token ids with the log-probabilities that a training needs of what it learns from.
        Raises InputError for draws that are cut or tempered: vLLM tells those of the plain softmax alone."""
        for sampling in {unit.sampling for unit in units}:
            if sampling.temperature != 1 or sampling.top_p < 1 or sampling.top_k > 0:
                raise InputError("draws with log-probabilities need temperature=1, top_p=1 and top_k=0 in vLLM")
        found: dict[int, Draw] = {}
        traced = [replace(unit, sampling=replace(unit.sampling, top_logprobs=1)) for unit in units]
        lost: list[Completion | None] = [None] * len(units)
        self._speak(traced, lost, None, lambda place, output: found.update({place: generate.draw(output)}))
        if len(found) < len(units):
            raise BackendError(f"{self.model.address}: {len(units) - len(found)} prompts do not fit its window")
        return [found[place] for place in range(len(units))]

    def _speak(
        self,
        units: Sequence[Unit],
        found: list[Completion | None],
        done: Done | None,
        tell: Callable[[int, Any], None],
    ) -> None:
        """Has the engine write; tells each finished request. `found` gets an error for prompts that do not fit."""
        self._check("generate")
        engines = self._ready("generate")
        prompts = [prompt_of(unit, self._renderer) for unit in units]
        fits = [i for i, ids in enumerate(prompts) if self._fits(i, len(ids) + 1, found, done)]
        vocabulary = int(engines[0].model_config.get_vocab_size())
        jobs = [
            Job(
                vllm_prompt(self._fed(units[i], (prompts[i], ()))[0], units[i].messages),
                generate.sampling_params(units[i], self._renderer, vocabulary),
                lora_request(self.model),
            )
            for i in fits
        ]

        def finish(number: int, output: Any) -> None:
            self._count(output)
            tell(fits[number], output)

        with self._timed():
            drive(engines, jobs, finish)

    def loglikelihood(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Log-probability (nats) of each token of each unit's continuation, and whether all were the argmax."""
        self._check("loglikelihood")
        self._ready("generate")
        scoring = self._scoring()
        found: list[Completion | None] = [None] * len(units)
        pairs = [pair_of(unit, self._renderer) for unit in units]
        fits = [i for i, pair in enumerate(pairs) if self._fits(i, sum(map(len, pair)), found, done)]
        scored = [pairs[i] for i in fits]
        rows: list[list[Row | None]] = [[None] * len(continuation) for _, continuation in scored]

        def complete(number: int) -> None:
            row = [value for value in rows[number] if value is not None]
            place = fits[number]
            if found[place] is None and len(row) == len(rows[number]):
                found[place] = answer = score.completion(scored[number], row)
                if done is not None:
                    done(place, answer)

        fed = [self._fed(units[place], pairs[place]) for place in fits]
        images = [tuple(image_hashes(units[place].messages)) for place in fits]
        plans = score.choose(fed, self._block(), scoring)
        for plan in plans:
            self.count(COUNTS[plan], 1)

        def run(plans: Sequence[Plan], numbers: Collection[int]) -> set[int]:
            asks = score.asks(fed, plans, numbers, images)
            prompts = [vllm_prompt(ask.ids, units[fits[ask.items[0][0]]].messages) for ask in asks]
            return self._ask(asks, prompts, rows, complete)

        again = run(plans, range(len(fed)))
        if again:
            # The cache held more than was foreseen: these are computed without it.
            self.count(COUNTS["cached"], -len(again))
            self.count(COUNTS["prompt"], len(again))
            run(["prompt"] * len(fed), sorted(again))
        return _complete(found)

    def reward(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Rewards of each unit's whole conversation: {"reward": x}, or one number for each label of the head."""
        self._check("reward")

        def answer(output: Any) -> dict[str, Any]:
            return {"rewards": pool.rewards(self.model, [float(value) for value in output.outputs.data.tolist()])}

        return self._pooled(units, pool.reward_pooling(self.model), answer, done)

    def embed(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """One vector for each unit's text, or one for each of its tokens. A text beyond the window is cut at its end
        (`finish_reason="length"`)."""
        self._check("embed")
        pooling = pool.embedding_pooling(self.model)

        def answer(output: Any) -> dict[str, Any]:
            return {"embedding": pool.embedding(pooling, output.outputs.data)}

        return self._pooled(units, pooling, answer, done)

    def switch(self, model: Model, renderer: Renderer) -> bool:
        """Another adapter of the same base, or other weights of the same shape, in the engines that run already."""
        if self._engines and not swappable(self.model, model, self._rank):
            return False
        if self._engines and not same_weights(self.model, model) and not reload(self._engines, model):
            self.close()  # its weights may be half the one, half the other
        self._adopt(model, renderer)
        return True

    def close(self) -> None:
        """Ends the engines' processes."""
        engines, self._engines = self._engines, []
        stop(engines)

    # -- engines ------------------------------------------------------------------------------------------------------

    def _ready(self, work: str, arguments: Callable[[], dict[str, Any]] = dict) -> list[Any]:
        """Engines for "generate" or a task of pooling, started at the first need. Raises ModelError where vLLM cannot
        run the model."""
        if self._work != work:
            self.close()
        if not self._engines:
            runner = "generate" if work == "generate" else "pooling"
            self._engines = start(self.model, self._settings, runner, **arguments())
            self._work, self._rank = work, lora_rank(self.model, self._settings)
        return self._engines

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Counts the seconds inside; an engine that ended is let go, so that the next call starts a new one."""
        begun = time.perf_counter()
        try:
            yield
        except BackendError:
            self.close()
            raise
        finally:
            self.count("model_s", time.perf_counter() - begun)

    def _count(self, output: Any) -> None:
        cached = int(output.num_cached_tokens or 0)
        prefill = len(output.prompt_token_ids) - cached
        # A pooled answer has no tokens, and the first token of a text comes out of the prompt's own forward.
        decode = len(output.outputs[0].token_ids) - 1 if isinstance(output.outputs, list) else 0
        for name, more in (("prefill_tokens", prefill), ("decode_tokens", decode), ("cached_tokens", cached)):
            self.count(name, more)
        self.count("forwarded_tokens", prefill + decode)
        self.count("calls", 1)

    def _scoring(self) -> Scoring:
        """The plan that was asked for. With adapters vLLM's head takes one row of each request, so that asking for
        prompt_logprobs ends the engine: continuations are forced then."""
        if self._rank and self._settings.scoring in ("cached", "prompt"):
            raise InputError(
                f"--model-args scoring={self._settings.scoring}: vLLM gives no prompt_logprobs where adapters are "
                "loaded; give scoring=forced"
            )
        return "forced" if self._rank else self._settings.scoring

    def _block(self) -> int | None:
        """Tokens of a block of the prefix cache; None where it is off."""
        cache = self._engines[0].llm_engine.vllm_config.cache_config
        return int(cache.block_size) if cache.enable_prefix_caching else None

    # -- units --------------------------------------------------------------------------------------------------------

    def _pooled(
        self, units: Sequence[Unit], pooling: Pooling, answer: Callable[[Any], dict[str, Any]], done: Done | None
    ) -> list[Completion]:
        found: list[Completion | None] = [None] * len(units)
        engines = self._ready(pooling.task, pooling.arguments)
        whole = [unit.prompt_ids or self._renderer.conversation_ids(unit.messages) for unit in units]
        window = int(engines[0].model_config.max_model_len)
        cut = [fitted(ids, window, self._renderer) if unit.kind == "embed" else ids
               for unit, ids in zip(units, whole, strict=True)]  # fmt: skip
        fits = [i for i, ids in enumerate(cut) if self._fits(i, len(ids), found, done)]
        jobs = [Job(vllm_prompt(cut[i]), None, lora_request(self.model)) for i in fits]

        def finish(number: int, output: Any) -> None:
            place = fits[number]
            reason = "length" if len(cut[place]) < len(whole[place]) else "stop"
            found[place] = complete = Completion(prompt_tokens=len(cut[place]), finish_reason=reason, **answer(output))
            self._count(output)
            if done is not None:
                done(place, complete)

        with self._timed():
            pool.pool(engines, jobs, pooling.task, finish)
        return _complete(found)

    def _fed(self, unit: Unit, pair: Pair) -> Pair:
        """A pair as it is fed to vLLM: in its context each image is one mark, which vLLM's own processor writes out."""
        if not has_images(unit.messages):
            return pair
        context, continuation = pair
        joined = len(self._renderer.prompt_ids(unit.messages)) - len(context)  # tokens that went to the continuation
        ids = marked_ids(self._renderer, unit.messages)
        return ids[: len(ids) - joined], continuation

    def _fits(self, place: int, tokens: int, found: list[Completion | None], done: Done | None) -> bool:
        """Whether an engine's window holds so many tokens; a unit that it cannot hold is answered with an error."""
        window = int(self._engines[0].model_config.max_model_len)
        if tokens <= window:
            return True
        told = f"too_long: {tokens} tokens, and vLLM's window is {window} (--model-args max_model_len)"
        found[place] = answer = Completion(finish_reason="error", error=told)
        if done is not None:
            done(place, answer)
        return False

    def _ask(
        self,
        asks: Sequence[Ask],
        prompts: Sequence[dict[str, Any]],
        rows: list[list[Row | None]],
        complete: Callable[[int], None],
    ) -> set[int]:
        """Runs scoring requests and fills in the rows; numbers of the pairs that must be computed without the cache."""
        again: set[int] = set()

        def finish(number: int, output: Any) -> None:
            ask = asks[number]
            self._count(output)
            told = score.read(ask, output)
            for pair, nth, token in ask.items:
                if told is None:
                    again.add(pair)
                    continue
                tail, wanted = told
                rows[pair][nth - len(tail) : nth + 1] = [*tail, wanted[token]]
                complete(pair)

        jobs = [
            Job(prompt, score.scoring_params(ask), lora_request(self.model))
            for prompt, ask in zip(prompts, asks, strict=True)
        ]
        with self._timed():
            drive(self._engines, jobs, finish)
        return again


def _complete(found: Sequence[Completion | None]) -> list[Completion]:
    complete = [answer for answer in found if answer is not None]
    if len(complete) != len(found):
        raise BackendError("vLLM lost requests; this is a fault of evalsuite, please report it")
    return complete
