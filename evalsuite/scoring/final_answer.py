"""Reading the last answer of a chain of thought. Pure functions; None where there is none.

`declared` is what a reply calls its answer: the last of `#### 7`, `The answer is 7.`, `Answer: 7`, `A: 7`, a box.
Numbers are exact fractions, so 18, 18.0 and "18.00" are one answer and 0.1 + 0.2 has no rounding.

>>> declared("So 3 + 4 = 7. The answer is **7**."), last_number("so 16 - 7 = 9 eggs, or $18")
('7', Fraction(18, 1))
"""

import re
from fractions import Fraction

from evalsuite.scoring.mathematics import boxed_spans

MOST_DIGITS = 300
"""A run of more digits is a loop, no number (Python refuses to read more than 4,300)."""

_ANSWER = r"(?:final\s+|correct\s+|right\s+)?answer"
_STEMS = (
    r"####",
    rf"\b(?:the|my|our|so\s+the|your)\s+{_ANSWER}(?:\s+(?:here|to\s+[^.:\n]{{1,60}}))?\s*(?:is|was|=|:)(?:\s*:)?",
    rf"^[\W_]{{0,6}}(?:{_ANSWER}|a)\s*[*_]{{0,2}}\s*[:=][*_]{{0,2}}",
)
_DECLARED = re.compile("|".join(_STEMS), re.IGNORECASE | re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.,])[-−–]?(?:[$€£]\s?)?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?![\d])")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")


def declared(text: str) -> str | None:
    """What the reply last declares as its answer: the rest of that line without Markdown, dollar signs of TeX and a
    final full stop, or the content of the last box. None where nothing is declared."""
    marks = [(m.end(), m.start()) for m in _DECLARED.finditer(text)]
    boxes = boxed_spans(text)
    if boxes and (not marks or boxes[-1][0] >= marks[-1][1]):
        return text[boxes[-1][0] : boxes[-1][1]].strip()
    return _rest(text, marks[-1][0]) or None if marks else None


def _rest(text: str, start: int) -> str:
    """The line behind a declaration, or the next one where it ends with the colon."""
    rest = text[start:].lstrip(" \t*_:")
    line = next((line for line in rest.split("\n") if line.strip()), "")
    return bare(line)


def bare(text: str) -> str:
    """Without what is around an answer: blanks, Markdown's and TeX's marks, quotation marks, a final full stop."""
    text = text.strip().strip("*_`").strip()
    text = re.sub(r"^(?:\\\[|\\\(|\$+)\s*|\s*(?:\\\]|\\\)|\$+)(?=[.*\s]*$)", "", text)
    return text.rstrip().removesuffix(".").strip("*_` ").strip()


def after_last(text: str, mark: str) -> str:
    """What stands after the last `mark`, on its line, without one final full stop; the whole first line where the mark
    does not occur. How BIG-Bench Hard reads chains of thought ("answer is ")."""
    rest = text.rsplit(mark, 1)[-1].strip().split("\n")[0].strip()
    return rest.removesuffix(".")


def number(text: str) -> Fraction | None:
    """The first number in a text, None without one: 1,234.50, -3, $5, .5, −2 (a minus sign)."""
    found = _NUMBER.search(text)
    return _value(found[0]) if found else None


def last_number(text: str) -> Fraction | None:
    """The last number in a text."""
    found = [m[0] for m in _NUMBER.finditer(text)]
    return _value(found[-1]) if found else None


def _value(text: str) -> Fraction | None:
    digits = re.sub(r"[^\d.]", "", text)
    if len(digits) > MOST_DIGITS:
        return None
    return Fraction(digits) * (-1 if text[0] in "-−–" else 1)


def final_number(text: str) -> Fraction | None:
    """The number of a word problem's answer: the first number of what the reply declares (the last one of an equation:
    "The answer is 3 x 4 = 12"), else its last number."""
    said = declared(text)
    if said is None:
        return last_number(text)
    return last_number(said) if "=" in said else number(said)


# -- as other programs read (exact texts, for figures that compare) ----------------------------------------------------


def marked_text(text: str) -> str | None:
    """The number after the first `####`, else after "The answer is" or at the start of a line "A:", as text without
    commas: the strict reading of GSM8K, which takes nothing that the reply does not mark as its answer."""
    for stem in (r"####\s*", r"(?i:the answer is):?\s*\$?", r"(?m:^A:)\s*"):
        found = re.search(rf"{stem}(-?[0-9.,]+)", text)
        if found:
            return plain(found[1])
    return None


def last_text(text: str) -> str | None:
    """The last number-like run of a reply, as text: lm-evaluation-harness's `flexible-extract`."""
    found = [a or b for a, b in _FLEXIBLE.findall(text)]
    return plain(found[-1]) if found else None


def plain(text: str) -> str:
    """Without commas, dollar signs, and one final full stop."""
    return text.strip().replace(",", "").replace("$", "").removesuffix(".").lower()
