"""How different are several texts from each other? Lexical diversity of a set, in one place and on one scale.

    draws = [words(text) for text in texts]
    distinct(draws, n=2)      # distinct bigrams / bigrams, pooled over the set: higher = more diverse
    ead(draws)                # the same for n = 1..5, divided by what chance would give: higher = more diverse
    self_bleu(draws)          # how well each text is predicted by the others: higher = LESS diverse, 1 = identical

Per input: the set is several draws for one prompt. Across inputs: the set is the first draw of every prompt. A model
that always gives one fixed text per prompt is lowest per input and can still be high across inputs.

All three depend on how much text there is, so sets are compared at equal length: `truncate` cuts every text to the same
number of words, and `counted` says how many were left. Texts shorter than n words count as one n-gram, themselves (an
empty text too), so that four times "Yes." is not diverse but lowest.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

VOCABULARY = 50_257  # the size that published EAD figures use (the GPT-2 tokenizer's), kept so that they compare
ORDERS = (1, 2, 3, 4, 5)

Words = Sequence[str]


def words(text: str) -> list[str]:
    """Words in lower case without punctuation; in scripts without spaces every character is a word."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return re.findall(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff]|[^\W_]+(?:'[^\W_]+)*", folded)


def truncate(texts: Sequence[Words], length: int) -> list[list[str]]:
    """Every text cut to its first `length` words."""
    return [list(text[:length]) for text in texts]


def counted(texts: Sequence[Words]) -> int:
    """Words of all texts together: the C that every figure here depends on."""
    return sum(map(len, texts))


def ngrams(text: Words, n: int) -> list[tuple[str, ...]]:
    """All n-grams in order; a text of fewer than n words is one n-gram."""
    if len(text) < n:
        return [tuple(text)]
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]


def distinct(texts: Sequence[Words], n: int) -> float:
    """Distinct n-grams / n-grams, pooled over the set (Li et al. 2016). In (0, 1]; falls as texts get longer."""
    _several(texts)
    grams = [gram for text in texts for gram in ngrams(text, n)]
    return len(set(grams)) / len(grams)


def ead(texts: Sequence[Words], orders: Sequence[int] = ORDERS, vocabulary: int = VOCABULARY) -> float:
    """Expectation-adjusted distinct (Liu et al. 2022), averaged over n-gram orders as in Kirk et al. 2024:
    D / (V·(1 − ((V−1)/V)^C)) with D distinct of C n-grams.

    V stays the unigram vocabulary for every order, as published, so the figure can pass 1 slightly: all-distinct words
    give 1.00099 at C = 100. For the few hundred words of one prompt's draws the correction is nearly inert: it does
    not make texts of different length comparable. Truncate first.
    """
    _several(texts)
    total = 0.0
    for n in orders:
        grams = [gram for text in texts for gram in ngrams(text, n)]
        expected = -vocabulary * math.expm1(len(grams) * math.log1p(-1 / vocabulary))
        total += len(set(grams)) / expected
    return total / len(orders)


def self_bleu(texts: Sequence[Words], max_order: int = 4) -> float:
    """Mean BLEU of each text against all others (Zhu et al. 2018). In [0, 1]; higher = LESS diverse; identical = 1.

    Clipped n-gram precisions up to `max_order` (or the text's length), geometric mean, brevity penalty against the
    closest length. Orders above 1 are smoothed by adding one to matches and totals (Lin and Och 2004), so a text that
    shares no word with the others scores 0 and one without a common 4-gram does not.
    """
    _several(texts)
    return sum(_bleu(text, [*texts[:i], *texts[i + 1 :]], max_order) for i, text in enumerate(texts)) / len(texts)


def _bleu(text: Words, others: Sequence[Words], max_order: int) -> float:
    if not text:
        return float(any(not other for other in others))
    logs = 0.0
    orders = min(max_order, len(text))
    for n in range(1, orders + 1):
        found = Counter(ngrams(text, n))
        ceiling: Counter[tuple[str, ...]] = Counter()
        for other in others:
            ceiling |= Counter(ngrams(other, n))
        matched, total = sum((found & ceiling).values()), sum(found.values())
        if matched == 0 and n == 1:
            return 0.0
        smooth = int(n > 1)
        logs += math.log((matched + smooth) / (total + smooth))
    closest = min((abs(len(other) - len(text)), len(other)) for other in others)[1]
    brevity = 0.0 if len(text) >= closest else 1 - closest / len(text)
    return math.exp(logs / orders + brevity)


def _several(texts: Sequence[Words]) -> None:
    if len(texts) < 2:
        raise ValueError(f"diversity needs at least two texts, not {len(texts)}")
