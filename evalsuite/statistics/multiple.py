"""Several tests at once: adjusted p-values that may be compared with alpha as they stand."""

from collections.abc import Sequence


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the chance of any false finding (Holm 1979, step-down). Same order as given."""
    order, m = _ascending(p), len(p)
    adjusted, running = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (m - rank) * p[i]))
        adjusted[i] = running
    return adjusted


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the expected share of false findings (Benjamini & Hochberg 1995, step-up)."""
    order, m = _ascending(p), len(p)
    adjusted, running = [0.0] * m, 1.0
    for rank in range(m - 1, -1, -1):
        i = order[rank]
        running = min(running, p[i] * m / (rank + 1))
        adjusted[i] = running
    return adjusted


def _ascending(p: Sequence[float]) -> list[int]:
    if any(not 0 <= x <= 1 for x in p):
        raise ValueError("p-values must lie in [0, 1]")
    return sorted(range(len(p)), key=lambda i: p[i])
