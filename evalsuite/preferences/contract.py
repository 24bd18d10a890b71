"""One labelled comparison as a typed record, and many of them as columns.

`Pair.preference` is for answer `a`, in [0, 1]: 1 preferred, 0 the other one, 0.5 a tie, in between a strength; None
where nobody said. Whatever a file's own coding is, readers turn it into this one, and keep ties.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from evalsuite.records import Message


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and two answers to it. `conversation` ties pairs together that must not be split; `ratings` are the two
    answers' own grades where there are some; `aspect` names what was compared where one file compares several things
    ("helpful", "safe"). `metadata` is plain JSON: whatever else the row says (a person's profile, tags)."""

    id: str
    messages: tuple[Message, ...]
    a: str
    b: str
    preference: float | None
    annotator: str = ""
    conversation: str = ""
    split: str = ""
    aspect: str = ""
    model_a: str = ""
    model_b: str = ""
    ratings: tuple[float, float] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Pairs(Protocol):
    """Many pairs, as a sequence and as columns; a million stay on the disk (Arrow, memory-mapped).

    `load(source) -> Pairs` in preferences/loading.py; `source` is a file, a folder of files, or a Hub id.
    """

    name: str
    format: str
    notes: Sequence[str]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Pair: ...

    def __iter__(self) -> Iterator[Pair]: ...

    @property
    def preference(self) -> Any:
        """float64 (n): NaN where there is none."""
        ...

    def column(self, name: str) -> Any:
        """One field of all pairs as a numpy array (texts: objects); a metadata key as `metadata.KEY`."""
        ...

    def take(self, indices: Sequence[int]) -> "Pairs":
        """Some pairs, in the given order."""
        ...
