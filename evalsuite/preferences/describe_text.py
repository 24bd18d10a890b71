"""What can be read from the answers' texts: length, format, language, refusals; and what of it is preferred."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.preferences.contract import Pair, Pairs
from evalsuite.preferences.describe_figures import Figure, Section, mean, share
from evalsuite.scoring.abstention import refuses
from evalsuite.scoring.ifeval.counting import detect_language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[Any]
    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

FORMATS = {
    "headers": re.compile(r"^#{1,6} +\S", re.MULTILINE),
    "lists": re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE),
    "bold": re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
    "code": re.compile(r"^```|`[^`\n]+`", re.MULTILINE),
}
LANGUAGES = 300
"""Answers whose language is detected (5 ms each)."""


@dataclass(frozen=True)
class Texts:
    """Counts of both answers of n pairs, each (n, 2): words, characters, and every kind of format."""

    words: Counts
    characters: Counts
    formats: dict[str, Counts]

    def only(self, rows: Any) -> Texts:
        formats = {name: counts[rows] for name, counts in self.formats.items()}
        return Texts(self.words[rows], self.characters[rows], formats)


@dataclass(frozen=True)
class Labels:
    """The preferences of n pairs: `first` where `a` is preferred, `decided` where somebody is; `clusters`: what belongs
    together."""

    first: NDArray[np.bool_]
    decided: NDArray[np.bool_]
    clusters: Codes


def counts_of(text: str) -> tuple[int, ...]:
    """Words, characters, headers, list items, bold spans, code spans or fences.

    >>> counts_of("# Title\\n- one **two**")
    (6, 21, 1, 1, 1, 0)
    """
    return (len(text.split()), len(text), *(sum(1 for _ in found.finditer(text)) for found in FORMATS.values()))


class Reading:
    """Reads the counts of pairs as they pass by: `for pair in reading.watch(pairs)`, then `reading.texts()`."""

    def __init__(self) -> None:
        self._counts = array("l")

    def watch(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        for pair in pairs:
            self._counts.extend(counts_of(pair.a))
            self._counts.extend(counts_of(pair.b))
            yield pair

    def texts(self) -> Texts:
        import numpy as np

        table = np.array(self._counts, dtype=np.int32).reshape(-1, 2, 2 + len(FORMATS))
        return Texts(table[:, :, 0], table[:, :, 1], {name: table[:, :, 2 + i] for i, name in enumerate(FORMATS)})


def length(texts: Texts, labels: Labels) -> Section:
    """How long answers are, and how often the longer one is preferred."""
    import numpy as np

    figures = [mean("words in an answer", texts.words.mean(axis=1), labels.clusters)]
    by = {"words": texts.words, "characters": texts.characters}
    longer = texts.words[:, 0].astype(float) - texts.words[:, 1]
    sign = np.where(labels.first, 1.0, -1.0)
    use = labels.decided
    figures.append(mean("preferred minus other answer", (sign * longer)[use], labels.clusters[use]))
    for name, counts in by.items():
        figures.append(_preferred(f"the longer is preferred, by {name}", counts, labels))
    far = texts.words.max(axis=1) >= 2 * np.maximum(texts.words.min(axis=1), 1)
    figures.append(_preferred("one twice as long is preferred", texts.words, labels, far))
    return Section("length", tuple(figures), "pairs of equal length and ties do not count")


def formats(texts: Texts, labels: Labels) -> Section:
    """How many answers have each kind of format, and how often the only one of a pair that has it is preferred."""
    figures = []
    for name, counts in texts.formats.items():
        has = counts > 0
        figures.append(share(f"answers with {name}", has.mean(axis=1), labels.clusters))
        figures.append(_preferred(f"the only one with {name} is preferred", has, labels))
    return Section("format", tuple(figures), "not adjusted: an answer with lists is often the longer one")


def refusals(refused: Any, labels: Labels) -> Section:
    """The same for refusals; `refused` is (n, 2)."""
    figures = (
        share("answers that refuse", refused.mean(axis=1), labels.clusters),
        share("pairs in which both refuse", refused.all(axis=1), labels.clusters),
        _preferred("the only one that refuses is preferred", refused, labels),
    )
    return Section("refusals", figures, "read by phrases (English; on people's labels 81% are found, 2% falsely)")


def _preferred(name: str, counts: Any, labels: Labels, among: Any = True) -> Figure:
    """Share of decided pairs with different counts in which the answer with the higher one is preferred."""
    use = labels.decided & (counts[:, 0] != counts[:, 1]) & among
    more = counts[:, 0] > counts[:, 1]
    return share(name, (more == labels.first)[use], labels.clusters[use], "no decided pair in which only one has it")


def refusals_in(pairs: Pairs) -> Any:
    """bool (n, 2): which answers refuse."""
    import numpy as np

    return np.array([(refuses(p.a), refuses(p.b)) for p in pairs], dtype=bool).reshape(-1, 2)


def languages(pairs: Pairs, rows: Any) -> Section:
    """The languages of a sample of first answers."""
    found = Counter(detect_language(p.a[:1000]) or "none" for p in pairs.take(rows[:LANGUAGES]))
    n = sum(found.values())
    named = [code for code, _ in found.most_common(5)]
    figures = tuple(share(f"answers in {code}", [1.0] * found[code] + [0.0] * (n - found[code])) for code in named)
    return Section("language", figures, "detected on a sample; short answers and code mislead the detector")
