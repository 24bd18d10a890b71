"""Where two greedy texts of one prompt part, and how near the two next tokens were there.

A small gap between their log-probabilities is rounding (another batch, another kernel); a large one is a fault.

>>> divergences(Next("smollm2"), [prompt_ids], [("our text", "their text")])
[{'row': 0, 'token': 5, 'ours': 'our text', 'theirs': 'their text', 'gap': 0.0004}]
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

Row = dict[str, Any]


class Next:
    """Log-probabilities of next tokens by the `hf` backend in float32. `model` is a MODEL string; weights are loaded at
    the first question."""

    def __init__(self, model: str) -> None:
        from evalsuite.models import ModelOptions, renderer, resolve

        self.model = resolve(model, ModelOptions(dtype="float32", device="cpu"))
        self.renderer = renderer(self.model)

    @cached_property
    def backend(self) -> Any:
        from evalsuite.backends.hf.backend import HFBackend

        assert self.renderer is not None
        return HFBackend(self.model, self.renderer)

    def logprob(self, prompt: tuple[int, ...], token: int) -> float:
        from evalsuite.records import Unit, user

        unit = Unit("", "loglikelihood", (user(""),), prompt_ids=prompt, continuation_ids=(token,))
        return float(self.backend.loglikelihood([unit])[0].logprob)

    def gap(self, prompt: Sequence[int], ours: str, theirs: str) -> Row:
        """Where two texts part (in tokens of the texts) and by how many nats the two next tokens differ there; a gap
        of None: one text is the other's beginning, so the difference is no token."""
        assert self.renderer is not None
        one, other = self.renderer.tokens.plain(ours), self.renderer.tokens.plain(theirs)
        shared = 0
        while shared < min(len(one), len(other)) and one[shared] == other[shared]:
            shared += 1
        place: Row = {"token": shared, "ours": ours[-40:], "theirs": theirs[-40:], "gap": None}
        if shared == min(len(one), len(other)):
            return place
        context = (*prompt, *one[:shared])
        return {**place, "gap": abs(self.logprob(context, one[shared]) - self.logprob(context, other[shared]))}


def divergences(scorer: Next, prompts: Sequence[Sequence[int]], texts: Sequence[tuple[str, str]]) -> list[Row]:
    """One row for each pair of texts that differ."""
    both = zip(prompts, texts, strict=True)
    return [
        {"row": number, **scorer.gap(prompt, ours, theirs)}
        for number, (prompt, (ours, theirs)) in enumerate(both)
        if ours != theirs
    ]


def largest_gap(rows: Sequence[Row]) -> float:
    """Nats; 0 where nothing parts, or where one text only goes on."""
    return max((row["gap"] or 0.0 for row in rows), default=0.0)
