"""Ceilings of one command's calls, tokens and money with one server, checked before each call is sent.

A call reserves what it may cost at most and gives back what it did not: where the reservation does not fit, it waits
for those in flight, and where nothing is in flight, the ceiling is reached. So calls never exceed their ceiling, and
tokens and money only where a server counts a prompt's tokens higher than was foreseen.

>>> budget = Budget(Ceilings(calls=1))
>>> budget.take(need := Need(bytes=40, answer=10))
>>> budget.settle(need, 11, 3), budget.obstacle(need)
(None, 'max_calls=1')
"""

from dataclasses import dataclass

IMAGE_TOKENS = 1500
"""What an image may come to: more than OpenAI's and Qwen's own sums for a picture of ordinary size."""

MESSAGE_TOKENS = 8
"""What a template writes around one message."""


@dataclass(frozen=True)
class Ceilings:
    """None: no ceiling. `cost` is in the currency of the prices, which are for a million tokens."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0


@dataclass(frozen=True)
class Need:
    """What is known of a call before it is sent: bytes of text, images, messages, and the answer's most tokens."""

    bytes: int
    answer: int = 0
    images: int = 0
    messages: int = 1


class Budget:
    """What has been spent and what is reserved. Knows no clock, no server and no loop."""

    def __init__(self, ceilings: Ceilings) -> None:
        self._ceilings = ceilings
        self._tokens_per_byte = 0.0
        self._template = 0
        self.calls = 0
        self.prompt_tokens = 0
        self.answer_tokens = 0
        self._held_prompt = 0
        self._held_answer = 0
        self._held: dict[Need, list[int]] = {}

    @property
    def cost(self) -> float:
        return self._cost(self.prompt_tokens, self.answer_tokens)

    def obstacle(self, need: Need) -> str | None:
        """The ceiling that a call would break if all in flight cost the most they can; None where it may be sent."""
        top = self._ceilings
        prompt = self.prompt_tokens + self._held_prompt + self.foreseen(need)
        answer = self.answer_tokens + self._held_answer + need.answer
        if top.calls is not None and self.calls + 1 > top.calls:
            return f"max_calls={top.calls}"
        if top.tokens is not None and prompt + answer > top.tokens:
            return f"max_tokens_total={top.tokens}"
        if top.cost is not None and self._cost(prompt, answer) > top.cost:
            return f"max_cost={top.cost:g}"
        return None

    def take(self, need: Need) -> None:
        """Counts a call that is sent now, and reserves its tokens."""
        self.calls += 1
        prompt = self.foreseen(need)
        self._held.setdefault(need, []).append(prompt)
        self._held_prompt += prompt
        self._held_answer += need.answer

    def settle(self, need: Need, prompt: int | None, answer: int) -> None:
        """Gives a reservation back for what a call cost. `prompt` None: unknown (no answer came, or it counts
        nothing), so what was reserved is spent."""
        held = self._held[need].pop()
        if not self._held[need]:
            del self._held[need]
        self._held_prompt -= held
        self._held_answer -= need.answer
        if prompt is None:
            prompt, answer = held, need.answer
        elif need.bytes and not need.images:
            text = max(0, prompt - MESSAGE_TOKENS * need.messages)
            # No tokenizer makes more tokens than bytes: what is beyond is the template's own.
            self._template = max(self._template, text - need.bytes)
            self._tokens_per_byte = max(self._tokens_per_byte, min(1.0, text / need.bytes))
        self.prompt_tokens += prompt
        self.answer_tokens += answer

    def foreseen(self, need: Need) -> int:
        """Tokens of a call's prompt: by the highest share of tokens to bytes seen so far, 1 to 2 before the first."""
        text = int(need.bytes * (self._tokens_per_byte or 0.5)) + self._template
        return text + 1 + need.images * IMAGE_TOKENS + need.messages * MESSAGE_TOKENS

    def _cost(self, prompt: int, answer: int) -> float:
        return (prompt * self._ceilings.price_in + answer * self._ceilings.price_out) / 1e6
