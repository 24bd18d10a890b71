"""The `hf` backend: generation, log-likelihoods and rewards of a local folder with transformers, in this process.

It takes token ids and gives typed results, in the order of the units. Weights are loaded at the first call. Batches
hold rows of similar length up to a budget of padded tokens (`--model-args batch_tokens=N`; `batch_size=N` also caps
the rows); they depend on the units that are given and on nothing else.

>>> engine = HFBackend(model, renderer(model))
>>> engine.loglikelihood(units)[0].logprob
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalsuite.backends.base import BaseBackend
from evalsuite.backends.hf_generate import generate_batch
from evalsuite.backends.hf_net import Net, forward, inputs, load, logits_at, pad
from evalsuite.errors import BackendError, InputError
from evalsuite.models import Model, Renderer
from evalsuite.records import Capabilities, Completion, Done, Unit

SCORED_TOKENS = 4096
SPOKEN_TOKENS = 16384
"""Padded tokens in a batch: of scored text, and of prompt plus longest answer (a decode step is cheap in memory)."""

HEAD_ELEMENTS = 1 << 27
"""Largest tensor of logits: half a GiB in float32."""


class HFBackend(BaseBackend):
    """Answers units with one local checkpoint (`evalsuite.records.Backend`)."""

    def __init__(self, model: Model, renderer: Renderer) -> None:
        super().__init__(model)
        self.capabilities = Capabilities(kinds=model.kinds, input="ids", seeds=True, top_logprobs=True)
        self._model = model
        self._renderer = renderer
        self._net: Net | None = None
        self._rows = model.options.number("batch_size", 1 << 30)
        self._budget = model.options.number("batch_tokens", SCORED_TOKENS)

    @property
    def net(self) -> Net:
        """The loaded network. Raises ModelError where the weights cannot be used."""
        if self._net is None:
            self._net = load(self._model, classifier="reward" in self._model.kinds)
        return self._net

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Text for each unit. Units with different sampling settings (seed apart) never share a batch."""
        self._check("generate")
        prompts = [self._prompt(unit) for unit in units]
        found: list[Completion | None] = [None] * len(units)
        for settings in dict.fromkeys(unit.sampling for unit in units):
            longest = settings.max_tokens + settings.reasoning_tokens
            sizes = {i: len(prompts[i]) + longest for i, unit in enumerate(units) if unit.sampling == settings}
            for batch in self._batches(sizes, self._budget * SPOKEN_TOKENS // SCORED_TOKENS):
                given = [units[i] for i in batch], [prompts[i] for i in batch]
                for place, answer in zip(batch, generate_batch(self.net, self._renderer, *given), strict=True):
                    found[place] = answer
        return _complete(found)

    def loglikelihood(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Log-probability (nats) of each token of each unit's continuation, and whether all were the argmax."""
        self._check("loglikelihood")
        pairs = [self._pair(unit) for unit in units]
        found: list[Completion | None] = [None] * len(units)
        budget = min(self._budget, max(1, HEAD_ELEMENTS // self.net.vocabulary))
        sizes = {i: len(context) + len(wanted) for i, (context, wanted) in enumerate(pairs)}
        for batch in self._batches(sizes, budget):
            for place, answer in zip(batch, self._score([pairs[i] for i in batch]), strict=True):
                found[place] = answer
        return _complete(found)

    def reward(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Rewards of each unit's whole conversation: {"reward": x}, or one number for each label of the head."""
        self._check("reward")
        rows = [unit.prompt_ids or self._renderer.conversation_ids(unit.messages) for unit in units]
        found: list[Completion | None] = [None] * len(units)
        for batch in self._batches({i: len(row) for i, row in enumerate(rows)}, self._budget):
            for place, answer in zip(batch, self._judge([rows[i] for i in batch]), strict=True):
                found[place] = answer
        return _complete(found)

    def close(self) -> None:
        """Lets the weights go."""
        self._net = None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _check(self, kind: str) -> None:
        if kind not in self.capabilities.kinds:
            can = ", ".join(sorted(self.capabilities.kinds))
            raise InputError(f"{self._model.address}: cannot answer '{kind}' requests (it answers: {can})")

    def _prompt(self, unit: Unit) -> tuple[int, ...]:
        ids = unit.prompt_ids if unit.prompt_ids is not None else self._renderer.prompt_ids(unit.messages)
        return ids or (self._renderer.tokens.first_id,)

    def _pair(self, unit: Unit) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if unit.prompt_ids and unit.continuation_ids:
            return unit.prompt_ids, unit.continuation_ids
        return self._renderer.pair_ids(unit.messages, unit.continuation)

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

    def _score(self, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[Completion]:
        import torch

        # The last token predicts nothing that is asked for, so it is not run; the token before each one predicts it.
        ids, mask = pad([(*context, *wanted)[:-1] for context, wanted in pairs], left=False)
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        rows = torch.tensor([i for i, (_, wanted) in enumerate(pairs) for _ in wanted])
        columns = torch.tensor([len(context) - 1 + k for context, wanted in pairs for k in range(len(wanted))])
        logits, _ = logits_at(self.net, rows, columns, **inputs(self.net, ids, mask, positions), use_cache=False)
        targets = torch.tensor([token for _, wanted in pairs for token in wanted], device=logits.device)
        chosen = logits.gather(1, targets[:, None])[:, 0]
        logprobs = (chosen - logits.logsumexp(-1)).tolist()
        hits = (logits.argmax(-1) == targets).tolist()
        answers, start = [], 0
        for context, wanted in pairs:
            end = start + len(wanted)
            answers.append(
                Completion(
                    prompt_tokens=len(context),
                    tokens=len(wanted),
                    logprobs=tuple(logprobs[start:end]),
                    greedy=all(hits[start:end]),
                )
            )
            start = end
        return answers

    def _judge(self, rows: Sequence[Sequence[int]]) -> list[Completion]:
        import torch

        # Classifiers read the last token that is not the pad id, and many checkpoints pad with EOS, which also ends
        # a conversation: pad with an id that stands in no row.
        held = {token for row in rows for token in row}
        spare = next(i for i in range(self.net.vocabulary - 1, -1, -1) if i not in held)
        self.net.module.config.get_text_config().pad_token_id = spare
        self.net.module.config.pad_token_id = spare
        ids, mask = pad(rows, left=False, filler=spare)
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        logits = forward(self.net, **inputs(self.net, ids, mask, positions)).logits.float()
        return [
            Completion(prompt_tokens=len(row), rewards=self._named(values))
            for row, values in zip(rows, logits.tolist(), strict=True)
        ]

    def _named(self, values: Sequence[float]) -> dict[str, float]:
        if len(values) == 1:
            return {"reward": values[0]}
        labels: dict[Any, str] = self.net.module.config.id2label
        return {str(labels[i]): value for i, value in enumerate(values)}


def _complete(found: Sequence[Completion | None]) -> list[Completion]:
    complete = [answer for answer in found if answer is not None]
    if len(complete) != len(found):
        raise BackendError("the hf backend lost rows of a batch; this is a fault of evalsuite, please report it")
    return complete
