"""Figures inside a sentence, and the sentence itself.

>>> Sentence("better", "sft is better than base on", ("facts acc (+50.0 [+33.2, +64.1] pt, n=40)",)).text
'sft is better than base on facts acc (+50.0 [+33.2, +64.1] pt, n=40).'
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Said = Literal["better", "worse", "otherwise", "unclear", "refused", "care"]
NAMED = 8  # tasks in a sentence, before they are only counted


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is claimed (`lead`) and of what (`items`, each with its figure, 95% interval and n). `kind` says where it
    belongs: better, worse, otherwise (neither is better), unclear (cannot be told from this many samples), refused (may
    not be compared), care (what a reader should know before believing the rest)."""

    kind: Said
    lead: str
    items: tuple[str, ...] = ()
    more: int = 0

    @property
    def text(self) -> str:
        rest = f"; and {self.more} more" if self.more else ""
        return f"{self.lead}{' ' if self.items else ''}{'; '.join(self.items)}{rest}."


class Changed(Protocol):
    """Anything that is a difference with an interval."""

    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def sentence(kind: Said, lead: str, items: Sequence[str]) -> list[Sentence]:
    """One sentence of the first eight items, the others counted; none where there is no item."""
    return [Sentence(kind, lead, tuple(items[:NAMED]), max(0, len(items) - NAMED))] if items else []


def change(found: Changed, unit: str) -> str:
    """'+50.0 [+33.2, +64.1] pt': a signed difference; of shares in points."""
    if found.value is None:
        return "no figure"
    low, high = found.low, found.high
    interval = "" if low is None or high is None else f" [{signed(low, unit)}, {signed(high, unit)}]"
    return f"{signed(found.value, unit)}{interval} {'pt' if unit == 'share' else unit}".rstrip()


def adjusted(found: Changed) -> str:
    """Said beside a difference that was not found although its own interval leaves 0 out."""
    apart = found.low is not None and found.high is not None and not found.low <= 0 <= found.high
    return ", not clear after adjustment" if apart else ""


def number(value: float | None, unit: str, points: bool = False) -> str:
    if value is None:
        return "–"
    if unit == "share":
        return (f"{100 * value:.1f} pt" if points else f"{100 * value:.1f}%").replace("-", "−")
    return f"{value:.4g} {unit}".rstrip().replace("-", "−")


def signed(value: float, unit: str) -> str:
    text = f"{100 * value:+.1f}" if unit == "share" else f"{value:+.3g}"
    return text.replace("-", "−")
