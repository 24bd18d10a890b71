"""A verdict's expectation over the tokens that could have stood in its place.

>>> expected([{"Yes": -0.1, " no": -2.4, "maybe": -5.0}], {"yes": 1.0, "no": 0.0}, "yes")
0.9088770389851438
"""

import math
from collections.abc import Mapping, Sequence

MARKS = " \t\n\r*_`'\"“”.:,!()[]▁Ġ"


def expected(steps: Sequence[Mapping[str, float]], values: Mapping[str, float], said: str) -> float | None:
    """Σ p·value / Σ p over the words of `values`, where the word `said` was drawn; None without log-probabilities of
    that place.

    steps: for each token of the reply the likeliest tokens' log-probabilities. Case and marks around a token do not
    matter; a word that is not among the likeliest counts as 0. A reply that opens with its verdict may name words again
    when it explains; otherwise the verdict comes last.
    """
    likeliest = [_plain(max(table, key=lambda t: table[t])) if table else "" for table in steps]
    places = [i for i, word in enumerate(likeliest) if word == said.lower()]
    if not places:
        return None
    opening = not any(likeliest[: places[0]])
    known = {word.lower(): value for word, value in values.items()}
    mass = [
        (math.exp(p), known[w])
        for t, p in steps[places[0] if opening else places[-1]].items()
        if (w := _plain(t)) in known
    ]
    return sum(p * value for p, value in mass) / sum(p for p, _ in mass)


def _plain(token: str) -> str:
    return token.strip(MARKS).lower()
