"""Features that say the same: connected components of those whose directions or activations are alike.

    components(sae.decoder.numpy(), z)          # int64 (m): equal numbers are one component

Two features are linked where |cos| of their directions, or |r| of their activations, is above 0.7 (the threshold that
WIMHF has for the embeddings of its phrases). Signs do not count: a feature and its opposite are one.
"""

from __future__ import annotations

from typing import Any

ALIKE = 0.7


def components(directions: Any | None, activations: Any | None, threshold: float = ALIKE) -> Any:
    """Component numbers (m,), from 0 in the order of their first features. directions: (m, d) or None; activations:
    (n, m) or None, uncentred as they are odd. Features of length 0 are alone."""
    import numpy as np
    from scipy.sparse.csgraph import connected_components

    parts = [_cosines(np.asarray(x)) for x in (directions, None if activations is None else activations.T)
             if x is not None]  # fmt: skip
    if not parts:
        raise ValueError("directions or activations are wanted")
    linked = np.zeros_like(parts[0], dtype=bool)
    for part in parts:
        linked |= np.abs(part) > threshold
    _, labels = connected_components(linked, directed=False)
    _, first, of = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[of]


def _cosines(rows: Any) -> Any:
    """Cosines of rows (m, d) with one another."""
    import numpy as np

    gram = (rows @ rows.T).astype(float)
    length = np.sqrt(np.maximum(np.diag(gram), 0))
    scale = np.where(length > 0, length, np.inf)
    return gram / scale[:, None] / scale[None, :]
