"""Health: what went wrong with the answers themselves, shown beside every score.

A score hides its failures: a model cut off at the token limit, looping, or refusing gets a low figure that says nothing
about what the task measures.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from evalsuite.records import Completion, Health
from evalsuite.scoring.abstention import refuses

LOOP_UNIT = 60  # words of the longest loop that is looked for
LOOP_REPEATS = 3


@dataclass
class HealthCounts:
    """What `Health` is made of, counted as answers come."""

    n: int = 0
    truncated: int = 0
    empty: int = 0
    refused: int = 0
    repeated: int = 0
    tokens: int = 0
    texts: int = 0
    thinking: int = 0
    unclosed: int = 0

    def add(self, completion: Completion) -> None:
        text = completion.text
        self.n += 1
        self.truncated += completion.finish_reason == "length"
        self.empty += not text.strip()
        self.texts += bool(text)
        self.refused += refuses(text)
        self.repeated += loops(text)
        self.tokens += completion.tokens + completion.reasoning_tokens
        if completion.reasoning is not None:
            self.thinking += 1
            self.unclosed += not completion.reasoning_closed

    def health(self, unparsable: int, scored: int, shortened: int = 0) -> Health:
        """Shares of all answers; `unparsable` of `scored` samples had a verdict that could not be read."""
        n = self.n
        if n == 0:
            return Health(n=0, shortened=shortened)
        # A file of answers does not say how many tokens they were: unknown is not 0.
        counted = self.tokens > 0 or self.texts == 0
        return Health(
            n=n,
            truncated=self.truncated / n,
            empty=self.empty / n,
            refused=self.refused / n,
            repeated=self.repeated / n,
            unparsable=unparsable / scored if scored else None,
            mean_tokens=self.tokens / n if counted else None,
            shortened=shortened,
            unclosed_reasoning=self.unclosed / self.thinking if self.thinking else None,
        )


def health_of(completions: Iterable[Completion], unparsable: int, scored: int, shortened: int = 0) -> Health:
    """Health of generated completions at once."""
    counts = HealthCounts()
    for completion in completions:
        counts.add(completion)
    return counts.health(unparsable, scored, shortened)


def why_unread(completion: Completion) -> str:
    """Why a verdict could not be read, as the remedy has it: a failed call, silence, a cut, or the words themselves."""
    if completion.error:
        return "backend_error"
    if not completion.text.strip():
        return "empty"
    return "truncated" if completion.finish_reason == "length" else "unparsable"


def loops(text: str) -> bool:
    """Whether a text ends in a loop: its last words say the same thing (1 to 60 words) at least three times in a row,
    covering at least 12 words; a short emphatic repeat ("no, no, no") is no loop."""
    words = text.split()[-LOOP_UNIT * (LOOP_REPEATS + 1) :]
    for size in range(1, min(LOOP_UNIT, len(words) // LOOP_REPEATS) + 1):
        span = size * max(LOOP_REPEATS, -(-12 // size))
        # The text may be cut inside a word, so a loop may end one word before the last.
        for end in (len(words), len(words) - 1):
            tail = words[end - span : end] if end >= span else []
            if tail and tail[size:] == tail[:-size]:
                return True
    return False
