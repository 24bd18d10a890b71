"""Examples of a feature as the page of an explained dataset shows them: side by side, folded, its words marked.

    limit = room(explanation.features)                      # characters of one text that the page can bear
    [shown(e, limit, feature.terms) for e in feature.examples[:EXAMPLES]]

They are other people's text: the template escapes them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.features.contract import Example, Feature

FOLD = 700  # characters of a text that are shown at once
TEXT = 6000  # and those that unfold; beyond them the text is cut
LEAST = 500
ROOM = 6_000_000  # characters of examples on a page
EXAMPLES = 10  # of a feature


@dataclass(frozen=True, slots=True)
class Folded:
    """A text: what is shown, what unfolds, and how many characters are not on the page. `marks` finds the feature's
    own words in it."""

    head: str
    rest: str
    cut: int
    marks: re.Pattern[str] | None = None

    def parts(self, text: str) -> list[tuple[str, bool]]:
        """A part of the text, cut where a marked word begins and ends: (text, whether it is one)."""
        if self.marks is None:
            return [(text, False)]
        return [(piece, bool(k % 2)) for k, piece in enumerate(self.marks.split(text)) if piece]


@dataclass(frozen=True, slots=True)
class Side:
    """One of an example's two answers. `mark`: what is known of its preference."""

    title: str
    place: str
    mark: str
    preferred: bool
    text: Folded


@dataclass(frozen=True, slots=True)
class Shown:
    """An example, the answer that has more of the feature first."""

    id: str
    prompt: Folded
    sides: tuple[Side, Side]
    strength: str


def room(features: Sequence[Feature]) -> int:
    """Characters of one text that the page has room for."""
    texts = 3 * sum(min(len(f.examples), EXAMPLES) for f in features)
    return max(LEAST, min(TEXT, ROOM // max(texts, 1)))


def shown(example: Example, limit: int, terms: Sequence[tuple[str, float]] = ()) -> Shown:
    """The example with the answer that has more of the feature on the left; its words are marked there, those of the
    opposite on the right."""
    liked = example.preference
    sides = (
        (example.a, "first answer of the pair", liked),
        (example.b, "second answer of the pair", None if liked is None else 1 - liked),
    )
    more, less = sides if example.activation >= 0 else sides[::-1]
    strength = f"strength {abs(example.activation):.3g}"
    if example.percentile is not None:
        strength += f", stronger than {example.percentile:.1f}% of its pairs"
    return Shown(
        example.id,
        folded(example.prompt, limit),
        (
            Side("has more of it", more[1], *_mark(more[2]), folded(more[0], limit, marks=_words(terms, 1))),
            Side("has less of it", less[1], *_mark(less[2]), folded(less[0], limit, marks=_words(terms, -1))),
        ),
        strength,
    )


def votes(examples: Sequence[Example]) -> str:
    """How the labels of the examples stand to the feature, in words."""
    signed = [(e.preference - 0.5) * e.activation for e in examples if e.preference not in (None, 0.5)]
    if not signed:
        return "none of them has a label"
    more = sum(s > 0 for s in signed)
    return f"in {more} of {len(signed)} with a winner, the answer that has more of it was preferred"


def _mark(liked: float | None) -> tuple[str, bool]:
    if liked is None:
        return "no label", False
    if liked == 0.5:
        return "tie", False
    if liked in (0, 1):
        return ("preferred", True) if liked else ("", False)
    return f"{'preferred' if liked > 0.5 else 'not preferred'} ({liked:.2f})", liked > 0.5


def _words(terms: Sequence[tuple[str, float]], sign: int) -> re.Pattern[str] | None:
    """What finds the terms of one sign in a text; letters, digits and apostrophes only, as they were counted."""
    own = [term.split() for term, weight in terms if sign * weight > 0 and term.strip()]
    if not own:
        return None
    spelled = [r"[\W_]+".join("['’]".join(map(re.escape, re.split("['’]", w))) for w in words) for words in own]
    return re.compile(rf"(?<!\w)({'|'.join(sorted(spelled, key=len, reverse=True))})(?!\w)", re.IGNORECASE)


def folded(text: str, limit: int = TEXT, fold: int = FOLD, marks: re.Pattern[str] | None = None) -> Folded:
    """A text for the page: `fold` characters shown, up to `limit` behind a fold, the rest counted. A text that is
    hardly longer than the fold is shown whole."""
    kept, cut = text[:limit], max(0, len(text) - limit)
    if len(kept) <= 1.2 * fold:
        return Folded(kept, "", cut, marks)
    return Folded(kept[:fold], kept[fold:], cut, marks)
