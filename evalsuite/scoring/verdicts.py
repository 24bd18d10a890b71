"""Reading a verdict out of a reply: a letter, yes or no, correct or not. Pure functions, or None where there is none.

Each parser looks for the most explicit form first (`[[B]]`, then a bare letter, then "Answer: B", then "B is better")
and takes the first form that occurs. A form that occurs with two different verdicts is no verdict: None; nor is one
that another explicit form contradicts further on. Words that a reply quotes (between quotation marks, in fences, block
quotes, tags) are somebody else's: `own_words` reads what is left without them. Letters inside words ("Absolutely"), the
article "A", negated verdicts ("NOT CORRECT") and alternatives ("A or B") never count. A caller turns None into a
missing score, never into 0.

>>> choice_letter("**Answer:** (b)"), choice_letter("Both are fine"), correctness("NOT CORRECT")
('B', None, False)
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

_NOUN = r"(?:option|answer|response|assistant|output|choice|model|candidate|reply|completion)"
_DECLARED = (
    r"(?:answer|verdict|choice|winner|decision|preference|judge?ment|grade|rating|conclusion|option|response|label|vote|pick|"
    r"better|best)"
    r"(?:\s+(?:one|answer|response))?"
)
_IS = r"\W{0,4}(?:\s*(?:is|was|would be|should be|:|=|-|–|—)\s*)\W{0,6}"
_BETTER = r"(?:better|best|preferred|preferable|superior|stronger|strongest|correct|right|the winner|winner|more\s+\w+)"
_CUE = (
    r"(?:prefer|choose|chose|pick|select|i say|i would say|i'd say|vote for|go with|going with|favou?r|think it's|"
    r"it's|it is|deserves an?|gets an?|this is an?|therefore|thus|hence|so)"
)
_NEGATION = re.compile(
    r"\b(?:not|never|neither|nor|cannot|no|without|hardly|whether|if|nobody|rather than|"
    r"worse|worst|weaker|weakest|inferior|poorer|losing|loser|wrong|incorrect)\b|n't\b|n’t\b",
    re.IGNORECASE,
)
# "The answer says B is better": somebody else's words, unless "I" stands there ("I would say B is better").
_REPORT = re.compile(
    r"\b(?:says?|said|saying|claims?|claimed|argues?|argued|states?|stated|insists?|suggests?|might|could)\b", re.I
)
# Letters that name something else than an answer.
_NAME = re.compile(r"\b(?:vitamin|plan|hepatitis|type|class|group|part|section|figure|table|appendix|team)\s+$", re.I)
_TAKEN_BACK = re.compile(
    r"[)\]*\"”`]*(?:\s*(?:/|&|\bor\b|\band\b|\bvs\b\.?|\bversus\b)\W*"  # A or B, A and B
    r"(?:(?-i:[A-HJ-Z])(?![\w'’])|(?<=[(\[\"“*`])[a-h][)\]\"”*`])"
    r"|[^\S\n]+(?-i:[A-H])(?![\w'’])|\W{0,4}(?:no\s+wait|wait|actually)\b"
    r"|\s+(?:loses|lost|fails)\b"
    r"|\s+(?:is|was|seems|looks)\s+(?:\w+\s+){0,3}?(?:worse|worst|weaker|weakest|inferior|poorer|wrong|incorrect|not|less)\b"
    r"|[^.!?\n]{0,200}\b(?:is|are)\s+(?:not\s+true|untrue|false)\b)",
    re.I,
)
# A capital "A" before any other lower-case word is taken for the article ("A good answer ...").
_AFTER_LETTER = r"(?:is|was|because|as|since|over|for|due|wins?|but|while|by|seems|than|has|does|would|and|or)"

# Pairs of marks around words of somebody else; the last ones must not be apostrophes.
_BLOCK = r"^[ \t]*>[^\n]*$"
_PAIRS = (
    r"^[ \t]*(`{3,}|~{3,}).*?(?:^[ \t]*\1`*[ \t]*$|\Z)",
    _BLOCK,
    r"<(\w*(?:answer|conversation|reference|response|question|user|assistant)\w*)>.*?(?:</\1>|\Z)",
    r'"[^"]*"',
    r"\u201c[^\u201d]*\u201d",
    r"\u201e[^\u201c]*\u201c",
    r"\u00ab[^\u00bb]*\u00bb",
    r"\u300c[^\u300d]*\u300d",
    r"`[^`\n]+`",
    r"(?<!\w)'[^'\n]+'(?!\w)",
)
_QUOTES = [re.compile(pair, re.MULTILINE | re.DOTALL | re.IGNORECASE | re.ASCII) for pair in _PAIRS]
_WIDE = [
    re.compile(_BLOCK, re.MULTILINE),
    *(re.compile(rf"{mark}.*{mark}", re.DOTALL) for mark in ("```", "~~~", '"', "`", "[\u201c\u201d\u201e]")),
]
_LABEL = re.compile(r"""["'`\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d]*(?:\[\[.{0,16}\]\]|[^\s`]{0,9})[^\w\]]*""")


def own_words(read: Callable[[str], T | None], text: str) -> T | None:
    """What `read` finds in a reply's own words: without what it quotes. A single quoted word ("B") is its own, as long
    as the reply says nothing else without it. Quotation marks inside a quotation can hide its end, so a wider cut, from
    the first mark to the last, must not say something else either. None where the cuts disagree.

    >>> own_words(choice_letter, 'It says "the verdict is [[A]]". My verdict: [[B]]')
    'B'
    """
    narrow = wide = bare = text
    for form in _QUOTES:
        narrow = form.sub(lambda m: m[0] if _LABEL.fullmatch(m[0]) else " \u2026 ", narrow)
        bare = form.sub(" \u2026 ", bare)
    if narrow == text == bare:
        return read(text)
    for form in _WIDE:
        wide = form.sub(" \u2026 ", wide)
    found = [verdict for cut in (narrow, wide, bare) if (verdict := read(cut)) is not None]
    if not found and not re.search(r"\w", bare):  # all of it stands in a fence, or in quotation marks
        return read(text)
    return found[0] if found and all(verdict == found[0] for verdict in found) else None


def choice_letter(text: str, letters: str = "AB") -> str | None:
    """The one letter of `letters` that the reply names as its choice, upper case; None where it names none or two."""
    return own_words(lambda own: _choice(own, letters.upper()), text)


def _choice(text: str, letters: str) -> str | None:
    text = _compact(text)
    words = re.findall(r"[^\W_]+", text)
    # "A", "**b**", "(B).", but not "A or B"
    if words and "[[" not in text and all(len(w) == 1 and w.upper() in letters for w in words):
        return _one(w.upper() for w in words)
    named = [
        [
            (m.start(), next(g for g in m.groups() if g).upper())
            for m in form.finditer(text)
            if (not _negated(text, m.start()) if number == 0 else _meant(text, m))
        ]
        for number, form in enumerate(_letter_forms(letters))
    ]
    return _settled(named, explicit=3)


@lru_cache(maxsize=32)
def _letter_forms(letters: str) -> tuple[re.Pattern[str], ...]:
    any_case = f"[{re.escape(letters + letters.lower())}]"
    capital = f"[{re.escape(letters)}]"
    # A letter as a word of its own: a capital that is no article or pronoun, or either case in brackets or quotes.
    bare = rf"(?-i:({capital}))(?![\w'’])(?!\s*/)(?!\s+(?-i:(?!{_AFTER_LETTER}\b)[a-z]))"
    word = rf"(?:{bare}|[(\[\"“*`]({any_case})[)\]\"”*`])"
    noun = rf"(?:{_NOUN}\s*)?\W{{0,3}}"
    verb = rf"\s*\W{{0,3}}\s*(?:is|was|seems|looks|would be)\s+(?:(?!{_FAR}\b)\w+\s+){{0,2}}?"
    flags = re.IGNORECASE
    return (
        re.compile(rf"\[\[\s*({any_case})\s*\]\]"),
        re.compile(rf"\b{_DECLARED}{_IS}{noun}(?<!\w){word}", flags),
        re.compile(
            rf"^[^\w\n]{{0,8}}(?-i:({capital}))(?:\s*[.):]|\*\*|\s*$|\s+[-–—]\s)(?!\s*\w[.)]?\s*$)", re.MULTILINE
        ),
        re.compile(rf"(?<![\w'’]){word}(?:{verb}{_BETTER}\b|\s+wins\b)", flags),
        re.compile(rf"\b{_CUE}\s+(?:the\s+)?{noun}(?<!\w){word}(?!\s+(?:and|or)\b)", flags),
        re.compile(
            rf"^\W{{0,8}}(?:{_NOUN}\s+)?(?<!\w){word}(?=\s*(?:[,.;!]|$|because|since|as\s))(?!,\s*(?-i:{capital})\b)",
            flags,
        ),
    )


def yes_no(text: str) -> bool | None:
    """True for yes, False for no; None where the reply says neither, both, or only mentions the words."""
    return own_words(_yes_no, text)


def _yes_no(text: str) -> bool | None:
    text = _compact(text)
    word = r"(yes|no)"
    # "yes or no", "Yes, no", "Yes, but not", "No. 1"
    alone = r"(?!\s*(?:/|or\b|and\b))(?![^\w.!?\n]{1,3}(?:but\s+)?(?:yes|no|not)\b(?!-))(?!\.? ?\d)"
    forms = (
        rf"\[\[\s*{word}\s*\]\]",
        rf"\b{_DECLARED}{_IS}{word}\b{alone}(?![^\S\n]+\w)",
        rf"(?:^|[.!?\n])[^\w\n]{{0,8}}(?:(?:wait|actually|well|so|hmm),?\s+)*{word}\b{alone}"
        r"(?=\s*(?:[^\w\s]|$|\n|because\b|since\b))",
        rf"^\W{{0,8}}{word}\b{alone}(?=\s+(?:it|this|that|the|there|i|he|she|they|we|you)\b)",
    )
    named = [[(m.start(), m[1].lower() == "yes") for m in re.finditer(form, text, re.IGNORECASE)] for form in forms]
    return _settled(named, explicit=len(forms))


def correctness(text: str) -> bool | None:
    """True for "correct", False for "incorrect", "wrong", "not correct"; None for neither, both, "partly correct"."""
    return own_words(_correctness, text)


def _correctness(text: str) -> bool | None:
    text = _compact(text)
    # Neither "correct answer", "correct but", "correct/incorrect" nor "Correct: no".
    word = (
        r"((?:in)?correct|wrong)\b(?!\s+(?-i:[a-z])(?!s\b|ecause\b|nd\b|ince\b))"
        r"(?!\s*/|\s*[:=?]+\s*(?:yes|no|true|false|\d))"
    )
    forms = (
        rf"\[\[\s*((?:not[\s_-]+)?)()(?:\w\s*[:.)]\s*)?{word}\s*\]\]",
        rf"\b{_DECLARED}{_IS}((?:not\s+)?)()(?:[\w]\s*[:.)]\s*)?{word}",
        rf"^[^\w\n]{{0,8}}(?:[A-D]\s*[:.)]\s*)?\W{{0,8}}((?:not[\s_-]+)?)((?:{_PARTLY}\s+)?){word}(?=\s*(?:[^\w\s]|$))",
        rf"\b(?:is|are|was|were|be|seems|as|looks)((?:n't|n’t|\s+not)?)\s+((?:\w+\s+){{0,2}}?){word}",
    )
    flags = re.IGNORECASE | re.MULTILINE
    named = [[(m.start(), _correct(text, m)) for m in re.finditer(form, text, flags)] for form in forms]
    return _settled(named, explicit=3)


_FAR = r"(?:not|less|no|never|hardly|barely|scarcely|far|anything|nowhere|nothing|neither)"
_PARTLY = r"(?:partly|partially|mostly|almost|nearly|half|somewhat|largely)"


def _correct(text: str, match: re.Match[str]) -> bool | None:
    before, between, word = match.groups()
    negations = bool(before.strip()) + bool(_NEGATION.search(between))
    doubtful = re.search(rf"\b(?:{_PARTLY}|both|(?!not?\b|never\b){_FAR})\b", between, re.IGNORECASE)
    # "whether it is correct", "I cannot say it is correct": somebody else's verdict, not this one.
    if doubtful or negations > 1 or _negated(text, match.start()) or _reported(text, match) or _asked(text, match):
        return None
    positive = word.lower() == "correct"
    if negations and not positive:  # "not incorrect"
        return None
    return positive != bool(negations)


def _compact(text: str) -> str:
    """Runs of blanks, line breaks and repeated marks shortened: a judge that loops must not make the patterns crawl."""
    text = re.sub(r"[^\S\n]+", " ", text.strip())
    text = re.sub(r"\n(?: ?\n)+", "\n\n", text)
    return re.sub(r"([^\w\s])\1{3,}", r"\1\1\1", text)


def _meant(text: str, match: re.Match[str]) -> bool:
    """Whether a letter is named as the choice: no negation, no report, no question, no alternative, not taken back."""
    start, end = match.span()
    if (
        _negated(text, start)
        or _reported(text, match)
        or _asked(text, match)
        or _NAME.search(text[max(0, start - 16) : start])
    ):
        return False
    if "would" in match[0] and re.search(r"\bif\b", _sentence(text, start, end), re.IGNORECASE):
        return False
    return not _TAKEN_BACK.match(text, end)


def _reported(text: str, match: re.Match[str]) -> bool:
    clause = _clause(text, match.start())
    return bool(_REPORT.search(clause)) and not re.search(r"\b(?:I|we|my)\b", clause)


def _asked(text: str, match: re.Match[str]) -> bool:
    end = re.search(r"[.!?\n]", text[match.end() : match.end() + 200])
    return end is not None and end[0] == "?"


def _sentence(text: str, start: int, end: int) -> str:
    before = re.split(r"[.!?\n]", text[max(0, start - 200) : start])[-1]
    return before + text[start:end] + re.split(r"[.!?\n]", text[end : end + 200])[0]


def _clause(text: str, start: int) -> str:
    return re.split(r"[.;:!?,\n]", text[max(0, start - 80) : start])[-1]


def _negated(text: str, start: int) -> bool:
    """Whether a negation stands before `start` in the same clause."""
    return bool(_NEGATION.search(_clause(text, start)))


def _settled(named: Sequence[Sequence[tuple[int, T]]], explicit: int) -> T | None:
    """The verdict of the first form that occurs, forms given as (place, verdict) of each occurrence. None where it
    occurs with several verdicts, or where one of the first `explicit` forms says something else further on."""
    first = next((form for form in named if form), [])
    if len({verdict for _, verdict in first}) != 1:
        return None
    end, verdict = max(first, key=lambda found: found[0])
    later = [other for form in named[:explicit] for place, other in form if place > end]
    return verdict if all(other == verdict for other in later) else None


def _one(found: Iterable[str] | Iterator[str]) -> str | None:
    distinct = set(found)
    return distinct.pop() if len(distinct) == 1 else None
