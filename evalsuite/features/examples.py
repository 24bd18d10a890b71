"""Pairs that show a feature: its strongest ones, and fair samples of weak and strong ones.

>>> rows = strongest(z[:, 3], 10)                        # row numbers, the strongest first
>>> shown = examples(pairs, z[:, 3], rows, prompt_of)    # contract.Example, texts cut where they are very long
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from evalsuite.features.contract import Example
from evalsuite.records import Message

LONGEST = 4000
"""Characters of a text that an example keeps."""


class Compared(Protocol):
    """One comparison, as `preferences.contract.Pair` has it."""

    @property
    def id(self) -> str: ...
    @property
    def messages(self) -> tuple[Message, ...]: ...
    @property
    def a(self) -> str: ...
    @property
    def b(self) -> str: ...
    @property
    def preference(self) -> float | None: ...


class Comparisons(Protocol):
    """Many of them, by row."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Compared: ...


PromptText = Callable[[Sequence[Message]], str]


def strongest(z: Any, count: int) -> Any:
    """Rows with the largest |z| (n,), at most `count`, none of them 0; equal ones in the order of rows."""
    import numpy as np

    size = np.abs(np.asarray(z))
    rows = np.argsort(-size, kind="stable")[:count]
    return rows[size[rows] > 0]


def both_halves(z: Any, count: int, seed: int, among: Any) -> Any:
    """A sample of `among` (rows with z != 0): half from the stronger half of |z|, half from the weaker, as WIMHF draws
    the pairs on which descriptions are tested. Rising rows."""
    import numpy as np

    size = np.abs(np.asarray(z))
    rows = np.asarray(among)[size[among] > 0]
    order = rows[np.argsort(size[rows], kind="stable")]
    rng = np.random.default_rng(seed)
    middle = len(order) // 2
    parts = [rng.permutation(half)[: max(count // 2, 0)] for half in (order[:middle], order[middle:])]
    return np.sort(np.concatenate(parts))


def examples(pairs: Comparisons, z: Any, rows: Any, prompt: PromptText) -> tuple[Example, ...]:
    """Rows as examples. The percentile is that of |z| among all rows that are not 0."""
    import numpy as np

    size = np.sort(np.abs(z[z != 0]))
    found = []
    for row in rows:
        pair, value = pairs[int(row)], float(z[row])
        rank = 100 * float(np.searchsorted(size, abs(value), side="left")) / len(size)
        texts = (cut(prompt(pair.messages)), cut(pair.a), cut(pair.b))
        found.append(Example(pair.id, *texts, value, pair.preference, round(rank, 2)))
    return tuple(found)


def cut(text: str, longest: int = LONGEST) -> str:
    """The text's beginning, with how much was left out."""
    return text if len(text) <= longest else f"{text[:longest]} [... {len(text) - longest:,} more characters]"
