"""A verdict's expectation over the tokens that could have stood in its place.

>>> expected([{"Yes": -0.1, " no": -2.4, "maybe": -5.0}], {"yes": 1.0, "no": 0.0}, "yes")
0.9088770389851438
"""

import math
from collections.abc import Mapping, Sequence

MARKS = " \t\n\r*_`'\"“”.:,!()[]▁Ġ"


def expected(
    steps: Sequence[Mapping[str, float]], values: Mapping[str, float], said: str, text: str = ""
) -> float | None:
    """Σ p·value / Σ p over the words of `values`, where the word `said` was drawn; None without log-probabilities of
    that place.

    steps: for each token of the reply the likeliest tokens' log-probabilities. Case and marks around a token do not
    matter; a word that is not among the likeliest counts as 0. `text`: the reply, by which the drawn tokens are known
    where they are not the likeliest (at a temperature). A reply that opens with its verdict may name words again
    when it explains; otherwise the verdict comes last.
    """
    words = [_plain(token) for token in drawn(steps, text)]
    places = [i for i, word in enumerate(words) if word == said.lower()]
    if not places:
        return None
    opening = not any(words[: places[0]])
    known = {word.lower(): value for word, value in values.items()}
    mass = [
        (math.exp(p), known[w])
        for t, p in steps[places[0] if opening else places[-1]].items()
        if (w := _plain(t)) in known
    ]
    return sum(p * value for p, value in mass) / sum(p for p, _ in mass)


def drawn(steps: Sequence[Mapping[str, float]], text: str) -> list[str]:
    """The tokens that were drawn: at each step the one that goes on spelling the text, the likeliest where several do;
    from where none does (it is not in the table, or the text is not all that was drawn), the likeliest of each step."""
    rest: str | None = text.lstrip()
    found: list[str] = []
    for table in steps:
        ranked = sorted((token for token in table if token), key=lambda t: -table[t])
        token, rest = _spelt(ranked, rest, begun=any(word.strip() for word in found))
        found.append(token)
    return found


def _spelt(ranked: Sequence[str], rest: str | None, begun: bool) -> tuple[str, str | None]:
    """The token, and what is left of the text; None where it has been lost."""
    for token in ranked if rest else ():
        shown = token if begun else token.lstrip()
        if rest is not None and rest.startswith(shown):
            return token, rest[len(shown) :]
    return (ranked[0] if ranked else ""), None


def _plain(token: str) -> str:
    return token.strip(MARKS).lower()
