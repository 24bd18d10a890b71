"""The `hf` backend: a local folder with transformers, in this process. Token ids in, typed results out, in order.

Log-likelihoods run over the tree of all prefixes of a group (`hf.tree`), text is spoken in continuous batches
(`hf.generate`); where an architecture cannot share (`hf.sharing`), padded batches of whole rows do the same work and a
warning says why. Weights are loaded at the first call; budgets come from one calibration forward (`hf.memory`) or from
`--model-args`: `batch_tokens=N` (tokens of one forward), `slot_tokens=N` (tokens of all texts in the making),
`batch_size=N` (most rows), `share=false` (the plain computation).

>>> engine = HFBackend(model, renderer(model))
>>> engine.loglikelihood(units)[0].logprob
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from evalsuite.backends.base import BaseBackend, pair_of, prompt_of
from evalsuite.backends.hf import memory
from evalsuite.backends.hf.attention import use_grouped_attention
from evalsuite.backends.hf.embed import embeddings_of
from evalsuite.backends.hf.generate import Budget, speak
from evalsuite.backends.hf.net import Net, around, load, switch
from evalsuite.backends.hf.reward import rewards_of
from evalsuite.backends.hf.rows import Row
from evalsuite.backends.hf.score import score_rows, score_tree
from evalsuite.backends.hf.sharing import Sharing, sharing_of
from evalsuite.backends.hf.static import speak_in_batches
from evalsuite.backends.hf.vision import generate_images, loglikelihood_images
from evalsuite.data.images import has_images
from evalsuite.errors import BackendError, InputError
from evalsuite.models import Model, Renderer
from evalsuite.planning.groups import drawing
from evalsuite.records import Capabilities, Completion, Done, Unit

log = logging.getLogger("evalsuite")

Way = Literal["shared", "plain", "images"]
Reader = Callable[[Net, Renderer, Sequence[Unit], int, Done], None]


class HFBackend(BaseBackend):
    """Answers units with one local checkpoint (`evalsuite.records.Backend`)."""

    def __init__(self, model: Model, renderer: Renderer) -> None:
        super().__init__(model)
        self.capabilities = Capabilities(kinds=model.kinds, input="ids", seeds=True, top_logprobs=True)
        self._renderer = renderer
        self._net: Net | None = None
        self._learnt = False  # whether the budgets of this model are there
        self._sharing: Sharing | None = None
        self._rows = model.options.number("batch_size", 1 << 30)

    @classmethod
    def around(cls, module: Any, model: Model, renderer: Renderer) -> "HFBackend":
        """The backend of a causal module that lives already (a policy in training): nothing is loaded, and it answers
        with the weights of the moment. Mode and attention of the module are the caller's (`attention.speaking`)."""
        made = cls(model, renderer)
        made._net = around(model, "causal", module, str(next(module.parameters()).device))
        return made

    @property
    def net(self) -> Net:
        """The loaded network. Raises ModelError where the weights cannot be used."""
        if self._net is None:
            self._net = load(self.model)
            self.count("loads", 1)
            use_grouped_attention(self._net.module)
        if not self._learnt:
            self._learnt = True
            self._learn(self._net)
            self._net.reset()
        return self._net

    @property
    def sharing(self) -> Sharing:
        """Whether prefixes are shared; found out at the first call, and said once where they are not."""
        if self._sharing is None:
            asked = self.model.options.args.get("share", "true").lower() not in ("false", "no", "0")
            self._sharing = sharing_of(self.net) if asked else Sharing("share=false")
            self.net.reset()  # trying is no work
            if self._sharing.reason:
                log.warning(
                    "%s: prefixes are not shared, each text is computed whole: %s",
                    self.model.address,
                    self._sharing.reason,
                )
        return self._sharing

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Text for each unit. Units that draw differently (temperature, stop strings, ...) never share a batch."""
        return self._speak(units, done, {})

    def draw(self, units: Sequence[Unit]) -> list[Row]:
        """Text for each unit as a finished row: its token ids, the end mark among them, and `behaviour`, the
        log-probability of each under the distribution that it was drawn from. Rollouts of a training need both. Raises
        InputError for draws that are cut (top_p, top_k) or greedy: that distribution is not the policy's."""
        for sampling in {unit.sampling for unit in units}:
            if sampling.temperature <= 0 or sampling.top_p < 1 or sampling.top_k > 0:
                raise InputError("draws with log-probabilities need temperature > 0, top_p=1 and top_k=0")
        spoken: dict[int, Row] = {}
        self._speak(units, None, spoken, traced=True)
        return [spoken[place] for place in range(len(units))]

    def _speak(
        self, units: Sequence[Unit], done: Done | None, spoken: dict[int, Row], traced: bool = False
    ) -> list[Completion]:
        self._check("generate")
        prompts = [prompt_of(unit, self._renderer) for unit in units]
        found = _Found(len(units), done)
        sizes = [len(prompt) + _limit(unit) for prompt, unit in zip(prompts, units, strict=True)]
        for settings in dict.fromkeys(drawing(unit.sampling) for unit in units):
            alike = [i for i, unit in enumerate(units) if drawing(unit.sampling) == settings]
            for way, places in self._ways(units, sizes, alike):

                def speak_left(way: Way = way, places: Sequence[int] = places) -> None:
                    left = found.left(places)
                    rows = [Row(i, units[i], prompts[i], behaviour=[] if traced else None) for i in left]
                    spoken.update((row.number, row) for row in rows)
                    if way == "shared" and rows:
                        speak(self.net, self._renderer, rows, self._budget(), found.tell)
                    elif way == "plain":
                        tokens = self.limits["slot_tokens"]
                        speak_in_batches(self.net, self._renderer, rows, tokens, self._rows, found.tell)
                    elif rows:
                        seen, tell = [units[i] for i in left], found.telling(left)
                        generate_images(self.net, self._renderer, seen, tell, self.limits["slot_tokens"])

                self._until_it_fits(speak_left, "slot_tokens")
        return found.complete()

    def loglikelihood(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Log-probability (nats) of each token of each unit's continuation, and whether all were the argmax."""
        self._check("loglikelihood")
        pairs = [pair_of(unit, self._renderer) for unit in units]
        found = _Found(len(units), done)
        sizes = [len(context) + len(wanted) for context, wanted in pairs]
        for way, places in self._ways(units, sizes, range(len(units))):

            def score_left(way: Way = way, places: Sequence[int] = places) -> None:
                left, budget = found.left(places), self._budget()
                if way == "shared" and left:
                    chosen = [pairs[i] for i in left]
                    score_tree(self.net, chosen, budget.chunk, budget.read, found.telling(left))
                elif way == "plain":
                    for batch in self._batches({i: sizes[i] for i in left}, min(budget.chunk, budget.read)):
                        score_rows(self.net, pairs, batch, found.tell)
                elif left:
                    seen, tell = [units[i] for i in left], found.telling(left)
                    loglikelihood_images(self.net, self._renderer, seen, tell, budget.chunk)

            self._until_it_fits(score_left, "chunk_tokens")
        return found.complete()

    def reward(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Rewards of each unit's whole conversation (see `hf.reward`)."""
        return self._read("reward", rewards_of, units, done)

    def embed(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Pooled or per-token embeddings of each unit's text (see `hf.embed`)."""
        return self._read("embed", embeddings_of, units, done)

    def switch(self, model: Model, renderer: Renderer) -> bool:
        """Takes an adapter of the same base, or weights of the same shape, into the network that is loaded."""
        if self._net is not None and not switch(self._net, self.model, model):
            self.close()
            return False
        self.model, self._renderer = model, renderer
        self.capabilities = replace(self.capabilities, kinds=model.kinds)
        self._rows = model.options.number("batch_size", 1 << 30)
        self._learnt = False
        return True

    def close(self) -> None:
        """Lets the weights go."""
        self._net = self._sharing = None
        self._learnt = False

    # -- inside -------------------------------------------------------------------------------------------------------

    def _read(self, kind: str, read: Reader, units: Sequence[Unit], done: Done | None) -> list[Completion]:
        """Requests that read whole texts and write none."""
        self._check(kind)
        found = _Found(len(units), done)

        def read_left() -> None:
            left = found.left(range(len(units)))
            chosen = [units[i] for i in left]
            read(self.net, self._renderer, chosen, self.limits["chunk_tokens"], found.telling(left))

        self._until_it_fits(read_left, "chunk_tokens")
        return found.complete()

    def _ways(
        self, units: Sequence[Unit], sizes: Sequence[int], places: Sequence[int]
    ) -> Iterator[tuple[Way, list[int]]]:
        """Places by how they are computed: over shared prefixes, plainly, or with images."""
        ways: dict[Way, list[int]] = {"shared": [], "plain": [], "images": []}
        for i in places:
            plain: Way = "shared" if self.sharing.holds(sizes[i]) else "plain"
            ways["images" if has_images(units[i].messages) else plain].append(i)
        yield from ((way, chosen) for way, chosen in ways.items() if chosen)

    def _check(self, kind: str) -> None:
        if kind not in self.capabilities.kinds:
            can = ", ".join(sorted(self.capabilities.kinds))
            raise InputError(f"{self.model.address}: cannot answer '{kind}' requests (it answers: {can})")

    def _learn(self, net: Net) -> None:
        """Fills the budgets that neither the user nor an earlier part of this run has set."""
        options = self.model.options
        if "batch_tokens" in options.args:
            self.limits.setdefault("chunk_tokens", options.number("batch_tokens", 1))
        if "slot_tokens" in options.args:
            self.limits.setdefault("slot_tokens", options.number("slot_tokens", 1))
        if {"chunk_tokens", "slot_tokens"} - self.limits.keys():
            for name, tokens in memory.budgets(net, memory.calibrate(net)).items():
                self.limits.setdefault(name, tokens)

    def _budget(self) -> Budget:
        net = self.net
        rows = memory.GPU_ROWS if net.device.startswith("cuda") else memory.CPU_ROWS
        read = max(1, memory.HEAD_BYTES // 4 // net.vocabulary)
        return Budget(self.limits["chunk_tokens"], read, self.limits["slot_tokens"], min(self._rows, rows))

    def _until_it_fits(self, work: Callable[[], None], name: str) -> None:
        """Does work that may run out of memory: halves a budget and goes on with what is left, until nothing is."""
        self.net  # noqa: B018  (loads the weights: running out there is another matter)
        while True:
            try:
                work()
                self._count()
                return
            except (RuntimeError, MemoryError) as error:
                if not memory.ran_out(error):
                    raise
                reason = str(error)
            memory.release()
            # A smaller chunk helps either work; slots only where text is spoken.
            halved = [memory.halve(self.limits, each) for each in dict.fromkeys((name, "chunk_tokens"))]
            if not any(halved):
                raise BackendError(f"{self.model.address}: out of memory on {self.net.device} ({reason[:200]})")

    def _count(self) -> None:
        net = self.net
        self.counts["forwarded_tokens"] = net.tokens
        self.counts["prefill_tokens"] = net.prefilled
        self.counts["decode_tokens"] = net.tokens - net.prefilled
        self.counts["model_s"] = net.seconds

    def _batches(self, sizes: Mapping[int, int], budget: int) -> Iterator[list[int]]:
        """Places by falling size, cut so that rows x longest stays within the budget (one row always fits)."""
        batch: list[int] = []
        for place in sorted(sizes, key=lambda i: (-sizes[i], i)):
            if batch and ((len(batch) + 1) * sizes[batch[0]] > budget or len(batch) >= self._rows):
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch


class _Found:
    """Completions by place, told on as they come."""

    def __init__(self, count: int, done: Done | None) -> None:
        self.count = count
        self.answers: dict[int, Completion] = {}
        self._done = done

    def tell(self, place: int, answer: Completion) -> None:
        self.answers[place] = answer
        if self._done is not None:
            self._done(place, answer)

    def left(self, places: Sequence[int]) -> list[int]:
        """Those of some places that have no answer yet."""
        return [place for place in places if place not in self.answers]

    def telling(self, places: Sequence[int]) -> Done:
        """How to tell the answers to some of the units, counted among those."""
        return lambda k, answer: self.tell(places[k], answer)

    def complete(self) -> list[Completion]:
        if len(self.answers) != self.count:
            raise BackendError("the hf backend lost rows of a batch; this is a fault of evalsuite, please report it")
        return [self.answers[place] for place in range(self.count)]


def _limit(unit: Unit) -> int:
    return unit.sampling.max_tokens + unit.sampling.reasoning_tokens
