r"""Instructions on how a text is laid out: bullets, sections, paragraphs, titles, wrapping.

Verdicts equal the official regular expressions', but each function reads the text once: several of those expressions
(`\[.*?\]`, `<<[^\n]+>>`, `^\s*-`) take quadratic time on a model that repeats one character.
"""

import json
import re

HIGHLIGHT = re.compile(r"\*[^\n*]*\*")
DOUBLE_HIGHLIGHT = re.compile(r"\*\*[^\n*]*\*\*")
# Blanks before a bullet stay on its own line: what follows an empty line is found at its own line's start.
STAR_BULLET = re.compile(r"^[^\S\n]*\*[^*].*$", re.MULTILINE)
DASH_BULLET = re.compile(r"^[^\S\n]*-.*$", re.MULTILINE)
DIVIDER = re.compile(r"\s?\*\*\*\s?")
POSTSCRIPTS = {"P.P.S": re.compile(r"p\.\s?p\.\s?s"), "P.S.": re.compile(r"p\.\s?s\.")}
ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
FENCES = ("```json", "```Json", "```JSON", "```")
ENDS_FIRST_WORD = frozenset(".,?!'\"")


def placeholders(response: str, num_placeholders: int) -> bool:
    """At least so many `[...]` that open and close on one line; `[]` counts, nested ones count once."""
    found = 0
    for line in response.split("\n"):
        position = line.find("[")
        while position >= 0 and (closing := line.find("]", position)) >= 0:
            found += 1
            position = line.find("[", closing)
    return found >= num_placeholders


def bullets(response: str, num_bullets: int) -> bool:
    """Exactly so many lines that begin with `*` (not `**`) or with `-`; a rule of dashes counts as one."""
    return sum(1 for pattern in (STAR_BULLET, DASH_BULLET) for _ in pattern.finditer(response)) == num_bullets


def highlights(response: str, num_highlights: int) -> bool:
    """At least so many `*...*` and `**...**` with something inside. The two are counted apart and added, so that
    `*a **b**` counts three times."""
    single = sum(bool(match.group().strip("*").strip()) for match in HIGHLIGHT.finditer(response))
    double = sum(bool(match.group()[2:-2].strip()) for match in DOUBLE_HIGHLIGHT.finditer(response))
    return single + double >= num_highlights


def sections(response: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many marks such as `Section 1`, anywhere in a line; the numbers may repeat."""
    found = sum(1 for _ in re.finditer(rf"{section_spliter.strip()}\s?\d+", response))
    return found >= num_sections


def divided_paragraphs(response: str, num_paragraphs: int) -> bool:
    """Exactly so many paragraphs between `***`; only the first and the last piece may be blank."""
    pieces = [bool(piece.strip()) for piece in DIVIDER.split(response)]
    return all(pieces[1:-1]) and sum(pieces) == num_paragraphs


def nth_paragraph(response: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Exactly so many paragraphs between empty lines, and one's first word. Blank pieces are left out of the count
    but not of the numbering: this is the official checker's own slip, and verdicts follow it."""
    pieces = response.split("\n\n")
    count = sum(bool(piece.strip()) for piece in pieces)
    if nth_paragraph > count or not pieces[nth_paragraph - 1].strip():
        return False
    word = pieces[nth_paragraph - 1].split(None, 1)[0].lstrip("'").lstrip('"')
    end = next((i for i, letter in enumerate(word) if letter in ENDS_FIRST_WORD), len(word))
    return count == num_paragraphs and "".join(letter.lower() for letter in word[:end]) == first_word.lower()


def postscript(response: str, postscript_marker: str) -> bool:
    """The marker stands somewhere, in any case; nothing is asked of where."""
    marker = postscript_marker.strip()
    pattern = POSTSCRIPTS.get(marker) or re.compile(marker.lower())
    return pattern.search(response.lower()) is not None


def title(response: str) -> bool:
    """A `<<...>>` on one line with something inside."""
    for line in response.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start <= end - 3 and line[start : end + 2].lstrip("<").rstrip(">").strip():
            return True
    return False


def json_format(response: str) -> bool:
    """The whole is one JSON value (a bare number too), with or without a Markdown fence."""
    text = response.strip()
    for fence in FENCES:
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):  # brackets nested deeper than Python's stack are no answer
        return False
    return True


def constrained_answer(response: str) -> bool:
    """One of the three sentences occurs, whatever else is said."""
    return any(answer in response.strip() for answer in ANSWERS)


def two_responses(response: str) -> bool:
    """Two different answers parted by `******`; a divider may also stand first or last."""
    pieces = [piece.strip() for piece in response.split("******")]
    answers = [piece for piece in pieces if piece]
    return all(pieces[1:-1]) and len(answers) == 2 and answers[0] != answers[1]


def quoted(response: str) -> bool:
    text = response.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'
