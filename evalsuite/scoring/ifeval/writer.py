"""Writes texts that follow a list of instructions, or that break exactly one of them: gold answers and near misses.

The instructions are gathered into one `Wants`; a text is laid out from it; what it then counts (words, sentences) is
measured by the checkers' own counters and corrected, a few times over. The checkers have the last word: where
instructions contradict each other (repeat a prompt that has a comma, use no comma) the best text found is returned.

    >>> text = gold(["length_constraints:number_words"], [{"num_words": 9, "relation": "less than"}], "Write.")
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evalsuite.scoring.ifeval import follows
from evalsuite.scoring.ifeval.composing import compose
from evalsuite.scoring.ifeval.counting import count_sentences, count_words
from evalsuite.scoring.ifeval.rules import bind
from evalsuite.scoring.ifeval.wants import Wants, gather

Instruction = tuple[str, dict[str, Any]]
FLIPPED = {"less than": "at least", "at most": "at least", "at least": "less than"}
ROUNDS = 8  # corrections of length before another text is tried
LONGER = (0, 60, 600)


def gold(instruction_ids: Sequence[str], kwargs_list: Sequence[Mapping[str, Any]], prompt: str) -> str:
    """A text that follows all instructions strictly, where they can all be followed; else the best found."""
    return _write([(kind, bind(kind, kwargs)[1]) for kind, kwargs in zip(instruction_ids, kwargs_list, strict=True)])


def near_miss(instruction_ids: Sequence[str], kwargs_list: Sequence[Mapping[str, Any]], prompt: str) -> str:
    """A text that breaks exactly one instruction, the first for which that succeeds; else as few as can be."""
    wanted = [(kind, bind(kind, kwargs)[1]) for kind, kwargs in zip(instruction_ids, kwargs_list, strict=True)]
    best, fewest = "", len(wanted)
    for index, (kind, values) in enumerate(wanted):
        text = _write([*wanted[:index], *_opposite(kind, values), *wanted[index + 1 :]])
        broken = follows(instruction_ids, kwargs_list, prompt, text)[0].count(False)
        if broken == 1:
            return text
        if 1 < broken < fewest:
            best, fewest = text, broken
    return best


def _write(instructions: Sequence[Instruction]) -> str:
    """The best of a few texts: longer and longer ones, until filler outweighs what else tells their language."""
    kinds, values = [kind for kind, _ in instructions], [value for _, value in instructions]
    best, most = "", -1
    wants = gather(instructions)
    for variant, extra in enumerate(LONGER):
        sentences, words = _targets(wants, extra)
        for _ in range(ROUNDS):
            text = compose(wants, sentences, words, variant)
            followed = sum(follows(kinds, values, "", text)[0])
            if followed == len(kinds):
                return text
            if followed > most:
                best, most = text, followed
            sentences += _correction(count_sentences(text), wants.sentences)
            words += _correction(count_words(text), wants.words)
    return best


def _targets(wants: Wants, extra: int) -> tuple[int, int]:
    sentences = min(max(wants.sentences[0], wants.units, 2), wants.sentences[1])
    return sentences, min(max(wants.words[0], 5 * sentences + len(wants.must)) + extra, wants.words[1])


def _correction(count: int, bounds: tuple[int, int]) -> int:
    """How far a count must move to lie within its bounds (both included)."""
    low, high = bounds
    return min(0, high - count) + max(0, low - count)


def _opposite(kind: str, values: dict[str, Any]) -> list[Instruction]:
    """Instructions whose following breaks this one; none where leaving it out does."""
    for name in ("relation", "let_relation", "capital_relation"):
        if name in values:
            return [(kind, {**values, name: FLIPPED[values[name]]})]
    change = OPPOSITES.get(kind)
    return change(values) if change else []


def _other_number(kind: str, name: str, step: int) -> Callable[[dict[str, Any]], list[Instruction]]:
    return lambda values: [(kind, {**values, name: values[name] + step})]


OPPOSITES: dict[str, Callable[[dict[str, Any]], list[Instruction]]] = {
    "punctuation:no_comma": lambda _: [("keywords:existence", {"keywords": ("well, then",)})],
    "keywords:forbidden_words": lambda v: [("keywords:existence", {"keywords": v["forbidden_words"][:1]})],
    "keywords:existence": lambda v: [
        *[("keywords:existence", {"keywords": v["keywords"][1:]}) for _ in v["keywords"][1:2]],
        ("keywords:frequency", {"keyword": v["keywords"][0], "frequency": 1, "relation": "less than"}),
    ],
    "language:response_language": lambda v: [
        ("language:response_language", {"language": "de" if v["language"] == "en" else "en"})
    ],
    "length_constraints:nth_paragraph_first_word": lambda v: [
        ("length_constraints:nth_paragraph_first_word", {**v, "first_word": "otherwise"})
    ],
    "length_constraints:number_paragraphs": _other_number("length_constraints:number_paragraphs", "num_paragraphs", 1),
    "detectable_format:number_bullet_lists": _other_number("detectable_format:number_bullet_lists", "num_bullets", 1),
    "detectable_format:multiple_sections": _other_number("detectable_format:multiple_sections", "num_sections", -1),
    "detectable_content:number_placeholders": _other_number(
        "detectable_content:number_placeholders", "num_placeholders", -1
    ),
    "detectable_format:number_highlighted_sections": _other_number(
        "detectable_format:number_highlighted_sections", "num_highlights", -1
    ),
}
