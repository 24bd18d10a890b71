"""Health: what went wrong with the answers themselves, shown beside every score.

A score hides its failures: a model cut off at the token limit, looping, or refusing gets a low figure that says nothing
about what the task measures.
"""

from collections.abc import Sequence

from evalsuite.records import Completion, Health
from evalsuite.scoring.abstention import refuses

LOOP_UNIT = 60  # words of the longest loop that is looked for
LOOP_REPEATS = 3


def health_of(completions: Sequence[Completion], unparsable: int, scored: int, shortened: int = 0) -> Health:
    """Shares over generated completions; `unparsable` of `scored` samples had a verdict that could not be read."""
    n = len(completions)
    if n == 0:
        return Health(n=0, shortened=shortened)
    thinking = [c for c in completions if c.reasoning is not None]
    # A file of answers does not say how many tokens they were: unknown is not 0.
    counted = any(c.tokens or c.reasoning_tokens for c in completions) or not any(c.text for c in completions)
    return Health(
        n=n,
        truncated=sum(c.finish_reason == "length" for c in completions) / n,
        empty=sum(not c.text.strip() for c in completions) / n,
        refused=sum(refuses(c.text) for c in completions) / n,
        repeated=sum(loops(c.text) for c in completions) / n,
        unparsable=unparsable / scored if scored else None,
        mean_tokens=sum(c.tokens + c.reasoning_tokens for c in completions) / n if counted else None,
        shortened=shortened,
        unclosed_reasoning=sum(not c.reasoning_closed for c in thinking) / len(thinking) if thinking else None,
    )


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
