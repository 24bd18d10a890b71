"""How faithful a description is: can a reader who knows only the description tell which text has the feature?

Pearson's r between answers (+1 first text, -1 second, 0 neither) and signed activations, with its two-sided p
(Student's t with n - 2 degrees of freedom, as WIMHF reports it) and Fisher's interval. The pairs must have taken no
part in the choice of the description: the best of five on 300 pairs looks better on those 300 than it is.

>>> fidelity([1, -1, 0, 1, None], [0.8, -0.5, 0.1, 0.3, -0.2]).n
4
"""

from collections.abc import Sequence
from typing import Any

from evalsuite.features.contract import Fidelity
from evalsuite.statistics.correlation import pearson


def fidelity(answers: Sequence[int | None], z: Any, level: float = 0.95) -> Fidelity:
    """Answers and activations (n,) of the same pairs; unread answers (None) do not count. r is None where a side does
    not vary (a reader who always says the same)."""
    read = [(float(answer), float(value)) for answer, value in zip(answers, z, strict=True) if answer is not None]
    if not read:
        return Fidelity(None, None, 0)
    x, y = zip(*read, strict=True)
    found = pearson(x, y, level)
    return Fidelity(found.value, p_value(found.value, len(read)), len(read), found.low, found.high)


def p_value(r: float | None, n: int) -> float | None:
    """Two-sided p of Pearson's r of n pairs; None below three, or where r is None.

    >>> f"{p_value(0.26617986600000004, 300):.3g}"
    '2.93e-06'
    """
    if r is None or n < 3:
        return None
    from scipy.special import stdtr

    if abs(r) >= 1:
        return 0.0
    return float(2 * stdtr(n - 2, -abs(r) * ((n - 2) / (1 - r * r)) ** 0.5))
