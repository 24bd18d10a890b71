"""Pairs that stand twice, labels that contradict each other, and prompts that stand in train and test.

    found = keys(pairs)                 # one pass; 8 bytes a key
    duplicates(found), leaks(found), components(found)

Two rows are the same pair where prompt, aspect and both answers are equal in whatever order; they are duplicates where
the annotator is the same too (or unnamed): what several people say of one pair is agreement, no duplicate. Prompts are
compared without case and spacing. Rows belong together (a component) where they share a prompt, a conversation's id, or
the opening exchange (question and answer) of a conversation that goes on.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.preferences.contract import Pair, Pairs
from evalsuite.preferences.table import prompt_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Codes = NDArray[np.uint64]
    Floats = NDArray[np.float64]

TEST = ("test", "validation", "eval", "heldout")
SHOWN = 5


@dataclass(frozen=True)
class Keys:
    """What identifies each of n rows: hashes (0: none) of prompt, conversation, opening exchange, and unordered pair;
    numbers of annotator, split and aspect in `annotators`, `splits`, `aspects`; `forward`: the preference for the text
    that comes first in the alphabet, so that labels of one pair compare whatever its order; `same`: both answers are
    equal."""

    prompt: Codes
    conversation: Codes
    opening: Codes
    pair: Codes
    annotator: NDArray[np.int64]
    split: NDArray[np.int64]
    aspect: NDArray[np.int64]
    forward: Floats
    same: NDArray[np.bool_]
    annotators: tuple[str, ...]
    splits: tuple[str, ...]
    aspects: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """`extra`: rows beyond the first of their pair and annotator; `contradicting`: pairs (not rows) to which one
    annotator gives labels for both sides; `identical`: rows whose two answers are the same text; `examples`: rows."""

    n: int
    extra: int
    contradicting: int
    identical: int
    examples: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Leaks:
    """`shared`: components that have rows in train and in test; `rows`: test rows of such components, among `n` test
    rows, `prompts` of them with the very prompt in train. n is 0 where the data has no two splits."""

    n: int
    shared: int
    rows: int
    prompts: int
    examples: tuple[int, ...]


def keys(pairs: Iterable[Pair]) -> Keys:
    """The keys of all rows, in one pass."""
    import numpy as np

    codes, numbers, forward, same = array("Q"), array("q"), array("d"), bytearray()
    names: tuple[dict[str, int], ...] = ({}, {}, {})
    for pair in pairs:
        codes.extend(key_of(pair))
        values = pair.annotator, pair.split, pair.aspect
        numbers.extend(known.setdefault(v, len(known)) for known, v in zip(names, values, strict=True))
        label = float("nan") if pair.preference is None else pair.preference
        forward.append(label if pair.a <= pair.b else 1 - label)
        same.append(pair.a == pair.b)
    prompt, conversation, opening, pair_code = np.array(codes, dtype=np.uint64).reshape(-1, 4).T
    annotator, split, aspect = np.array(numbers, dtype=np.int64).reshape(-1, 3).T
    equal = np.frombuffer(bytes(same), dtype=bool)
    return Keys(
        prompt=prompt,
        conversation=conversation,
        opening=opening,
        pair=pair_code,
        annotator=annotator,
        split=split,
        aspect=aspect,
        forward=np.array(forward),
        same=equal,
        annotators=tuple(names[0]),
        splits=tuple(names[1]),
        aspects=tuple(names[2]),
    )


def key_of(pair: Pair) -> tuple[int, int, int, int]:
    """Hashes of prompt, conversation, opening exchange and unordered pair; 0 where there is none."""
    prompt = plain(prompt_of(pair.messages)) if pair.messages else ""
    said = [m for m in pair.messages if m["role"] != "system"]
    opening = plain(prompt_of(said[:2])) if len(said) > 2 else ""
    texts = "\0".join((prompt, pair.aspect, *sorted((pair.a, pair.b))))
    return _hash(prompt), _hash(pair.conversation), _hash(opening), _hash(texts)


def plain(text: str) -> str:
    """Text without case and with single spaces."""
    return " ".join(text.casefold().split())


def _hash(text: str) -> int:
    if not text:
        return 0
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def components(found: Keys) -> Any:
    """int64 (n): the component of each row, numbered from 0 in order of their first rows."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, places, offset = [], [], len(found)
    for column in (found.prompt, found.conversation, found.opening, found.pair):
        values, codes = np.unique(column, return_inverse=True)
        there = np.flatnonzero(column != 0)
        rows.append(there)
        places.append(codes[there] + offset)
        offset += len(values)
    i, j = np.concatenate(rows), np.concatenate(places)
    graph = coo_matrix((np.ones(len(i), dtype=np.int8), (i, j)), shape=(offset, offset))
    labels = connected_components(graph, directed=False)[1][: len(found)]
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[codes]


def duplicates(found: Keys) -> Duplicates:
    import numpy as np

    _, first, codes, counts = np.unique(_said(found), return_index=True, return_inverse=True, return_counts=True)
    wins = np.bincount(codes, weights=np.nan_to_num(found.forward, nan=0.5) > 0.5, minlength=len(first))
    losses = np.bincount(codes, weights=np.nan_to_num(found.forward, nan=0.5) < 0.5, minlength=len(first))
    different = np.bincount(codes, weights=found.same, minlength=len(first)) == 0
    shown = np.flatnonzero(counts > 1)[np.argsort(first[counts > 1])][:SHOWN]
    return Duplicates(
        n=len(found),
        extra=int((counts - 1).sum()),
        contradicting=int(((wins > 0) & (losses > 0) & different).sum()),
        identical=int(found.same.sum()),
        examples=tuple(tuple(int(i) for i in np.flatnonzero(codes == group)[:SHOWN]) for group in shown),
    )


def unique(pairs: Pairs, found: Keys | None = None) -> Any:
    """Rows (int64) that are the first of their pair and annotator: `pairs.take(unique(pairs))` has no duplicates."""
    import numpy as np

    found = keys(pairs) if found is None else found
    return np.sort(np.unique(_said(found), return_index=True)[1])


def _said(found: Keys) -> Codes:
    """One hash for pair and annotator."""
    import numpy as np

    return found.pair + found.annotator.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def leaks(found: Keys, together: Any = None) -> Leaks:
    """What the held-out splits of the data share with its train split. `together`: the rows' components, if known."""
    import numpy as np

    test = np.isin(found.split, [i for i, name in enumerate(found.splits) if name in TEST])
    train = np.isin(found.split, [i for i, name in enumerate(found.splits) if name.startswith("train")])
    if not test.any() or not train.any():
        return Leaks(0, 0, 0, 0, ())
    together = components(found) if together is None else together
    both = np.intersect1d(together[train], together[test])
    leaked = test & np.isin(together, both)
    same = test & (found.prompt != 0) & np.isin(found.prompt, found.prompt[train])
    shown: Sequence[int] = [int(i) for i in np.flatnonzero(leaked)[:SHOWN]]
    return Leaks(int(test.sum()), len(both), int(leaked.sum()), int(same.sum()), tuple(shown))
