"""The table of the 25 verifiable instruction kinds: which function answers each, and which arguments it needs.

>>> rule, values = bind("length_constraints:number_words", {"num_words": 3, "relation": "at least"})
>>> rule("One two three.", **values)
True
"""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from evalsuite.errors import InputError
from evalsuite.scoring.ifeval import content, layout

Rule = Callable[..., bool]
"""Called with the response and the instruction's arguments by name."""


def _count(value: Any) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or value < 0:
        raise ValueError("a whole number from 0 on")
    return int(value)


def _ordinal(value: Any) -> int:
    if (number := _count(value)) < 1:
        raise ValueError("a whole number from 1 on")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not blank")
    return value


def _relation(value: Any) -> str:
    if value not in ("less than", "at least", "at most"):
        raise ValueError("'less than', 'at least' or 'at most'")
    return str(value)


def _letter(value: Any) -> str:
    if len(_text(value).strip()) != 1:
        raise ValueError("one character")
    return str(value).strip()


def _pattern(value: Any) -> str:
    try:
        re.compile(_text(value))
    except re.error as error:
        raise ValueError(f"a word or a regular expression ({error})") from error
    return str(value)


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("a list of words")
    return tuple(_pattern(word) for word in value)


Fields = Mapping[str, Callable[[Any], Any]]
NONE: Fields = {}

RULES: Mapping[str, tuple[Rule, Fields]] = {
    "keywords:existence": (content.keywords_exist, {"keywords": _patterns}),
    "keywords:frequency": (
        content.keyword_frequency,
        {"keyword": _pattern, "frequency": _count, "relation": _relation},
    ),
    "keywords:forbidden_words": (content.words_absent, {"forbidden_words": _patterns}),
    "keywords:letter_frequency": (
        content.letter_frequency,
        {"letter": _letter, "let_frequency": _count, "let_relation": _relation},
    ),
    "language:response_language": (content.in_language, {"language": _text}),
    "length_constraints:number_sentences": (content.sentence_count, {"num_sentences": _count, "relation": _relation}),
    "length_constraints:number_paragraphs": (layout.divided_paragraphs, {"num_paragraphs": _count}),
    "length_constraints:number_words": (content.word_count, {"num_words": _count, "relation": _relation}),
    "length_constraints:nth_paragraph_first_word": (
        layout.nth_paragraph,
        {"num_paragraphs": _count, "nth_paragraph": _ordinal, "first_word": _text},
    ),
    "detectable_content:number_placeholders": (layout.placeholders, {"num_placeholders": _count}),
    "detectable_content:postscript": (layout.postscript, {"postscript_marker": _pattern}),
    "detectable_format:number_bullet_lists": (layout.bullets, {"num_bullets": _count}),
    "detectable_format:constrained_response": (layout.constrained_answer, NONE),
    "detectable_format:number_highlighted_sections": (layout.highlights, {"num_highlights": _count}),
    "detectable_format:multiple_sections": (layout.sections, {"section_spliter": _pattern, "num_sections": _count}),
    "detectable_format:json_format": (layout.json_format, NONE),
    "detectable_format:title": (layout.title, NONE),
    "combination:two_responses": (layout.two_responses, NONE),
    "combination:repeat_prompt": (content.repeats_prompt, {"prompt_to_repeat": _text}),
    "startend:end_checker": (content.ends_with, {"end_phrase": _text}),
    "startend:quotation": (layout.quoted, NONE),
    "change_case:capital_word_frequency": (
        content.capital_words,
        {"capital_frequency": _count, "capital_relation": _relation},
    ),
    "change_case:english_capital": (content.english_capitals, NONE),
    "change_case:english_lowercase": (content.english_lowercase, NONE),
    "punctuation:no_comma": (content.no_comma, NONE),
}

KINDS = tuple(RULES)


def bind(kind: str, kwargs: Mapping[str, Any]) -> tuple[Rule, dict[str, Any]]:
    """The function of a kind and its arguments, read and checked. Arguments that are None are left out first: the
    benchmark's copy on the Hub gives every row all names. Raises InputError for an unknown kind (names the nearest)
    and for a missing, superfluous or unusable argument."""
    if kind not in RULES:
        near = get_close_matches(kind, KINDS, n=3, cutoff=0.4) or sorted(KINDS)
        raise InputError(f"unknown instruction kind '{kind}' (nearest: {', '.join(near)})")
    rule, fields = RULES[kind]
    given = {name: value for name, value in kwargs.items() if value is not None}
    if extra := sorted(set(given) - set(fields)):
        raise InputError(f"instruction {kind} takes no '{extra[0]}' (it takes: {', '.join(fields) or 'nothing'})")
    values = {}
    for name, read in fields.items():
        if name not in given:
            raise InputError(f"instruction {kind} needs '{name}' in its kwargs")
        try:
            values[name] = read(given[name])
        except ValueError as error:
            raise InputError(f"instruction {kind}: '{name}' must be {error}, not {given[name]!r}") from error
    return rule, values
