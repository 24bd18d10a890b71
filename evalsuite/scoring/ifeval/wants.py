"""A list of instructions gathered into one record of what a text must have and must not have."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalsuite.scoring.ifeval.phrases import WITH_LETTER

FAR = 10**6


@dataclass
class Wants:
    """Bounds are (lowest, highest), both included. `must` holds words in order, repeated as often as they are wanted;
    `avoid` patterns and `avoid_letters` keep filler words out."""

    words: tuple[int, int] = (0, FAR)
    sentences: tuple[int, int] = (1, FAR)
    must: list[str] = field(default_factory=list)
    avoid: list[str] = field(default_factory=list)
    avoid_letters: str = ""
    paragraphs: int = 0
    first_words: tuple[int, int, str] | None = None  # paragraphs between empty lines; which one; its first word
    sections: tuple[str, int] | None = None
    bullets: int = 0
    language: str = "en"
    case: Callable[[str], str] | None = None
    title: bool = False
    json: bool = False
    answer: bool = False
    two: bool = False
    quoted: bool = False
    repeat: str = ""
    postscript: str = ""
    ending: str = ""

    @property
    def blocks(self) -> int:
        return max(1, self.paragraphs, self.first_words[0] if self.first_words else 0, (self.sections or ("", 0))[1])

    @property
    def units(self) -> int:
        """Pieces that hold a sentence each: blocks and bullets."""
        return self.blocks + self.bullets


def gather(instructions: Sequence[tuple[str, dict[str, Any]]]) -> Wants:
    """What all instructions together want; `values` are as `rules.bind` returns them."""
    wants = Wants()
    for kind, values in instructions:
        _GATHER[kind](wants, values)
    return wants


def narrowed(bounds: tuple[int, int], relation: str, number: int) -> tuple[int, int]:
    low, high = bounds
    if relation == "at least":
        return (max(low, number), high)
    return (low, min(high, number - (relation == "less than")))


def _set(name: str, source: str | None = None) -> Callable[[Wants, dict[str, Any]], None]:
    """Sets a field to one of the instruction's values, or to True where it has none."""
    return lambda wants, values: setattr(wants, name, values[source] if source else True)


def _bounds(name: str, source: str) -> Callable[[Wants, dict[str, Any]], None]:
    return lambda wants, v: setattr(wants, name, narrowed(getattr(wants, name), v["relation"], v[source]))


def _keywords(wants: Wants, values: dict[str, Any]) -> None:
    wants.must += [word for word in values["keywords"] if word not in wants.must]


def _forbidden(wants: Wants, values: dict[str, Any]) -> None:
    wants.avoid += [rf"\b{word}\b" for word in values["forbidden_words"]]


def _frequency(wants: Wants, values: dict[str, Any]) -> None:
    keyword = values["keyword"].strip()
    if values["relation"] != "at least":
        wants.avoid.append(keyword)
    else:
        found = sum(len(re.findall(keyword, word, re.IGNORECASE)) for word in wants.must)
        wants.must += [keyword] * (values["frequency"] - found)


def _letters(wants: Wants, values: dict[str, Any]) -> None:
    letter = values["letter"].lower()
    if values["let_relation"] != "at least":
        wants.avoid_letters += letter
    else:
        word = WITH_LETTER.get(letter, letter)
        wants.must += [word] * -(-values["let_frequency"] // word.count(letter))


def _capitals(wants: Wants, values: dict[str, Any]) -> None:
    if values["capital_relation"] == "at least":
        have = sum(word == "LOOK" for word in wants.must)
        wants.must += ["LOOK"] * (values["capital_frequency"] - have)


def _nth(wants: Wants, values: dict[str, Any]) -> None:
    wants.first_words = (values["num_paragraphs"], values["nth_paragraph"], values["first_word"])


_GATHER: dict[str, Callable[[Wants, dict[str, Any]], None]] = {
    "keywords:existence": _keywords,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letters,
    "language:response_language": _set("language", "language"),
    "length_constraints:number_sentences": _bounds("sentences", "num_sentences"),
    "length_constraints:number_paragraphs": _set("paragraphs", "num_paragraphs"),
    "length_constraints:number_words": _bounds("words", "num_words"),
    "length_constraints:nth_paragraph_first_word": _nth,
    "detectable_content:number_placeholders": lambda wants, v: wants.must.extend(["[name]"] * v["num_placeholders"]),
    "detectable_content:postscript": _set("postscript", "postscript_marker"),
    "detectable_format:number_bullet_lists": _set("bullets", "num_bullets"),
    "detectable_format:constrained_response": _set("answer"),
    "detectable_format:number_highlighted_sections": lambda wants, v: wants.must.extend(
        ["*bright part*"] * v["num_highlights"]
    ),
    "detectable_format:multiple_sections": lambda wants, v: setattr(
        wants, "sections", (v["section_spliter"].strip(), v["num_sections"])
    ),
    "detectable_format:json_format": _set("json"),
    "detectable_format:title": _set("title"),
    "combination:two_responses": _set("two"),
    "combination:repeat_prompt": _set("repeat", "prompt_to_repeat"),
    "startend:end_checker": _set("ending", "end_phrase"),
    "startend:quotation": _set("quoted"),
    "change_case:capital_word_frequency": _capitals,
    "change_case:english_capital": lambda wants, _: setattr(wants, "case", str.upper),
    "change_case:english_lowercase": lambda wants, _: setattr(wants, "case", str.lower),
    "punctuation:no_comma": lambda wants, _: wants.avoid.append(","),
}
