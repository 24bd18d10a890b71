"""Reading a verdict out of a reply: a letter, yes or no, correct or not. Pure functions, or None where there is none.

Each parser looks for the most explicit form first (`[[B]]`, then a bare letter, then "Answer: B", then "B is better")
and takes the first form that occurs. A form that occurs with two different verdicts is no verdict: None.
Letters inside words ("Absolutely"), the article "A", negated verdicts ("NOT CORRECT") and quoted alternatives
("A or B") never count. A caller turns None into a missing score, never into 0.

>>> choice_letter("**Answer:** (b)"), choice_letter("Both are fine"), correctness("NOT CORRECT")
('B', None, False)
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

_NOUN = r"(?:option|answer|response|assistant|output|choice|model|candidate|reply|completion)"
_DECLARED = (
    r"(?:answer|verdict|choice|winner|decision|preference|judge?ment|grade|rating|conclusion|option|response|label|better|best)"
    r"(?:\s+(?:one|answer|response))?"
)
_IS = r"\W{0,4}(?:\s*(?:is|was|would be|should be|:|=|-|–|—)\s*)\W{0,6}"
_BETTER = r"(?:better|best|preferred|preferable|superior|stronger|strongest|correct|right|the winner|winner|more\s+\w+)"
_CUE = (
    r"(?:prefer|choose|chose|pick|select|say|vote for|go with|going with|favou?r|think it's|it's|it is|i'd say|"
    r"deserves an?|gets an?|this is an?|therefore|thus|hence|so)"
)
_NEGATION = re.compile(r"\b(?:not|never|neither|nor|cannot|no|without|hardly|whether|if)\b|n't\b|n’t\b", re.IGNORECASE)
# A capital "A" before any other lower-case word is taken for the article ("A good answer ...").
_AFTER_LETTER = r"(?:is|was|because|as|since|over|for|due|wins?|but|while|by|seems|than|has|does|would|and|or)"


def choice_letter(text: str, letters: str = "AB") -> str | None:
    """The one letter of `letters` that the reply names as its choice, upper case; None where it names none or two."""
    letters, text = letters.upper(), _compact(text)
    words = re.findall(r"[^\W_]+", text)
    if words and all(len(w) == 1 and w.upper() in letters for w in words):  # "A", "**b**", "(B).", but not "A or B"
        return _one(w.upper() for w in words)
    for form in _letter_forms(letters):
        found = [m for m in form.finditer(text) if not _negated(text, m.start())]
        if found:
            return _one(next(g for g in m.groups() if g).upper() for m in found)
    return None


@lru_cache(maxsize=32)
def _letter_forms(letters: str) -> tuple[re.Pattern[str], ...]:
    any_case = f"[{re.escape(letters + letters.lower())}]"
    capital = f"[{re.escape(letters)}]"
    # A letter as a word of its own: a capital that is no article or pronoun, or either case in brackets or quotes.
    bare = rf"(?-i:({capital}))(?![\w'’])(?!\s*/)(?!\s+(?-i:(?!{_AFTER_LETTER}\b)[a-z]))"
    word = rf"(?:{bare}|[(\[\"“*`]({any_case})[)\]\"”*`])"
    noun = rf"(?:{_NOUN}\s*)?\W{{0,3}}"
    verb = r"\s*\W{0,3}\s*(?:is|was|seems|looks|would be)\s+(?:(?!not\b|less\b|no\b|never\b)\w+\s+){0,2}?"
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
    text = _compact(text)
    word = r"(yes|no)"
    forms = (
        rf"\[\[\s*{word}\s*\]\]",
        rf"\b{_DECLARED}{_IS}{word}\b(?!\s*(?:/|or\b|and\b))(?!\s+\w)",
        rf"(?:^|[.!?\n])[^\w\n]{{0,8}}(?:(?:wait|actually|well|so|hmm),?\s+)*{word}\b(?=\s*(?:[^\w\s/]|$|\n|because\b|since\b))",
        rf"^\W{{0,8}}{word}\b(?!\s*(?:/|or\b|and\b))(?=\s+(?:it|this|that|the|there|i|he|she|they|we|you)\b)",
    )
    for form in forms:
        if found := re.findall(form, text, re.IGNORECASE):
            verdict = _one(w.lower() for w in found)
            return None if verdict is None else verdict == "yes"
    return None


def correctness(text: str) -> bool | None:
    """True for "correct", False for "incorrect", "wrong", "not correct"; None for neither, both, "partly correct"."""
    text = _compact(text)
    word = r"((?:in)?correct|wrong)\b(?!\s+(?-i:[a-z])(?!s\b|ecause\b|nd\b|ut\b|ince\b))"
    forms = (
        rf"\[\[\s*((?:not[\s_-]+)?)()(?:\w\s*[:.)]\s*)?{word}\s*\]\]",
        rf"\b{_DECLARED}{_IS}((?:not\s+)?)()(?:[\w]\s*[:.)]\s*)?{word}",
        rf"^[^\w\n]{{0,8}}(?:[A-D]\s*[:.)]\s*)?\W{{0,8}}((?:not[\s_-]+)?)((?:{_PARTLY}\s+)?){word}(?=\s*(?:[^\w\s]|$))",
        rf"\b(?:is|are|was|were|be|seems|as|looks)((?:n't|n’t|\s+not)?)\s+((?:\w+\s+){{0,2}}?){word}",
    )
    for form in forms:
        matches = list(re.finditer(form, text, re.IGNORECASE | re.MULTILINE))
        if matches:
            verdicts = {_correct(text, m) for m in matches}
            return verdicts.pop() if len(verdicts) == 1 else None
    return None


_PARTLY = r"(?:partly|partially|mostly|almost|nearly|half|somewhat|largely)"


def _correct(text: str, match: re.Match[str]) -> bool | None:
    before, between, word = match.groups()
    negations = bool(before.strip()) + bool(_NEGATION.search(between))
    doubtful = re.search(rf"\b(?:{_PARTLY}|neither|both)\b", between, re.IGNORECASE)
    # "whether it is correct", "I cannot say it is correct": somebody else's verdict, not this one.
    if doubtful or negations > 1 or _negated(text, match.start()):
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


def _negated(text: str, start: int) -> bool:
    """Whether a negation stands before `start` in the same clause."""
    clause = re.split(r"[.;:!?,\n]", text[max(0, start - 80) : start])[-1]
    return bool(_NEGATION.search(clause))


def _one(found: Iterable[str] | Iterator[str]) -> str | None:
    distinct = set(found)
    return distinct.pop() if len(distinct) == 1 else None
