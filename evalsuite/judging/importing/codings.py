"""The field's codings of a preference, each read into one: [0, 1] for A, 0.5 a tie, None where there is none.

>>> of_alpaca(1.25), of_alpaca(0), of_alpaca(None)
(0.25, 0.5, None)
>>> of_label("A>>B"), of_label("B+"), of_label("[[A]]")
((1.0, 2), (0.0, 1), (None, 0))
"""

from collections.abc import Mapping, Sequence
from math import exp, inf, isfinite
from typing import Any

ANSWERS = {"a": 1.0, "b": 0.0, "1": 1.0, "2": 0.0, "model_a": 1.0, "model_b": 0.0, "model_1": 1.0, "model_2": 0.0}
TIES = ("tie", "tie (bothbad)", "tie (inconsistent)", "0", "c", "both")
LABELS = {"A>>B": (1.0, 2), "A>B": (1.0, 1), "A=B": (0.5, 0), "B>A": (0.0, 1), "B>>A": (0.0, 2)}
LABELS |= {"B<<A": (1.0, 2), "B<A": (1.0, 1), "B=A": (0.5, 0), "A<B": (0.0, 1), "A<<B": (0.0, 2)}
LABELS |= {"A++": (1.0, 2), "A+": (1.0, 1), "B+": (0.0, 1), "B++": (0.0, 2)}


def of_alpaca(value: Any) -> float | None:
    """AlpacaEval: 1 the baseline, 2 the model, 0 or 1.5 a tie, between them 1 + P(model); the model's preference.

    0 is a tie before any arithmetic. Anything else (3, -1) is no verdict.
    """
    number = of_number(value)
    if number is None:
        return None
    if number == 0:
        return 0.5
    return number - 1 if 1 <= number <= 2 else None


def of_label(text: Any) -> tuple[float | None, int]:
    """(preference for A, strength) of A>>B, A>B, A=B, ..., of their mirror A<B, and of A++, A+, B+, B++.

    Strength is 2 for a clear win, 1 for a slight one, 0 for a tie or no verdict.
    """
    return LABELS.get(str(text).strip().upper(), (None, 0))


def of_winner(value: Any) -> float | None:
    """A named winner: a, 1, model_a, model_1 and their kin; tie, 0, tie (bothbad). Else (error, garbage, N) None."""
    text = str(value).strip().lower()
    return 0.5 if text in TIES else ANSWERS.get(text)


def of_number(value: Any) -> float | None:
    """A finite number, also as text ("7"); None for what is none."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def of_grade(value: Any) -> float | None:
    """A grade as MT-Bench stores it: -1 stands for an unparsed reply."""
    number = of_number(value)
    return None if number is None or number == -1 else number


def of_top_logprobs(top: Sequence[Sequence[Any]] | Mapping[str, float], first: str, second: str) -> float | None:
    """P(first) / (P(first) + P(second)) over a token's alternatives; one that is not among them counts 0, None where
    both are missing (AlpacaEval 2: m names the answer shown first, M the other)."""
    known = dict(top) if isinstance(top, Mapping) else {str(token): float(logprob) for token, logprob in top}
    one, two = (exp(known.get(t, -inf)) for t in (first, second))
    return one / (one + two) if one + two > 0 else None
