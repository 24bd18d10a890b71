"""Train and held-out rows that share no prompt and no conversation.

    train, held_out = split(pairs, share=0.2, seed=0)
    part = folds(pairs, 5, seed=0)              # int64 (n): the fold of each row, for cross-validation

Whole components (duplicates.components) are drawn in an order that hangs on the seed and their contents alone: neither
the order of the rows nor their labels move a row from one side to the other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.duplicates import Keys, components, keys

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]


class Split(NamedTuple):
    """Rows of each side, ascending."""

    train: Any
    held_out: Any


def split(pairs: Pairs, share: float = 0.2, seed: int = 0, found: Keys | None = None) -> Split:
    """About `share` of the rows held out (never more), in whole components. Raises InputError where a component is so
    large, or rows are so few, that one side would be empty."""
    import numpy as np

    if not 0 < share < 1:
        raise InputError(f"a held-out share of {share}: must lie between 0 and 1")
    together, order, sizes = _drawn(pairs, seed, found)
    room = int(share * len(together))
    held = np.zeros(len(sizes), dtype=bool)
    for component in order:
        if sizes[component] <= room:
            held[component] = True
            room -= int(sizes[component])
    out = held[together]
    if not out.any() or out.all():
        raise InputError(
            f"{len(together)} pairs in {len(sizes)} groups that share prompts or conversations (the largest has "
            f"{int(sizes.max(initial=0))}) cannot be split; give more pairs or another share"
        )
    return Split(np.flatnonzero(~out), np.flatnonzero(out))


def folds(pairs: Pairs, k: int = 5, seed: int = 0, found: Keys | None = None) -> Any:
    """int64 (n): the fold of each row, 0 to k - 1, of nearly equal sizes. Raises InputError where there are fewer
    components than folds."""
    import numpy as np

    together, order, sizes = _drawn(pairs, seed, found)
    if len(sizes) < k:
        raise InputError(f"{len(together)} pairs in {len(sizes)} groups that share prompts cannot make {k} folds")
    fold, filled = np.zeros(len(sizes), dtype=np.int64), np.zeros(k, dtype=np.int64)
    # Largest first, each into the emptiest fold; components of one size in the drawn order.
    for component in order[np.argsort(-sizes[order], kind="stable")]:
        fold[component] = int(filled.argmin())
        filled[fold[component]] += sizes[component]
    return fold[together]


def _drawn(
    pairs: Pairs, seed: int, found: Keys | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The rows' components, the components in drawn order, and their sizes."""
    import numpy as np

    found = keys(pairs) if found is None else found
    together = components(found)
    sizes = np.bincount(together)
    # What names a component is the smallest hash of its pairs: no row number, no label.
    smallest = np.full(len(sizes), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, together, found.pair)
    drawn = [hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest() for key in smallest.tolist()]
    return together, np.array(sorted(range(len(sizes)), key=drawn.__getitem__), dtype=np.int64), sizes
