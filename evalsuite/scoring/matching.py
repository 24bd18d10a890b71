"""Does a reply give one of the accepted answers? Alias matching on whole words, after normalising both sides.

    matches("It was Gabriel Garcia Marquez.", ["Gabriel García Márquez"])   # True
    matches("Parisian", ["Paris"])                                          # False: inside a longer word
    matches("It is not Paris.", ["Paris"])                                  # False: denied
    matches("Paris or London", ["Paris"])                                   # False: hedged

`normalise` folds case, accents, ligatures, possessives, dotted initials, punctuation, number words and thousands
separators, and drops a leading article. `matches` looks for an alias as consecutive words inside one sentence, and
reads the words around it:

- **Denied**: "not", "never", "neither", "rather than", "instead of", "unlike" within three words before it in the same
  clause ("not only" is no denial), or "is not the ...", "is wrong", "is incorrect" right after it. Where a reply both
  denies and asserts an alias, its last word on it counts.
- **Hedged**: "or" or a slash within three words of it in the same sentence, where the other side is no alias too
  ("Paris or London"; "Peking or Beijing" is fine, and so are "or so", "or about", "or simply"). So is a range of
  numbers: "1910-1920" holds neither 1910 nor 1920.

Known limits: a list joined by "and" or commas counts for each of its names; scripts without spaces (Chinese,
Japanese, Thai) have no word boundary, so there an alias may stand inside a longer word.
"""

import re
import unicodedata
from collections.abc import Sequence

from evalsuite.scoring.numbers import spell_out

_ARTICLES = ("the", "a", "an")
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
    | dict.fromkeys("’‘ʼ´`", "'")
    | dict.fromkeys("‐‑‒–—−", "-")
    | {"&": " and ", "%": " percent ", "…": ". "}
)
_INITIALS = re.compile(r"\b(?:[^\W\d_]\.\s?){2,}|\b[^\W\d_]\.(?=\s)")
_TOKEN = re.compile(
    r"\d+(?:[.,:]\d+)*(?:\s?-\s?\d+(?:[.,]\d+)*)?(?:st|nd|rd|th|s)?\b"  # 3.14, 1,000, 1910-1920, 19th
    r"|[^\W_]+(?:'[^\W_]+)*"
    r"|[.;!?\n,/()]"
)
_ENDS = frozenset(".;!?\n")
_STOPS = frozenset(".;!?\n,/()")
_DENIERS = frozenset(
    [
        "not",
        "never",
        "neither",
        "isnt",
        "wasnt",
        "arent",
        "werent",
        "dont",
        "doesnt",
        "didnt",
        "cannot",
        "cant",
        "except",
        "unlike",
    ]
)
_DENYING_PAIRS = frozenset({("rather", "than"), ("instead", "of"), ("other", "than")})
_DENIED_AFTER = re.compile(
    r"^(?:(?:is|was|are|were|would be) (?:not|never)|isnt|wasnt|arent|werent)"
    r"(?: the\b| it\b| right\b| correct\b| true\b|$)"
    r"|^(?:is|was|would be) (?:wrong|incorrect|false)\b"
)
_BENIGN_OR = frozenset(
    [
        "so",
        "about",
        "approximately",
        "roughly",
        "around",
        "more",
        "less",
        "fewer",
        "simply",
        "just",
        "rather",
        "sometimes",
        "also",
        "even",
    ]
)
_WINDOW = 3


def normalise(text: str) -> str:
    """Folded words, one space between them, without a leading article: "The  J. R. R. Tolkien!" → "jrr tolkien"."""
    words = [token for token in _tokens(text) if token not in _STOPS]
    while len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words)


def matches(text: str, aliases: Sequence[str]) -> bool:
    """Whether the reply asserts one of the aliases: whole words, not denied, not hedged (module docstring)."""
    wanted = [normalise(alias).split() for alias in aliases]
    wanted = [words for words in wanted if words]
    last = False
    for sentence in _sentences(_tokens(text)):
        for start, end in _occurrences(sentence, wanted):
            last = not _denied(sentence, start, end) and not _hedged(sentence, start, end, wanted)
    return last


def _occurrences(sentence: Sequence[str], wanted: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """Where the aliases stand, left to right; of two that overlap the one that begins first, and is longer."""
    found = [
        (start, start + len(words))
        for words in wanted
        for start in range(len(sentence) - len(words) + 1)
        if _same(sentence[start : start + len(words)], words)
    ]
    kept: list[tuple[int, int]] = []
    for start, end in sorted(set(found), key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def _same(found: Sequence[str], words: Sequence[str]) -> bool:
    if list(found) == list(words):
        return True
    return len(words) == 1 and _unspaced(words[0]) and words[0] in found[0]


def _unspaced(word: str) -> bool:
    """Whether a word is written in a script that puts no spaces between words."""
    return any("\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" or "\u0e00" <= c <= "\u0eff" for c in word)


def _denied(sentence: Sequence[str], start: int, end: int) -> bool:
    before: list[str] = []
    for token in reversed(sentence[:start]):
        if token in _STOPS or token == "but" or len(before) == _WINDOW + 1:
            break
        before.insert(0, token)
    for at, token in enumerate(before):
        following = before[at + 1] if at + 1 < len(before) else ""
        if (token in _DENIERS and following != "only") or (token, following) in _DENYING_PAIRS:
            return True
    return bool(_DENIED_AFTER.search(" ".join(sentence[end : end + 4])))


def _hedged(sentence: Sequence[str], start: int, end: int, wanted: Sequence[Sequence[str]]) -> bool:
    near = [*range(max(0, start - 1 - _WINDOW), start), *range(end, min(len(sentence), end + 1 + _WINDOW))]
    for at in near:
        if sentence[at] not in ("or", "/") or (at >= end and _benign(sentence, at)):
            continue
        other = sentence[at + 1 : at + 2 + _WINDOW] if at >= end else sentence[max(0, at - 1 - _WINDOW) : at]
        if not _occurrences(other, wanted):
            return True
    return False


def _benign(sentence: Sequence[str], at: int) -> bool:
    return at + 1 < len(sentence) and sentence[at + 1] in _BENIGN_OR


def _sentences(tokens: Sequence[str]) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for token in tokens:
        if token in _ENDS:
            sentences.append([])
        else:
            sentences[-1].append(token)
    return [sentence for sentence in sentences if sentence]


def _tokens(text: str) -> list[str]:
    """Folded words and the punctuation that separates clauses."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    decomposed = unicodedata.normalize("NFD", folded)
    # Only Latin, Greek and Cyrillic accents: the marks of Indic scripts are vowels.
    folded = unicodedata.normalize("NFC", "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f"))
    folded = re.sub(r"[*_`#\"“”„«»]+", " ", folded)
    folded = _INITIALS.sub(lambda m: re.sub(r"[.\s]", "", m[0]) + " ", folded)
    return spell_out([_plain(token) for token in _TOKEN.findall(folded)])


def _plain(token: str) -> str:
    if token[0].isdecimal():
        grouped = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", token)
        return re.sub(r"\s", "", grouped)
    return re.sub(r"'s$", "", token).replace("'", "") or token
