"""Instructions on what a text says: keywords, letters, case, language, lengths, repetition.

Each function answers one kind: the response, then the instruction's arguments by their names in the data. Keywords are
regular expressions, as in the official checkers (a dot matches any character); they come from the benchmark, never
from a model.
"""

import re
from collections.abc import Sequence

from evalsuite.scoring.ifeval.counting import count_capital_tokens, count_sentences, count_words, detect_language


def compare(count: int, relation: str, bound: int) -> bool:
    """`at most` is no relation of the official checkers; repaired copies of the data use it."""
    if relation == "at least":
        return count >= bound
    return count < bound + (relation == "at most")


def keywords_exist(response: str, keywords: Sequence[str]) -> bool:
    """Every keyword occurs, also inside a longer word, in any case."""
    return all(re.search(word, response, re.IGNORECASE) for word in keywords)


def keyword_frequency(response: str, keyword: str, frequency: int, relation: str) -> bool:
    found = sum(1 for _ in re.finditer(keyword.strip(), response, re.IGNORECASE))
    return compare(found, relation, frequency)


def words_absent(response: str, forbidden_words: Sequence[str]) -> bool:
    """None of the words occurs as a whole word, in any case."""
    return not any(re.search(rf"\b{word}\b", response, re.IGNORECASE) for word in forbidden_words)


def letter_frequency(response: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    return compare(response.lower().count(letter.lower()), let_relation, let_frequency)


def capital_words(response: str, capital_frequency: int, capital_relation: str) -> bool:
    return compare(count_capital_tokens(response), capital_relation, capital_frequency)


def word_count(response: str, num_words: int, relation: str) -> bool:
    return compare(count_words(response), relation, num_words)


def sentence_count(response: str, num_sentences: int, relation: str) -> bool:
    return compare(count_sentences(response), relation, num_sentences)


def in_language(response: str, language: str) -> bool:
    """A text whose language cannot be told counts as followed, as it does officially."""
    return detect_language(response) in (language, None)


def english_capitals(response: str) -> bool:
    return response.isupper() and in_language(response, "en")


def english_lowercase(response: str) -> bool:
    return response.islower() and in_language(response, "en")


def no_comma(response: str) -> bool:
    return "," not in response


def repeats_prompt(response: str, prompt_to_repeat: str) -> bool:
    """Only the beginning is looked at, so a response that says nothing else passes."""
    return response.strip().lower().startswith(prompt_to_repeat.strip().lower())


def ends_with(response: str, end_phrase: str) -> bool:
    return response.strip().strip('"').lower().endswith(end_phrase.strip().lower())
